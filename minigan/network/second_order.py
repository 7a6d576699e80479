"""Passes for second derivatives: a forward pass of tangents, and the gradient with respect to the input."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigan import _checks
from minigan._batch import arrays_of
from minigan._labels import split_labels
from minigan.layers.base import Context, PairPullback, Pullback, ShapeError
from minigan.layers.input_gradient import input_gradient
from minigan.network.passes import Passes
from minigan.ops.protocol import Array


class SecondOrder(Passes):
    """`pushforward` and `input_gradient` of a `minigan.Network`, which defines `forward`."""

    forward: Callable[..., tuple[Array, Pullback]]
    _has_own_passes: Callable[[], bool]

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
        >>> from minigan import Network
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
        >>> from minigan import Network
        >>> from minigan.layers import Dense
        >>> net = Network([Dense(2, 1)], rng=np.random.default_rng(0), dtype="float64")
        >>> y, v, add = net.input_gradient(np.ones((1, 2)), train=True)
        >>> g = net.zeros_like_theta()
        >>> add(v, g)  # v = W, and d<u, W>/dW = u
        >>> bool((g[:2] == v).all())
        True

        """
        keys = None if not train or rng is None else self.draw_keys(len(arrays_of(x)[0]), rng)
        if self._has_own_passes():
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
