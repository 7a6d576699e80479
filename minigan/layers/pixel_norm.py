"""PixelNorm: the feature vector of each pixel at unit mean square (Karras et al. 2018)."""

from dataclasses import KW_ONLY, dataclass

from minigan._arguments import scalar, set_numbers
from minigan.layers.base import Context, Layer, Pullback, Shape, ShapeError, Views
from minigan.ops.protocol import Array


@dataclass(frozen=True)
class PixelNorm(Layer):
    """y = x / r,  r = sqrt(mean_c x_c^2 + eps);  dx = (dy - y mean_c(dy_c y_c)) / r.    x, y (N, ..., C)

    It has no parameters, and keeps signals in G from growing without limit.  Source: Karras, Aila, Laine and Lehtinen,
    "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018 (arXiv:1710.10196), section 4.2.

    Parameters
    ----------
    eps : float
        What is added to the mean square, > 0, so that a pixel of zeros divides by no zero; 1e-8 as published.

    Raises
    ------
    ValueError
        If `eps` is not > 0.

    Examples
    --------
    >>> import numpy as np, minigan as mg
    >>> net = mg.Network([PixelNorm()], rng=np.random.default_rng(0), dtype="float64")
    >>> net(np.array([[3.0, -3.0, 3.0, -3.0]])).round(6)
    array([[ 1., -1.,  1., -1.]])

    """

    per_example = True

    _: KW_ONLY
    eps: float = 1e-8

    def __post_init__(self) -> None:
        set_numbers(self, eps="(0, inf)")

    def output_shape(self, shape: Shape) -> Shape:
        """(..., C) -> (..., C)."""
        if not shape:
            raise ShapeError(f"input shape {shape}; expected (..., C)")
        return shape

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return x / r and its pullback."""
        mean_square = (x * x).mean(axis=-1, keepdims=True)
        inverse = 1 / ctx.ops.xp.sqrt(mean_square + scalar(self.eps, x.dtype))
        y = x * inverse

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if not need_dx:
                return None
            return (dy - y * (dy * y).mean(axis=-1, keepdims=True)) * inverse  # dL/dx = (dy - y mean(dy y)) / r

        return y, backward
