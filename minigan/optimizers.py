"""Optimizers over the flat parameter vector: ``optimizer.step(g)`` moves theta against g and raises net.version.

A learning rate (or momentum) is a number or a schedule, a function of the step t = 1, 2, ...
"""

from collections.abc import Callable

from minigan.layers.base import ShapeError
from minigan.network import Network
from minigan.ops import Array

Schedule = float | Callable[[int], float]


def _at(schedule: Schedule, t: int) -> float:
    return schedule(t) if callable(schedule) else schedule


def _require(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, (int, float)) and not low <= value < high:
        raise ValueError(f"{name} must be in [{low:g}, {high:g}), got {value!r}")


class Optimizer:
    """t counts the steps; `state` names the vectors that a checkpoint needs."""

    def __init__(self, net: Network, *, lr: Schedule) -> None:
        _require("lr", lr, 0, float("inf"))
        self.net = net
        self.lr = lr
        self.t = 0
        self.state: dict[str, Array] = {}

    def step(self, g: Array) -> None:
        """Move theta by one step.    g (P,), dL/dtheta"""
        if g.shape != self.net.theta.shape:
            raise ShapeError(f"g has shape {g.shape}; accepted: {self.net.theta.shape}, the shape of theta")
        self.t += 1
        self._update(self.net.theta, g)
        self.net.touch()

    def _update(self, theta: Array, g: Array) -> None:
        raise TypeError(f"{type(self).__name__} does not define _update")


class SGD(Optimizer):
    """Gradient descent, u <- momentum u - lr g, theta <- theta + u.

    `nesterov`: theta <- theta + momentum u - lr g (Sutskever et al. 2013, eq. 3-4, written at
    the look-ahead point, as Keras does).
    """

    def __init__(self, net: Network, *, lr: Schedule, momentum: Schedule = 0.0, nesterov: bool = False) -> None:
        super().__init__(net, lr=lr)
        _require("momentum", momentum, 0, 1)
        self.momentum = momentum
        self.nesterov = nesterov
        self.state = {"u": net.zeros_like_theta()}

    def _update(self, theta: Array, g: Array) -> None:
        lr, momentum = _at(self.lr, self.t), _at(self.momentum, self.t)
        self.net.ops.momentum(theta, g, self.state["u"], lr=lr, momentum=momentum, nesterov=self.nesterov)


class RMSProp(Optimizer):
    """v <- rho v + (1 - rho) g^2, theta <- theta - lr g / (sqrt(v) + eps)   (Tieleman and Hinton 2012, lecture 6.5)."""

    def __init__(self, net: Network, *, lr: Schedule = 1e-3, rho: float = 0.9, eps: float = 1e-8) -> None:
        super().__init__(net, lr=lr)
        _require("rho", rho, 0, 1)
        _require("eps", eps, 0, float("inf"))
        self.rho, self.eps = rho, eps
        self.state = {"v": net.zeros_like_theta()}

    def _update(self, theta: Array, g: Array) -> None:
        self.net.ops.rmsprop(theta, g, self.state["v"], lr=_at(self.lr, self.t), rho=self.rho, eps=self.eps)


class Adam(Optimizer):
    """Algorithm 1 of Kingma and Ba 2015: eps outside the square root, both moments bias-corrected first.

    m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2,
    theta <- theta - lr m_hat / (sqrt(v_hat) + eps),  m_hat = m / (1 - beta1^t),  v_hat = v / (1 - beta2^t).

    eps is 1e-8 in the paper and in PyTorch, 1e-7 in Keras.
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
        _require("beta1", beta1, 0, 1)
        _require("beta2", beta2, 0, 1)
        _require("eps", eps, 0, float("inf"))
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.state = {"m": net.zeros_like_theta(), "v": net.zeros_like_theta()}

    def _update(self, theta: Array, g: Array) -> None:
        self.net.ops.adam(
            theta, g, self.state["m"], self.state["v"], self.t,
            lr=_at(self.lr, self.t), beta1=self.beta1, beta2=self.beta2, eps=self.eps,
        )  # fmt: skip
