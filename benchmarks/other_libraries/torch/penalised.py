"""`mnist-fast` in PyTorch: a lazy gradient penalty by double backward, falling learning rates, and an average of G."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.cases.games import Case
from benchmarks.other_libraries.torch.games import Game
from benchmarks.other_libraries.torch.twin import state
from minigan.training.average import SLOW_START


class PenalisedGame(Game):
    """The game of `mnist-fast`; `play` runs one iteration, and then moves the average of G.

    As in minigan, both players share one pass of G and of D.  The penalty is part of every `penalty_every`-th update of
    D, and shares its pass on the real images.

    Parameters
    ----------
    case
        The recipe.
    options
        The options of `Game`.

    """

    def __init__(self, case: Case, **options: Any) -> None:
        super().__init__(case, **options)
        G = self.networks[0]
        self.t = 0
        self.current = [*(p.detach() for p in G.parameters()), *(b for b in G.buffers() if b.is_floating_point())]
        self.average = [tensor.clone() for tensor in self.current]

    def schedule(self, recipe: str) -> Callable[[], None]:
        """Return the function that runs an iteration."""
        return self._penalised

    def _penalised(self) -> None:
        due = self.gan.penalties if self.t % self.config.penalty_every == 0 else ()
        x_fake = self.G(self.noise(self.config.batch_size))
        x_real = self.real().requires_grad_(bool(due))
        s_real, s_fake = self.D(x_real), self.D(x_fake)
        d_cost = F.softplus(-s_real).mean() + F.softplus(s_fake).mean()
        for penalty in due:  # R1
            (v,) = torch.autograd.grad(s_real.sum(), x_real, create_graph=True)
            d_cost = d_cost + self.config.penalty_every * penalty.weight / 2 * v.square().sum() / len(v)
        G, D = (list(net.parameters()) for net in self.networks)
        self.optimizer_G.zero_grad()
        self.optimizer_D.zero_grad()
        F.softplus(-s_fake).mean().backward(retain_graph=True, inputs=G)
        d_cost.backward(inputs=D)
        self.optimizer_D.step()
        self.optimizer_G.step()
        self.t += 1
        b = min(self.config.ema, self.t / (self.t + SLOW_START))
        torch._foreach_lerp_(self.average, self.current, 1 - b)

    def average_difference(self, network: Any) -> float:
        """Return the largest absolute difference from minigan's averaged network."""
        G, shape = self.networks[0], self.shapes[0]
        names = [name for name, _ in G.named_parameters()]
        names += [name for name, buffer in G.named_buffers() if buffer.is_floating_point()]
        expected = state(network, shape, self.channels_last)
        differences = [
            np.abs(tensor.numpy() - expected[name]).max() for name, tensor in zip(names, self.average, strict=True)
        ]
        return float(np.max(differences))
