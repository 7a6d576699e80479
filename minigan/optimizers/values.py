"""Hyper-parameters of optimizers: their intervals, and numbers that may be schedules."""

from collections.abc import Callable

from minigan._arguments import number, scalar
from minigan.network import Network

Schedule = float | Callable[[int], float]
"""A number, or a function of the step t = 1, 2, ..."""

NON_NEGATIVE_INTERVAL = "[0, inf)"
"""The interval of lr, eps and weight_decay."""
POSITIVE_INTERVAL = "(0, inf)"
"""The interval of clip and clip_norm."""
DECAY_INTERVAL = "[0, 1)"
"""The interval of momentum, rho, beta1 and beta2, the weights of the old value in a moving average."""


def constant(net: Network, name: str, value: object, interval: str) -> float:
    """Return a number in an interval for arithmetic in the network's dtype; otherwise raise ValueError."""
    return scalar(number(name, value, interval), net.dtype)


def schedule(net: Network, name: str, value: Schedule, interval: str) -> Schedule:
    """Return a schedule unchanged, and a number as `constant` does."""
    return value if callable(value) else constant(net, name, value, interval)


def at_step(net: Network, t: int, name: str, value: Schedule, interval: str) -> float:
    """Return the value at step t; the value of a schedule is checked here, before anything changes."""
    return constant(net, f"{name}({t})", value(t), interval) if callable(value) else value


def bound(net: Network, name: str, value: object) -> float | None:
    """Return a bound > 0, or None."""
    return None if value is None else constant(net, name, value, POSITIVE_INTERVAL)
