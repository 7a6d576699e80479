"""Dense: the fully connected layer."""

from dataclasses import KW_ONLY, dataclass

from minigan._arguments import set_flags, set_sizes
from minigan.initializers import GlorotUniform, Initializer, Zeros
from minigan.layers.base import (
    Context,
    Layer,
    PairPullback,
    Parameter,
    Pullback,
    Shape,
    ShapeError,
    Views,
    add_or_write,
    add_row_sums,
    affine_pullback,
    require_features,
)
from minigan.ops.protocol import Array


@dataclass(frozen=True)
class Dense(Layer):
    """y = x W + b.    x (N, I)   W (I, O)   b (O,)   y (N, O)

    Parameters
    ----------
    n_in, n_out : int
        I and O, the numbers of features of x and of y; at least 1.
    bias : bool
        Whether to add b; without it, y = x W.
    weight_init : Initializer
        The initial distribution of W; Glorot's uniform one by default, as in Keras.
    bias_init : Initializer
        The initial distribution of b; zeros by default, as in Keras.

    Raises
    ------
    ValueError
        If a size is not an int >= 1, or `bias` is not True or False.
    ShapeError
        In `output_shape` and `forward`, if x is not (N, I).

    Examples
    --------
    >>> Dense(784, 128).output_shape((784,))
    (128,)

    """

    per_example = True
    piecewise_linear = True
    writes_gradient = True

    n_in: int
    n_out: int
    _: KW_ONLY
    bias: bool = True
    weight_init: Initializer = GlorotUniform()
    bias_init: Initializer = Zeros()

    def __post_init__(self) -> None:
        set_sizes(self, "n_in", "n_out")
        set_flags(self, "bias")

    def parameters(self) -> dict[str, Parameter]:
        """Return W (I, O) and b (O,)."""
        W = Parameter((self.n_in, self.n_out), self.weight_init, self.n_in, self.n_out)
        b = Parameter((self.n_out,), self.bias_init, self.n_in, self.n_out)
        return {"W": W, "b": b} if self.bias else {"W": W}

    def output_shape(self, shape: Shape) -> Shape:
        """(I,) -> (O,)."""
        if shape != (self.n_in,):
            raise ShapeError(f"input shape {shape}; expected ({self.n_in},)")
        return (self.n_out,)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return x W + b and its pullback."""
        require_features(self, x, self.n_in)
        ops, W, b = ctx.ops, p["W"], p.get("b")

        def backward(
            dy: Array, g: Views | None = None, *, need_dx: bool = True, overwrite: bool = False
        ) -> Array | None:
            if g is not None:  # None: frozen
                dW, db = g["W"], g.get("b")
                ops.add_product(x, dy, dW, overwrite=overwrite)  # dL/dW = x^T dy
                if db is not None:
                    add_or_write(db, ops.sum_rows(dy), overwrite=overwrite)  # dL/db = sum_n dy_n
            return ops.affine(dy, W.T) if need_dx else None  # dL/dx = dy W^T

        return ops.affine(x, W, b), backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return x W + b, x_dot W and their pullback."""
        require_features(self, x, self.n_in)
        ops, W = ctx.ops, p["W"]
        pullback = affine_pullback(
            x,
            x_dot,
            lambda dy: ops.affine(dy, W.T),  # dL/dx = dy W^T,  dL/dx_dot = dy_dot W^T
            lambda v, dy, g: ops.add_product(v, dy, g["W"]),  # dL/dW = x^T dy + x_dot^T dy_dot
            lambda dy, g: add_row_sums(ops, dy, g),  # dL/db = sum_n dy_n
        )
        return ops.affine(x, W, p.get("b")) if ctx.y is None else ctx.y, ops.affine(x_dot, W), pullback
