"""Callbacks: evaluation, early stopping, the metrics file and the progress bar.  They do not change the networks.

An exception in a callback ends the training with the status "failed": weights and summary are written, and it is raised
again.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from functools import partial
from io import TextIOWrapper
from typing import Any, TextIO

from minigan.ops.compiling import watch
from minigan.training.bar import GAN_METRICS, draw, postfixes
from minigan.training.experiment import Callback, Metrics, Run
from minigan.training.files import jsonable


class Evaluate(Callback):
    """Add the results of a function to the metrics, every few iterations and at the last one.

    Parameters
    ----------
    measure : callable
        ``measure()`` returns metrics by name.
    every : int
        The number of iterations between two calls, at least 1.

    """

    def __init__(self, measure: Callable[[], dict[str, float]], *, every: int) -> None:
        if every < 1:
            raise ValueError(f"every must be >= 1, got {every!r}")
        self.measure, self.every = measure, every

    def on_iteration(self, run: Run) -> None:
        """Measure, if this iteration is due."""
        if run.iteration % self.every == 0 or run.is_last_iteration:
            run.metrics.update(self.measure())


class EarlyStop(Callback):
    """Stop the run when a metric has no new minimum in several successive measurements.

    Parameters
    ----------
    metric : str
        The name of a metric, such as one that `Evaluate` adds.  NaN and infinities are not minima.
    patience : int
        The number of successive measurements without a new minimum after which the run stops, at least 1.

    """

    def __init__(self, metric: str, *, patience: int) -> None:
        if patience < 1:
            raise ValueError(f"patience must be >= 1, got {patience!r}")
        self.metric, self.patience = metric, patience
        self.best, self.waited = math.inf, 0

    def state(self) -> dict[str, Any]:
        """Return the minimum so far and the number of measurements since then."""
        return {"best": float(self.best), "waited": self.waited}

    def restore(self, run: Run, state: dict[str, Any]) -> None:
        """Restore the minimum and the number of measurements since then."""
        self.best, self.waited = state["best"], state["waited"]

    def on_iteration(self, run: Run) -> None:
        """Compare the metric with its minimum so far."""
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
            run.stop_reason = f"{self.metric} was not a finite number in {self.patience} measurements, the last {value}"
        else:
            run.stop_reason = f"{self.metric} was not below {self.best:.6g} in {self.patience} measurements"


class MetricsFile(Callback):
    """Write metrics.jsonl with one JSON object per line and iteration; numbers that are not finite become strings."""

    def on_start(self, run: Run) -> None:
        """Open the file; a resumed run appends to it."""
        if run.folder is None:
            raise ValueError("MetricsFile needs a run folder, got folder=None")
        path = run.folder / "metrics.jsonl"
        self._file: TextIOWrapper = open(path, "a" if run.resumed else "x", buffering=1)  # noqa: SIM115

    def on_iteration(self, run: Run) -> None:
        """Write the metrics of an iteration."""
        line = {"iteration": run.iteration, **run.metrics}
        try:
            self._file.write(json.dumps(jsonable(line), allow_nan=False) + "\n")
        except OSError as error:  # the error of a full disk does not name the file
            raise type(error)(error.errno, error.strerror, self._file.name) from None

    def on_end(self, run: Run) -> None:
        """Close the file."""
        self._file.close()


def log_line(iteration: int, metrics: Metrics) -> str:
    """Return a line for a log: the five metrics of a GAN in a fixed format, those of any other game by name.

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


class ProgressBar(Callback):
    """Show the progress: on a terminal a bar with the metrics and the remaining time, elsewhere ten log lines.

    The bar fits the width of the terminal; on a narrow terminal the rate and the counts are left out first, then
    metrics (`minigan.training.bar`).  The experiment's note is printed at the beginning, with a warning if the run
    cannot be resumed, which is repeated if the run is interrupted.  A finding of `Diagnosis` is printed when it first
    appears and at the end.  Nothing is printed if the stream is missing, closed
    or no longer read.

    Parameters
    ----------
    stream : text stream, optional
        The stream to write to; standard error by default.
    terms : callable, optional
        ``terms(text)`` rewrites a message for another interface, such as the command line, whose options have other
        names; by default it is unchanged.

    """

    def __init__(self, stream: TextIO | None = None, *, terms: Callable[[str], str] = str) -> None:
        self.stream: TextIO | None = sys.stderr if stream is None else stream
        self.terms = terms
        self._bar: Any = None
        self._drawn = 0.0
        self._told = 0
        self._unwatch: Callable[[], None] | None = None

    def on_start(self, run: Run) -> None:
        """Print the note and draw the empty bar, which also shows when a kernel is compiled."""
        self._told = len(run.diagnosis or ())
        self._show(self._open, run)
        if self._bar is not None:
            self._unwatch = watch(lambda name: self._show(lambda *_: self._compiling(name), run))

    def on_iteration(self, run: Run) -> None:
        """Draw the bar, at most ten times per second, or print one of ten log lines."""
        self._show(self._line if self._bar is None else self._advance, run)
        for finding in (run.diagnosis or ())[self._told :]:
            self._told += 1
            self._show(partial(self._tell, str(finding)), run)

    def on_end(self, run: Run) -> None:
        """Close the bar."""
        if self._unwatch is not None:
            self._unwatch()
        if self._bar is not None:
            self._show(self._close, run)
        for finding in run.diagnosis or ():
            self._show(partial(self._tell, f"diagnosis: {finding}"), run)
        if run.status == "interrupted":
            self._show(self._resumable, run)

    def _show(self, draw: Callable[[Run, TextIO], None], run: Run) -> None:
        if self.stream is None:  # sys.stderr is None if standard error is closed
            return
        try:
            draw(run, self.stream)
        except (OSError, ValueError):  # ValueError: a closed file
            self.stream = None
            if self._bar is not None:
                self._bar.disable = True  # otherwise its destructor draws it again

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
                desc=run.experiment.name,
            )

    def _resumable(self, run: Run, stream: TextIO) -> None:
        if run.folder is not None and run.resume_advice:
            print(self.terms(run.resume_advice), file=stream, flush=True)

    def _tell(self, text: str, _run: Run, stream: TextIO) -> None:
        if self._bar is None:
            print(text, file=stream, flush=True)
        else:
            self._bar.write(text, file=stream)  # above the bar

    def _line(self, run: Run, stream: TextIO) -> None:
        if run.iteration % max(1, run.iterations // 10) == 0 or run.is_last_iteration:
            print(log_line(run.iteration, run.metrics), file=stream, flush=True)

    def _advance(self, run: Run, _stream: TextIO) -> None:
        now = time.monotonic()
        if now - self._drawn > 0.1 or run.is_last_iteration:
            draw(self._bar, run.iteration, postfixes(run.metrics))
            self._drawn = now

    def _compiling(self, name: str) -> None:
        texts = f"compiling {name} (once; `minigan warmup` compiles all)", f"compiling {name} (once)", "compiling"
        draw(self._bar, self._bar.n, texts)

    def _close(self, run: Run, _stream: TextIO) -> None:
        self._bar.n = run.iteration  # the last drawn iteration may be an earlier one
        self._bar.close()
