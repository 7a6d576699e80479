"""Network: a chain of layers over ONE flat parameter vector theta."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minigan.layers.base import Context, Layer, Pullback, Shape, ShapeError
from minigan.ops import Array, Ops, get_ops
from minigan.summary import Row, Summary

Named = dict[str, Array]


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
        self.dtype = np.dtype(dtype)
        if self.dtype.kind not in "fcO":
            raise TypeError(f"dtype must be floating, complex or object, got {self.dtype}")
        self.ops = get_ops(ops)
        self.version = 0
        """Raised by every change of theta; a pullback of an older version refuses to run."""

        self._theta_layout = [{k: q.shape for k, q in layer.parameters().items()} for layer in self.layers]
        self._state_layout = [{k: shape for k, (shape, _) in layer.state().items()} for layer in self.layers]
        xp = self.ops.xp
        self._theta = xp.zeros(_size(self._theta_layout), dtype=self.dtype)
        self._state = xp.zeros(_size(self._state_layout), dtype=self.dtype)
        self._p = _split(self._theta, self._theta_layout)
        self._s = _split(self._state, self._state_layout)
        for layer, p, s in zip(self.layers, self._p, self._s, strict=True):
            for name, q in layer.parameters().items():
                p[name][...] = xp.asarray(q.init.draw(rng, q.shape, q.fan_in, q.fan_out).astype(self.dtype))
            for name, (_, value) in layer.state().items():
                s[name][...] = value
        # The input gradient is not needed below the first layer that has parameters.
        self._first = next((i for i, p in enumerate(self._p) if p), len(self.layers))

    # --- forward and backward -------------------------------------------------------------------

    def forward(
        self, x: Array, *, train: bool, rng: np.random.Generator | None = None, update_state: bool = True
    ) -> tuple[Array, Pullback]:
        """Return y and the pullback of dL/dy.

        x (N, ...) real is cast to the network's dtype.  `train` chooses batch statistics and dropout
        (which needs `rng`); `update_state=False` leaves the running statistics as they are.
        """
        x = self._input(x)
        ops = self.ops
        pullbacks = []
        for layer, p, s in zip(self.layers, self._p, self._s, strict=True):
            x, pullback = layer.forward(p, x, Context(ops, train, rng, s, update_state))
            pullbacks.append(pullback)
        shape, version = x.shape, self.version

        def backward(dy: Array, grads: Array | None = None, *, need_dx: bool = True) -> Array | None:
            if version != self.version:
                raise StaleBackwardError(
                    f"theta changed after this forward pass (version {version}, now {self.version}): "
                    "its gradient would be wrong; run forward again"
                )
            if dy.shape != shape:
                raise ShapeError(f"dy has shape {dy.shape}; accepted: {shape}, the shape of y")
            if grads is None and not need_dx:
                return None
            views = [None] * len(pullbacks) if grads is None else _split(self._vector(grads), self._theta_layout)
            last = 0 if need_dx else self._first
            for i in range(len(pullbacks) - 1, last - 1, -1):
                dy = pullbacks[i](dy, views[i], need_dx=need_dx or i > last)
            return dy if need_dx else None

        return x, backward

    def __call__(self, x: Array) -> Array:
        """Return y at inference: running statistics, no dropout, nothing kept for a backward pass."""
        x = self._input(x)
        for layer, p, s in zip(self.layers, self._p, self._s, strict=True):
            x = layer.forward(p, x, Context(self.ops, state=s, update_state=False))[0]
        return x

    def _input(self, x: Array) -> Array:
        if not isinstance(x, self.ops.xp.ndarray):
            raise TypeError(f"x must be a {self.ops.xp.__name__} array, got {type(x).__name__}")
        if x.ndim < 2 or x.shape[0] == 0:
            raise ShapeError(f"x has shape {x.shape}; accepted: (N, ...) with N >= 1")
        if x.dtype == self.dtype:
            return x
        if x.dtype.kind in "biuf" or self.dtype.kind == "O":
            return x.astype(self.dtype)
        raise TypeError(f"x is {x.dtype} but the network is {self.dtype}; accepted: net.astype({str(x.dtype)!r})(x)")

    # --- parameters and state -------------------------------------------------------------------

    @property
    def theta(self) -> Array:
        """The parameter vector (P,).  Write it through `net.theta = vector` or an optimizer; after any other

        in-place change call `net.touch()`, so that older pullbacks refuse to run.
        """
        return self._theta

    @theta.setter
    def theta(self, value: Array) -> None:
        if value is not self._theta:
            self._theta[...] = self._vector(self.ops.xp.asarray(value))
        self.touch()

    def touch(self) -> None:
        """Declare that theta has changed."""
        self.version += 1

    def zeros_like_theta(self) -> Array:
        """Return zeros (P,): the gradient vector that backward adds to."""
        return self.ops.xp.zeros_like(self._theta)

    def views(self, vector: Array) -> Named:
        """Return named views ("0.W", "0.b", "2.gamma", ...) of any vector shaped like theta."""
        return _flatten(_split(self._vector(vector), self._theta_layout))

    def parameters(self) -> Named:
        """Return named views of theta."""
        return self.views(self._theta)

    @property
    def state(self) -> Named:
        """Named views of the running statistics ("2.running_mean", "2.running_var", ...)."""
        return _flatten(self._s)

    @property
    def state_size(self) -> int:
        """The number of running statistics: the non-trainable parameters, as Keras counts."""
        return int(self._state.size)

    def load_parameters(self, parameters: Mapping[str, Array]) -> None:
        """Copy named arrays into theta; any mismatch is named, all in one ValueError, and nothing is changed."""
        _copy_named("parameters", self.parameters(), parameters)
        self.touch()

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Copy named arrays into the running statistics, checked like parameters."""
        _copy_named("state", self.state, state)

    def astype(self, dtype: Any, convert: Callable[[Any], Any] | None = None) -> "Network":
        """Return a copy in another dtype, with the same parameters and state.

        `convert` maps each number where NumPy cannot: ``net.astype(object, Fraction)``.
        """
        net = Network(self.layers, rng=np.random.default_rng(0), dtype=dtype, ops=self.ops)
        for target, source in ((net._theta, self._theta), (net._state, self._state)):
            values: Any = source if convert is None else np.array([convert(v) for v in source.tolist()], dtype=dtype)
            target[...] = values
        return net

    def _vector(self, vector: Array) -> Array:
        if vector.shape != self._theta.shape:
            raise ShapeError(f"vector has shape {vector.shape}; accepted: {self._theta.shape}, the shape of theta")
        return vector

    # --- description ----------------------------------------------------------------------------

    def summary(self, input_shape: Sequence[int]) -> Summary:
        """Print and return the table of layers, output shapes and parameter counts.

        `input_shape` is without the batch axis.  Counted as Keras does: total = trainable
        (theta) + non-trainable (running statistics).
        """
        shape: Shape = tuple(int(n) for n in input_shape)
        rows = []
        for i, layer in enumerate(self.layers):
            try:
                shape = layer.output_shape(shape)
            except ShapeError as error:
                raise ShapeError(f"layer {i}: {error}") from None
            trainable, fixed = _size([self._theta_layout[i]]), _size([self._state_layout[i]])
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


Layout = list[dict[str, Shape]]


def _require_layers(layers: Sequence[Layer]) -> None:
    if not layers:
        raise ValueError("layers is empty; accepted: one layer or more")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"layers[{i}] must be a minigan Layer, got {layer!r}")


def _size(layout: Layout) -> int:
    return sum(math.prod(shape) for shapes in layout for shape in shapes.values())


def _split(vector: Array, layout: Layout) -> list[dict[str, Array]]:
    """Cut a flat vector into one dict of shaped views a layer."""
    views, at = [], 0
    for shapes in layout:
        named = {}
        for name, shape in shapes.items():
            n = math.prod(shape)
            named[name] = vector[at : at + n].reshape(shape)
            at += n
        views.append(named)
    return views


def _flatten(views: list[dict[str, Array]]) -> Named:
    return {f"{i}.{name}": view for i, named in enumerate(views) for name, view in named.items()}


def _copy_named(what: str, targets: Named, given: Mapping[str, Array]) -> None:
    problems = [f"missing {name!r}" for name in targets if name not in given]
    problems += [f"unexpected {name!r}" for name in given if name not in targets]
    for name, target in targets.items():
        if name in given:
            shape = np.shape(given[name])
            if shape != target.shape:
                problems.append(f"{name!r} has shape {shape}, accepted {target.shape}")
    if problems:
        raise ValueError(f"{what} do not fit the network: " + "; ".join(problems))
    for name, target in targets.items():
        target[...] = given[name]
