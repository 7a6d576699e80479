"""Chain: layers one after the other, as one layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np

from minigan._checks import layer_gradient, layer_output
from minigan.layers.base import Context, Layer, Parameter, Pullback, Shape, ShapeError, TooManyKeysError
from minigan.ops.protocol import Array, Ops


@dataclass(frozen=True)
class Chain(Layer):
    """y = f_L(... f_2(f_1(x))),    dx = J_1^T (J_2^T ... (J_L^T dy)).

    The parameters of layer i are called "i.W", "i.b", ...; those of a chain within a chain "i.j.W".

    Parameters
    ----------
    layers
        The layers f_1 ... f_L, at least one.

    """

    layers: Sequence[Layer]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", as_layers("layers", self.layers))

    @property
    def per_example(self) -> bool:
        """Whether every layer is by example."""
        return all(layer.per_example for layer in self.layers)

    @property
    def n_keys(self) -> int:
        """The random keys of all layers."""
        return sum(layer.n_keys for layer in self.layers)

    def sublayers(self) -> dict[str, Layer]:
        """Return the layers by their places "0", "1", ..."""
        return {str(i): layer for i, layer in enumerate(self.layers)}

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters of all layers, "0.W", "0.b", ..."""
        return prefixed(self.sublayers(), lambda layer: layer.parameters())

    def state(self) -> dict[str, tuple[Shape, float]]:
        """Return the running statistics of all layers, "1.running_mean", ..."""
        return prefixed(self.sublayers(), lambda layer: layer.state())

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape after the last layer; ShapeError names the layer that does not fit."""
        for i, layer in enumerate(self.layers):
            try:
                shape = layer.output_shape(shape)
            except ShapeError as error:
                raise ShapeError(f"{self.place(i)}: {error}") from None
        return shape

    def place(self, i: int) -> str:
        """Return how errors call layer i."""
        return f"layer {i} ({type(self.layers[i]).__name__})"

    def placed(self, i: int, error: ValueError) -> ValueError:
        """Return what layer i raised, with its place."""
        known = type(error) in (ShapeError, ValueError)  # another class may be made of other arguments
        return type(error)(f"{self.place(i)}: {error}") if known else error

    def for_backend(self, ops: Ops, dtype: np.dtype[Any]) -> "Chain":
        """Return the chain of stages that the backend runs: neighbouring layers as one where a rule of it says so."""
        found = stages(self.layers, ops, dtype)
        run = tuple(layer for layer, *_ in found)
        return self if run == self.layers else Stages(run, tuple((first, last) for _, first, last in found))

    @cached_property
    def _cuts(self) -> list[tuple[slice, slice]]:
        """The part of each layer of theta, and of the running statistics."""
        theta = accumulate((layer.n_parameters for layer in self.layers), initial=0)
        state = accumulate((layer.n_state for layer in self.layers), initial=0)
        theta_ends, state_ends = list(theta), list(state)
        return [
            (slice(theta_ends[i], theta_ends[i + 1]), slice(state_ends[i], state_ends[i + 1]))
            for i in range(len(self.layers))
        ]

    @cached_property
    def _first(self) -> int:
        """The first layer that has parameters: the input gradient is not needed below it."""
        return next((i for i, layer in enumerate(self.layers) if layer.n_parameters), len(self.layers))

    @cached_property
    def _keys(self) -> list[int]:
        return [layer.n_keys for layer in self.layers]

    def parameter_views(self, vector: Array) -> list[Any]:
        """Return the views of each layer."""
        return [layer.parameter_views(vector[cut]) for layer, (cut, _) in zip(self.layers, self._cuts, strict=True)]

    def state_views(self, vector: Array) -> list[Any]:
        """Return the running statistics of each layer."""
        return [layer.state_views(vector[cut]) for layer, (_, cut) in zip(self.layers, self._cuts, strict=True)]

    def forward(self, p: Sequence[Any], x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Run the layers in order; the pullback runs theirs in reverse order."""
        pullbacks: list[Pullback] = []
        shapes, n, kind, dtype = [], len(x), ctx.ops.xp.ndarray, x.dtype
        for i, layer in enumerate(self.layers):
            shapes.append(x.shape)
            try:
                result = layer.forward(p[i], x, ctx.part(i, self._keys[i]))
            except ValueError as error:
                raise self.placed(i, error) from None
            except TooManyKeysError:
                raise RuntimeError(
                    f"{self.place(i)} draws more random keys than its n_keys={layer.n_keys}; "
                    "expected a class attribute n_keys that says how often forward calls ctx.keys()"
                ) from None
            # A few comparisons here spare most passes the call of the check.
            if type(result) is tuple and len(result) == 2 and type(result[0]) is kind and result[0].dtype == dtype:
                x, pullback = result
                if x.ndim == 0 or x.shape[0] != n or not callable(pullback):
                    layer_output(self.place, i, result, n, kind, dtype)
            else:
                x, pullback = layer_output(self.place, i, result, n, kind, dtype)
            pullbacks.append(pullback)

        def backward(dy: Array, g: Sequence[Any] | None = None, *, need_dx: bool = True) -> Array | None:
            if g is None and not need_dx:
                return None
            last = 0 if need_dx else self._first
            for i in range(len(pullbacks) - 1, last - 1, -1):
                needed = need_dx or i > last
                dy = pullbacks[i](dy, None if g is None else g[i], need_dx=needed)
                if needed and (type(dy) is not kind or dy.dtype != dtype or dy.shape != shapes[i]):
                    dy = layer_gradient(self.place, i, dy, shapes[i], kind, dtype)
            return dy if need_dx else None

        return x, backward


@dataclass(frozen=True)
class Stages(Chain):
    """What a backend runs in a chain's place: layers, and `Fused` ones that do the work of several.

    Parameters
    ----------
    layers
        The stages.
    places
        The places [first, last) in the chain of the layers whose work each stage does.

    """

    places: tuple[tuple[int, int], ...] = ()

    def place(self, i: int) -> str:
        """Return how errors call stage i: by the layers whose work it does."""
        first, last = self.places[i]
        stage = self.layers[i]
        names = [type(layer).__name__ for layer in (stage.members if isinstance(stage, Fused) else (stage,))]
        which = f"layer {first}" if last == first + 1 else f"layers {first} to {last - 1}"
        return f"{which} ({', '.join(names)})"


@dataclass(frozen=True)
class Fused(Layer):
    """Several neighbouring layers that a backend runs as one.

    A subclass defines `forward`.  Its p holds the members' parameters by their own names where one member has all of
    them, else "i.W" as in a chain of the members; ``ctx.state`` likewise.

    Parameters
    ----------
    members
        The layers whose work it does, in their order.

    """

    members: tuple[Layer, ...]

    @property
    def per_example(self) -> bool:
        """Whether every member is by example."""
        return all(layer.per_example for layer in self.members)

    @property
    def n_keys(self) -> int:
        """The random keys of all members, in their order."""
        return sum(layer.n_keys for layer in self.members)

    def parameters(self) -> dict[str, Parameter]:
        """Return the members' parameters."""
        return _joined(self.members, lambda layer: layer.parameters())

    def state(self) -> dict[str, tuple[Shape, float]]:
        """Return the members' running statistics."""
        return _joined(self.members, lambda layer: layer.state())

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape after the last member."""
        for layer in self.members:
            shape = layer.output_shape(shape)
        return shape


def stages(layers: Sequence[Layer], ops: Ops, dtype: np.dtype[Any]) -> list[tuple[Layer, int, int]]:
    """Cut neighbouring layers into what a backend runs.

    Parameters
    ----------
    layers
        The layers of a chain.
    ops
        The backend.  Each of ``ops.rules`` is a function ``rule(layers, ops)`` that returns the `Fused` layer for the
        first n of the layers, and n; or None.  The first rule that returns something is used.
    dtype
        The network's.  Only real floating networks are fused: the fused kernels know no others.

    Returns
    -------
    list of (Layer, int, int)
        The stage, and the places [first, last) of the layers whose work it does.

    """
    found: list[tuple[Layer, int, int]] = []
    rules = ops.rules if dtype in (np.float32, np.float64) else ()
    at = 0
    while at < len(layers):
        fused, n = next(filter(None, (rule(layers[at:], ops) for rule in rules)), (None, 1))
        found.append((layers[at].for_backend(ops, dtype) if fused is None else fused, at, at + n))
        at += n
    return found


def as_layers(argument: str, layers: Any) -> tuple[Layer, ...]:
    """Return the layers as a tuple; TypeError or ValueError names the argument where they are something else."""
    if isinstance(layers, Chain):
        return tuple(layers.layers)
    if isinstance(layers, Layer):
        raise TypeError(f"{argument} must be a sequence of layers, got {layers}; expected [{layers}]")
    layers = tuple(layers)
    if not layers:
        raise ValueError(f"{argument} is empty; expected one layer or more")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"{argument}[{i}] must be a minigan Layer, got {layer!r}")
    return layers


def prefixed(layers: dict[str, Layer], of: Callable[[Layer], dict[str, Any]]) -> dict[str, Any]:
    """Return what `of` returns of each layer, in one dict: "0.W", "0.b", ..."""
    return {f"{prefix}.{name}": value for prefix, layer in layers.items() for name, value in of(layer).items()}


def _joined(members: Sequence[Layer], of: Callable[[Layer], dict[str, Any]]) -> dict[str, Any]:
    having = [named for named in map(of, members) if named]
    return having[0] if len(having) == 1 else prefixed({str(i): layer for i, layer in enumerate(members)}, of)
