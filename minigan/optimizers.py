"""Optimizers over the flat parameter vector: ``optimizer.step(g)`` moves theta against g and raises net.version.

A learning rate (or momentum) is a number or a schedule, a function of the step t = 1, 2, ...  Numbers are checked at
once; what a schedule gives is checked at its step.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from minigan._arguments import number, scalar, size
from minigan._checks import is_apart, owns_memory, require_apart, require_flags
from minigan._views import castable
from minigan.network import Network
from minigan.ops.protocol import Array

Schedule = float | Callable[[int], float]


RATE, SHARE = "[0, inf)", "[0, 1)"  # the intervals of lr and eps, and of the weights of moving averages


def _constant(net: Network, name: str, value: object, accepted: str) -> float:
    return scalar(number(name, value, accepted), net.dtype)


def _schedule(net: Network, name: str, value: Schedule, accepted: str) -> Schedule:
    return value if callable(value) else _constant(net, name, value, accepted)


class Optimizer:
    """t counts the steps; `state` names the vectors that a checkpoint needs.

    Rates and weights may be changed between steps (``adam.lr = 1e-4``); they are checked whenever they are set.
    """

    lr: Schedule
    _intervals: ClassVar[dict[str, str]] = {"lr": RATE, "momentum": SHARE}
    """Where the attributes lie that may be schedules."""
    _constants: ClassVar[dict[str, str]] = {"rho": SHARE, "beta1": SHARE, "beta2": SHARE, "eps": RATE}
    """Where those lie that are numbers."""

    def __init__(self, net: Network, *, lr: Schedule) -> None:
        self.net = net
        self.lr = lr
        self.t = 0
        self.state: dict[str, Array] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; ValueError or TypeError where a rate, a weight or t is given what it cannot be."""
        if name in self._intervals:
            value = _schedule(self.net, name, value, self._intervals[name])
        elif name in self._constants:
            value = _constant(self.net, name, value, self._constants[name])
        elif name == "t":
            value = size(name, value, low=0)
        elif name == "nesterov":
            require_flags(nesterov=value)
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        shown = [name for name in (*self._intervals, "nesterov", *self._constants, "t") if hasattr(self, name)]
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__name__}({values}, parameters={self.net.theta.size})"

    def step(self, g: Array) -> None:
        """Move theta by one step.    g (P,), dL/dtheta.  What does not fit is refused before anything has moved."""
        theta = self.net.theta
        if not is_apart(g, theta):
            self.net.check_vector("g", g)
            if not castable(g.dtype, self.net.dtype):
                raise TypeError(f"g is {g.dtype} but the network is {self.net.dtype}; expected {self.net.dtype}")
            require_apart("g", g, "theta", theta)
        for name, vector in self.state.items():
            if g is vector or not owns_memory(g):
                require_apart("g", g, f"state[{name!r}]", vector)
        self._update(theta, g, self.t + 1)
        object.__setattr__(self, "t", self.t + 1)  # a number that needs no check
        self.net.mark_modified()

    def _update(self, theta: Array, g: Array, t: int) -> None:
        """Move theta, and the vectors of `state`, in place; t = 1, 2, ..."""
        raise NotImplementedError(f"{type(self).__name__} does not define _update")

    def _at(self, t: int, name: str, value: Schedule, accepted: str) -> float:
        """Return the value at step t; what a schedule gives is checked here, before anything has moved."""
        return _constant(self.net, f"{name}({t})", value(t), accepted) if callable(value) else value


class SGD(Optimizer):
    """Gradient descent, u <- momentum u - lr g, theta <- theta + u.

    `nesterov`: theta <- theta + momentum u - lr g (Sutskever et al. 2013, eq. 3-4, written at
    the look-ahead point, as Keras does).
    """

    def __init__(self, net: Network, *, lr: Schedule, momentum: Schedule = 0.0, nesterov: bool = False) -> None:
        super().__init__(net, lr=lr)
        self.momentum: Schedule = momentum
        self.nesterov = nesterov
        self.state = {"u": net.zeros_like_theta()}

    def _update(self, theta: Array, g: Array, t: int) -> None:
        lr = self._at(t, "lr", self.lr, RATE)
        momentum = self._at(t, "momentum", self.momentum, SHARE)
        self.net.ops.momentum(theta, g, self.state["u"], lr=lr, momentum=momentum, nesterov=self.nesterov)


class RMSProp(Optimizer):
    """v <- rho v + (1 - rho) g^2, theta <- theta - lr g / (sqrt(v) + eps)   (Tieleman and Hinton 2012, lecture 6.5).

    eps is outside the square root and 1e-8, as in PyTorch; Keras has 1e-7, inside: sqrt(v + eps).  rho is 0.9 in the
    lecture and in Keras; PyTorch calls it alpha, 0.99.  v starts at 0, without a bias correction.
    """

    def __init__(self, net: Network, *, lr: Schedule = 1e-3, rho: float = 0.9, eps: float = 1e-8) -> None:
        super().__init__(net, lr=lr)
        self.rho = rho
        self.eps = eps
        self.state = {"v": net.zeros_like_theta()}

    def _update(self, theta: Array, g: Array, t: int) -> None:
        lr = self._at(t, "lr", self.lr, RATE)
        self.net.ops.rmsprop(theta, g, self.state["v"], lr=lr, rho=self.rho, eps=self.eps)


class Adam(Optimizer):
    """Algorithm 1 of Kingma and Ba 2015: eps outside the square root, both moments bias-corrected first.

    m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2,
    theta <- theta - lr m_hat / (sqrt(v_hat) + eps),  m_hat = m / (1 - beta1^t),  v_hat = v / (1 - beta2^t).

    eps is 1e-8 in the paper and in PyTorch, 1e-7 in Keras.

    The bias corrections are computed in float64; a step from given m and v is within 1e-6 of itself in float32, also at
    t = 10^7.  But m and v keep the network's dtype: in float32, v follows changes of g^2 by no less than half a unit in
    its last place, 6e-8 of v, in a step, so that with beta2 > 1 - 1e-6 it hardly follows any: use float64 there.
    """

    def __init__(
        self,
        net: Network,
        *,
        lr: Schedule = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(net, lr=lr)
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps
        self.state = {"m": net.zeros_like_theta(), "v": net.zeros_like_theta()}

    def _update(self, theta: Array, g: Array, t: int) -> None:
        self.net.ops.adam(
            theta, g, self.state["m"], self.state["v"], t,
            lr=self._at(t, "lr", self.lr, RATE), beta1=self.beta1, beta2=self.beta2, eps=self.eps,
        )  # fmt: skip
