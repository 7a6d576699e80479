"""Network: a chain of layers over ONE flat parameter vector theta."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np

from minigan import _arguments, _checks
from minigan._batch import arrays_of
from minigan._files import PathLike
from minigan._labels import split_labels
from minigan._saved import read_network, write_network
from minigan._views import Named, castable, copy_named, named_views
from minigan.layers.base import Context, Layer, PairPullback, Pullback, ShapeError
from minigan.layers.chain import Chain, Fused
from minigan.layers.input_gradient import input_gradient
from minigan.ops import get_ops, to_host
from minigan.ops.protocol import Array, Ops
from minigan.summary import Summary, summarize


class StaleBackwardError(RuntimeError):
    """A pullback was called after the parameters of its forward pass had changed."""


class Network:
    """y = f_L(... f_2(f_1(x; theta); theta) ...; theta): a chain of layers with its parameters, theta.

    theta (P,) holds every parameter; layers get named views of it, and `views` gives the same views of a gradient or an
    optimizer's moments.  Running statistics are not parameters: `state` holds them.

        y, backward = net.forward(x, train=True, rng=rng)
        g = net.zeros_like_theta()
        dx = backward(dy, g)                # adds dL/dtheta to g
        dx = backward(dy)                   # frozen: no parameter gradient is computed
        backward(dy, g, need_dx=False)      # first network of a chain: returns None
        y = net(x)                          # inference: running statistics, no dropout, nothing kept

    ``copy.copy`` and ``copy.deepcopy`` give an independent network.  A network cannot be pickled: `save` writes it to a
    file and `load` reads it; `load_parameters` and `load_state` copy named arrays.

    Parameters
    ----------
    layers : sequence of Layer
        f_1 ... f_L, at least one.
    rng : numpy.random.Generator
        Draws the initial parameters, in float64, so that every dtype and backend starts from the same numbers.
    dtype : dtype
        The dtype of theta and of all arrays: float32 (the default: half the memory of float64), float64,
        longdouble, a complex dtype, or object (exact fractions, intervals).  "cpu" and "cuda" may know fewer.
    ops : {"cpu", "reference", "cuda"} or Ops
        The backend, by name or from `minigan.ops.get_ops`: compiled kernels on the CPU (the default), plain NumPy, or
        a GPU.

    Raises
    ------
    TypeError
        If `layers` holds something else, `rng` is no generator, or the backend does not support `dtype`.
    ValueError
        If `layers` is empty or the backend's name is unknown.
    BackendUnavailable
        If the backend cannot run on this machine.

    Examples
    --------
    >>> from minigan.layers import Dense, ReLU
    >>> net = Network([Dense(2, 8), ReLU(), Dense(8, 1)], rng=np.random.default_rng(0))
    >>> net.theta.shape, net(np.zeros((5, 2))).shape
    ((33,), (5, 1))

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
        self._run = self.chain.for_backend(self.ops, self.dtype)
        self._n_keys, self._per_example = self.chain.n_keys, self.chain.per_example
        self._n_classes = self.chain.n_classes
        # A chain of one stage is replaced by that stage: a small network's iteration takes only microseconds.
        alone = len(self._run.layers) == 1 and isinstance(self._run.layers[0], Fused)
        self._only: Layer = self._run.layers[0] if alone else self._run
        self._writes_gradient, self._added_cuts = self._run.gradient_writers()
        if xp is not np:  # on a GPU, filling the whole vector with zeros costs less than a call for each slice
            self._writes_gradient, self._added_cuts = False, [slice(None)]
        self._p = self._only.parameter_views(self._theta)
        self._s = self._only.state_views(self._state)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers of the chain."""
        return tuple(self.chain.layers)

    # --- forward and backward -------------------------------------------------------------------

    def forward(
        self,
        x: Array | tuple[Array, Array],
        *,
        train: bool,
        rng: np.random.Generator | None = None,
        update_state: bool = True,
        sub_batches: int = 1,
        keys: Sequence[Sequence[int]] | None = None,
    ) -> tuple[Array, Pullback]:
        """Return y and its pullback, ``backward(dy, grads=None, *, need_dx=True, overwrite=False) -> dx``.

        The pullback keeps x, y and the arrays between them without copying: do not change any of them in place before
        it has run.  y may be x itself or a view of it (Flatten, Reshape, Dropout at inference), and dx likewise of dy.

        Parameters
        ----------
        x : array (N, ...), or a tuple of such an array and labels (N,)
            N >= 1 examples.  Real numbers are cast to the network's dtype, and NumPy arrays copied to its device.  With
            layers that read labels (`minigan.layers.embedding`), the tuple (x, labels): whole numbers, the classes.
        train : bool
            True: batch statistics and dropout.  False: running statistics, no dropout.
        rng : numpy.random.Generator, optional
            The random stream of dropout; needed only in training, and only by layers that draw random numbers.
        update_state : bool
            Whether a training pass updates the running statistics, as it usually should.
        sub_batches : int
            The number of batches of equal size that x consists of, one after another.  y and the gradients are those
            of one forward pass for each: batch statistics and masks are computed per sub-batch.  Default: 1.
        keys : sequence, optional
            The random keys of the pass, from `draw_keys`, instead of `rng`: passes with the same keys have the same
            masks.

        Returns
        -------
        y : array (N, ...)
            The output, in the network's dtype.
        backward : callable
            The pullback.  It returns dx = dL/dx for dy = dL/dy, of y's shape, and adds dL/dtheta to `grads` (P,), or,
            with ``overwrite=True``, writes it there, whatever `grads` holds; without `grads` the parameters are frozen,
            and with ``need_dx=False`` it returns None.  It raises StaleBackwardError if theta has changed, and
            TypeError, ValueError or ShapeError if dy or `grads` does not fit.

        Raises
        ------
        TypeError
            If x is no array of the backend or of NumPy, if its dtype cannot be cast, or a flag is not True or False.
        ValueError
            If training needs `rng`, or `sub_batches` does not divide N or a layer is not `per_example`; or if labels
            are missing, not read by any layer, or not in 0 ... n_classes - 1.
        ShapeError
            If x does not fit; the message names the layer.

        """
        if type(train) is not bool or type(update_state) is not bool:
            _checks.require_flags(train=train, update_state=update_state)
        if rng is not None:
            _checks.require_generator("rng", rng)
        if type(sub_batches) is not int or sub_batches < 1:
            sub_batches = _arguments.size("sub_batches", sub_batches)
        labels = None
        if isinstance(x, tuple):
            x, labels = split_labels(x, self.n_classes, self.ops.xp)
        if type(x) is not self._kind or x.dtype != self.dtype or x.ndim < 2 or x.shape[0] == 0:
            x = self._input(x)
        if keys is not None:
            predrawn_keys: Any = iter(keys) if train else None
        else:
            draws = (train and rng is not None) or sub_batches != 1
            predrawn_keys = self._draw(len(x), sub_batches, rng if train else None) if draws else None
        context = Context(self.ops, train, rng, self._s, update_state, sub_batches, predrawn_keys, True, labels)
        try:
            y, pullback = self._only.forward(self._p, x, context)
        except ValueError as error:
            raise self._placed(error) from None
        shape, version, theta, kind, dtype = y.shape, self.version, self._theta, self._kind, self.dtype
        del x

        def backward(
            dy: Array, grads: Array | None = None, *, need_dx: bool = True, overwrite: bool = False
        ) -> Array | None:
            if version != self.version:
                self._require_version(version)
            if type(dy) is not kind or dy.dtype != dtype:
                dy = self._cast("dy", dy)
            if dy.shape != shape:
                raise ShapeError(f"dy has shape {dy.shape}; expected {shape}, the shape of y")
            if grads is None and not need_dx:
                return None
            g = None
            if grads is not None:
                if not _checks.is_valid_gradient_vector(grads, theta) or not getattr(grads.flags, "writeable", True):
                    _checks.require_grads(self.check_vector("grads", grads), theta)
                g = self._only.parameter_views(grads)
                if overwrite:
                    for cut in self._added_cuts:
                        grads[cut] = 0
                    if self._writes_gradient:
                        return pullback(dy, g, need_dx=need_dx, overwrite=True)
            return pullback(dy, g, need_dx=need_dx)

        return y, backward

    def draw_keys(self, n: int, rng: np.random.Generator, *, sub_batches: int = 1) -> list[list[int]]:
        """Draw the random keys of a training pass, as `forward` does.

        Parameters
        ----------
        n : int
            N, the number of examples of the pass.
        rng : numpy.random.Generator
            The random stream.
        sub_batches : int
            As for `forward`.  Default: 1.

        Returns
        -------
        list of list of int
            For each call of ``ctx.keys()`` by a layer a key for each sub-batch; empty if no layer draws.

        Raises
        ------
        TypeError, ValueError
            As `forward` does for `rng` and `sub_batches`.

        """
        _checks.require_generator("rng", rng)
        return list(self._draw(n, _arguments.size("sub_batches", sub_batches), rng) or ())

    def pushforward(
        self,
        x: Array | tuple[Array, Array],
        x_dot: Array,
        *,
        train: bool,
        rng: np.random.Generator | None = None,
        keys: Sequence[Sequence[int]] | None = None,
    ) -> tuple[Array, Array, PairPullback]:
        """Return y, its derivative y_dot = (dy/dx) x_dot, and the pullback of both.

        For a loss L(y, y_dot) the pullback gives

            dx_dot = (dy/dx)^T dy_dot        dx = (dy/dx)^T dy + d<dy_dot, (dy/dx) x_dot>/dx
            g += d(<dy, y> + <dy_dot, (dy/dx) x_dot>)/dtheta

        With dy = None and x_dot = u it adds to g the gradient of <dy_dot, (dy/dx) u>: products with second derivatives,
        forward over reverse (Pearlmutter 1994).  The layers run one by one, as they are written; running statistics do
        not change.

        Parameters
        ----------
        x : array (N, ...) or tuple of such an array and labels (N,)
            N >= 1 examples, as for `forward`.
        x_dot : array (N, ...)
            A direction of the shape of the examples.
        train : bool
            As for `forward`.  In training, batch norm has no pushforward.
        rng : numpy.random.Generator, optional
            The random stream of dropout.
        keys : sequence, optional
            The random keys of another pass, from `draw_keys`, instead of `rng`: then the masks are those of that pass.

        Returns
        -------
        y, y_dot : array (N, ...)
            The output and its derivative, in the network's dtype.
        backward : callable
            ``backward(dy, dy_dot, grads=None, *, need_dx=True) -> (dx, dx_dot)``.  dy = dL/dy and dy_dot = dL/dy_dot
            have y's shape; None means zero.  dL/dtheta is added to `grads` (P,); without `grads` it is not computed.
            Both results are None with ``need_dx=False``.  It raises StaleBackwardError if theta has changed.

        Raises
        ------
        TypeError, ValueError, ShapeError
            As `forward` does; ShapeError if x_dot has not the shape of x.
        NotImplementedError
            If a layer does not define `pushforward`; the message names the layer.

        Examples
        --------
        >>> from minigan.layers import Dense, Tanh
        >>> net = Network([Dense(2, 8), Tanh(), Dense(8, 1)], rng=np.random.default_rng(0), dtype="float64")
        >>> x, u = np.array([[1.0, 2.0]]), np.array([[1.0, 0.0]])
        >>> y, y_dot, _ = net.pushforward(x, u, train=True)
        >>> bool(abs(y_dot - (net(x + 1e-6 * u) - net(x - 1e-6 * u)) / 2e-6) < 1e-9)
        True

        """
        _checks.require_flags(train=train)
        _checks.require_generator("rng", rng)
        labels = None
        if isinstance(x, tuple):
            x, labels = split_labels(x, self.n_classes, self.ops.xp)
        x, x_dot = self._input(x), self._cast("x_dot", x_dot)
        if x_dot.shape != x.shape:
            raise ShapeError(f"x_dot has shape {x_dot.shape}; expected {x.shape}, the shape of x")
        predrawn_keys = None
        if train and (keys is not None or rng is not None):
            predrawn_keys = iter(keys) if keys is not None else self._draw(len(x), 1, rng)
        state = self.chain.state_views(self._state)
        context = Context(self.ops, train, rng, state, update_state=False, predrawn_keys=predrawn_keys, labels=labels)  # type: ignore[arg-type]
        p = self.chain.parameter_views(self._theta)
        y, y_dot, pullback = self.chain.pushforward(p, x, x_dot, context)
        shape, in_shape, version = y.shape, x.shape, self.version
        del x, x_dot

        def backward(
            dy: Array | None, dy_dot: Array | None, grads: Array | None = None, *, need_dx: bool = True
        ) -> tuple[Array | None, Array | None]:
            self._require_version(version)
            given = []
            for name, v in (("dy", dy), ("dy_dot", dy_dot)):
                if v is not None:
                    v = self._cast(name, v)
                    if v.shape != shape:
                        raise ShapeError(f"{name} has shape {v.shape}; expected {shape}, the shape of y")
                given.append(v)
            g = None
            if grads is not None:
                _checks.require_grads(self.check_vector("grads", grads), self._theta)
                g = self.chain.parameter_views(grads)
            found = pullback(*given, g, need_dx=need_dx)
            if not need_dx:
                return None, None
            dx, dx_dot = (self.ops.xp.zeros(in_shape, self.dtype) if v is None else v for v in found)
            return dx, dx_dot

        return y, y_dot, backward

    def input_gradient(
        self,
        x: Array | tuple[Array, Array],
        *,
        train: bool,
        rng: np.random.Generator | None = None,
    ) -> tuple[Array, Array, Callable[[Array, Array], None]]:
        """Return y, v = d(sum of y)/dx, and a function that adds the parameter gradient of v along a direction.

        It is what a gradient penalty needs of D (`minigan.gan.penalties`).  `forward` and `pushforward` compute the
        same with more products (`minigan.layers.input_gradient`).  Running statistics do not change.

        Parameters
        ----------
        x : array (N, ...) or tuple of such an array and labels (N,)
            As for `forward`.
        train : bool
            As for `pushforward`.
        rng : numpy.random.Generator, optional
            The random stream of dropout.

        Returns
        -------
        y : array (N, ...)
            The output.
        v : array (N, ...)
            The gradient with respect to x of the sum of all outputs.
        add : callable
            ``add(u, grads)`` adds d<u, v>/dtheta to `grads` (P,), for a constant u of the shape of x.

        Raises
        ------
        TypeError, ValueError, ShapeError, NotImplementedError
            As `forward` and, when `add` is called, `pushforward` do.

        Examples
        --------
        >>> from minigan.layers import Dense
        >>> net = Network([Dense(2, 1)], rng=np.random.default_rng(0), dtype="float64")
        >>> y, v, add = net.input_gradient(np.ones((1, 2)), train=True)
        >>> g = net.zeros_like_theta()
        >>> add(v, g)  # v = W, and d<u, W>/dW = u
        >>> bool((g[:2] == v).all())
        True

        """
        keys = None if not train or rng is None else self.draw_keys(len(arrays_of(x)[0]), rng)
        if type(self).forward is not Network.forward or type(self).pushforward is not Network.pushforward:
            return self._input_gradient_of_passes(x, train=train, keys=keys)
        _checks.require_flags(train=train)
        labels = None
        if isinstance(x, tuple):
            x, labels = split_labels(x, self.n_classes, self.ops.xp)
        x = self._input(x)
        state, p = self.chain.state_views(self._state), self.chain.parameter_views(self._theta)
        contexts = (
            Context(
                self.ops, train, None, state, update_state=False, labels=labels,
                predrawn_keys=None if keys is None else iter(keys),
            )
            for _ in range(2)
        )  # fmt: skip
        y, v, add = input_gradient(self.chain, p, x, *contexts)
        shape, version = x.shape, self.version

        def along(u: Array, grads: Array) -> None:
            self._require_version(version)
            u = self._cast("u", u)
            if u.shape != shape:
                raise ShapeError(f"u has shape {u.shape}; expected {shape}, the shape of x")
            _checks.require_grads(self.check_vector("grads", grads), self._theta)
            add(u, self.chain.parameter_views(grads))

        return y, v, along

    def _input_gradient_of_passes(
        self, x: Array | tuple[Array, Array], *, train: bool, keys: Any
    ) -> tuple[Array, Array, Callable[[Array, Array], None]]:
        """Return what `input_gradient` does, by the passes of a subclass."""
        y, backward = self.forward(x, train=train, update_state=False, keys=keys)
        one = self.ops.xp.ones_like(y)

        def along(u: Array, grads: Array) -> None:
            self.pushforward(x, u, train=train, keys=keys)[2](None, one, grads, need_dx=False)

        return y, backward(one), along

    def _require_version(self, version: int) -> None:
        if version != self.version:
            raise StaleBackwardError(
                f"theta changed after this forward pass (version {version}, now {self.version}): "
                "its gradient would be wrong; run forward again"
            )

    def __call__(self, x: Array | tuple[Array, Array]) -> Array:
        """Return y at inference: running statistics, no dropout, nothing kept for a backward pass.

        Parameters
        ----------
        x : array (N, ...), or a tuple of such an array and labels (N,)
            N >= 1 examples, of NumPy or of the network's device; with labels as for `forward`.

        Returns
        -------
        array (N, ...)
            y in the network's dtype: a NumPy array if x is one, whatever the device.  It may alias x (Flatten, Reshape,
            Dropout).

        Raises
        ------
        TypeError, ShapeError
            As `forward` does.

        """
        labels = None
        if isinstance(x, tuple):
            x, labels = split_labels(x, self.n_classes, self.ops.xp)
        home = isinstance(x, np.ndarray)
        context = Context(self.ops, state=self._s, update_state=False, keep=False, labels=labels)
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
        """Return x on the network's device and in its dtype: x itself if it is there already."""
        return self._cast("x", x)

    @property
    def per_example(self) -> bool:
        """Whether `forward` accepts several `sub_batches`: whether every layer declares ``per_example = True``."""
        return self._per_example

    @property
    def n_classes(self) -> int:
        """The number of classes of the labels that layers read; 0 if no layer reads labels."""
        return self._n_classes

    def _draw(self, n: int, sub_batches: int, rng: np.random.Generator | None) -> Iterator[list[int]] | None:
        """Draw the random keys of all layers, in the order of one pass for each sub-batch."""
        if sub_batches != 1 and n % sub_batches:
            raise ValueError(f"sub_batches={sub_batches} with {n} examples; expected a divisor of {n}")
        if sub_batches != 1 and not self.per_example:
            names = ", ".join(type(layer).__name__ for layer in self.layers if not layer.per_example)
            raise ValueError(f"sub_batches={sub_batches}; expected 1, because not every layer is per_example: {names}")
        if rng is None:
            return None
        if not self._n_keys:
            return iter(())
        keys = rng.integers(2**64, size=(sub_batches, self._n_keys), dtype=np.uint64)
        return iter(keys.T.tolist())

    def _input(self, x: Array) -> Array:
        x = self._cast("x", x)
        if x.ndim < 2 or x.shape[0] == 0:
            raise ShapeError(f"x has shape {x.shape}; expected (N, ...) with N >= 1")
        return x

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

    # --- parameters and state -------------------------------------------------------------------

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

    def new_gradient(self) -> tuple[Array, bool]:
        """Return a vector (P,) for a gradient, and the argument `overwrite` of the first pullback that gets it.

        Where `forward` is overridden, its pullback may not have this argument, and the vector is zeros.  If it has,
        override `new_gradient` too.

        Returns
        -------
        g : array (P,)
            Zeros, or an array of any numbers if pullbacks of this network save time when they need not add to it.
        overwrite : bool
            Whether g holds any numbers.

        """
        if self._writes_gradient and getattr(self.forward, "__func__", None) is Network.forward:
            return self.ops.empty_vector(self._theta.size, self.dtype), True
        return self.zeros_like_theta(), False

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

    def save(self, path: PathLike, *, overwrite: bool = False) -> Path:
        """Write the layers, the parameters and the running statistics to a file, which `load` reads.

        The file is an .npz archive without pickle, and it is written atomically.  It does not contain the state of an
        optimizer: checkpoints do (`minigan.training.train`).

        Parameters
        ----------
        path : path
            The file; ``.npz`` is not added.
        overwrite : bool
            Whether to replace an existing file; False by default.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        FileExistsError
            If the file exists and `overwrite` is False.
        ValueError
            If a layer cannot be rebuilt from its `to_config`: an own class without `minigan.layers.register_layer`.
        TypeError
            If the dtype is object.
        OSError
            If the file cannot be written.

        """
        _checks.require_flags(overwrite=overwrite)
        arrays = {"parameters": self.parameters(), "state": self.state}
        return write_network(path, type(self).__name__, self.layers, self.dtype, arrays, overwrite=overwrite)

    @classmethod
    def load(cls, path: PathLike, *, ops: str | Ops = "cpu") -> Self:
        """Return the network that `save` wrote, with the same dtype, parameters and running statistics, bit for bit.

        Reading takes no more memory than a few times the size of the file, whatever its content claims, and executes
        nothing of it.

        Parameters
        ----------
        path : path
            The file.
        ops : {"cpu", "reference", "cuda"} or Ops
            The backend, as for `Network`; the file does not determine it.

        Returns
        -------
        Network
            The network, of the class that `load` is called on.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is damaged, or the network is of another class; the message names the file.
        TypeError
            If the backend does not support the network's dtype.

        Examples
        --------
        >>> import tempfile
        >>> from minigan.layers import Dense, ReLU
        >>> net = Network([Dense(2, 8), ReLU(), Dense(8, 1)], rng=np.random.default_rng(0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = Network.load(net.save(f"{folder}/net.npz"))
        >>> again.layers == net.layers, bool((again.theta == net.theta).all())
        (True, True)

        """
        saved = read_network(path)
        if saved.kind != cls.__name__:
            raise ValueError(f"{path}: a network of class {saved.kind}; expected {saved.kind}.load(path)")
        net = cls(saved.layers, rng=np.random.default_rng(0), dtype=saved.dtype, ops=ops)
        for targets, arrays in ((net.parameters(), saved.parameters), (net.state, saved.state)):
            for name, array in arrays.items():
                targets[name][...] = net.ops.xp.asarray(array.astype(net.dtype))
        return net

    def astype(self, dtype: Any, convert: Callable[[Any], Any] | None = None) -> "Network":
        """Return a copy in another dtype, with the same layers, backend, parameters and running statistics.

        Parameters
        ----------
        dtype : dtype
            The dtype of the copy, as for `Network`.
        convert : callable, optional
            Converts each number, for conversions that NumPy does not know: ``net.astype(object, Fraction)``.

        Returns
        -------
        Network
            The copy.

        Raises
        ------
        TypeError
            If the backend does not support `dtype`.

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
        raise TypeError("a Network cannot be pickled; save net.parameters() and net.state, or call net.save(path)")

    def check_vector(self, name: str, vector: Array) -> Array:
        """Return `vector` if it is an array of theta's shape; if not, raise TypeError or ShapeError with its `name`."""
        _checks.require_plain(name, vector, self.ops.xp)
        if vector.shape != self._theta.shape:
            raise ShapeError(f"{name} has shape {vector.shape}; expected {self._theta.shape}, the shape of theta")
        return vector

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
