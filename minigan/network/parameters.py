"""A chain of layers with its parameters, theta, and its running statistics: vectors and named views of them."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigan import _arguments, _checks
from minigan._views import Named, castable, copy_named, named_views
from minigan.layers.base import Layer, ShapeError
from minigan.layers.chain import Chain
from minigan.ops import get_ops
from minigan.ops.protocol import Array, Ops
from minigan.summary import Summary, summarize


class ParametricChain:
    """The layers, theta (P,) and the running statistics of a `minigan.Network`, whose parameters it has."""

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
            raise TypeError(f"dtype {self.dtype} with ops={self.ops.name!r}; expected {known}")
        self.version = 0
        """The number of changes of theta; a pullback raises StaleBackwardError if it grew since its forward pass."""

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
        self._n_keys, self._per_example = self.chain.n_keys, self.chain.per_example
        self._n_classes = self.chain.n_classes

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers of the chain."""
        return tuple(self.chain.layers)

    @property
    def per_example(self) -> bool:
        """Whether `forward` accepts several `sub_batches`: whether every layer declares ``per_example = True``."""
        return self._per_example

    @property
    def n_classes(self) -> int:
        """The number of classes of the labels that layers read; 0 if no layer reads labels."""
        return self._n_classes

    def array(self, x: Array) -> Array:
        """Return x on the network's device and in its dtype: x itself if it is there already."""
        return self._cast("x", x)

    def _cast(self, name: str, array: Array) -> Array:
        """Return the array in the network's dtype and on its device; TypeError if more than rounding would be lost."""
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
        raise TypeError(f"{name} is {array.dtype} but the network is {self.dtype}; expected {other}, or real numbers")

    # --- theta ----------------------------------------------------------------------------------

    @property
    def theta(self) -> Array:
        """The parameter vector (P,) itself, not a copy: writing into it changes the network.

        ``net.theta = vector`` (which copies) and optimizers increase `version`.  After any other change
        (``net.theta[0] = 1``, or through the views of `parameters`) call `mark_modified`, so that older pullbacks raise
        StaleBackwardError and do not return wrong gradients.
        """
        return self._theta

    @theta.setter
    def theta(self, value: Array) -> None:
        if value is not self._theta:
            _checks.require_unmasked("theta", value)
            self._theta[...] = self._cast("theta", self.check_vector("theta", self.ops.xp.asarray(value)))
        self.mark_modified()

    def mark_modified(self) -> None:
        """Declare that theta has changed: pullbacks of earlier forward passes raise StaleBackwardError."""
        self.version += 1

    def zeros_like_theta(self) -> Array:
        """Return zeros (P,): the gradient vector that backward adds to."""
        return self.ops.zero_vector(self._theta.size, self.dtype)

    def check_vector(self, name: str, vector: Array) -> Array:
        """Return `vector` if it is an array of theta's shape; if not, raise TypeError or ShapeError with its `name`."""
        _checks.require_plain(name, vector, self.ops.xp)
        if vector.shape != self._theta.shape:
            raise ShapeError(f"{name} has shape {vector.shape}; expected {self._theta.shape}, the shape of theta")
        return vector

    def views(self, vector: Array) -> Named:
        """Return named views of a vector: "0.W", "0.b", "2.gamma", ...

        Parameters
        ----------
        vector : array (P,)
            Any vector of theta's shape: theta itself, a gradient, an optimizer's moments.

        Returns
        -------
        dict of str to array
            Views of the parameters' shapes, in the order of theta; writing into one writes into `vector`.

        Raises
        ------
        TypeError, ShapeError
            If `vector` is no array of the backend, or not (P,).

        """
        return named_views(self.check_vector("vector", vector), self._theta_shapes)

    def parameters(self) -> Named:
        """Return named views of theta; call `mark_modified` after writing into them."""
        return self.views(self._theta)

    def load_parameters(self, parameters: Mapping[str, Array]) -> None:
        """Copy named arrays into theta.

        Parameters
        ----------
        parameters : mapping of str to array
            An array for each name of `parameters()`, of the same shape.  Real numbers are cast to the network's dtype;
            complex numbers are not cast to real ones.

        Raises
        ------
        ValueError
            If anything does not fit: the message lists every mismatch, and nothing is changed.

        """
        copy_named("parameters", self.parameters(), parameters, self.ops.xp)
        self.mark_modified()

    # --- running statistics ---------------------------------------------------------------------

    @property
    def state(self) -> Named:
        """Named views of the running statistics ("2.running_mean", "2.running_var", ...)."""
        return dict(self._named_state)

    @property
    def state_vector(self) -> Array:
        """All running statistics as one vector; `state` holds named views of it."""
        return self._state

    @property
    def state_size(self) -> int:
        """The number of running statistics: what Keras calls non-trainable parameters."""
        return int(self._state.size)

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Copy named arrays into the running statistics.

        Parameters
        ----------
        state : mapping of str to array
            An array for each name of `state`, of the same shape, with finite numbers and no negative variance.

        Raises
        ------
        ValueError
            If anything does not fit: the message lists every mismatch, and nothing is changed.

        """
        copy_named("state", self.state, state, self.ops.xp)

    # --- description ----------------------------------------------------------------------------

    def summary(self, input_shape: int | Sequence[int]) -> Summary:
        """Print and return the table of layers, output shapes and parameter counts.

        Parameters
        ----------
        input_shape : int or sequence of int
            The shape of one example, without the batch axis: (28, 28, 1), or 3 for (3,).

        Returns
        -------
        Summary
            The rows and the totals, counted as Keras does: total = trainable (theta) + non-trainable (running
            statistics).

        Raises
        ------
        ShapeError
            If a layer does not fit the shape; the message names it.

        """
        table = summarize(self.chain, _arguments.shape("input_shape", input_shape))
        print(table)
        return table

    def touch(self) -> None:
        """Call `mark_modified` (deprecated name)."""
        warnings.warn("Network.touch is now called mark_modified", DeprecationWarning, stacklevel=2)
        self.mark_modified()

    def describe(self) -> list[dict[str, Any]]:
        """Call `to_config` (deprecated name)."""
        warnings.warn("Network.describe is now called to_config", DeprecationWarning, stacklevel=2)
        return self.to_config()

    def to_config(self) -> list[dict[str, Any]]:
        """Return the layers as JSON-serialisable data; `minigan.layers.from_config` reads it."""
        return [layer.to_config() for layer in self.layers]

    def __repr__(self) -> str:
        chain = ", ".join(map(repr, self.layers))
        return f"Network([{chain}], dtype={str(self.dtype)!r}, ops={self.ops.name!r})"
