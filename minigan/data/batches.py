"""Batches of an array or of a tuple of arrays, drawn from an explicit random stream; each row is an example."""

from typing import Any

import numpy as np

from minigan._batch import Batch, TransformedDraw, examples_in, take
from minigan._names import ConfigError


def _require(data: Batch, n: int) -> None:
    examples = examples_in("data", data)
    if not 1 <= n <= examples:
        raise ConfigError(f"batch_size must be in 1 ... {examples} (the number of examples), got {n!r}")


class Transformed(TransformedDraw):
    """Batches that are transformed after they are drawn: each call returns ``prepare(draw())``.

    With a GPU, the batch is drawn on the host and copied to the device (as bytes, for example), and transformed there.

    Parameters
    ----------
    draw : callable
        ``draw()`` returns an array (n, ...) or a tuple of arrays.
    prepare : callable
        A function of the result of `draw`.  It must use only operators and array methods, which every array module has.

    """


class RandomBatches:
    """Batches of examples drawn at random, each independently of the earlier ones.

    Parameters
    ----------
    data : array, or tuple of arrays
        N examples along the first axis; a tuple contains, for example, images and labels.
    n : int
        Examples per batch, in 1 ... N.
    rng : numpy.random.Generator
        The random stream.
    replace : bool
        Whether a batch may contain an example more than once; by default its examples are distinct.

    Raises
    ------
    ConfigError
        If n is outside its range.

    """

    def __init__(self, data: Batch, n: int, rng: np.random.Generator, *, replace: bool = False) -> None:
        _require(data, n)
        self.data, self.n, self.rng, self.replace = data, n, rng, replace

    def __call__(self) -> Batch:
        """Return the next batch (n, ...): an array, or a tuple of arrays if the data are one."""
        chosen = self.rng.choice(examples_in("data", self.data), self.n, replace=self.replace, shuffle=False)
        return take(self.data, chosen)


class EpochBatches:
    """Batches that run through all examples in a new random order in each epoch, without an incomplete last batch.

    Parameters
    ----------
    data : array, or tuple of arrays
        N examples along the first axis; a tuple contains, for example, images and labels.
    n : int
        Examples per batch, in 1 ... N.
    rng : numpy.random.Generator
        The random stream.

    Raises
    ------
    ConfigError
        If n is outside its range.

    """

    def __init__(self, data: Batch, n: int, rng: np.random.Generator) -> None:
        _require(data, n)
        self.data, self.n, self.rng = data, n, rng
        self.order = np.empty(0, dtype=np.int64)
        self.position = 0

    @property
    def batches_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return examples_in("data", self.data) // self.n

    def state(self) -> dict[str, Any]:
        """Return the order of this epoch and the position in it, for a checkpoint (the stream has its own state)."""
        return {"order": self.order, "position": self.position}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the position that `state` returned; raise ValueError if it belongs to another data set."""
        examples = examples_in("data", self.data)
        if len(state["order"]) not in (0, examples):
            raise ValueError(f"the order is of {len(state['order'])} examples; expected {examples}")
        self.order, self.position = state["order"], state["position"]

    def __call__(self) -> Batch:
        """Return the next batch (n, ...): an array, or a tuple of arrays if the data are one."""
        if self.position + self.n > len(self.order):
            self.order, self.position = self.rng.permutation(examples_in("data", self.data)), 0
        chosen = self.order[self.position : self.position + self.n]
        self.position += self.n
        return take(self.data, chosen)
