"""Optimizers over the flat parameter vector: ``optimizer.step(g)`` updates theta and increases net.version.

A learning rate (or momentum) is a number or a schedule, a function of the step t = 1, 2, ...  A number is checked when
it is set, the value of a schedule at each step.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from minigan._arguments import number, scalar, size
from minigan._checks import is_valid_gradient_vector, owns_memory, require_flags, require_no_shared_memory
from minigan._views import castable
from minigan.network import Network
from minigan.ops.protocol import Array

Schedule = float | Callable[[int], float]

NON_NEGATIVE_INTERVAL = "[0, inf)"
"""The interval of lr and eps."""
POSITIVE_INTERVAL = "(0, inf)"
"""The interval of clip."""
DECAY_INTERVAL = "[0, 1)"
"""The interval of momentum, rho, beta1 and beta2, the weights of the old value in a moving average."""


def _constant(net: Network, name: str, value: object, interval: str) -> float:
    return scalar(number(name, value, interval), net.dtype)


def _schedule(net: Network, name: str, value: Schedule, interval: str) -> Schedule:
    return value if callable(value) else _constant(net, name, value, interval)


class Optimizer:
    """The base class: t counts the steps, and `state` contains by name the vectors that a checkpoint needs.

    A subclass defines `_update`.  Hyper-parameters may be changed between steps (``adam.lr = 1e-4``) and are checked
    whenever they are set.

    Parameters
    ----------
    net : Network
        The network whose theta is updated.
    lr : float or callable
        The learning rate, >= 0, or a schedule ``lr(t)``.
    clip : float, optional
        A bound c > 0: after each step every number of theta is clipped to [-c, c], NaN stays NaN.  Wasserstein GANs
        bound the slope of D this way (Arjovsky et al. 2017, Algorithm 1, with c = 0.01).  None, the default, clips
        nothing.

    Raises
    ------
    ValueError, TypeError
        If a hyper-parameter is outside its range.

    """

    lr: Schedule
    clip: float | None = None
    _schedule_intervals: ClassVar[dict[str, str]] = {"lr": NON_NEGATIVE_INTERVAL, "momentum": DECAY_INTERVAL}
    """The intervals of the attributes that may be schedules."""
    _number_intervals: ClassVar[dict[str, str]] = {
        "rho": DECAY_INTERVAL,
        "beta1": DECAY_INTERVAL,
        "beta2": DECAY_INTERVAL,
        "eps": NON_NEGATIVE_INTERVAL,
    }
    """The intervals of the attributes that are numbers."""

    def __init__(self, net: Network, *, lr: Schedule, clip: float | None = None) -> None:
        self.net = net
        self.lr = lr
        self.clip = clip
        self.t = 0
        self.state: dict[str, Array] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; raise ValueError or TypeError if a hyper-parameter or t is outside its range."""
        if name in self._schedule_intervals:
            value = _schedule(self.net, name, value, self._schedule_intervals[name])
        elif name in self._number_intervals:
            value = _constant(self.net, name, value, self._number_intervals[name])
        elif name == "clip":
            value = None if value is None else _constant(self.net, name, value, POSITIVE_INTERVAL)
        elif name == "t":
            value = size(name, value, low=0)
        elif name == "nesterov":
            require_flags(nesterov=value)
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        shown = [
            name
            for name in (*self._schedule_intervals, "nesterov", *self._number_intervals, "t")
            if hasattr(self, name)
        ]
        if self.clip is not None:
            shown.insert(-1, "clip")
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__name__}({values}, parameters={self.net.theta.size})"

    def step(self, g: Array) -> None:
        """Update theta by one step, clip it if `clip` is set, and increase `t` and the network's version.

        theta, `state` and `t` are unchanged if an error is raised.

        Parameters
        ----------
        g : array (P,)
            The gradient dL/dtheta, in the network's dtype or one that casts to it.

        Raises
        ------
        TypeError, ShapeError
            If g does not fit theta.
        ValueError
            If g shares memory with theta or `state`, or a schedule returns a value outside its range.

        """
        theta = self.net.theta
        if not is_valid_gradient_vector(g, theta):
            self.net.check_vector("g", g)
            if not castable(g.dtype, self.net.dtype):
                raise TypeError(f"g is {g.dtype} but the network is {self.net.dtype}; expected {self.net.dtype}")
            require_no_shared_memory("g", g, "theta", theta)
        for name, vector in self.state.items():
            if g is vector or not owns_memory(g):
                require_no_shared_memory("g", g, f"state[{name!r}]", vector)
        self._update(theta, g, self.t + 1)
        if self.clip is not None:
            theta.clip(-self.clip, self.clip, out=theta)
        object.__setattr__(self, "t", self.t + 1)  # without the check, which t + 1 does not need
        self.net.mark_modified()

    def _update(self, theta: Array, g: Array, t: int) -> None:
        """Update theta and the vectors of `state` in place; t = 1, 2, ..."""
        raise NotImplementedError(f"{type(self).__name__} does not define _update")

    def _at(self, t: int, name: str, value: Schedule, interval: str) -> float:
        """Return the value at step t; the value of a schedule is checked here, before anything changes."""
        return _constant(self.net, f"{name}({t})", value(t), interval) if callable(value) else value


class SGD(Optimizer):
    """Gradient descent, u <- momentum u - lr g, theta <- theta + u.

    Parameters
    ----------
    net : Network
        The network whose theta is updated.
    lr : float or callable
        The learning rate, >= 0, or a schedule ``lr(t)``.
    momentum : float or callable
        The weight of the last step u, in [0, 1), or a schedule; 0, the default, is plain gradient descent.
    nesterov : bool
        Whether to use theta <- theta + momentum u - lr g: Nesterov's method (Sutskever et al. 2013, eq. 3-4) with theta
        at the look-ahead point, as in Keras.  False by default.
    clip : float, optional
        A bound c > 0 of the absolute values of theta after each step (`Optimizer`); None, the default, for none.

    Raises
    ------
    ValueError
        If a hyper-parameter is outside its range or not a number.
    TypeError
        If `nesterov` is not True or False.

    Examples
    --------
    >>> import numpy as np, minigan as mg
    >>> net = mg.Network([mg.Dense(1, 1, weight_init=mg.Zeros())], rng=np.random.default_rng(0))
    >>> SGD(net, lr=0.5).step(np.array([1, -2], "float32"))
    >>> net.theta
    array([-0.5,  1. ], dtype=float32)

    """

    def __init__(
        self, net: Network, *, lr: Schedule, momentum: Schedule = 0.0, nesterov: bool = False, clip: float | None = None
    ) -> None:
        super().__init__(net, lr=lr, clip=clip)
        self.momentum: Schedule = momentum
        self.nesterov = nesterov
        self.state = {"u": net.zeros_like_theta()}

    def _update(self, theta: Array, g: Array, t: int) -> None:
        lr = self._at(t, "lr", self.lr, NON_NEGATIVE_INTERVAL)
        momentum = self._at(t, "momentum", self.momentum, DECAY_INTERVAL)
        self.net.ops.momentum(theta, g, self.state["u"], lr=lr, momentum=momentum, nesterov=self.nesterov)


class RMSProp(Optimizer):
    """v <- rho v + (1 - rho) g^2, theta <- theta - lr g / (sqrt(v) + eps)   (Tieleman and Hinton 2012, lecture 6.5).

    v starts at 0, without a bias correction.

    Parameters
    ----------
    net : Network
        The network whose theta is updated.
    lr : float or callable
        The learning rate, >= 0, or a schedule ``lr(t)``; 1e-3 as in Keras.
    rho : float
        The weight of the old v, in [0, 1); 0.9 as in the lecture and in Keras.  PyTorch calls it alpha
        and uses 0.99.
    eps : float
        >= 0, added outside the square root; 1e-8 by default, as in PyTorch.  Keras adds 1e-7 inside: sqrt(v + eps).
    clip : float, optional
        A bound c > 0 of the absolute values of theta after each step (`Optimizer`); None, the default, for none.

    Raises
    ------
    ValueError
        If a hyper-parameter is outside its range or not a number.

    """

    def __init__(
        self, net: Network, *, lr: Schedule = 1e-3, rho: float = 0.9, eps: float = 1e-8, clip: float | None = None
    ) -> None:
        super().__init__(net, lr=lr, clip=clip)
        self.rho = rho
        self.eps = eps
        self.state = {"v": net.zeros_like_theta()}

    def _update(self, theta: Array, g: Array, t: int) -> None:
        lr = self._at(t, "lr", self.lr, NON_NEGATIVE_INTERVAL)
        self.net.ops.rmsprop(theta, g, self.state["v"], lr=lr, rho=self.rho, eps=self.eps)


class Adam(Optimizer):
    """Algorithm 1 of Kingma and Ba 2015.  Both moments are bias-corrected, and eps is added outside the square root.

    m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2,
    theta <- theta - lr m_hat / (sqrt(v_hat) + eps),  m_hat = m / (1 - beta1^t),  v_hat = v / (1 - beta2^t).

    The bias corrections are computed in float64, so that in float32 a step from given m and v has a relative error of
    at most 1e-6, even at t = 10^7.  m and v have the network's dtype: in float32, a relative change of v below 6e-8
    (half a unit in the last place) is lost.  Use float64 for beta2 > 1 - 1e-6.

    Parameters
    ----------
    net : Network
        The network whose theta is updated.
    lr : float or callable
        The learning rate, >= 0, or a schedule ``lr(t)``; 1e-3 as in the paper.  GANs often use 2e-4.
    beta1, beta2 : float
        The weights of the old m and v, in [0, 1); 0.9 and 0.999 as in the paper.  DCGAN uses beta1 = 0.5.
    eps : float
        >= 0, added outside the square root; 1e-8 as in the paper and in PyTorch.  Keras uses 1e-7.
    clip : float, optional
        A bound c > 0 of the absolute values of theta after each step (`Optimizer`); None, the default, for none.

    Raises
    ------
    ValueError
        If a hyper-parameter is outside its range or not a number.

    Examples
    --------
    >>> import numpy as np, minigan as mg
    >>> net = mg.Network([mg.Dense(2, 1)], rng=np.random.default_rng(0))
    >>> Adam(net, lr=2e-4, beta1=0.5)
    Adam(lr=0.0002, beta1=0.5, beta2=0.999, eps=1e-08, t=0, parameters=3)

    """

    def __init__(
        self,
        net: Network,
        *,
        lr: Schedule = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        clip: float | None = None,
    ) -> None:
        super().__init__(net, lr=lr, clip=clip)
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps
        self.state = {"m": net.zeros_like_theta(), "v": net.zeros_like_theta()}

    def _update(self, theta: Array, g: Array, t: int) -> None:
        self.net.ops.adam(
            theta, g, self.state["m"], self.state["v"], t,
            lr=self._at(t, "lr", self.lr, NON_NEGATIVE_INTERVAL), beta1=self.beta1, beta2=self.beta2, eps=self.eps,
        )  # fmt: skip
