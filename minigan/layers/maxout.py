"""Maxout (Goodfellow et al. 2013, eq. 1-2): the maximum of P affine maps."""

from dataclasses import KW_ONLY, dataclass

import numpy as np

from minigan._arguments import set_sizes
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
from minigan.ops.protocol import Array, Ops
from minigan.ops.reference import real

MAX_SMALL_PIECES = 64
"""Up to so many pieces are compared one after another on the CPU; more pieces are left to argmax."""


@dataclass(frozen=True)
class Maxout(Layer):
    """y_no = max_p a_nop,  a = x W + b.    x (N, I)   W (I, O P)   b (O P,)   y (N, O)

    The P pieces of a unit are adjacent columns of W.  Where pieces tie, the gradient goes to the first one.

    Parameters
    ----------
    n_in, n_out : int
        I and O, the numbers of features of x and of y; at least 1.
    pieces : int
        P, the number of affine maps of each unit; at least 1 (pylearn2's num_pieces).
    weight_init : Initializer
        The initial distribution of W; Glorot's uniform one by default, with fans I and O P.
    bias_init : Initializer
        The initial distribution of b; zeros by default.

    Raises
    ------
    ValueError
        If a size is not an int >= 1.
    ShapeError
        In `output_shape` and `forward`, if x is not (N, I).

    Examples
    --------
    >>> Maxout(784, 240, pieces=5).parameters()["W"].shape
    (784, 1200)

    """

    per_example = True
    piecewise_linear = True
    writes_gradient = True

    n_in: int
    n_out: int
    _: KW_ONLY
    pieces: int
    weight_init: Initializer = GlorotUniform()
    bias_init: Initializer = Zeros()

    def __post_init__(self) -> None:
        set_sizes(self, "n_in", "n_out", "pieces")

    def parameters(self) -> dict[str, Parameter]:
        """Return W (I, O P) and b (O P,)."""
        width = self.n_out * self.pieces
        return {
            "W": Parameter((self.n_in, width), self.weight_init, self.n_in, width),
            "b": Parameter((width,), self.bias_init, self.n_in, width),
        }

    def output_shape(self, shape: Shape) -> Shape:
        """(I,) -> (O,)."""
        if shape != (self.n_in,):
            raise ShapeError(f"input shape {shape}; expected ({self.n_in},)")
        return (self.n_out,)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return max_p (x W + b)_nop and its pullback."""
        require_features(self, x, self.n_in)
        ops, W = ctx.ops, p["W"]
        a = ops.affine(x, W, p["b"]).reshape(-1, self.n_out, self.pieces)
        y, winner = _maximum(a, ops)

        def backward(
            dy: Array, g: Views | None = None, *, need_dx: bool = True, overwrite: bool = False
        ) -> Array | None:
            da = _to_winner(dy, winner, self.pieces, ops).reshape(len(x), -1)
            if g is not None:
                ops.add_product(x, da, g["W"], overwrite=overwrite)
                add_or_write(g["b"], ops.sum_rows(da), overwrite=overwrite)
            return ops.affine(da, W.T) if need_dx else None

        return y, backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return max_p a_nop, the derivative of the winning piece, (x_dot W)_nop, and their pullback."""
        require_features(self, x, self.n_in)
        ops, W = ctx.ops, p["W"]
        y, winner = _maximum(ops.affine(x, W, p["b"]).reshape(-1, self.n_out, self.pieces), ops)
        a_dot = ops.affine(x_dot, W).reshape(-1, self.n_out, self.pieces)
        y_dot = ops.xp.take_along_axis(a_dot, winner[:, :, None].astype(np.intp), axis=2)[:, :, 0]

        def to_pieces(dy: Array) -> Array:
            return _to_winner(dy, winner, self.pieces, ops).reshape(len(x), -1)

        of_pieces = affine_pullback(
            x,
            x_dot,
            lambda da: ops.affine(da, W.T),
            lambda v, da, g: ops.add_product(v, da, g["W"]),  # dL/dW = x^T da + x_dot^T da_dot
            lambda da, g: add_row_sums(ops, da, g),
        )

        def backward(
            dy: Array | None, dy_dot: Array | None, g: Views | None = None, *, need_dx: bool = True
        ) -> tuple[Array | None, Array | None]:
            da, da_dot = (None if dv is None else to_pieces(dv) for dv in (dy, dy_dot))
            return of_pieces(da, da_dot, g, need_dx=need_dx)

        return y, y_dot, backward


def _maximum(a: Array, ops: Ops) -> tuple[Array, Array]:
    """Return y_no = max_p a_nop, and the first p with a_nop = y_no.    a (N, O, P)   y, p (N, O)"""
    xp, P = ops.xp, a.shape[2]
    if xp is np and a.dtype.kind == "f" and P <= MAX_SMALL_PIECES:
        pieces = a.reshape(-1, P).T.copy()  # (P, N O): NumPy's argmax over a short axis is slow
        y, winner = pieces[0].copy(), np.zeros(pieces.shape[1], np.uint8)
        for p in range(1, P):
            greater = (pieces[p] > y).view(np.uint8)
            np.maximum(winner, np.multiply(greater, np.uint8(p), out=greater), out=winner)
            np.maximum(y, pieces[p], out=y)
        if not np.isnan(y).any():  # argmax takes the first NaN, which is not greater
            return y.reshape(a.shape[:2]), winner.reshape(a.shape[:2])
    winner = real(a).argmax(axis=2)
    return xp.take_along_axis(a, winner[:, :, None], axis=2)[:, :, 0], winner


def _to_winner(dy: Array, winner: Array, pieces: int, ops: Ops) -> Array:
    """da_nop = dy_no for the winning piece, else 0.    dy, winner (N, O)   da (N, O, P)"""
    xp = ops.xp
    if xp is np and dy.dtype.kind == "f":
        da = np.zeros_like(dy, shape=(dy.size, pieces), order="C")
        da.reshape(-1)[np.arange(0, da.size, pieces) + winner.reshape(-1)] = dy.reshape(-1)
        return da
    one_hot = winner[:, :, None] == xp.arange(pieces)
    return xp.where(one_hot, dy[:, :, None], 0)
