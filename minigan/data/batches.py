"""Batches of an array, or of several with one example in each row (a tuple), drawn from an explicit random stream."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan._batch import Batch, examples_in, take
from minigan._names import ConfigError


def _require(data: Batch, n: int) -> None:
    examples = examples_in("data", data)
    if not 1 <= n <= examples:
        raise ConfigError(f"batch_size must be in 1 ... {examples} (the number of examples), got {n!r}")


class Transformed:
    """Batches as they are drawn, and what is made of each: ``prepare(draw())``.

    A backend with a device of its own draws on the host, moves what was drawn (bytes, perhaps) and prepares it there.
    So `prepare` uses operators and array methods alone, which every array module has.  Of a draw of several arrays it
    gets the tuple.
    """

    def __init__(self, draw: Callable[[], Batch], prepare: Callable[[Batch], Batch]) -> None:
        self.draw, self.prepare = draw, prepare

    def __call__(self) -> Batch:
        """Return the next batch, prepared."""
        return self.prepare(self.draw())


class RandomBatches:
    """Each batch: n examples of all, independently of the batches before; distinct ones unless `replace`.

    `data` is an array, or a tuple of arrays with one example in each row: examples and labels.
    """

    def __init__(self, data: Batch, n: int, rng: np.random.Generator, *, replace: bool = False) -> None:
        _require(data, n)
        self.data, self.n, self.rng, self.replace = data, n, rng, replace

    def __call__(self) -> Batch:
        """Return the next batch (n, ...), of a tuple of arrays a tuple."""
        chosen = self.rng.choice(examples_in("data", self.data), self.n, replace=self.replace, shuffle=False)
        return take(self.data, chosen)


class EpochBatches:
    """Each epoch: all examples once, in a new random order; an incomplete last batch is left out."""

    def __init__(self, data: Batch, n: int, rng: np.random.Generator) -> None:
        _require(data, n)
        self.data, self.n, self.rng = data, n, rng
        self.order = np.empty(0, dtype=np.int64)
        self.position = 0

    @property
    def batches_per_epoch(self) -> int:
        """The number of whole batches in an epoch."""
        return examples_in("data", self.data) // self.n

    def state(self) -> dict[str, Any]:
        """Return the order of this epoch and the position in it, for a checkpoint (the stream has its own state)."""
        return {"order": self.order, "position": self.position}

    def restore(self, state: dict[str, Any]) -> None:
        """Go to the position that `state` returned; ValueError where that was another data set's."""
        examples = examples_in("data", self.data)
        if len(state["order"]) not in (0, examples):
            raise ValueError(f"the order is of {len(state['order'])} examples; expected {examples}")
        self.order, self.position = state["order"], state["position"]

    def __call__(self) -> Batch:
        """Return the next batch (n, ...), of a tuple of arrays a tuple."""
        if self.position + self.n > len(self.order):
            self.order, self.position = self.rng.permutation(examples_in("data", self.data)), 0
        chosen = self.order[self.position : self.position + self.n]
        self.position += self.n
        return take(self.data, chosen)
