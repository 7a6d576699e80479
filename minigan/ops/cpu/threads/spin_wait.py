"""How the pool's threads wait where numba is there: they look for work for a while before they sleep."""

import numpy as np

from minigan.ops.cpu.threads.mailbox import changed, listen
from minigan.ops.cpu.threads.pool import DONE, ORDERED, Counts, SleepWait

SPIN_LIMIT = 300_000
"""How often a thread looks: two tenths of a millisecond."""


class SpinWait(SleepWait):
    """Compiled when it is made, not while a worker waits."""

    def __init__(self) -> None:
        counts, board = np.zeros(16, np.int64), np.zeros(24, np.int64)
        changed(counts, 0, 0, 1)
        listen(counts, 0, 0, 1, board)

    def worker(self, counts: Counts, served: int, board: Counts) -> None:
        """Look for an order, and at the board."""
        listen(counts, ORDERED, served, SPIN_LIMIT, board)

    def caller(self, counts: Counts, served: int) -> None:
        """Look for the end of an order."""
        changed(counts, DONE, served, SPIN_LIMIT)
