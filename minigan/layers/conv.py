"""Conv2D and ConvTranspose2D: a correlation and its adjoint.

Images are NHWC.  x~ is x with its padding, s the stride, d the dilation and (i, j) a tap of the kernel:

    correlation        y_npqo  = sum_ijc x~_n,(sp+di),(sq+dj),c W_ijco          large (N, H, W, C) -> small (N, h, w, O)
    its adjoint in x   dx~     over the same pairs of pixels, from y to x       small -> large
    its gradient in W  dW_ijco = sum_npq x~_n,(sp+di),(sq+dj),c dy_npqo

Conv2D computes the first in its forward pass and the other two in its backward pass.  ConvTranspose2D computes the
adjoint forwards and the correlation backwards: the same three functions of `ops`, with x and y exchanged.
"""

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
    add_row_sums,
    affine_pullback,
)
from minigan.layers.sizes import Padding, Size, padding_of, pair, require_image, sides
from minigan.ops.geometry import Geometry, Pair, Sides, same_padding, small_size
from minigan.ops.protocol import Array

MAX_KNOWN_SIZES = 64
"""How many sizes of images a layer remembers the geometry of."""


@dataclass(frozen=True)
class _Convolution(Layer):
    """The sizes and initializers of both layers.  A size is an int, or (vertical, horizontal)."""

    per_example = True

    c_in: int
    c_out: int
    kernel_size: Size
    _: KW_ONLY
    stride: Size = 1
    padding: Padding = 0
    dilation: Size = 1
    bias: bool = True
    weight_init: Initializer = GlorotUniform()
    bias_init: Initializer = Zeros()

    def __post_init__(self) -> None:
        set_sizes(self, "c_in", "c_out")
        set_flags(self, "bias")
        for name in ("kernel_size", "stride", "dilation"):
            object.__setattr__(self, name, pair(name, getattr(self, name)))
        object.__setattr__(self, "padding", padding_of(self.padding))

    def _parameters(self, ends: Pair) -> dict[str, Parameter]:
        """Return W (kh, kw, *ends) and b (O,), with the fans kh kw C and kh kw O.

        Keras and PyTorch exchange the fans of the transposed convolution.  That changes He's weights, not Glorot's.
        """
        kh, kw = pair("kernel_size", self.kernel_size)
        fans = kh * kw * self.c_in, kh * kw * self.c_out
        W = Parameter((kh, kw, *ends), self.weight_init, *fans)
        return {"W": W, "b": Parameter((self.c_out,), self.bias_init, *fans)} if self.bias else {"W": W}

    def geometry(self, size: Pair) -> Geometry:
        """Return the geometry of the convolution for images x of `size`."""
        raise NotImplementedError(f"{type(self).__name__} does not define geometry")

    def _known_geometry(self, size: Pair) -> Geometry:
        """Return ``self.geometry(size)``, which a training step asks for again and again."""
        known: dict[Pair, Geometry] = vars(self).setdefault("_geometries", {})
        found = known.get(size)
        if found is None:
            if len(known) >= MAX_KNOWN_SIZES:
                known.clear()
            found = known[size] = self.geometry(size)
        return found

    def _geometry(self, large: Pair, small: Pair, padding: Sides) -> Geometry:
        k, s, d = (pair(name, getattr(self, name)) for name in ("kernel_size", "stride", "dilation"))
        return Geometry(large, small, k, s, d, padding)

    def _axes(self) -> list[dict[str, int]]:
        """Return kernel, stride and dilation of each axis."""
        k, s, d = (pair(name, getattr(self, name)) for name in ("kernel_size", "stride", "dilation"))
        return [{"k": k[axis], "stride": s[axis], "dilation": d[axis]} for axis in (0, 1)]


@dataclass(frozen=True)
class Conv2D(_Convolution):
    """y = W * x + b.    x (N, H, W, C)   W (kh, kw, C, O)   b (O,)   y (N, h, w, O)

    h = floor((H + top + bottom - dilation (kh - 1) - 1) / stride) + 1, and w likewise.

    Parameters
    ----------
    c_in, c_out : int
        C and O, the numbers of channels of x and of y; at least 1.
    kernel_size, stride, dilation : int or (int, int)
        In pixels, on both axes or (vertical, horizontal); at least 1.  Stride and dilation are 1 by default.
    padding : int, ((top, bottom), (left, right)), "valid" or "same"
        The rows and columns of zeros around x; 0 by default, as in PyTorch, which "valid" means too.  "same" gives
        h = ceil(H / stride), with an odd row at the bottom and an odd column at the right, as in TensorFlow.
    bias : bool
        Whether to add b.
    weight_init, bias_init : Initializer
        The initial distributions of W and b; Glorot's uniform one and zeros by default, as in Keras.

    Raises
    ------
    ValueError
        If a parameter is outside its range.
    ShapeError
        In `output_shape` and `forward`, if x is not (N, H, W, C) or smaller than the kernel.

    Examples
    --------
    >>> Conv2D(3, 64, 5, stride=2, padding="same").output_shape((32, 32, 3))
    (16, 16, 64)

    """

    piecewise_linear = True

    def parameters(self) -> dict[str, Parameter]:
        """Return W (kh, kw, C, O) and b (O,)."""
        return self._parameters((self.c_in, self.c_out))

    def geometry(self, size: Pair) -> Geometry:
        """Return the geometry for images of `size` (H, W)."""
        axes = self._axes()
        if self.padding == "same":
            (top, bottom), (left, right) = (same_padding(n, **axis) for n, axis in zip(size, axes, strict=True))
            padding = ((top, bottom), (left, right))
        else:
            padding = _explicit(self.padding)
        h, w = (small_size(n, padding=p, **axis) for n, p, axis in zip(size, padding, axes, strict=True))
        if h < 1 or w < 1:
            rows, columns = (_reach(**axis) - sum(p) for axis, p in zip(axes, padding, strict=True))
            raise ShapeError(_too_small(self, size, (rows, columns)))
        return self._geometry(size, (h, w), padding)

    def output_shape(self, shape: Shape) -> Shape:
        """(H, W, C) -> (h, w, O)."""
        return (*self.geometry(require_image(self, shape, self.c_in)).small, self.c_out)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return W * x + b and its pullback."""
        geometry = self._known_geometry(require_image(self, x.shape[1:], self.c_in))
        ops, W, b = ctx.ops, p["W"], p.get("b")

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if g is not None:
                dW, db = g["W"], g.get("b")
                dW += ops.correlate_weights(x, dy, geometry)  # dL/dW_ijco = sum_npq x~ dy
                if db is not None:
                    db += ops.sum_rows(dy)  # dL/db_o = sum_npq dy_npqo
            return ops.correlate_adjoint(dy, W, geometry) if need_dx else None

        return ops.correlate(x, W, geometry, b), backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return W * x + b, W * x_dot and their pullback."""
        geometry = self._known_geometry(require_image(self, x.shape[1:], self.c_in))
        ops, W, b = ctx.ops, p["W"], p.get("b")

        def add_weights(v: Array, dy: Array, g: Views) -> None:
            dW = g["W"]
            dW += ops.correlate_weights(v, dy, geometry)  # dL/dW = sum_npq x~ dy + x_dot~ dy_dot

        pullback = affine_pullback(
            x,
            x_dot,
            lambda dy: ops.correlate_adjoint(dy, W, geometry),
            add_weights,
            lambda dy, g: add_row_sums(ops, dy, g),
        )
        y = ops.correlate(x, W, geometry, b) if ctx.y is None else ctx.y
        return y, ops.correlate(x_dot, W, geometry), pullback


@dataclass(frozen=True)
class ConvTranspose2D(_Convolution):
    """y = W^T * x + b, the input gradient of a Conv2D.    x (N, h, w, C)   W (kh, kw, O, C)   b (O,)   y (N, H, W, O)

    H = (h - 1) stride + dilation (kh - 1) + 1 - top - bottom + output_padding, and W likewise.

    Parameters
    ----------
    c_in, c_out : int
        C and O, the numbers of channels of x and of y; at least 1.
    kernel_size, stride, dilation : int or (int, int)
        In pixels, on both axes or (vertical, horizontal); at least 1.  Stride and dilation are 1 by default.
    padding : int, ((top, bottom), (left, right)), "valid" or "same"
        The padding of the convolution that this layer transposes, which is cut off y; 0 by default, as in PyTorch.
        As in TensorFlow, "same" gives H = h stride, and "valid" gives H = h stride + max(reach - stride, 0), where the
        kernel reaches over dilation (kh - 1) + 1 rows.
    bias : bool
        Whether to add b.
    weight_init, bias_init : Initializer
        The initial distributions of W and b; Glorot's uniform one and zeros by default, as in Keras.
    output_padding : int or (int, int)
        The number of rows added at the bottom of y and of columns added at its right, as several sizes of y correspond
        to one size of x.  Less than the stride or the dilation; 0 by default, the smallest size.

    Raises
    ------
    ValueError
        If a parameter is outside its range, or `output_padding` is given with "same" or "valid".
    ShapeError
        In `output_shape` and `forward`, if x is not (N, h, w, C) or the padding leaves no pixel of y.

    Examples
    --------
    >>> ConvTranspose2D(128, 64, 5, stride=2, padding="same").output_shape((7, 7, 128))
    (14, 14, 64)

    """

    piecewise_linear = True

    _: KW_ONLY
    output_padding: Size = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "output_padding", pair("output_padding", self.output_padding, low=0))
        if isinstance(self.padding, str) and self.output_padding != (0, 0):
            raise ValueError(
                f"output_padding={self.output_padding} given with padding={self.padding!r}, which determines the size; "
                "expected output_padding with a padding in numbers"
            )
        extra, stride, dilation = (pair(n, getattr(self, n), low=0) for n in ("output_padding", "stride", "dilation"))
        if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
            raise ValueError(
                f"output_padding={extra} given; expected less than stride={stride} or dilation={dilation} on each axis"
            )

    def parameters(self) -> dict[str, Parameter]:
        """Return W (kh, kw, O, C) and b (O,)."""
        return self._parameters((self.c_out, self.c_in))

    def geometry(self, size: Pair) -> Geometry:
        """Return the geometry of the convolution from y to images of the `size` (h, w) of x."""
        large, padding, least = [], [], []
        for n, axis, side, extra in zip(
            size, self._axes(), _explicit(self.padding), pair("output_padding", self.output_padding, low=0), strict=True
        ):
            reach = _reach(**axis)
            least.append(
                1 - (reach - sum(side) + extra - 1) // axis["stride"]
            )  # the smallest n for which y has a pixel
            if self.padding == "same":
                large.append(n * axis["stride"])
                padding.append(same_padding(large[-1], **axis))
            elif self.padding == "valid":
                large.append(n * axis["stride"] + max(reach - axis["stride"], 0))
                padding.append((0, 0))
            else:
                large.append((n - 1) * axis["stride"] + reach - sum(side) + extra)
                padding.append(side)
        if min(large) < 1:
            raise ShapeError(_too_small(self, size, (least[0], least[1])))
        return self._geometry((large[0], large[1]), size, (padding[0], padding[1]))

    def output_shape(self, shape: Shape) -> Shape:
        """(h, w, C) -> (H, W, O)."""
        return (*self.geometry(require_image(self, shape, self.c_in)).large, self.c_out)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return W^T * x + b and its pullback."""
        geometry = self._known_geometry(require_image(self, x.shape[1:], self.c_in))
        ops, W, b = ctx.ops, p["W"], p.get("b")

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if g is not None:
                dW, db = g["W"], g.get("b")
                dW += ops.correlate_weights(dy, x, geometry)  # dL/dW_ijoc = sum_npq dy~ x
                if db is not None:
                    db += ops.sum_rows(dy)  # dL/db_o = sum_npq dy_npqo
            return ops.correlate(dy, W, geometry) if need_dx else None

        return ops.correlate_adjoint(x, W, geometry, b), backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return W^T * x + b, W^T * x_dot and their pullback."""
        geometry = self._known_geometry(require_image(self, x.shape[1:], self.c_in))
        ops, W, b = ctx.ops, p["W"], p.get("b")

        def add_weights(v: Array, dy: Array, g: Views) -> None:
            dW = g["W"]
            dW += ops.correlate_weights(dy, v, geometry)  # dL/dW = sum_npq dy~ x + dy_dot~ x_dot

        pullback = affine_pullback(
            x, x_dot, lambda dy: ops.correlate(dy, W, geometry), add_weights, lambda dy, g: add_row_sums(ops, dy, g)
        )
        y = ops.correlate_adjoint(x, W, geometry, b) if ctx.y is None else ctx.y
        return y, ops.correlate_adjoint(x_dot, W, geometry), pullback


def _explicit(padding: Padding) -> Sides:
    """Return the padding of each side; none for "valid"."""
    return sides(0 if isinstance(padding, str) else padding)


def _reach(k: int, stride: int, dilation: int) -> int:
    """Return the number of rows that the kernel spans."""
    return dilation * (k - 1) + 1


def _too_small(layer: Layer, size: Pair, least: Pair) -> str:
    rows, columns = (max(1, n) for n in least)
    return f"images of {size[0]} x {size[1]} given; expected at least {rows} x {columns}"
