"""Give a graph the numbers that the optimizers compute on the host for each update (Adam's corrections, rates).

Each update kernel of the graph reads its numbers from one row of an array on the device.  Before each replay the
optimizers compute the rows, and they are copied.  So a replay uses the same numbers, bit for bit, as without a graph.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.ops.cuda.device.graph import CaptureError

NUMBERS_PER_UPDATE = 2
"""Numbers in a row: the most that one update needs."""
OPTIMIZERS_MODULE = "minigan.optimizers"


class Updates:
    """The numbers of all updates in one iteration.

    While this object is ``ops.flat.updates``, every update calls `row`: during capture, it returns the row that the
    kernel reads; during collection, it records the numbers and nothing is launched.

    Parameters
    ----------
    device : Device
        Where the rows are.
    flat : minigan.ops.cuda.vector.Flat
        The backend's updates.
    optimizers : list
        The players' optimizers, each from `minigan.optimizers`.
    steps : list of int
        How many updates each optimizer makes in one iteration; its rows are consecutive.

    Raises
    ------
    CaptureError
        If an optimizer is not from `minigan.optimizers`: it might use its step number elsewhere.

    """

    def __init__(self, device: Any, flat: Any, optimizers: list[Any], steps: list[int]) -> None:
        for optimizer in optimizers:
            if type(optimizer).__module__ != OPTIMIZERS_MODULE:
                kind = type(optimizer).__name__
                raise CaptureError(
                    f"{kind} may use its step number in other ways; expected an optimizer of {OPTIMIZERS_MODULE}"
                )
        self._flat, self._optimizers, self._steps = flat, optimizers, steps
        self._rows = device.array(np.zeros((max(1, sum(steps)), NUMBERS_PER_UPDATE)))
        end_rows = np.cumsum(steps).tolist()
        self._next_row = {id(o.net.theta): end - n for o, end, n in zip(optimizers, end_rows, steps, strict=True)}
        self._end_row = {id(o.net.theta): end for o, end in zip(optimizers, end_rows, strict=True)}
        self._collected: list[tuple[float, ...]] | None = None

    def row(self, theta: Any, numbers: tuple[float, ...]) -> Any:
        """Return the row for this update of theta, or record its numbers during collection.

        Parameters
        ----------
        theta : (P,) array of the device
            The parameter vector that is updated.
        numbers : tuple of float
            The numbers that the optimizer computed, at most NUMBERS_PER_UPDATE.

        Returns
        -------
        (NUMBERS_PER_UPDATE,) float64 array of the device or None
            The row that the kernel reads, or None during collection, when nothing must be launched.

        Raises
        ------
        CaptureError
            If the recorded iteration did not make this update.

        """
        if self._collected is not None:
            self._collected.append(numbers)
            return None
        next_row = self._next_row.get(id(theta))
        if next_row is None or next_row >= self._end_row[id(theta)]:
            raise CaptureError("an update that the previous iteration did not make")
        self._next_row[id(theta)] += 1
        return self._rows[next_row]

    def upload(self) -> None:
        """Compute the numbers of the next iteration's updates and copy them to the device."""
        self._rows.set(self._collect())

    def _collect(self) -> NDArray[np.float64]:
        """Return the numbers of the next iteration's updates, a row for each."""
        table, self._collected, updates_before = [], [], self._flat.updates
        self._flat.updates = self
        try:
            for optimizer, n in zip(self._optimizers, self._steps, strict=True):
                for t in range(optimizer.t + 1, optimizer.t + n + 1):
                    optimizer._update(optimizer.net.theta, None, t)
            table = [(*numbers, *(NUMBERS_PER_UPDATE - len(numbers)) * (0.0,)) for numbers in self._collected]
        finally:
            self._flat.updates, self._collected = updates_before, None
        return np.array(table).reshape(self._rows.shape) if table else np.zeros(self._rows.shape)
