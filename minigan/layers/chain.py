"""Chain: consecutive layers as one layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from minigan._cached import cached_property
from minigan._checks import layer_gradient, layer_output, layer_tangent
from minigan.layers.base import Context, Layer, PairPullback, Parameter, Pullback, Shape, ShapeError, TooManyKeysError
from minigan.ops.protocol import Array, Ops


@dataclass(frozen=True)
class Chain(Layer):
    """y = f_L(... f_2(f_1(x))),    dx = J_1^T (J_2^T ... (J_L^T dy)).

    The parameters of layer i are called "i.W", "i.b", ...; those of a chain within a chain "i.j.W".

    Parameters
    ----------
    layers : sequence of Layer
        The layers f_1 ... f_L, at least one.

    Raises
    ------
    TypeError, ValueError
        If `layers` is not a sequence of layers, or is empty.
    ShapeError
        In `output_shape` and `forward`, if x does not fit a layer; the message names the layer.

    """

    layers: Sequence[Layer]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", as_layers("layers", self.layers))

    @property
    def per_example(self) -> bool:
        """Whether `per_example` is true of every layer."""
        return all(layer.per_example for layer in self.layers)

    @property
    def n_keys(self) -> int:
        """The number of random keys of all layers."""
        return sum(layer.n_keys for layer in self.layers)

    def sublayers(self) -> dict[str, Layer]:
        """Return the layers by their indices "0", "1", ..."""
        return {str(i): layer for i, layer in enumerate(self.layers)}

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters of all layers, "0.W", "0.b", ..."""
        return prefixed(self.sublayers(), lambda layer: layer.parameters())

    def state(self) -> dict[str, tuple[Shape, float]]:
        """Return the running statistics of all layers, "1.running_mean", ..."""
        return prefixed(self.sublayers(), lambda layer: layer.state())

    def output_shape(self, shape: Shape) -> Shape:
        """Return the output shape of the last layer; raise ShapeError, which names the layer, if x does not fit one."""
        for i, layer in enumerate(self.layers):
            try:
                shape = layer.output_shape(shape)
            except ShapeError as error:
                raise ShapeError(f"{self.place(i)}: {error}") from None
        return shape

    def place(self, i: int) -> str:
        """Return the name of layer i in errors."""
        return f"layer {i} ({type(self.layers[i]).__name__})"

    def placed(self, i: int, error: ValueError) -> ValueError:
        """Return an exception that layer i raised, with the layer's name in its message."""
        known = type(error) in (ShapeError, ValueError)  # the constructor of another class may take other arguments
        return type(error)(f"{self.place(i)}: {error}") if known else error

    def for_backend(self, ops: Ops, dtype: np.dtype[Any]) -> "Chain":
        """Return the chain that the backend runs, with consecutive layers fused according to the backend's rules."""
        found = stages(self.layers, ops, dtype)
        run = tuple(layer for layer, *_ in found)
        return self if run == self.layers else Stages(run, tuple((first, last) for _, first, last in found))

    @cached_property
    def _cuts(self) -> list[tuple[slice, slice]]:
        """The slices of theta and of the running statistics that belong to each layer."""
        theta = accumulate((layer.n_parameters for layer in self.layers), initial=0)
        state = accumulate((layer.n_state for layer in self.layers), initial=0)
        theta_ends, state_ends = list(theta), list(state)
        return [
            (slice(theta_ends[i], theta_ends[i + 1]), slice(state_ends[i], state_ends[i + 1]))
            for i in range(len(self.layers))
        ]

    @cached_property
    def _first(self) -> int:
        """The index of the first layer with parameters; layers before it need no input gradient."""
        return next((i for i, layer in enumerate(self.layers) if layer.n_parameters), len(self.layers))

    @cached_property
    def _keys(self) -> list[int]:
        return [layer.n_keys for layer in self.layers]

    def gradient_writers(self) -> tuple[bool, list[slice]]:
        """Return whether a layer's pullback can write its gradient, and the slices of theta of the layers that cannot.

        Returns
        -------
        writes : bool
            Whether the pullback takes ``overwrite=True`` for any layer.
        added : list of slice
            The slices of theta to whose gradient the pullback adds nevertheless.

        """
        layers = zip(self.layers, self._cuts, self._writers, strict=True)
        added = [cut for layer, (cut, _), writes in layers if not writes and layer.n_parameters]
        return any(self._writers), added

    @cached_property
    def _writers(self) -> list[bool]:
        """Whether each layer's pullback has the argument `overwrite`."""
        return [bool(vars(type(layer)).get("writes_gradient", False)) for layer in self.layers]

    def parameter_views(self, vector: Array) -> list[Any]:
        """Return the parameter views of each layer."""
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
            # Most passes need only these comparisons, which are faster than a call of layer_output.
            if type(result) is tuple and len(result) == 2 and type(result[0]) is kind and result[0].dtype == dtype:
                x, pullback = result
                if x.ndim == 0 or x.shape[0] != n or not callable(pullback):
                    layer_output(self.place, i, result, n, kind, dtype)
            else:
                x, pullback = layer_output(self.place, i, result, n, kind, dtype)
            pullbacks.append(pullback)

        def backward(
            dy: Array, g: Sequence[Any] | None = None, *, need_dx: bool = True, overwrite: bool = False
        ) -> Array | None:
            if g is None and not need_dx:
                return None
            last = 0 if need_dx else self._first
            for i in range(len(pullbacks) - 1, last - 1, -1):
                needed = need_dx or i > last
                if overwrite and self._writers[i]:
                    dy = pullbacks[i](dy, None if g is None else g[i], need_dx=needed, overwrite=True)
                else:
                    dy = pullbacks[i](dy, None if g is None else g[i], need_dx=needed)
                if needed and (type(dy) is not kind or dy.dtype != dtype or dy.shape != shapes[i]):
                    dy = layer_gradient(self.place, i, dy, shapes[i], kind, dtype)
            return dy if need_dx else None

        return x, backward

    def pushforward(self, p: Sequence[Any], x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Run the layers' pushforwards in order, y_dot = J_L ... J_1 x_dot; the pullback runs theirs in reverse."""
        pullbacks: list[PairPullback] = []
        shapes, kind, dtype = [], ctx.ops.xp.ndarray, x.dtype
        for i, layer in enumerate(self.layers):
            shapes.append(x.shape)
            try:
                result = layer.pushforward(p[i], x, x_dot, ctx.part(i, self._keys[i]))
            except ValueError as error:
                raise self.placed(i, error) from None
            except NotImplementedError as error:
                raise NotImplementedError(f"{self.place(i)}: {error}") from None
            x, x_dot, pullback = layer_tangent(self.place, i, result, len(x), kind, dtype)
            pullbacks.append(pullback)

        def backward(
            dy: Array | None, dy_dot: Array | None, g: Sequence[Any] | None = None, *, need_dx: bool = True
        ) -> tuple[Array | None, Array | None]:
            if g is None and not need_dx:
                return None, None
            last = 0 if need_dx else self._first
            for i in range(len(pullbacks) - 1, last - 1, -1):
                needed = need_dx or i > last
                found = pullbacks[i](dy, dy_dot, None if g is None else g[i], need_dx=needed)
                if needed:
                    dy, dy_dot = (
                        None if v is None else layer_gradient(self.place, i, v, shapes[i], kind, dtype, name)
                        for name, v in zip(("dx", "dx_dot"), found, strict=True)
                    )
            return (dy, dy_dot) if need_dx else (None, None)

        return x, x_dot, backward


@dataclass(frozen=True)
class Stages(Chain):
    """The chain that a backend runs in place of another one; its layers, the stages, may be `Fused` layers.

    Parameters
    ----------
    layers : sequence of Layer
        The stages.
    places : tuple of (int, int)
        For each stage, the indices [first, last) of the layers that it replaces.

    """

    places: tuple[tuple[int, int], ...] = ()

    def place(self, i: int) -> str:
        """Return the name of stage i in errors: the layers that it replaces."""
        first, last = self.places[i]
        stage = self.layers[i]
        names = [type(layer).__name__ for layer in (stage.members if isinstance(stage, Fused) else (stage,))]
        which = f"layer {first}" if last == first + 1 else f"layers {first} to {last - 1}"
        return f"{which} ({', '.join(names)})"


@dataclass(frozen=True)
class Fused(Layer):
    """Several consecutive layers that a backend runs as one.

    A subclass defines `forward`.  If only one member has parameters, its p holds them by the member's names, "W";
    otherwise by the names of a chain of the members, "i.W".  The same holds for ``ctx.state``.

    Parameters
    ----------
    members : tuple of Layer
        The layers that it replaces, in order.

    """

    members: tuple[Layer, ...]

    @property
    def per_example(self) -> bool:
        """Whether `per_example` is true of every member."""
        return all(layer.per_example for layer in self.members)

    @property
    def n_keys(self) -> int:
        """The number of random keys of all members."""
        return sum(layer.n_keys for layer in self.members)

    def parameters(self) -> dict[str, Parameter]:
        """Return the members' parameters."""
        return _joined(self.members, lambda layer: layer.parameters())

    def state(self) -> dict[str, tuple[Shape, float]]:
        """Return the members' running statistics."""
        return _joined(self.members, lambda layer: layer.state())

    def output_shape(self, shape: Shape) -> Shape:
        """Return the output shape of the last member."""
        for layer in self.members:
            shape = layer.output_shape(shape)
        return shape


def stages(layers: Sequence[Layer], ops: Ops, dtype: np.dtype[Any]) -> list[tuple[Layer, int, int]]:
    """Group the layers of a chain into the stages that a backend runs.

    Parameters
    ----------
    layers : sequence of Layer
        The layers of a chain.
    ops : Ops
        The backend.  Each of ``ops.rules`` is a function ``rule(layers, ops)`` that returns the `Fused` layer for the
        first n of the layers, and n; or None.  The first rule that does not return None is applied.
    dtype : dtype
        The network's dtype.  Only float32 and float64 networks are fused, because the fused kernels support no others.

    Returns
    -------
    list of (Layer, int, int)
        For each stage, its layer and the indices [first, last) of the layers that it replaces.

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
    """Return the layers as a tuple; raise TypeError or ValueError if `layers` is not a non-empty sequence of layers."""
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
    """Return the entries of ``of(layer)`` of all layers in one dict: "0.W", "0.b", ..."""
    return {f"{prefix}.{name}": value for prefix, layer in layers.items() for name, value in of(layer).items()}


def _joined(members: Sequence[Layer], of: Callable[[Layer], dict[str, Any]]) -> dict[str, Any]:
    having = [named for named in map(of, members) if named]
    return having[0] if len(having) == 1 else prefixed({str(i): layer for i, layer in enumerate(members)}, of)
