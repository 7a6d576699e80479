"""The base class of layers: a description, a forward pass, and the pullback that the forward pass returns."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from minigan._cached import cached_property
from minigan._views import named_views
from minigan.initializers import Initializer
from minigan.initializers import Shape as Shape
from minigan.ops.errors import ShapeError as ShapeError
from minigan.ops.protocol import Array, Ops

Views = Mapping[str, Array]

Pullback = Callable[..., Any]
"""``backward(dy, g=None, *, need_dx=True) -> dx``: the vector-Jacobian product.

dy is dL/dy; dx is dL/dx, or None if not need_dx.  The parameter gradients are added to the views g; with g=None, which
freezes the layer, they are not computed.  A pullback never writes into dy, gives the same result if it is called twice,
and keeps no array that a later forward pass could overwrite.
"""


PairPullback = Callable[..., tuple[Any, Any]]
"""``backward(dy, dy_dot, g=None, *, need_dx=True) -> (dx, dx_dot)``: the pullback of (x, x_dot) -> (y, y_dot).

dy_dot is dL/dy_dot and dx_dot is dL/dx_dot, for a loss L(y, y_dot).  A gradient that is zero everywhere may be None, in
the arguments and in the result; both results are None if not need_dx.  The parameter gradients are added to g.
"""


class TooManyKeysError(RuntimeError):
    """Raised if a layer draws more random keys than its `n_keys` allows."""


NO_KEYS: Iterator[list[int]] = iter(())


@dataclass(slots=True)
class Context:
    """The arguments of a forward pass other than p and x.

    Parameters
    ----------
    ops : Ops
        The backend.
    train : bool
        Whether to use batch statistics and dropout; False, the default, is inference.
    rng : numpy.random.Generator, optional
        The stream that `keys` draws from.
    state : views, optional
        The running statistics (`Layer.state_views`), which a training pass writes in place.
    update_state : bool
        Whether a training pass updates the running statistics.
    sub_batches : int
        The number of sub-batches of equal size, one after the other, that make up the batch; 1 by default.  Batch
        statistics and dropout masks are computed per sub-batch.
    predrawn_keys : iterator of list of int, optional
        The layer's random keys, if they were drawn before the first layer ran; without them, `keys` draws from `rng`.
    keep : bool
        Whether the pullback may be called, so that the layer has to keep what it needs; True by default.
    labels : array (N,), optional
        The class of each example, for the layers that read it (`minigan.layers.embedding`).
    y : array (N, ...), optional
        The layer's output, if a forward pass with the same arguments has computed it: `pushforward` may return it.

    """

    ops: Ops
    train: bool = False
    rng: np.random.Generator | None = None
    state: Any = None
    update_state: bool = True
    sub_batches: int = 1
    predrawn_keys: Iterator[list[int]] | None = None
    keep: bool = True
    labels: Array | None = None
    y: Array | None = None

    def part(self, i: int, n_keys: int) -> "Context":
        """Return the context of sublayer i, with its running statistics and the next `n_keys` random keys."""
        state = None if self.state is None else self.state[i]
        keys = self.predrawn_keys
        if keys is not None:
            keys = iter([next(keys) for _ in range(n_keys)]) if n_keys else NO_KEYS
        shared = self.update_state, self.sub_batches, keys, self.keep, self.labels
        return Context(self.ops, self.train, self.rng, state, *shared)

    def keys(self) -> list[int]:
        """Return a random key of 64 bits for each sub-batch.

        A layer that calls this n times in a training pass defines ``n_keys = n``.

        Raises
        ------
        TooManyKeysError
            If the layer has drawn its `n_keys` keys already.
        ValueError
            If there is no random stream.

        """
        if self.predrawn_keys is not None:
            keys = next(self.predrawn_keys, None)
            if keys is None:
                raise TooManyKeysError
            return keys
        if self.rng is None:
            raise ValueError(
                "training draws random numbers and needs forward(..., rng=np.random.Generator), got rng=None"
            )
        return [int(self.rng.integers(2**64, dtype=np.uint64))]


@dataclass(frozen=True)
class Parameter:
    """The shape and the initial distribution of a parameter.

    Parameters
    ----------
    shape : tuple of int
        The parameter's shape.
    init : Initializer
        The distribution of its initial values.
    fan_in, fan_out : int
        The numbers of inputs and of outputs of one unit, which scale some initial distributions.

    """

    shape: Shape
    init: Initializer
    fan_in: int
    fan_out: int


@dataclass(frozen=True)
class Layer:
    """The base class of layers: a frozen, comparable, JSON-serializable description, which holds no arrays.

    A custom layer is a frozen dataclass that defines `forward`, and `parameters`, `state`, `output_shape`,
    `per_example` and `n_keys` where the defaults below do not fit.
    """

    writes_gradient: ClassVar[bool] = False
    """Whether the pullback has the argument ``overwrite=False``: if True, the parameter gradients replace what `g`
    holds, rather than being added.  A subclass, whose pullback may be another one, declares it again."""
    piecewise_linear: ClassVar[bool] = False
    """Whether y is piecewise linear in x, so that the pullback of a pushforward has dx = None for dy = None.  A
    subclass, which may be curved, declares it again."""
    config_keys: ClassVar[Mapping[str, str]] = {}
    """The key of a field in `to_config`, where it differs from the field's name: files keep a field's first name."""

    @property
    def per_example(self) -> bool:
        """Whether several batches can run as one.

        True if y_n depends on x_n alone, or if the layer computes each of the ``ctx.sub_batches`` separately.
        """
        return False

    @property
    def n_keys(self) -> int:
        """The number of calls of ``ctx.keys()`` in a training pass."""
        return 0

    def mixes_examples(self, *, train: bool) -> bool:
        """Return whether y_n depends on other examples than x_n, in training or at inference.

        Such a layer has no `pushforward` in that mode: grad_x of the sum of D's outputs would not be the gradient of
        each example's own output, with which gradient penalties are defined.  By default, whether a layer within it
        mixes them.
        """
        return any(layer.mixes_examples(train=train) for layer in self.sublayers().values())

    @property
    def n_classes(self) -> int:
        """The number of classes of ``ctx.labels``, if the layer or a sublayer reads it; else 0."""
        return min(filter(None, (layer.n_classes for layer in self.sublayers().values())), default=0)

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters by name, in the order of theta."""
        return {}

    def state(self) -> dict[str, tuple[Shape, float]]:
        """Return the shape and the initial value of each running statistic, by name."""
        return {}

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of y for x of `shape`, both without the batch axis N; raise ShapeError if x does not fit."""
        return shape

    def forward(self, p: Any, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Compute y.

        Parameters
        ----------
        p : views
            The layer's parameters, `parameter_views` of theta.
        x : array (N, ...)
            The input.
        ctx : Context
            The backend, the mode, the running statistics and the random keys.

        Returns
        -------
        y : array (N, ...)
            The output, in the dtype of x.
        backward : callable
            The pullback (`Pullback`).

        """
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def pushforward(self, p: Any, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Compute y and its derivative in the direction x_dot, y_dot = J x_dot with J = dy/dx.

        The pullback of both is the second derivative that gradient penalties need: for L = <dy, y> + <dy_dot, J x_dot>,

            dx_dot = J^T dy_dot        dx = J^T dy + d<dy_dot, J x_dot>/dx        g += dL/dp

        A layer that stands in a discriminator with a gradient penalty defines it; running statistics do not change.

        Parameters
        ----------
        p : views
            The layer's parameters, `parameter_views` of theta.
        x, x_dot : array (N, ...)
            The input, and the direction, of x's shape and dtype.
        ctx : Context
            As for `forward`; the same random keys give the same masks.

        Returns
        -------
        y, y_dot : array (N, ...)
            The output, and its derivative.
        backward : callable
            The pullback of both (`PairPullback`).

        Raises
        ------
        NotImplementedError
            If the layer does not define it.

        """
        raise NotImplementedError(f"{type(self).__name__} does not define pushforward, which gradient penalties need")

    def sublayers(self) -> "dict[str, Layer]":
        """Return the layers that this one contains, by the prefix of their parameters' names; by default none."""
        return {}

    def for_backend(self, ops: Ops, dtype: np.dtype[Any]) -> "Layer":
        """Return the layer that a network runs in place of this one: by default the layer itself."""
        return self

    def parameter_views(self, vector: Array) -> Any:
        """Return views of the layer's parameters in `vector`, its part of theta or of a gradient, by name."""
        return named_views(vector, self._parameter_shapes)

    def state_views(self, vector: Array) -> Any:
        """Return views of the layer's running statistics in `vector`, its part of all running statistics, by name."""
        return named_views(vector, self._state_shapes)

    @cached_property
    def n_parameters(self) -> int:
        """The number of the layer's parameters, counted in scalars."""
        return sum(map(math.prod, self._parameter_shapes.values()))

    @cached_property
    def n_state(self) -> int:
        """The number of the layer's running statistics, counted in scalars."""
        return sum(map(math.prod, self._state_shapes.values()))

    @cached_property
    def _parameter_shapes(self) -> dict[str, Shape]:
        return {name: parameter.shape for name, parameter in self.parameters().items()}

    @cached_property
    def _state_shapes(self) -> dict[str, Shape]:
        return {name: shape for name, (shape, _) in self.state().items()}

    def to_config(self) -> dict[str, Any]:
        """Return the layer's class name and fields as JSON-serializable data, which `from_config` reads."""
        keys = self.config_keys
        described = {keys.get(f.name, f.name): _describe(getattr(self, f.name)) for f in fields(self)}
        return {"layer": type(self).__name__, **described}


def _describe(value: Any) -> Any:
    if isinstance(value, Layer):
        return value.to_config()
    if isinstance(value, Initializer):
        return {"initializer": type(value).__name__, **{f.name: getattr(value, f.name) for f in fields(value)}}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_describe, value))
    return value


def add_or_write(target: Array, gradient: Array, *, overwrite: bool) -> None:
    """Add a parameter's gradient to `target`, or with `overwrite` write it there."""
    if overwrite:
        target[...] = gradient
    else:
        target += gradient


def compute_gradient(pullback: Pullback, dy: Array, g: Any, *, overwrite: bool) -> None:
    """Add the parameter gradients to g, or with `overwrite` write them there; dL/dx is not computed.

    `overwrite` is passed only if it is True, because not every pullback has this argument (`Network.new_gradient`).
    """
    if overwrite:
        pullback(dy, g, need_dx=False, overwrite=True)
    else:
        pullback(dy, g, need_dx=False)


def add_gradients(a: Array | None, b: Array | None) -> Array | None:
    """Return a + b, where None stands for a gradient that is zero everywhere."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def linear_pushforward(layer: Layer, p: Any, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
    """Return y = f(x), y_dot = f(x_dot) and their pullback, for a layer f without parameters that is linear in x.

    dx = f^T dy,  dx_dot = f^T dy_dot: its pullback does not depend on x.
    """
    y, pullback = layer.forward(p, x, ctx)

    def backward(dy: Array | None, dy_dot: Array | None, g: Any = None, *, need_dx: bool = True) -> tuple[Any, Any]:
        if not need_dx:
            return None, None
        return (None if dy is None else pullback(dy)), (None if dy_dot is None else pullback(dy_dot))

    return y, layer.forward(p, x_dot, ctx)[0], backward


def affine_pullback(
    x: Array,
    x_dot: Array,
    input_gradient: Callable[[Array], Array],
    add_weights: Callable[[Array, Array, Views], None],
    add_bias: Callable[[Array, Views], None],
) -> PairPullback:
    """Return the pullback of (y, y_dot), y = A(x; W) + b and y_dot = A(x_dot; W), where A is linear in x and in W.

        dx = A^T dy    dx_dot = A^T dy_dot    dL/dW: of (x, dy), and of (x_dot, dy_dot)    dL/db: of dy alone

    Parameters
    ----------
    x, x_dot : array (N, ...)
        The input and the direction.
    input_gradient : callable
        ``input_gradient(dy)`` returns A^T dy.
    add_weights : callable
        ``add_weights(x, dy, g)`` adds dL/dW to g["W"].
    add_bias : callable
        ``add_bias(dy, g)`` adds dL/db to g["b"], if there is b: y_dot does not depend on it.

    """

    def backward(
        dy: Array | None, dy_dot: Array | None, g: Views | None = None, *, need_dx: bool = True
    ) -> tuple[Array | None, Array | None]:
        found: list[Array | None] = [None, None]
        for i, (v, dv) in enumerate(((x, dy), (x_dot, dy_dot))):
            if dv is None:
                continue
            if g is not None:
                add_weights(v, dv, g)
            if need_dx:
                found[i] = input_gradient(dv)
        if g is not None and dy is not None:
            add_bias(dy, g)
        return found[0], found[1]

    return backward


def add_row_sums(ops: Ops, dy: Array, g: Views) -> None:
    """Add dL/db = sum of dy over all axes but the last to g["b"], if the layer has b."""
    db = g.get("b")
    if db is not None:
        db += ops.sum_rows(dy)


def require_features(layer: Layer, x: Array, n: int) -> None:
    """Raise ShapeError unless x is (N, n)."""
    if x.ndim != 2 or x.shape[1] != n:
        raise ShapeError(f"x has shape {x.shape}; expected (N, {n})")
