"""Adam with the settings of a recipe."""

from typing import Any

from minigan.network import Network
from minigan.optimizers import Adam, Schedule


def adam(net: Network, config: Any, *, lr: Schedule | None = None, clip: float | None = None) -> Adam:
    """Return Adam with the settings of a recipe's configuration.

    Parameters
    ----------
    net : Network
        The network whose theta is updated.
    config : Config
        The hyper-parameters, with `beta1`, `beta2` and `eps`, and `lr` unless it is given.
    lr : float or callable, optional
        The learning rate, or a schedule ``lr(t)``; by default ``config.lr``.
    clip : float, optional
        The bound of the absolute values of theta, by default none.

    Returns
    -------
    Adam
        The optimizer, before its first step.

    """
    return Adam(
        net,
        lr=config.lr if lr is None else lr,
        beta1=config.beta1,
        beta2=config.beta2,
        eps=config.eps,
        clip=clip,
    )
