"""Ctrl-C, SIGTERM and SIGHUP end the training after the current iteration; a second signal skips optional work."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from minigan.training.experiment import Run

HANGUP = getattr(signal, "SIGHUP", None)  # sent when the terminal is closed; absent on Windows
SIGNALS = (signal.SIGINT, signal.SIGTERM, *(() if HANGUP is None else (HANGUP,)))
DEFAULTS = (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler)


class Interrupts:
    """A context in which the first signal sets `run.stop_reason`, so that the current iteration is completed.

    Before iteration 1, inside `interruptible(at_once=True)`, the first signal raises KeyboardInterrupt immediately.
    Every later signal sets `skip_optional`, and raises KeyboardInterrupt inside `interruptible()`.  Only the main
    thread receives signals: in other threads the handlers are not changed, nor are handlers that the program has
    installed.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.skip_optional = run, False
        self._raises = self._at_once = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                found = signal.getsignal(number)
                if number == HANGUP and found == signal.SIG_IGN:  # under nohup, which the run must survive
                    continue
                if found in DEFAULTS:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, old in self._before.items():
            signal.signal(number, old)

    def _handle(self, _number: int, _frame: object) -> None:
        if self.run.status == "running":
            self.run.status = self.run.stop_reason = "interrupted"
            if self._at_once:
                self._at_once = False
                raise KeyboardInterrupt
            return
        self.skip_optional = True
        if self._raises:
            self._raises = False
            raise KeyboardInterrupt

    @contextmanager
    def interruptible(self, *, at_once: bool = False) -> Iterator[None]:
        """Let the second signal raise KeyboardInterrupt in this block, or with `at_once` also the first one."""
        self._raises, self._at_once = True, at_once
        try:
            yield
        finally:
            self._raises = self._at_once = False
