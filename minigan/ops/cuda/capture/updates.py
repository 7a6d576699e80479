"""Supply a CUDA graph with the step-dependent scalars of each optimizer update: rates and Adam's bias corrections.

Each update kernel of the graph reads its scalars from one row of a table on the device.  Before each replay the
optimizers compute the table on the host, and it is copied.  So a replay uses the same scalars, bit for bit, as a step
without a graph.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.ops.cuda.device.graph import CaptureError

MAX_SCALARS_PER_UPDATE = 2
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
        How many updates each optimizer makes in one iteration; its rows are consecutive.

    Raises
    ------
    CaptureError
        If an optimizer is not from `minigan.optimizers`: it might use its step number elsewhere.

    """

    def __init__(self, device: Any, flat: Any, optimizers: list[Any], updates_per_iteration: list[int]) -> None:
        for optimizer in optimizers:
            if type(optimizer).__module__ != OPTIMIZERS_MODULE:
                kind = type(optimizer).__name__
                raise CaptureError(
                    f"{kind} may use its step number in other ways; expected an optimizer of {OPTIMIZERS_MODULE}"
                )
        self._flat, self._optimizers, self._updates_per_iteration = flat, optimizers, updates_per_iteration
        self._table = device.array(np.zeros((max(1, sum(updates_per_iteration)), MAX_SCALARS_PER_UPDATE)))
        end_rows = np.cumsum(updates_per_iteration).tolist()
        thetas = [id(optimizer.net.theta) for optimizer in optimizers]
        self._recorded_updates = dict(zip(thetas, updates_per_iteration, strict=True))
        self._end_row = dict(zip(thetas, end_rows, strict=True))
        self._next_row = {theta: end - self._recorded_updates[theta] for theta, end in self._end_row.items()}
        self._collected: list[tuple[float, ...]] | None = None

    def next_row(self, theta: Any, scalars: tuple[float, ...]) -> Any:
        """Return the row for this update of theta and move on to the next, or record the scalars during collection.

        Parameters
        ----------
        theta : (P,) array of the device
            The parameter vector that is updated.
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
        next_row = self._next_row.get(id(theta))
        if next_row is None or next_row >= self._end_row[id(theta)]:
            n = self._recorded_updates.get(id(theta), 0)
            raise CaptureError(f"this iteration updates theta more often than the recorded one ({n} times)")
        self._next_row[id(theta)] += 1
        return self._table[next_row]

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
                    optimizer._update(optimizer.net.theta, None, t)
            table = [(*scalars, *(MAX_SCALARS_PER_UPDATE - len(scalars)) * (0.0,)) for scalars in self._collected]
        finally:
            self._flat.update_scalars, self._collected = active_before, None
        return np.array(table).reshape(self._table.shape) if table else np.zeros(self._table.shape)
