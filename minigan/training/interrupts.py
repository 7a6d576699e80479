"""Ctrl-C, SIGTERM and SIGHUP: they end the training and cut short what can be left out, never what must be whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from minigan.training.experiment import Run

HANGUP = getattr(signal, "SIGHUP", None)  # sent where the terminal is closed; Windows has none
SIGNALS = (signal.SIGINT, signal.SIGTERM, *(() if HANGUP is None else (HANGUP,)))
DEFAULTS = (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler)


class Interrupts:
    """While it is entered, the first signal during the game sets `run.stop`: the iteration is played to its end.

    In what comes before the first iteration there is none to play: inside `interruptible(at_once=True)` the first one
    raises KeyboardInterrupt too.  Every other one sets `cut`, and raises KeyboardInterrupt inside `interruptible()`.
    Signals reach the main thread only: in another one nothing is changed.  Handlers that a program has set itself stay.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.cut = run, False
        self._raises = self._at_once = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                found = signal.getsignal(number)
                if number == HANGUP and found == signal.SIG_IGN:  # nohup: the run is to go on
                    continue
                if found in DEFAULTS:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, old in self._before.items():
            signal.signal(number, old)

    def _handle(self, _number: int, _frame: object) -> None:
        if self.run.status == "running":
            self.run.status = self.run.stop = "interrupted"
            if self._at_once:
                self._at_once = False
                raise KeyboardInterrupt
            return
        self.cut = True
        if self._raises:
            self._raises = False
            raise KeyboardInterrupt

    @contextmanager
    def interruptible(self, *, at_once: bool = False) -> Iterator[None]:
        """Let a signal raise KeyboardInterrupt here, with `at_once` the first one too."""
        self._raises, self._at_once = True, at_once
        try:
            yield
        finally:
            self._raises = self._at_once = False
