"""MinibatchStdDev: how much the examples of a batch differ, as one more feature (Karras et al. 2018)."""

from dataclasses import KW_ONLY, dataclass

from minigan._arguments import scalar, set_numbers, size
from minigan.layers.base import Context, Layer, PairPullback, Pullback, Shape, ShapeError, Views
from minigan.ops.protocol import Array


@dataclass(frozen=True)
class MinibatchStdDev(Layer):
    """y = (x, t): x with one more feature or channel, the mean standard deviation t of a group of examples.

    x (N, I) -> y (N, I + 1),    x (N, H, W, C) -> y (N, H, W, C + 1).  The N = G M examples form M groups of G, those
    with the same n mod M; j counts the J numbers of an example.  For the group with the mean example mu,

        s_j = sqrt(mean_n (x_nj - mu_j)^2 + eps),    t = mean_j s_j
        dx_nj = dy_nj + dt (x_nj - mu_j) / (J G s_j),    dt = the sum of dy over the new feature of all G examples

    D sees with it that all fakes are alike.  Every sub-batch has its own groups.  Training and inference do not differ:
    y_n depends on the batch that x_n is in.  Source: Karras, Aila, Laine and Lehtinen, "Progressive Growing of GANs for
    Improved Quality, Stability, and Variation", 2018 (arXiv:1710.10196), section 3; the groups are those of its code.

    Parameters
    ----------
    group_size : int or None
        G, the number of examples of a group, at least 1; None, the default: the whole batch, as in the paper.  The
        code uses 4.  Smaller batches form one group, and larger ones must be divisible by G.
    eps : float
        What is added to the variance, > 0, so that the root has a derivative where all examples agree; 1e-8, as in the
        code.

    Raises
    ------
    ValueError
        If `group_size` is not an int >= 1 or None, or `eps` is not > 0.
    ShapeError
        In `output_shape` and `forward`, if x is not (N, ..., C), or G does not divide N.

    Examples
    --------
    >>> import numpy as np, minigan as mg
    >>> net = mg.Network([MinibatchStdDev()], rng=np.random.default_rng(0), dtype="float64")
    >>> net(np.array([[1.0, 5.0], [3.0, 5.0]])).round(3)
    array([[1. , 5. , 0.5],
           [3. , 5. , 0.5]])

    """

    per_example = True

    _: KW_ONLY
    group_size: int | None = None
    eps: float = 1e-8

    def __post_init__(self) -> None:
        if self.group_size is not None:
            object.__setattr__(self, "group_size", size("group_size", self.group_size))
        set_numbers(self, eps="(0, inf)")

    def mixes_examples(self, *, train: bool) -> bool:
        """Return True: y_n depends on the group of x_n, in training and at inference."""
        return True

    def output_shape(self, shape: Shape) -> Shape:
        """(..., C) -> (..., C + 1)."""
        if not shape:
            raise ShapeError(f"input shape {shape}; expected (..., C)")
        return (*shape[:-1], shape[-1] + 1)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return x with its new feature, and the pullback."""
        xp, B = ctx.ops.xp, ctx.sub_batches
        N = len(x) // B
        G = N if self.group_size is None else min(self.group_size, N)
        if N % G:
            raise ShapeError(f"{N} examples in a batch; expected a multiple of group_size={G}, or at most that many")
        groups = x.reshape(B, G, N // G, -1)  # (B, G, M, J)
        J = groups.shape[3]
        centred = groups - groups.mean(axis=1, keepdims=True)
        if x.dtype.kind == "f":  # subtract the rounding error of the mean, which may be much larger than s
            centred -= centred.mean(axis=1, keepdims=True)
        s = xp.sqrt((centred * centred).mean(axis=1, keepdims=True) + scalar(self.eps, x.dtype))
        t = s.mean(axis=3, keepdims=True).repeat(G, axis=1).reshape(-1, *(1,) * (x.ndim - 1))
        feature = t + xp.zeros_like(x[..., :1])
        C = x.shape[-1]

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if not need_dx:
                return None
            dt = dy[..., C:].reshape(B, G, N // G, -1).sum(axis=(1, 3), keepdims=True)
            return dy[..., :C] + ((dt / (J * G)) * centred / s).reshape(x.shape)  # dy + dt (x - mu) / (J G s)

        return xp.concatenate([x, feature], axis=-1), backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Raise ValueError, because an output depends on other examples."""
        raise ValueError(
            "MinibatchStdDev has no gradient penalty, because an output depends on all examples of its group; expected "
            "a discriminator without it"
        )
