"""Callbacks: what happens beside training.  They read the run; none changes the networks.

What a callback raises ends the training as "failed": weights and summary are written, then it is raised again.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from io import TextIOWrapper
from typing import Any, TextIO

from minigan.ops.compiling import watch
from minigan.training.experiment import Metrics, Run
from minigan.training.files import jsonable


class Callback:
    """Three hooks; `on_end` is called however the training ends, if `on_start` went through.

    One that remembers something from iteration to iteration gives it to checkpoints, `state`, and takes it back.
    """

    def state(self) -> dict[str, Any]:
        """After an iteration: what a resumed run needs, as arrays and JSON-able values; {} for nothing."""
        return {}

    def restore(self, run: Run, state: dict[str, Any]) -> None:
        """In a resumed run, before `on_start`: take back what `state` returned."""

    def on_start(self, run: Run) -> None:
        """Before the first iteration; in a resumed run (`run.resumed` is not empty) after `run.iteration` of them."""

    def on_iteration(self, run: Run) -> None:
        """After each iteration: run.iteration, run.metrics."""

    def on_end(self, run: Run) -> None:
        """After the last iteration: run.status, and run.divergence or run.error."""


class Evaluate(Callback):
    """Every `every` iterations and at the last one, add the numbers of `measure()` to the metrics."""

    def __init__(self, measure: Callable[[], dict[str, float]], *, every: int) -> None:
        if every < 1:
            raise ValueError(f"every must be >= 1, got {every!r}")
        self.measure, self.every = measure, every

    def on_iteration(self, run: Run) -> None:
        """Measure when it is time."""
        if run.iteration % self.every == 0 or run.is_last:
            run.metrics.update(self.measure())


class EarlyStop(Callback):
    """Stop when `metric` has not got smaller for `patience` iterations in which it was measured.

    NaN and the infinities never count as smaller.
    """

    def __init__(self, metric: str, *, patience: int) -> None:
        if patience < 1:
            raise ValueError(f"patience must be >= 1, got {patience!r}")
        self.metric, self.patience = metric, patience
        self.best, self.waited = math.inf, 0

    def state(self) -> dict[str, Any]:
        """Return the best so far, and for how long it has been."""
        return {"best": float(self.best), "waited": self.waited}

    def restore(self, run: Run, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.best, self.waited = state["best"], state["waited"]

    def on_iteration(self, run: Run) -> None:
        """Compare with the best so far."""
        if self.metric not in run.metrics:
            return
        value = run.metrics[self.metric]
        if math.isfinite(value) and value < self.best:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.waited < self.patience:
            return
        if self.best == math.inf:
            run.stop = f"{self.metric} was not a finite number in {self.patience} measurements, the last {value}"
        else:
            run.stop = f"{self.metric} was not below {self.best:.6g} in {self.patience} measurements"


class MetricsFile(Callback):
    """Write metrics.jsonl: one JSON object an iteration, each line whole; a number that is not finite is a string."""

    def on_start(self, run: Run) -> None:
        """Open the file; a resumed run goes on at its end."""
        if run.folder is None:
            raise ValueError("MetricsFile needs a run folder, got folder=None")
        path = run.folder / "metrics.jsonl"
        self._file: TextIOWrapper = open(path, "a" if run.resumed else "x", buffering=1)  # noqa: SIM115

    def on_iteration(self, run: Run) -> None:
        """Write a line."""
        line = {"iteration": run.iteration, **run.metrics}
        try:
            self._file.write(json.dumps(jsonable(line), allow_nan=False) + "\n")
        except OSError as error:  # a full disk names no file
            raise type(error)(error.errno, error.strerror, self._file.name) from None

    def on_end(self, run: Run) -> None:
        """Close the file."""
        self._file.close()


GAN_METRICS = ("d_loss", "g_loss", "d_real", "d_fake", "accuracy")
"""The metrics of `minigan.GAN`, which have a line of their own."""


def log_line(iteration: int, metrics: Metrics) -> str:
    """Return one line for a log: a GAN's five metrics as below, those of another game by name.

    >>> log_line(7, {"cycle_loss": 0.25, "distance": 1e-7})
    '7 [cycle_loss: 0.25, distance: 1e-07]'
    >>> log_line(7, {"d_loss": 0.693147, "g_loss": 0.7, "d_real": 0.5, "d_fake": 0.5, "accuracy": 0.5})
    '7 [D loss: 0.693147, acc.: 50.00%] [G loss: 0.700000] [D(x): 0.5000, D(G(z)): 0.5000]'
    """
    if any(name not in metrics for name in GAN_METRICS):
        return f"{iteration} [{_by_name(metrics)}]"
    return (
        f"{iteration} [D loss: {metrics['d_loss']:.6f}, acc.: {100 * metrics['accuracy']:.2f}%]"
        f" [G loss: {metrics['g_loss']:.6f}] [D(x): {metrics['d_real']:.4f}, D(G(z)): {metrics['d_fake']:.4f}]"
    )


def _by_name(metrics: Metrics) -> str:
    return ", ".join(f"{name}: {value:.6g}" for name, value in metrics.items())


def _beside_the_bar(m: Metrics) -> str:
    if any(name not in m for name in GAN_METRICS):
        return ", ".join(f"{name} {value:.3g}" for name, value in m.items())
    return (
        f"D loss {m['d_loss']:.3f} G loss {m['g_loss']:.3f} D(x) {m['d_real']:.3f} "
        f"D(G(z)) {m['d_fake']:.3f} acc {m['accuracy']:.1%}"
    )


class ProgressBar(Callback):
    """On a terminal a tqdm bar: D loss, G loss, D(x), D(G(z)), accuracy (or a game's own metrics), time left.

    Elsewhere ten log lines.

    Before them the experiment's note, if it has one, and whether a run folder lacks the checkpoints to be resumed from;
    after them that once more, where the run was interrupted.
    A stream that is missing, closed or no longer read is given up: the training goes on without it.

    Parameters
    ----------
    stream : text stream, optional
        Where to write; standard error by default.
    terms : callable, optional
        ``terms(text)`` is the text in the caller's terms.  By default arguments are named as in Python.

    """

    def __init__(self, stream: TextIO | None = None, *, terms: Callable[[str], str] = str) -> None:
        self.stream: TextIO | None = sys.stderr if stream is None else stream
        self.terms = terms
        self._bar: Any = None
        self._drawn = 0.0
        self._unwatch: Callable[[], None] | None = None

    def on_start(self, run: Run) -> None:
        """Print the note, draw the empty bar; it says so when a kernel is compiled."""
        self._show(self._open, run)
        if self._bar is not None:
            self._unwatch = watch(lambda name: self._show(lambda *_: self._compiling(name), run))

    def on_iteration(self, run: Run) -> None:
        """Advance."""
        self._show(self._line if self._bar is None else self._advance, run)

    def on_end(self, run: Run) -> None:
        """Close the bar."""
        if self._unwatch is not None:
            self._unwatch()
        if self._bar is not None:
            self._show(self._close, run)
        if run.status == "interrupted":
            self._show(self._resumable, run)

    def _show(self, draw: Callable[[Run, TextIO], None], run: Run) -> None:
        if self.stream is None:  # Python's own where standard error is closed
            return
        try:
            draw(run, self.stream)
        except (OSError, ValueError):  # ValueError: a closed file
            self.stream = None
            if self._bar is not None:
                self._bar.disable = True  # or it would draw once more when it is collected

    def _open(self, run: Run, stream: TextIO) -> None:
        from tqdm import tqdm

        if run.experiment.note:
            print(run.experiment.note, file=stream, flush=True)
        self._resumable(run, stream)
        if stream.isatty():
            self._bar = tqdm(
                total=run.iterations,
                initial=run.iteration,
                file=stream,
                dynamic_ncols=True,
                desc=run.experiment.recipe,
            )

    def _resumable(self, run: Run, stream: TextIO) -> None:
        if run.folder is not None and run.not_resumable:
            print(self.terms(run.not_resumable), file=stream, flush=True)

    def _line(self, run: Run, stream: TextIO) -> None:
        if run.iteration % max(1, run.iterations // 10) == 0 or run.is_last:
            print(log_line(run.iteration, run.metrics), file=stream, flush=True)

    def _advance(self, run: Run, _stream: TextIO) -> None:
        now = time.monotonic()
        if now - self._drawn > 0.1 or run.is_last:
            self._bar.set_postfix_str(_beside_the_bar(run.metrics), refresh=False)
            self._bar.update(run.iteration - self._bar.n)
            self._drawn = now

    def _compiling(self, name: str) -> None:
        self._bar.set_postfix_str(f"compiling {name} (once; kept on disk)")

    def _close(self, run: Run, _stream: TextIO) -> None:
        self._bar.update(run.iteration - self._bar.n)  # the iterations since it was drawn last
        self._bar.close()
