"""Batches: an array (N, ...), or a tuple of arrays with the same N, such as examples and labels."""

from collections.abc import Callable
from typing import Any

Batch = Any  # an array, or a tuple of arrays


class TransformedDraw:
    """A draw in two steps, ``prepare(draw())``, which a backend may run in different places.

    This is the base class of `minigan.data.Transformed`.  It is defined here so that the backends, which `minigan.data`
    depends on, can recognise such a draw by ``isinstance``.

    Parameters
    ----------
    draw : callable
        ``draw()`` returns a batch: an array (n, ...) or a tuple of arrays.
    prepare : callable
        Takes what `draw` returned and returns the transformed batch.

    """

    def __init__(self, draw: Callable[[], Batch], prepare: Callable[[Batch], Batch]) -> None:
        self.draw, self.prepare = draw, prepare

    def __call__(self) -> Batch:
        """Return the next batch, transformed."""
        return self.prepare(self.draw())


def map_batch(function: Callable[[Any], Any], batch: Batch) -> Batch:
    """Return `function` of the array, or the tuple of `function` of each array.

    >>> map_batch(len, ([1, 2], [3]))
    (2, 1)
    """
    return tuple(map(function, batch)) if isinstance(batch, tuple) else function(batch)


def take(batch: Batch, index: Any) -> Batch:
    """Return ``array[index]`` of the array, or of each array of a tuple."""
    return map_batch(lambda array: array[index], batch)


def arrays_of(batch: Batch) -> tuple[Any, ...]:
    """Return the arrays of a batch as a tuple, also if there is only one."""
    return batch if isinstance(batch, tuple) else (batch,)


def examples_in(name: str, batch: Batch) -> int:
    """Return N, the number of examples.

    Parameters
    ----------
    name : str
        The name of the batch in errors.
    batch : array or tuple of array
        An array (N, ...) or a non-empty tuple of arrays (N, ...).

    Raises
    ------
    ValueError
        If the tuple is empty or its arrays differ in N.

    """
    lengths = [len(array) for array in arrays_of(batch)]
    if len(set(lengths)) != 1:
        raise ValueError(f"{name} is a tuple of arrays with {lengths} examples; expected arrays of equal length")
    return lengths[0]
