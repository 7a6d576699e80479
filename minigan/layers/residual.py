"""Residual: a chain of layers with a skip connection (He et al. 2016)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from minigan.layers.base import Context, Layer, PairPullback, Parameter, Pullback, Shape, ShapeError, add_gradients
from minigan.layers.chain import Chain, prefixed
from minigan.ops.protocol import Array, Ops


@dataclass(frozen=True)
class Residual(Layer):
    """y = f(x) + h(x),    dx = J_f^T dy + J_h^T dy.    f(x) and h(x) have one shape, that of y

    f is a chain of layers, the body.  h is the identity or, where the body changes the shape, another chain, the
    shortcut.  For an activation of the sum, add it as the next layer.  Source: He, Zhang, Ren and Sun, "Deep Residual
    Learning for Image Recognition", 2016, equations (1) and (2).

    Parameters
    ----------
    body : sequence of Layer
        The layers of f, at least one.  Their parameters are called "body.0.W", ...
    shortcut : sequence of Layer
        The layers of h; by default there are none and h(x) = x.  Their parameters are called "shortcut.0.W", ...

    Raises
    ------
    TypeError, ValueError
        If `body` or `shortcut` is not a sequence of layers, or `body` is empty.
    ShapeError
        In `output_shape` and `forward`, if f(x) and h(x) have different shapes.

    Examples
    --------
    >>> import minigan as mg
    >>> block = Residual([mg.Dense(8, 16), mg.ReLU(), mg.Dense(16, 8)])
    >>> list(block.parameters())
    ['body.0.W', 'body.0.b', 'body.2.W', 'body.2.b']
    >>> Residual([mg.Dense(8, 4)]).output_shape((8,))
    Traceback (most recent call last):
    minigan.ops.errors.ShapeError: the body gives shape (4,) and the shortcut (8,); expected one shape

    The shortcut may be a projection, a convolution of 1 x 1, where the body changes the channels or the size:

    >>> body = [mg.Conv2D(8, 16, 3, stride=2, padding=1), mg.ReLU(), mg.Conv2D(16, 16, 3, padding=1)]
    >>> Residual(body, [mg.Conv2D(8, 16, 1, stride=2)]).output_shape((14, 14, 8))
    (7, 7, 16)

    """

    body: Sequence[Layer] | Chain
    shortcut: Sequence[Layer] | Chain = ()

    def __post_init__(self) -> None:
        for name, layers in (("body", self.body), ("shortcut", self.shortcut)):
            if name == "body" or not isinstance(layers, (tuple, list)) or layers:
                try:
                    object.__setattr__(self, name, layers if isinstance(layers, Chain) else Chain(layers))
                except (TypeError, ValueError) as error:
                    raise type(error)(str(error).replace("layers", name, 1)) from None
            else:
                object.__setattr__(self, name, ())

    @property
    def per_example(self) -> bool:
        """Whether `per_example` is true of both chains."""
        return all(layer.per_example for layer in self.sublayers().values())

    @property
    def n_keys(self) -> int:
        """The number of random keys of both chains; those of the body are drawn first."""
        return sum(layer.n_keys for layer in self.sublayers().values())

    def sublayers(self) -> dict[str, Layer]:
        """Return the body, and the shortcut if it has layers."""
        both = {"body": self.body, "shortcut": self.shortcut}
        return {name: chain for name, chain in both.items() if isinstance(chain, Chain)}

    def parameters(self) -> dict[str, Parameter]:
        """Return "body.0.W", ..., "shortcut.0.W", ..."""
        return prefixed(self.sublayers(), lambda layer: layer.parameters())

    def state(self) -> dict[str, tuple[Shape, float]]:
        """Return the running statistics of both chains."""
        return prefixed(self.sublayers(), lambda layer: layer.state())

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of y."""
        shapes = [shape, shape]
        for i, (name, layer) in enumerate(self.sublayers().items()):
            try:
                shapes[i] = layer.output_shape(shape)
            except ShapeError as error:
                raise ShapeError(f"{name}: {error}") from None
        self._require_one_shape(*shapes)
        return shapes[0]

    def _require_one_shape(self, body: Shape, shortcut: Shape) -> None:
        if body != shortcut:
            raise ShapeError(f"the body gives shape {body} and the shortcut {shortcut}; expected one shape")

    def for_backend(self, ops: Ops, dtype: np.dtype[Any]) -> "Residual":
        """Return the layer with both chains as the backend runs them."""
        chains = {name: cast(Chain, chain.for_backend(ops, dtype)) for name, chain in self.sublayers().items()}
        return self if chains == self.sublayers() else Residual(**chains)

    def _views(self, vector: Array, views: Callable[[Layer, Array], Any], size: Callable[[Layer], int]) -> list[Any]:
        found, at = [], 0
        for layer in self.sublayers().values():
            found.append(views(layer, vector[at : at + size(layer)]))
            at += size(layer)
        return found

    def parameter_views(self, vector: Array) -> list[Any]:
        """Return the parameter views of the body and of the shortcut."""
        return self._views(vector, lambda layer, part: layer.parameter_views(part), lambda layer: layer.n_parameters)

    def state_views(self, vector: Array) -> list[Any]:
        """Return the running statistics of the body and of the shortcut."""
        return self._views(vector, lambda layer, part: layer.state_views(part), lambda layer: layer.n_state)

    def forward(self, p: list[Any], x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return f(x) + h(x) and its pullback."""
        (y, back), *others = [
            layer.forward(p[i], x, ctx.part(i, layer.n_keys)) for i, layer in enumerate(self.sublayers().values())
        ]
        h, back_h = others[0] if others else (x, None)
        self._require_one_shape(y.shape[1:], h.shape[1:])

        def backward(dy: Array, g: list[Any] | None = None, *, need_dx: bool = True) -> Array | None:
            g_f, g_h = (None, None) if g is None else (g[0], g[-1])
            dx = back(dy, g_f, need_dx=need_dx)
            dh = dy if back_h is None else back_h(dy, g_h, need_dx=need_dx)
            return dx + dh if need_dx else None  # dL/dx = J_f^T dy + J_h^T dy

        return y + h, backward

    def pushforward(self, p: list[Any], x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return f(x) + h(x), J_f x_dot + J_h x_dot and their pullback, the sum of both chains'."""
        (y, y_dot, back), *others = [
            layer.pushforward(p[i], x, x_dot, ctx.part(i, layer.n_keys))
            for i, layer in enumerate(self.sublayers().values())
        ]
        h, h_dot, back_h = others[0] if others else (x, x_dot, None)
        self._require_one_shape(y.shape[1:], h.shape[1:])

        def backward(
            dy: Array | None, dy_dot: Array | None, g: list[Any] | None = None, *, need_dx: bool = True
        ) -> tuple[Array | None, Array | None]:
            g_f, g_h = (None, None) if g is None else (g[0], g[-1])
            of_f = back(dy, dy_dot, g_f, need_dx=need_dx)
            of_h = (dy, dy_dot) if back_h is None else back_h(dy, dy_dot, g_h, need_dx=need_dx)
            if not need_dx:
                return None, None
            return add_gradients(of_f[0], of_h[0]), add_gradients(of_f[1], of_h[1])

        return y + h, y_dot + h_dot, backward
