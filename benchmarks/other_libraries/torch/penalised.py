"""`mnist-fast` in PyTorch: a lazy gradient penalty by a double backward, a learning rate that falls to 0, an average of G."""

import copy
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.other_libraries.torch.games import Game
from minigan.training.average import SLOW_START


class PenalisedGame(Game):
    """The game of `mnist-fast`; `play` runs one iteration, and then moves the average of G.

    The penalty is part of every `penalty_every`-th update of D, whose pass on the real images it shares.  Its gradient
    needs a graph of the backward pass, which torch.compile cannot make; so in these updates D always runs eagerly.

    Parameters
    ----------
    arguments
        Those of `Game`.

    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.t = 0
        self.rates = [copy.copy(one.lr) for one in (self.gan.optimizer_G, self.gan.optimizer_D)]
        G = self.networks[0]
        self.current = [*(p.detach() for p in G.parameters()), *(b for b in G.buffers() if b.is_floating_point())]
        self.average = [tensor.clone() for tensor in self.current]
