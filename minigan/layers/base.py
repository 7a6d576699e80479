"""What a layer is: a description, a forward pass, and the pullback that the forward pass returns."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from minigan._views import named_views
from minigan.initializers import Initializer
from minigan.initializers import Shape as Shape  # the layers' word too
from minigan.ops.errors import ShapeError as ShapeError
from minigan.ops.protocol import Array, Ops

Views = Mapping[str, Array]

Pullback = Callable[..., Any]
"""``backward(dy, g=None, *, need_dx=True) -> dx``: the vector-Jacobian product.

dy is dL/dy; dx is dL/dx, or None if not need_dx.  The parameter gradients are ADDED to the views g;
g=None means frozen: no parameter gradient is computed.  A pullback never writes into dy, may be
called twice with the same result, and keeps nothing that a later forward could overwrite.
"""


class TooManyKeysError(RuntimeError):
    """A layer that draws more random keys than its `n_keys` says."""


NO_KEYS: Iterator[list[int]] = iter(())


@dataclass(slots=True)
class Context:
    """What a forward pass is given beside p and x."""

    ops: Ops
    train: bool = False
    rng: np.random.Generator | None = None
    state: Any = None  # running statistics (`Layer.state_views`), written in place
    update_state: bool = True
    sub_batches: int = 1
    """The batch is this many of equal size, one after the other: batch statistics and dropout are each's own."""
    predrawn_keys: Iterator[list[int]] | None = None
    """The layer's random keys, drawn before the first layer ran; None: drawn when the layer asks."""

    def part(self, i: int, n_keys: int) -> "Context":
        """Return what layer i within a layer is given: its running statistics, and the next `n_keys` random keys."""
        state = None if self.state is None else self.state[i]
        keys = self.predrawn_keys
        if keys is not None:
            keys = iter([next(keys) for _ in range(n_keys)]) if n_keys else NO_KEYS
        return Context(self.ops, self.train, self.rng, state, self.update_state, self.sub_batches, keys)

    def keys(self) -> list[int]:
        """Return a random key of 64 bits for each group.

        A layer that asks n times in a training pass says so: ``n_keys = n``.
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
    """Shape, initial distribution and fans of one parameter."""

    shape: Shape
    init: Initializer
    fan_in: int
    fan_out: int


@dataclass(frozen=True)
class Layer:
    """A description: sizes and conventions, no arrays.  Frozen, printable, comparable, JSON-able.

    A layer of your own defines `forward`, and `parameters`, `state`, `output_shape`, `per_example` and `n_keys` where
    the defaults below do not fit.
    """

    @property
    def per_example(self) -> bool:
        """Whether y_n depends on x_n alone, or the layer computes each of ``ctx.sub_batches`` apart.

        Then several batches can run as one.
        """
        return False

    @property
    def n_keys(self) -> int:
        """How many random keys a training pass draws by ``ctx.keys()``."""
        return 0

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters by name, in the order of theta."""
        return {}

    def state(self) -> dict[str, tuple[Shape, float]]:
        """Return shape and initial value of each running statistic."""
        return {}

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of y for x of `shape` (both without the batch axis N)."""
        return shape

    def forward(self, p: Any, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return y and the pullback; p is `parameter_views` of theta."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def sublayers(self) -> "dict[str, Layer]":
        """Return the layers that this one is made of, by the prefix of their parameters' names; {} for most."""
        return {}

    def for_backend(self, ops: Ops, dtype: np.dtype[Any]) -> "Layer":
        """Return what a network runs in this layer's place: by default the layer itself."""
        return self

    def parameter_views(self, vector: Array) -> Any:
        """Return the layer's part of theta, or of a vector shaped like it, as `forward` and the pullback take it."""
        return named_views(vector, self._parameter_shapes)

    def state_views(self, vector: Array) -> Any:
        """Return the layer's part of the vector of running statistics, as ``ctx.state`` holds it."""
        return named_views(vector, self._state_shapes)

    @cached_property
    def n_parameters(self) -> int:
        """How many numbers of theta are the layer's."""
        return sum(map(math.prod, self._parameter_shapes.values()))

    @cached_property
    def n_state(self) -> int:
        """How many running statistics the layer has."""
        return sum(map(math.prod, self._state_shapes.values()))

    @cached_property
    def _parameter_shapes(self) -> dict[str, Shape]:
        return {name: parameter.shape for name, parameter in self.parameters().items()}

    @cached_property
    def _state_shapes(self) -> dict[str, Shape]:
        return {name: shape for name, (shape, _) in self.state().items()}

    def to_config(self) -> dict[str, Any]:
        """Return the layer as JSON-able data: its class name and its fields; `from_config` reads it."""
        return {"layer": type(self).__name__, **{f.name: _describe(getattr(self, f.name)) for f in fields(self)}}


def _describe(value: Any) -> Any:
    if isinstance(value, Layer):
        return value.to_config()
    if isinstance(value, Initializer):
        return {"initializer": type(value).__name__, **{f.name: getattr(value, f.name) for f in fields(value)}}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_describe, value))
    return value


def require_features(layer: Layer, x: Array, n: int) -> None:
    """Raise ShapeError unless x is (N, n)."""
    if x.ndim != 2 or x.shape[1] != n:
        raise ShapeError(f"x has shape {x.shape}; expected (N, {n})")
