"""Worker processes that run in turns, each for the whole comparison.

A host's speed may change by a third within a minute, so turns of a second each are compared round by round.
A new process for each turn would spend most of it on imports and compilation.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from benchmarks.core import instructions
from benchmarks.core.measure import Unavailable

TURN_LIMIT_SECONDS = 120.0
"""The timeout of a turn."""
PAUSE_SECONDS = 0.02
"""The pause before a turn, in which the previous worker's threads fall asleep."""


class Worker:
    """A process ``python -m module --implementation NAME ... --serve``, which runs iterations on request.

    It is a context manager, which ends the process.

    Parameters
    ----------
    module, implementation, arguments
        The module, the name of the implementation and further arguments of the command.
    env
        Environment variables added to those of this process.
    timeout
        The limit in seconds until it is ready; None: no limit.

    Attributes
    ----------
    ready
        What it reports when it is ready: the seconds of its first iteration and its peak memory.

    Raises
    ------
    Unavailable
        If it is not ready within `timeout`.
    RuntimeError
        If it fails; the message has its errors.

    """

    def __init__(
        self,
        module: str,
        implementation: str,
        arguments: Sequence[str],
        *,
        env: dict[str, str],
        timeout: float | None = None,
    ) -> None:
        self._command = [sys.executable, "-m", module, "--implementation", implementation, *arguments, "--serve"]
        self._errors = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115  (`__exit__` closes it)
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, bufsize=1,
            env={**os.environ, **env},
        )  # fmt: skip
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.ready = self._answer(timeout)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def play(self, seconds: float) -> dict[str, Any]:
        """Run iterations for about `seconds` seconds; return the times that the process reports."""
        assert self._process.stdin is not None  # noqa: S101
        time.sleep(PAUSE_SECONDS)
        with contextlib.suppress(BrokenPipeError):  # `_answer` reports why it ended
            self._process.stdin.write(f"{seconds}\n")
            self._process.stdin.flush()
        return self._answer(TURN_LIMIT_SECONDS)

    def _answer(self, timeout: float | None) -> dict[str, Any]:
        """Return the next line of the process's output as JSON."""
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise Unavailable(f"not done after {timeout:g} s") from None
        try:
            found: dict[str, Any] = json.loads(line)
        except ValueError:
            self._process.kill()
            self._process.wait()
            self._errors.seek(0)
            said = f" said {line!r}" if line else ""
            raise RuntimeError(f"{' '.join(self._command)} failed:{said}\n{self._errors.read()}") from None
        instructions.collect(found)
        return found

    def _read(self) -> None:
        """Put the lines of the output into the queue, and an empty line at its end."""
        assert self._process.stdout is not None  # noqa: S101
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        assert self._process.stdin is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        self._process.kill()
        self._process.wait()
        self._reader.join()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._errors.close()


def round_robin(workers: dict[str, Worker], *, rounds: int, seconds: float) -> Iterator[dict[str, dict[str, Any]]]:
    """Run all workers in turn, in reversed order in every second round.

    Parameters
    ----------
    workers
        Workers that are ready, by name.
    rounds
        The number of turns of each worker.
    seconds
        The length of a turn.

    Yields
    ------
    dict
        For each round, what each worker reports.

    """
    for k in range(rounds):
        order = list(workers) if k % 2 == 0 else list(reversed(workers))
        found = {name: workers[name].play(seconds) for name in order}
        yield {name: found[name] for name in workers}
