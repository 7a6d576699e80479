"""Supply a CUDA graph with the step-dependent scalars of each optimizer update: rates and Adam's bias corrections.

Each update kernel of the graph reads its scalars from one row of a table on the device.  Before each replay the
optimizers compute the table on the host, and it is copied.  So a replay uses the same scalars, bit for bit, as a step
without a graph.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.ops.cuda.device.graph import CaptureError

MAX_SCALARS_PER_UPDATE = 3
"""The length of a table row: the most step-dependent scalars that one optimizer update uses."""
OPTIMIZERS_MODULE = "minigan.optimizers"


class UpdateScalars:
    """The step-dependent scalars of all updates in one iteration.

    While this object is ``ops.flat.update_scalars``, every update calls `next_row`: during capture, it returns the row
    that the kernel reads; during collection, it records the scalars and nothing is launched.

    Parameters
    ----------
    device : Device
        Where the rows are.
    flat : minigan.ops.cuda.vector.Flat
        The backend's optimizer updates.
    optimizers : list
        The players' optimizers, each from `minigan.optimizers`.
    updates_per_iteration : list of int
        How many steps each optimizer makes in one iteration, each of which is an update for every slice of theta that
        has settings of its own; the rows of an optimizer are consecutive.

    Raises
    ------
    CaptureError
        If an optimizer is not from `minigan.optimizers`: it might use its step number elsewhere.

    """

    def __init__(self, device: Any, flat: Any, optimizers: list[Any], updates_per_iteration: list[int]) -> None:
        for optimizer in optimizers:
            if not type(optimizer).__module__.startswith(f"{OPTIMIZERS_MODULE}."):
                kind = type(optimizer).__name__
                raise CaptureError(
                    f"{kind} may use its step number in other ways; expected an optimizer of {OPTIMIZERS_MODULE}"
                )
        self._flat, self._optimizers, self._updates_per_iteration = flat, optimizers, updates_per_iteration
        rows = [n * one.updates_per_step for n, one in zip(updates_per_iteration, optimizers, strict=True)]
        self._table = device.array(np.zeros((max(1, sum(rows)), MAX_SCALARS_PER_UPDATE)))
        self._end_row = np.cumsum(rows).tolist()
        self._next_row = [end - n for end, n in zip(self._end_row, rows, strict=True)]
        self._collected: list[tuple[float, ...]] | None = None

    def next_row(self, theta: Any, scalars: tuple[float, ...]) -> Any:
        """Return the row for this update of theta and move on to the next, or record the scalars during collection.

        Parameters
        ----------
        theta : array of the device
            The parameter vector that is updated, (P,), or a slice of it.
        scalars : tuple of float
            What the optimizer computed for this step, at most MAX_SCALARS_PER_UPDATE numbers.

        Returns
        -------
        (MAX_SCALARS_PER_UPDATE,) float64 array of the device or None
            The row that the kernel reads, or None during collection, when nothing must be launched.

        Raises
        ------
        CaptureError
            If theta has been updated as often as in the recorded iteration.

        """
        if self._collected is not None:
            self._collected.append(scalars)
            return None
        owner = self._owner(theta)
        if owner is None or self._next_row[owner] >= self._end_row[owner]:
            n = 0 if owner is None else self._updates_per_iteration[owner]
            raise CaptureError(f"this iteration updates theta more often than the recorded one ({n} times)")
        self._next_row[owner] += 1
        return self._table[self._next_row[owner] - 1]

    def _owner(self, theta: Any) -> int | None:
        """Return the index of the optimizer whose parameter vector is theta or contains it; None if there is none."""
        wholes = [optimizer.net.theta for optimizer in self._optimizers]
        for i, whole in enumerate(wholes):
            if whole is theta:
                return i
        for i, whole in enumerate(wholes):
            if 0 <= theta.data.ptr - whole.data.ptr < whole.nbytes:
                return i
        return None

    def upload(self) -> None:
        """Compute the scalars of the next iteration's updates and copy them to the device."""
        self._table.set(self._collect())

    def _collect(self) -> NDArray[np.float64]:
        """Return the table of the next iteration's scalars: one row for each update."""
        table, self._collected, active_before = [], [], self._flat.update_scalars
        self._flat.update_scalars = self
        try:
            for optimizer, n in zip(self._optimizers, self._updates_per_iteration, strict=True):
                for t in range(optimizer.t + 1, optimizer.t + n + 1):
                    optimizer._update(optimizer.net.theta, optimizer.net.theta, t)  # any vector: nothing is launched
            table = [(*scalars, *(MAX_SCALARS_PER_UPDATE - len(scalars)) * (0.0,)) for scalars in self._collected]
        finally:
            self._flat.update_scalars, self._collected = active_before, None
        return np.array(table).reshape(self._table.shape) if table else np.zeros(self._table.shape)
