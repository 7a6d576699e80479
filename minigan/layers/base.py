"""What a layer is: a description, a forward pass, and the pullback that the forward pass returns."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from minigan.initializers import Initializer
from minigan.initializers import Shape as Shape  # the layers' word too
from minigan.ops import Array, Ops

Views = Mapping[str, Array]

Pullback = Callable[..., Any]
"""``backward(dy, g=None, *, need_dx=True) -> dx``: the vector-Jacobian product.

dy is dL/dy; dx is dL/dx, or None if not need_dx.  The parameter gradients are ADDED to the views g;
g=None means frozen: no parameter gradient is computed.  A pullback never writes into dy, may be
called twice with the same result, and keeps nothing that a later forward could overwrite.
"""


class ShapeError(ValueError):
    """An array or a layer whose shape does not fit."""


@dataclass(slots=True)
class Context:
    """What a forward pass is given beside p and x."""

    ops: Ops
    train: bool = False
    rng: np.random.Generator | None = None
    state: MutableMapping[str, Array] | None = None  # running statistics, written in place
    update_state: bool = True
    groups: int = 1
    """The batch is this many of equal size, one after the other: batch statistics and dropout are each's own."""
    drawn: Iterator[list[int]] | None = None  # keys that were drawn before the first layer ran

    def keys(self) -> list[int]:
        """Draw a key of 64 bits for each group."""
        if self.drawn is not None:
            return next(self.drawn)
        assert self.rng is not None  # noqa: S101  (a layer asks when it has one)
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
    """A description: sizes and conventions, no arrays.  Frozen, printable, comparable, JSON-able."""

    by_example: ClassVar[bool] = False
    """Whether y_n depends on x_n alone, or the layer heeds ``ctx.groups``: then several batches can run as one."""

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters by name, in the order of theta."""
        return {}

    def state(self) -> dict[str, tuple[Shape, float]]:
        """Return shape and initial value of each running statistic."""
        return {}

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of y for x of `shape` (both without the batch axis N)."""
        return shape

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return y and the pullback."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def describe(self) -> dict[str, Any]:
        """Return the layer as JSON-able data: its class name and its fields."""
        fields = asdict(self)
        for key in fields:
            value = getattr(self, key)
            if isinstance(value, Initializer):
                fields[key] = {"initializer": type(value).__name__, **asdict(value)}
        return {"layer": type(self).__name__, **fields}


@dataclass(frozen=True)
class Fused(Layer):
    """Several layers as one: ``forward(p, x, ctx)`` returns their y and pullback.

    `views` says what p and g are, `join` what ``ctx.state`` is.
    """

    members: tuple[Layer, ...]

    def views(self, vector: Array) -> Any:
        """Return the members' part of a vector shaped like theta as `forward` and the pullback take it."""
        raise NotImplementedError(f"{type(self).__name__} does not define views")

    def join(self, states: Sequence[MutableMapping[str, Array]]) -> MutableMapping[str, Array]:
        """Return the running statistics of all members (at most one has any)."""
        return next((state for state in states if state), {})


def require_features(layer: Layer, x: Array, n: int) -> None:
    """Raise ShapeError unless x is (N, n)."""
    if x.ndim != 2 or x.shape[1] != n:
        raise ShapeError(f"{layer}: x has shape {x.shape}; accepted: (N, {n})")
