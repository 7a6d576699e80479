"""Network: a chain of layers over ONE flat parameter vector theta."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from minigan import _arguments, _checks
from minigan._labels import split_labels
from minigan.layers.base import Context, Layer, Pullback, ShapeError
from minigan.layers.chain import Fused
from minigan.network.files import StoredChain
from minigan.network.second_order import SecondOrder
from minigan.ops import to_host
from minigan.ops.protocol import Array, Ops


class Network(SecondOrder, StoredChain):
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
        super().__init__(layers, rng=rng, dtype=dtype, ops=ops)
        self._run = self.chain.for_backend(self.ops, self.dtype)
        # A chain of one stage is replaced by that stage: a small network's iteration takes only microseconds.
        alone = len(self._run.layers) == 1 and isinstance(self._run.layers[0], Fused)
        self._only: Layer = self._run.layers[0] if alone else self._run
        self._writes_gradient, self._added_cuts = self._run.gradient_writers()
        if self.ops.xp is not np:  # on a GPU, filling the whole vector with zeros costs less than a call for each slice
            self._writes_gradient, self._added_cuts = False, [slice(None)]
        self._p = self._only.parameter_views(self._theta)
        self._s = self._only.state_views(self._state)

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

    def _placed(self, error: ValueError) -> ValueError:
        """Return what the layers raised, with the place of the layer; a chain has said it already."""
        return error if self._only is self._run else self._run.placed(0, error)

    def _has_own_passes(self) -> bool:
        """Return whether a subclass overrides `forward` or `pushforward`; `input_gradient` then calls them."""
        return type(self).forward is not Network.forward or type(self).pushforward is not Network.pushforward

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
