"""The numbers that the optimizers compute on the host for each update (Adam's t, scheduled rates), given to a graph.

A kernel of the graph reads the numbers of its update from a row of an array; before each replay the rows are computed
as ever, by the optimizers themselves, and copied.  So a replay has the same numbers as the step by step, bit for bit.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.ops.cuda.device.graph import CaptureError

WIDTH = 2
"""Numbers of an update, at most."""
OWN = "minigan.optimizers"


class Updates:
    """The updates of all players in one iteration: `steps` (K,) of each optimizer, its rows one after the other.

    In the place of ``ops.flat.updates`` it is told of each update: while a graph is captured it says which row the
    kernel is to read, and while numbers are collected it takes them, and no kernel is run.
    """

    def __init__(self, device: Any, flat: Any, optimizers: list[Any], steps: list[int]) -> None:
        for optimizer in optimizers:
            if type(optimizer).__module__ != OWN:
                kind = type(optimizer).__name__
                raise CaptureError(f"{kind} may depend on its step in a way of its own; accepted: those of {OWN}")
        self._flat, self._optimizers, self._steps = flat, optimizers, steps
        self._rows = device.array(np.zeros((max(1, sum(steps)), WIDTH)))
        ends = np.cumsum(steps).tolist()
        self._next = {id(o.net.theta): end - n for o, end, n in zip(optimizers, ends, steps, strict=True)}
        self._end = {id(o.net.theta): end for o, end in zip(optimizers, ends, strict=True)}
        self._collected: list[tuple[float, ...]] | None = None

    def place(self, theta: Any, numbers: tuple[float, ...]) -> Any:
        """Return the row (WIDTH,) of the device for this update of theta, or None where it is not to be made."""
        if self._collected is not None:
            self._collected.append(numbers)
            return None
        row = self._next.get(id(theta))
        if row is None or row >= self._end[id(theta)]:
            raise CaptureError("an update that the iteration before did not make")
        self._next[id(theta)] += 1
        return self._rows[row]

    def give(self) -> None:
        """Compute the numbers of the next iteration's updates, and copy them."""
        self._rows.set(self._numbers())

    def _numbers(self) -> NDArray[np.float64]:
        table, self._collected, before = [], [], self._flat.updates
        self._flat.updates = self
        try:
            for optimizer, n in zip(self._optimizers, self._steps, strict=True):
                for t in range(optimizer.t + 1, optimizer.t + n + 1):
                    optimizer._update(optimizer.net.theta, None, t)
            table = [(*numbers, *(WIDTH - len(numbers)) * (0.0,)) for numbers in self._collected]
        finally:
            self._flat.updates, self._collected = before, None
        return np.array(table).reshape(self._rows.shape) if table else np.zeros(self._rows.shape)
