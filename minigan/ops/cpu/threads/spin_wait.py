"""How the pool's threads wait where numba is installed: they poll for a while before they sleep."""

import numpy as np

from minigan.ops.cpu.threads.pool import COMPLETED_INDEX, SUBMITTED_INDEX, Counts, SleepWait, pool
from minigan.ops.cpu.threads.team import MAILBOX_SIZE, listen, poll, wait_until_listening

MAX_SPINS = 1_500_000
"""How many times a thread reads the counter before it sleeps: about 1 ms, because between two convolutions there are
up to 0.5 ms of work for one thread."""
SPINS_AFTER_A_TASK = 3_000
"""How many times a caller looks whether the workers poll, before it wakes them: about the time that they take from the
end of a task until they poll again."""


class SpinWait(SleepWait):
    """Poll the worker's counts without the interpreter's lock; a worker also joins teams meanwhile."""

    def __init__(self) -> None:
        # Compile the kernels here, in the thread that creates the backend, not in a worker that waits.
        counts, mailbox = np.zeros(16, np.int64), np.zeros(MAILBOX_SIZE, np.int64)
        poll(counts, 0, 0, 1)
        listen(counts, 0, 0, 1, mailbox)

    def wait_in_worker(self, counts: Counts, seen: int, mailbox: Counts) -> None:
        """Poll for a task, and call what is posted in the mailbox meanwhile."""
        listen(counts, SUBMITTED_INDEX, seen, MAX_SPINS, mailbox)

    def wait_in_caller(self, counts: Counts, seen: int) -> None:
        """Poll for the end of a task."""
        poll(counts, COMPLETED_INDEX, seen, MAX_SPINS)

    def team(self, threads: int) -> Counts:
        """Return the mailboxes of a team of so many threads, the caller included; wake those that sleep.

        Parameters
        ----------
        threads
            The most threads of the team.

        Returns
        -------
        array
            The addresses of the mailboxes; empty within a part of a job.

        """
        mailboxes = pool.mailboxes(threads - 1)
        if len(mailboxes) and not wait_until_listening(mailboxes, SPINS_AFTER_A_TASK):
            pool.parallel_for(_do_nothing, threads, threads, self)
            wait_until_listening(mailboxes, MAX_SPINS)  # without the interpreter's lock, which the workers need now
        return mailboxes


def _do_nothing(_: int) -> None:
    """Do nothing: a worker polls after a task, whatever the task was."""
