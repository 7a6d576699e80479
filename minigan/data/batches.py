"""Batches of an array, drawn from an explicit random stream."""

import numpy as np

from minigan._names import SettingError
from minigan.ops import Array


def _require(data: Array, n: int) -> None:
    if not 1 <= n <= len(data):
        raise SettingError(f"batch_size must be in 1 ... {len(data)} (the number of examples), got {n!r}")


class RandomBatches:
    """Each batch: n distinct examples of all, independently of the batches before."""

    def __init__(self, data: Array, n: int, rng: np.random.Generator) -> None:
        _require(data, n)
        self.data, self.n, self.rng = data, n, rng

    def __call__(self) -> Array:
        """Return the next batch (n, ...)."""
        return self.data[self.rng.choice(len(self.data), self.n, replace=False, shuffle=False)]


class EpochBatches:
    """Each epoch: all examples once, in a new random order; an incomplete last batch is left out."""

    def __init__(self, data: Array, n: int, rng: np.random.Generator) -> None:
        _require(data, n)
        self.data, self.n, self.rng = data, n, rng
        self.order = np.empty(0, dtype=np.int64)
        self.position = 0

    @property
    def batches_per_epoch(self) -> int:
        """The number of whole batches in an epoch."""
        return len(self.data) // self.n

    def __call__(self) -> Array:
        """Return the next batch (n, ...)."""
        if self.position + self.n > len(self.order):
            self.order, self.position = self.rng.permutation(len(self.data)), 0
        batch = self.data[self.order[self.position : self.position + self.n]]
        self.position += self.n
        return batch
