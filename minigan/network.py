"""Network: a chain of layers over ONE flat parameter vector theta."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from minigan import _arguments, _checks
from minigan._views import Layout, Named, castable, copy_named, flatten, split, total
from minigan.fusion import Fused, fused
from minigan.layers.base import Context, Layer, Pullback, Shape, ShapeError
from minigan.layers.dropout import Dropout
from minigan.ops import Array, Ops, get_ops, to_host
from minigan.summary import Row, Summary


@dataclass(slots=True)
class _Stage:
    """What the forward pass runs: one layer, or several as one (`minigan.fusion`)."""

    layer: Layer
    p: Any
    state: MutableMapping[str, Array]
    shapes: Layout
    low: int
    high: int

    def views(self, vector: Array) -> Any:
        """Return the stage's part of a vector shaped like theta, as its layer takes it."""
        part = vector[self.low : self.high]
        if isinstance(self.layer, Fused):
            return self.layer.views(part)
        return split(part, self.shapes)[0]


class StaleBackwardError(RuntimeError):
    """A pullback called after the parameters that its forward pass used have changed."""


class Network:
    """y = f_L(... f_2(f_1(x; theta); theta) ...; theta).

    theta (P,) holds every parameter; layers see named views of it, and so do gradients and
    optimizer moments (`views`).  Running statistics are not parameters: they live in `state`.

        y, backward = net.forward(x, train=True, rng=rng)
        g = net.zeros_like_theta()
        dx = backward(dy, g)                # adds dL/dtheta to g
        dx = backward(dy)                   # frozen: no parameter gradient is computed
        backward(dy, g, need_dx=False)      # first network of a chain: returns None
        y = net(x)                          # inference: running statistics, no dropout, nothing kept

    The network owns its numbers: ``copy.copy`` and ``copy.deepcopy`` give an independent network.  Nothing is pickled:
    save `parameters()` and `state`, load them with `load_parameters` and `load_state`.

    Arguments: `layers`; `rng`, a numpy.random.Generator for the initial weights; `dtype`; `ops`,
    the backend ("reference", "cpu", "cuda").
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        rng: np.random.Generator,
        dtype: Any = "float32",
        ops: str | Ops = "cpu",
    ) -> None:
        _require_layers(layers)
        if not isinstance(rng, np.random.Generator):
            raise TypeError(f"rng must be a numpy.random.Generator (np.random.default_rng(seed)), got {rng!r}")
        self.layers = tuple(layers)
        self.dtype = _checks.network_dtype(dtype)
        self.ops = get_ops(ops)
        if self.ops.name == "cuda" and self.dtype not in (np.float32, np.float64):
            raise TypeError(f"dtype {self.dtype} with ops='cuda'; accepted: float32, float64")
        self.version = 0
        """Raised by every change of theta; a pullback of an older version refuses to run."""

        self._theta_layout: Layout = [{k: q.shape for k, q in layer.parameters().items()} for layer in self.layers]
        self._state_layout: Layout = [{k: shape for k, (shape, _) in layer.state().items()} for layer in self.layers]
        xp = self.ops.xp
        self._theta = xp.zeros(total(self._theta_layout), dtype=self.dtype)
        self._state = xp.zeros(total(self._state_layout), dtype=self.dtype)
        self._p = split(self._theta, self._theta_layout)
        self._s = split(self._state, self._state_layout)
        for layer, p, s in zip(self.layers, self._p, self._s, strict=True):
            for name, q in layer.parameters().items():
                p[name][...] = xp.asarray(q.init.draw(rng, q.shape, q.fan_in, q.fan_out).astype(self.dtype))
            for name, (_, value) in layer.state().items():
                s[name][...] = value
        self._stages = [self._stage(*stage) for stage in fused(self.layers, self.ops, self.dtype)]
        # The input gradient is not needed below the first stage that has parameters.
        self._first = next((i for i, stage in enumerate(self._stages) if len(stage.p)), len(self._stages))
        self._drops = sum(isinstance(layer, Dropout) and layer.rate > 0 for layer in self.layers)

    def _stage(self, layer: Layer, first: int, last: int) -> "_Stage":
        """A layer, or one that does the work of several: its views of theta and state, and its part of theta."""
        low, high = (total(self._theta_layout[:i]) for i in (first, last))
        shapes = self._theta_layout[first:last]
        if isinstance(layer, Fused):
            return _Stage(layer, layer.views(self._theta[low:high]), layer.join(self._s[first:last]), shapes, low, high)
        return _Stage(layer, self._p[first], self._s[first], shapes, low, high)

    # --- forward and backward -------------------------------------------------------------------

    def forward(
        self,
        x: Array,
        *,
        train: bool,
        rng: np.random.Generator | None = None,
        update_state: bool = True,
        groups: int = 1,
    ) -> tuple[Array, Pullback]:
        """Return y and the pullback of dL/dy.

        `groups`: x is that many batches of equal size, one after the other, and y and the gradients are what a forward
        pass of each in turn would give: batch statistics and dropout are each's own.

        x (N, ...) real is cast to the network's dtype, and NumPy's copied to its device.  `train` chooses batch
        statistics and dropout (which needs `rng`); `update_state=False` leaves the running statistics as they are.

        The pullback keeps x, y and what lies between them, not copies: none of these arrays may be changed in
        place before it has run.  y may be x itself, or a view of it (Flatten, Reshape, Dropout at inference), and
        dx likewise dy.  dy is cast as x is.
        """
        _checks.require_flags(train=train, update_state=update_state)
        _checks.require_generator("rng", rng)
        groups = _arguments.size("groups", groups)
        x = self._input(x)
        ops, theta, n = self.ops, self._theta, len(x)
        pullbacks, shapes = [], []
        drawn = self._draw(len(x), groups, rng if train else None)
        for i, stage in enumerate(self._stages):
            shapes.append(x.shape)
            result = stage.layer.forward(stage.p, x, Context(ops, train, rng, stage.state, update_state, groups, drawn))
            x, pullback = _checks.layer_output(self._stages, i, result, n, theta, ops.xp)
            pullbacks.append(pullback)
        shape, version = x.shape, self.version

        def backward(dy: Array, grads: Array | None = None, *, need_dx: bool = True) -> Array | None:
            if version != self.version:
                raise StaleBackwardError(
                    f"theta changed after this forward pass (version {version}, now {self.version}): "
                    "its gradient would be wrong; run forward again"
                )
            dy = self._cast("dy", dy)
            if dy.shape != shape:
                raise ShapeError(f"dy has shape {dy.shape}; accepted: {shape}, the shape of y")
            if grads is None and not need_dx:
                return None
            if grads is not None:
                _checks.require_grads(self.like_theta("grads", grads), theta)
            last = 0 if need_dx else self._first
            for i in range(len(pullbacks) - 1, last - 1, -1):
                g = None if grads is None else self._stages[i].views(grads)
                needed = need_dx or i > last
                dx = pullbacks[i](dy, g, need_dx=needed)
                dy = _checks.layer_gradient(self._stages, i, dx, shapes[i], theta, ops.xp) if needed else dx
            return dy if need_dx else None

        return x, backward

    def __call__(self, x: Array) -> Array:
        """Return y at inference: running statistics, no dropout, nothing kept for a backward pass.

        y may be x itself, or a view of it (Flatten, Reshape, Dropout).  NumPy's x gives NumPy's y on every device.
        """
        home = isinstance(x, np.ndarray)
        x = self._input(x)
        for i, stage in enumerate(self._stages):
            result = stage.layer.forward(stage.p, x, Context(self.ops, state=stage.state, update_state=False))
            x = _checks.layer_output(self._stages, i, result, len(x), self._theta, self.ops.xp)[0]
        return to_host(x) if home else x

    def array(self, x: Array) -> Array:
        """Return x on the network's device and in its dtype: x itself, where it is."""
        return self._cast("x", x)

    @property
    def by_example(self) -> bool:
        """Whether several batches can run as one (`forward`, groups); a layer of your own says so by `by_example`."""
        return all(layer.by_example for layer in self.layers)

    def _draw(self, n: int, groups: int, rng: np.random.Generator | None) -> Iterator[list[int]] | None:
        """Draw the keys of dropout as passes of one group after the other would."""
        if groups == 1:
            return None
        if n % groups or not self.by_example:
            raise ValueError(f"groups={groups} with {n} examples; accepted: a divisor, and layers that are by_example")
        if rng is None:
            return None
        keys = rng.integers(2**64, size=(groups, self._drops), dtype=np.uint64)
        return iter(keys.T.tolist())

    def _input(self, x: Array) -> Array:
        x = self._cast("x", x)
        if x.ndim < 2 or x.shape[0] == 0:
            raise ShapeError(f"x has shape {x.shape}; accepted: (N, ...) with N >= 1")
        return x

    def _cast(self, name: str, array: Array) -> Array:
        """Return the array in the network's dtype, on its device; TypeError where more than rounding would be lost."""
        if isinstance(array, np.ndarray) and self.ops.xp is not np:
            _checks.require_plain(name, array, np)
            array = self.ops.xp.asarray(array)
        _checks.require_plain(name, array, self.ops.xp)
        if array.dtype == self.dtype:
            return array
        if castable(array.dtype, self.dtype):
            return array.astype(self.dtype)
        other = f"net.astype({str(array.dtype)!r})" + ("(x)" if name == "x" else "")
        raise TypeError(f"{name} is {array.dtype} but the network is {self.dtype}; accepted: {other}, or real numbers")

    # --- parameters and state -------------------------------------------------------------------

    @property
    def theta(self) -> Array:
        """The parameter vector (P,) itself, not a copy: what is written into it is written into the network.

        Write it through `net.theta = vector` (which copies) or an optimizer: both raise `version`.  After a change
        in any other way (``net.theta[0] = 1``, or through the views of `parameters`) call `net.touch()`, so that
        older pullbacks refuse to run; they would give wrong gradients.
        """
        return self._theta

    @theta.setter
    def theta(self, value: Array) -> None:
        if value is not self._theta:
            _checks.require_unmasked("theta", value)
            self._theta[...] = self._cast("theta", self.like_theta("theta", self.ops.xp.asarray(value)))
        self.touch()

    def touch(self) -> None:
        """Declare that theta has changed: pullbacks of earlier forward passes refuse to run."""
        self.version += 1

    def zeros_like_theta(self) -> Array:
        """Return zeros (P,): the gradient vector that backward adds to."""
        return self.ops.zero_vector(self._theta.size, self.dtype)

    def views(self, vector: Array) -> Named:
        """Return named views ("0.W", "0.b", "2.gamma", ...) of any vector shaped like theta; they write through."""
        return flatten(split(self.like_theta("vector", vector), self._theta_layout))

    def parameters(self) -> Named:
        """Return named views of theta.  They write through to the network without raising `version`: call `touch`."""
        return self.views(self._theta)

    @property
    def state(self) -> Named:
        """Named views of the running statistics ("2.running_mean", "2.running_var", ...)."""
        return flatten(self._s)

    @property
    def state_vector(self) -> Array:
        """All running statistics as one vector, of which `state` shows the parts."""
        return self._state

    @property
    def state_size(self) -> int:
        """The number of running statistics: the non-trainable parameters, as Keras counts."""
        return int(self._state.size)

    def load_parameters(self, parameters: Mapping[str, Array]) -> None:
        """Copy named arrays into theta.

        Names, shapes and kinds of number (complex is not cut to real) must fit: every mismatch is named, all in one
        ValueError, and nothing is changed.
        """
        copy_named("parameters", self.parameters(), parameters, self.ops.xp)
        self.touch()

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Copy named arrays into the running statistics, checked like parameters."""
        copy_named("state", self.state, state, self.ops.xp)

    def astype(self, dtype: Any, convert: Callable[[Any], Any] | None = None) -> "Network":
        """Return a copy in another dtype, with the same parameters and state.

        `convert` maps each number where NumPy cannot: ``net.astype(object, Fraction)``.
        """
        net = Network(self.layers, rng=np.random.default_rng(0), dtype=dtype, ops=self.ops)
        for target, source in ((net._theta, self._theta), (net._state, self._state)):
            values: Any = source if convert is None else np.array([convert(v) for v in source.tolist()], dtype=dtype)
            target[...] = values
        return net

    def __copy__(self) -> "Network":
        return self.astype(self.dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Network":
        return self.astype(self.dtype)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Network is not pickled; save net.parameters() and net.state (minigan.training.write_arrays)")

    def like_theta(self, name: str, vector: Array) -> Array:
        """Return `vector` if it is an array of theta's shape; TypeError or ShapeError names it if not."""
        _checks.require_plain(name, vector, self.ops.xp)
        if vector.shape != self._theta.shape:
            raise ShapeError(f"{name} has shape {vector.shape}; accepted: {self._theta.shape}, the shape of theta")
        return vector

    # --- description ----------------------------------------------------------------------------

    def summary(self, input_shape: int | Sequence[int]) -> Summary:
        """Print and return the table of layers, output shapes and parameter counts.

        `input_shape` is without the batch axis: (28, 28, 1), or 3 for (3,).  Counted as Keras does: total = trainable
        (theta) + non-trainable (running statistics).
        """
        shape: Shape = _arguments.shape("input_shape", input_shape)
        rows = []
        for i, layer in enumerate(self.layers):
            try:
                shape = layer.output_shape(shape)
            except ShapeError as error:
                raise ShapeError(f"layer {i}: {error}") from None
            trainable, fixed = total([self._theta_layout[i]]), total([self._state_layout[i]])
            rows.append(Row(i, type(layer).__name__, shape, trainable, fixed))
        table = Summary(tuple(rows))
        print(table)
        return table

    def describe(self) -> list[dict[str, Any]]:
        """Return the layers as JSON-able data."""
        return [layer.describe() for layer in self.layers]

    def __repr__(self) -> str:
        chain = ", ".join(map(repr, self.layers))
        return f"Network([{chain}], dtype={str(self.dtype)!r}, ops={self.ops.name!r})"


def _require_layers(layers: Sequence[Layer]) -> None:
    if not layers:
        raise ValueError("layers is empty; accepted: one layer or more")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"layers[{i}] must be a minigan Layer, got {layer!r}")
