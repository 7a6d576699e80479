"""The training loop."""

import math
import platform
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import minigan
from minigan.gan import GAN, Played
from minigan.losses import accuracy
from minigan.training.callbacks import Callback, MetricsFile
from minigan.training.experiment import Experiment, Metrics, Run
from minigan.training.files import write_arrays, write_json


class Divergence(ArithmeticError):
    """A quantity became NaN or infinite."""

    def __init__(self, iteration: int, quantity: str, value: float) -> None:
        super().__init__(
            f"diverged: {quantity} is {value} at iteration {iteration}; "
            f"the parameters of iteration {iteration - 1} are kept. "
            "Try a smaller learning rate (--set lr=...), or --dtype float64 if the values overflow"
        )
        self.iteration, self.quantity, self.value = iteration, quantity, value


def versions() -> dict[str, str]:
    """Return the versions that a run depends on."""
    return {"minigan": minigan.__version__, "numpy": np.__version__, "python": platform.python_version()}


def measure(gan: GAN, played: Played) -> Metrics:
    """Return d_loss, g_loss, mean D(x), mean D(G(z)) and D's accuracy, from the last outcomes of both players."""
    seen_D, seen_G = played
    assert seen_D.s_real is not None  # noqa: S101  (a discriminator step always has it)
    real = gan.objective.probability(seen_D.s_real)
    fake = gan.objective.probability(seen_D.s_fake)
    return {
        "d_loss": float(seen_D.value),
        "g_loss": float(seen_G.value),
        "d_real": float(real.sum()) / len(real),
        "d_fake": float(fake.sum()) / len(fake),
        "accuracy": accuracy(real, fake),
    }


class LastGood:
    """A copy of parameters and running statistics of both players."""

    def __init__(self, gan: GAN) -> None:
        self._vectors = [v for net in (gan.G, gan.D) for v in (net.theta, *net.state.values())]
        self._copies = [v.copy() for v in self._vectors]
        self._nets = (gan.G, gan.D)

    def keep(self) -> None:
        """Copy."""
        for copy, vector in zip(self._copies, self._vectors, strict=True):
            copy[...] = vector

    def restore(self) -> None:
        """Copy back."""
        for copy, vector in zip(self._copies, self._vectors, strict=True):
            vector[...] = copy
        for net in self._nets:
            net.touch()


@contextmanager
def _graceful(run: Run) -> Iterator[None]:
    """Turn Ctrl-C (and SIGTERM) into `run.stop`, so that no update is cut in half; a second one raises."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(_number: int, _frame: object) -> None:
        if run.status == "interrupted":
            raise KeyboardInterrupt
        run.status, run.stop = "interrupted", "interrupted"

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, old in zip(numbers, before, strict=True):
            signal.signal(number, old)


def train(
    experiment: Experiment,
    *,
    iterations: int | None = None,
    folder: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> dict[str, Any]:
    """Play `iterations` of the experiment and return the summary.

    With a `folder` (from `new_folder`) it writes config.json, metrics.jsonl, generator.npz and discriminator.npz
    (named parameters and running statistics), summary.json, and the figures of the experiment's own callbacks.  The
    folder is complete however the training ends: "completed", "stopped early", "interrupted" (Ctrl-C),
    "diverged" (with the last good parameters).

    A divergence is in the summary (`status`, `error`), not raised.
    """
    total = experiment.iterations if iterations is None else iterations
    if total < 1:
        raise ValueError(f"iterations must be >= 1, got {total!r}")
    run = Run(experiment, total, folder)
    hooks = [*callbacks]
    if folder is not None:
        hooks = [*experiment.callbacks, *hooks, MetricsFile()]
        write_json(
            folder / "config.json",
            {"recipe": experiment.recipe, **experiment.config, "iterations": total, "versions": versions()},
        )
    error: Divergence | None = None
    extra: dict[str, Any] = {}
    with _graceful(run), ExitStack() as ends:
        start, start_cpu = time.perf_counter(), time.process_time()
        for hook in hooks:
            hook.on_start(run)
            ends.callback(hook.on_end, run)
        # Overflow is looked for below, once an iteration, in the losses and in D's outputs.
        with np.errstate(all="ignore"):
            extra.update(experiment.before())
            try:
                _play(run, hooks)
            except Divergence as caught:
                error, run.status = caught, "diverged"
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
        if error is None and run.iteration == total:
            run.status = "completed"
        elif run.status == "running":
            run.status = "stopped early"
        extra.update(experiment.evaluate())
        summary = _summary(run, seconds, cpu_seconds, error, extra)
        if folder is not None:
            gan = experiment.gan
            for name, net in (("generator", gan.G), ("discriminator", gan.D)):
                write_arrays(folder / f"{name}.npz", {**net.parameters(), **net.state})
            write_json(folder / "summary.json", summary)
    return summary


def _play(run: Run, hooks: Sequence[Callback]) -> None:
    gan = run.experiment.gan
    good = LastGood(gan)
    while run.iteration < run.iterations and run.stop is None:
        metrics = measure(gan, run.experiment.play())
        for name, value in metrics.items():
            if not math.isfinite(value):
                good.restore()
                raise Divergence(run.iteration + 1, name, value)
        for name, net in (("G's parameters", gan.G), ("D's parameters", gan.D)):
            if not np.isfinite(net.theta).all():  # the losses were taken before the last update
                good.restore()
                raise Divergence(run.iteration + 1, name, math.nan)
        good.keep()
        run.iteration += 1
        run.metrics = metrics
        for hook in hooks:
            hook.on_iteration(run)
        run.history.append(run.metrics)


def _summary(
    run: Run, seconds: float, cpu_seconds: float, error: Divergence | None, extra: dict[str, Any]
) -> dict[str, Any]:
    experiment = run.experiment
    summary: dict[str, Any] = {
        "recipe": experiment.recipe,
        "seed": experiment.config.get("seed"),
        "status": run.status,
        "iterations": run.iteration,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),  # of all threads
        "losses": {name: run.metrics.get(name) for name in ("d_loss", "g_loss")},
        "metrics": run.metrics,
        "parameters": {"G": experiment.gan.G.theta.size, "D": experiment.gan.D.theta.size},
    }
    if run.stop is not None:
        summary["reason"] = run.stop
    if error is not None:
        summary["error"] = str(error)
        summary["divergence"] = {
            "iteration": error.iteration,
            "quantity": error.quantity,
            "value": error.value,
        }
    return {**summary, **extra}
