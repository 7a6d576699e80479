"""Network: a chain of layers over ONE flat parameter vector theta."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from minigan import _arguments, _checks
from minigan._views import Named, castable, copy_named, named_views
from minigan.layers.base import Context, Layer, Pullback, ShapeError
from minigan.layers.chain import Chain, Fused
from minigan.ops import get_ops, to_host
from minigan.ops.protocol import Array, Ops
from minigan.summary import Summary, summarize


class StaleBackwardError(RuntimeError):
    """A pullback called after the parameters that its forward pass used have changed."""


class Network:
    """y = f_L(... f_2(f_1(x; theta); theta) ...; theta): a chain of layers with its numbers, theta.

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
        self.chain = Chain(tuple(layers))
        if not isinstance(rng, np.random.Generator):
            raise TypeError(f"rng must be a numpy.random.Generator (np.random.default_rng(seed)), got {rng!r}")
        self.dtype = _checks.network_dtype(dtype)
        self.ops = get_ops(ops)
        if self.ops.dtypes is not None and self.dtype not in self.ops.dtypes:
            known = ", ".join(map(str, self.ops.dtypes))
            raise TypeError(f"dtype {self.dtype} with ops={self.ops.name!r}; accepted: {known}")
        self.version = 0
        """Raised by every change of theta; a pullback of an older version refuses to run."""

        parameters, state = self.chain.parameters(), self.chain.state()
        self._theta_shapes = {name: parameter.shape for name, parameter in parameters.items()}
        xp = self.ops.xp
        self._kind = xp.ndarray
        self._theta = xp.zeros(self.chain.n_parameters, dtype=self.dtype)
        self._state = xp.zeros(self.chain.n_state, dtype=self.dtype)
        for name, view in self.parameters().items():
            q = parameters[name]
            view[...] = xp.asarray(q.init.draw(rng, q.shape, q.fan_in, q.fan_out).astype(self.dtype))
        self._named_state = named_views(self._state, {name: shape for name, (shape, _) in state.items()})
        for name, view in self._named_state.items():
            view[...] = state[name][1]
        self._run = self.chain.for_backend(self.ops, self.dtype)
        self._n_keys, self._per_example = self.chain.n_keys, self.chain.per_example
        # A chain of one stage is that stage: a small network's iterations are counted in microseconds.
        alone = len(self._run.layers) == 1 and isinstance(self._run.layers[0], Fused)
        self._only: Layer = self._run.layers[0] if alone else self._run
        self._p = self._only.parameter_views(self._theta)
        self._s = self._only.state_views(self._state)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers of the chain."""
        return tuple(self.chain.layers)

    # --- forward and backward -------------------------------------------------------------------

    def forward(
        self,
        x: Array,
        *,
        train: bool,
        rng: np.random.Generator | None = None,
        update_state: bool = True,
        sub_batches: int = 1,
    ) -> tuple[Array, Pullback]:
        """Return y and the pullback of dL/dy.

        `sub_batches`: x is that many batches of equal size, one after the other, and y and the gradients are what a
        forward pass of each in turn would give: statistics and masks are computed per sub-batch.

        x (N, ...) real is cast to the network's dtype, and NumPy's copied to its device.  `train` chooses batch
        statistics and dropout (which needs `rng`); `update_state=False` leaves the running statistics as they are.

        The pullback keeps x, y and what lies between them, not copies: none of these arrays may be changed in
        place before it has run.  y may be x itself, or a view of it (Flatten, Reshape, Dropout at inference), and
        dx likewise dy.  dy is cast as x is.
        """
        if type(train) is not bool or type(update_state) is not bool:
            _checks.require_flags(train=train, update_state=update_state)
        if rng is not None:
            _checks.require_generator("rng", rng)
        if type(sub_batches) is not int or sub_batches < 1:
            sub_batches = _arguments.size("sub_batches", sub_batches)
        x = self._input(x)
        draws = train and (rng is not None or sub_batches != 1)
        predrawn_keys = self._draw(len(x), sub_batches, rng) if draws else None
        context = Context(self.ops, train, rng, self._s, update_state, sub_batches, predrawn_keys)
        try:
            y, pullback = self._only.forward(self._p, x, context)
        except ValueError as error:
            raise self._placed(error) from None
        shape, version, theta = y.shape, self.version, self._theta
        del x

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
            g = None
            if grads is not None:
                if not _checks.is_apart(grads, theta) or not getattr(grads.flags, "writeable", True):
                    _checks.require_grads(self.check_vector("grads", grads), theta)
                g = self._only.parameter_views(grads)
            return pullback(dy, g, need_dx=need_dx)

        return y, backward

    def __call__(self, x: Array) -> Array:
        """Return y at inference: running statistics, no dropout, nothing kept for a backward pass.

        y may be x itself, or a view of it (Flatten, Reshape, Dropout).  NumPy's x gives NumPy's y on every device.
        """
        home = isinstance(x, np.ndarray)
        context = Context(self.ops, state=self._s, update_state=False)
        x = self._input(x)
        try:
            y = self._only.forward(self._p, x, context)[0]
        except ValueError as error:
            raise self._placed(error) from None
        return to_host(y) if home else y

    def _placed(self, error: ValueError) -> ValueError:
        """Return what the layers raised, with the place of the layer; a chain has said it already."""
        return error if self._only is self._run else self._run.placed(0, error)

    def array(self, x: Array) -> Array:
        """Return x on the network's device and in its dtype: x itself, where it is."""
        return self._cast("x", x)

    @property
    def per_example(self) -> bool:
        """Whether several batches can run as one (`forward`, groups); a layer of your own says so by `per_example`."""
        return self._per_example

    def _draw(self, n: int, sub_batches: int, rng: np.random.Generator | None) -> Iterator[list[int]] | None:
        """Draw the random keys of all layers as passes of one group after the other would."""
        if sub_batches != 1 and (n % sub_batches or not self.per_example):
            raise ValueError(
                f"sub_batches={sub_batches} with {n} examples; expected a divisor, and layers that are per_example"
            )
        if rng is None:
            return None
        if not self._n_keys:
            return iter(())
        keys = rng.integers(2**64, size=(sub_batches, self._n_keys), dtype=np.uint64)
        return iter(keys.T.tolist())

    def _input(self, x: Array) -> Array:
        x = self._cast("x", x)
        if x.ndim < 2 or x.shape[0] == 0:
            raise ShapeError(f"x has shape {x.shape}; accepted: (N, ...) with N >= 1")
        return x

    def _cast(self, name: str, array: Array) -> Array:
        """Return the array in the network's dtype, on its device; TypeError where more than rounding would be lost."""
        if type(array) is self._kind and array.dtype == self.dtype:
            return array
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
        in any other way (``net.theta[0] = 1``, or through the views of `parameters`) call `net.mark_modified()`, so
        that older pullbacks raise StaleBackwardError in place of returning wrong gradients.
        """
        return self._theta

    @theta.setter
    def theta(self, value: Array) -> None:
        if value is not self._theta:
            _checks.require_unmasked("theta", value)
            self._theta[...] = self._cast("theta", self.check_vector("theta", self.ops.xp.asarray(value)))
        self.mark_modified()

    def mark_modified(self) -> None:
        """Declare that theta has changed: pullbacks of earlier forward passes refuse to run."""
        self.version += 1

    def zeros_like_theta(self) -> Array:
        """Return zeros (P,): the gradient vector that backward adds to."""
        return self.ops.zero_vector(self._theta.size, self.dtype)

    def views(self, vector: Array) -> Named:
        """Return named views ("0.W", "0.b", "2.gamma", ...) of any vector shaped like theta; they write through."""
        return named_views(self.check_vector("vector", vector), self._theta_shapes)

    def parameters(self) -> Named:
        """Return named views of theta.

        They write through to the network without raising `version`: call `mark_modified`.
        """
        return self.views(self._theta)

    @property
    def state(self) -> Named:
        """Named views of the running statistics ("2.running_mean", "2.running_var", ...)."""
        return dict(self._named_state)

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
        self.mark_modified()

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

    def check_vector(self, name: str, vector: Array) -> Array:
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
        table = summarize(self.chain, _arguments.shape("input_shape", input_shape))
        print(table)
        return table

    def touch(self) -> None:
        """Call `mark_modified` by its old name."""
        warnings.warn("Network.touch is now called mark_modified", DeprecationWarning, stacklevel=2)
        self.mark_modified()

    def describe(self) -> list[dict[str, Any]]:
        """Call `to_config` by its old name."""
        warnings.warn("Network.describe is now called to_config", DeprecationWarning, stacklevel=2)
        return self.to_config()

    def to_config(self) -> list[dict[str, Any]]:
        """Return the layers as JSON-able data."""
        return [layer.to_config() for layer in self.layers]

    def __repr__(self) -> str:
        chain = ", ".join(map(repr, self.layers))
        return f"Network([{chain}], dtype={str(self.dtype)!r}, ops={self.ops.name!r})"
