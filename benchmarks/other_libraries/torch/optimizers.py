"""PyTorch's optimizers with minigan's hyper-parameters and schedules."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def optimizer(net: nn.Module, minigan_optimizer: Any, *, fused: bool, **more: Any) -> Any:
    """Return the PyTorch optimizer that corresponds to minigan's.

    Parameters
    ----------
    net
        The module whose parameters it updates.
    minigan_optimizer
        minigan's optimizer.
    fused
        Whether to use PyTorch's fused implementation.
    more
        Further options of Adam.

    """
    if type(minigan_optimizer).__name__ != "Adam":
        return _SGD(net, minigan_optimizer, fused=fused)
    lr = minigan_optimizer.lr
    adam = torch.optim.Adam(
        net.parameters(),
        lr=lr(1) if callable(lr) else lr,
        betas=(minigan_optimizer.beta1, minigan_optimizer.beta2),
        eps=minigan_optimizer.eps,
        fused=fused or None,
        **more,
    )
    return _Scheduled(adam, lr) if callable(lr) else adam


class _Scheduled:
    """An optimizer with minigan's schedule of the learning rate.

    Parameters
    ----------
    optimizer
        PyTorch's optimizer.
    lr
        The learning rate of update t = 1, 2, ...

    """

    def __init__(self, optimizer: torch.optim.Optimizer, lr: Callable[[int], float]) -> None:
        self.optimizer, self.lr, self.t = optimizer, lr, 0
        self.zero_grad = optimizer.zero_grad

    def step(self) -> None:
        """Take one step."""
        self.t += 1
        self.optimizer.param_groups[0]["lr"] = self.lr(self.t)
        self.optimizer.step()


class _SGD:
    """Momentum descent with minigan's schedules of rate and momentum.

    minigan computes u <- momentum u - lr g, theta <- theta + u; PyTorch v <- nu v + g, theta <- theta - lr v.  Before a
    step u = -lr_before v, where lr_before is the previous rate, so they agree for nu = momentum lr_before / lr.
    """

    def __init__(self, net: nn.Module, minigan_optimizer: Any, *, fused: bool) -> None:
        self.minigan_optimizer, self.t = minigan_optimizer, 0
        self.sgd = torch.optim.SGD(
            net.parameters(), lr=minigan_optimizer.lr(1), momentum=minigan_optimizer.momentum(1), fused=fused or None
        )

    def step(self) -> None:
        """Take one step."""
        self.t += 1
        group = self.sgd.param_groups[0]
        lr = self.minigan_optimizer.lr(self.t)
        group["momentum"] = self.minigan_optimizer.momentum(self.t) * group["lr"] / lr
        group["lr"] = lr
        self.sgd.step()
