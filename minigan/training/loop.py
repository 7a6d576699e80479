"""The training loop, and the results that are written whenever a run ends."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minigan._arguments import size
from minigan.game import Game
from minigan.ops import to_host
from minigan.ops.protocol import Array
from minigan.training.callbacks import MetricsFile
from minigan.training.checkpoint import Checkpoints
from minigan.training.environment import blas, versions
from minigan.training.experiment import Callback, Divergence, Experiment, Metrics, Run
from minigan.training.files import PathLike, write_arrays, write_json
from minigan.training.folders import create_run
from minigan.training.interrupts import Interrupts
from minigan.training.state import Saver, describe, require_names
from minigan.training.streams import require_named


def trained_vectors(game: Game) -> list[Array]:
    """Return all vectors that training changes; they are few, so that checks need few launches and synchronisations."""
    networks = [player.network for player in game.players.values()]
    return [vector for net in networks for vector in (net.theta, net.state_vector) if vector.size]


def named_arrays(game: Game) -> Iterator[tuple[str, Array]]:
    """Yield a description and the values of each array that training changes."""
    for name, player in game.players.items():
        yield f"a parameter of {name}", player.network.theta
        for key, statistic in player.network.state.items():
            yield f"{key} of {name}", statistic


class Rollback:
    """A copy of the parameters and running statistics of all players."""

    def __init__(self, game: Game) -> None:
        self._vectors = trained_vectors(game)
        self._copies = [vector.copy() for vector in self._vectors]
        self._nets = [player.network for player in game.players.values()]
        self._copy = game.ops.copy

    def keep(self) -> None:
        """Copy the current values."""
        for copy, vector in zip(self._copies, self._vectors, strict=True):
            self._copy(copy, vector)

    def restore(self) -> None:
        """Write the copied values back into the networks."""
        for copy, vector in zip(self._copies, self._vectors, strict=True):
            self._copy(vector, copy)
        for net in self._nets:
            net.mark_modified()


def train(
    experiment: Experiment,
    *,
    iterations: int | None = None,
    folder: PathLike | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint_every: int | None = None,
) -> dict[str, Any]:
    """Train an experiment and return the summary.

    Weights and summary are written whenever the training ends, also after an error or a signal.

    Parameters
    ----------
    experiment : Experiment
        The experiment, whose networks are changed in place.
    iterations : int, optional
        The number of iterations, at least 1; by default that of the experiment.
    folder : path, optional
        A new or empty folder, such as `new_folder` returns, for config.json, metrics.jsonl, summary.json, the named
        parameters and running statistics of each player (of a GAN generator.npz and discriminator.npz) and the
        experiment's figures.  By default nothing is written.
    callbacks : sequence of Callback, optional
        Callbacks that run after those of the experiment.
    checkpoint_every : int, optional
        The number of iterations between two checkpoints in FOLDER/checkpoints, which `resume` needs; there is also one
        before the first iteration and one at the end, and the newest two are kept.  By default there are none, and an
        interrupted run cannot be resumed, of which `ProgressBar` and the summary ("advice") warn.

    Returns
    -------
    dict
        The summary: JSON-serializable results, such as "iterations", "losses", "metrics", "seconds" and "status".  The
        status is "completed"; "stopped early" (by a callback, with the "reason"); "diverged" (the networks have the
        parameters before that iteration, and "error" and "divergence" name the value that was not finite); or
        "interrupted" (by Ctrl-C or SIGTERM; a second signal skips evaluation and figures).

    Raises
    ------
    ValueError
        If an argument is outside its range, `checkpoint_every` is given without a folder, two players share a name, or
        a random stream of the experiment has no name, so that checkpoints would not contain it.
    RunError
        If `folder` is not empty or cannot be written.
    Exception
        Any exception of a callback, of the evaluation or of the game, after weights and summary (status "failed") have
        been written.

    """
    total = experiment.iterations if iterations is None else iterations
    if total < 1:
        raise ValueError(f"iterations must be >= 1, got {total!r}")
    if checkpoint_every is not None:
        size("checkpoint_every", checkpoint_every)
        if folder is None:
            raise ValueError(f"checkpoint_every={checkpoint_every} needs a run folder, got folder=None")
        require_named(experiment)
    require_names(experiment.game)
    run = Run(experiment, total, callbacks=[*experiment.callbacks, *callbacks], checkpoint_every=checkpoint_every)
    if folder is not None:
        run.folder = create_run(folder, "config.json", _config(run))
        run.callbacks = with_files(experiment, callbacks)
    if folder is None or checkpoint_every is None:
        return run_to_end(run)
    checkpoints = Checkpoints(folder)
    checkpoints.folder.mkdir()
    with checkpoints.locked():
        return run_to_end(run, Saver(run, checkpoints, every=checkpoint_every))


def with_files(experiment: Experiment, callbacks: Sequence[Callback]) -> list[Callback]:
    """Return the callbacks of a run with a folder; their `on_end` methods are called in reverse order."""
    return [*experiment.callbacks, *experiment.figures, *callbacks, MetricsFile()]


def run_to_end(run: Run, saver: Saver | None = None) -> dict[str, Any]:
    """Train a new or restored run to its end and return the summary."""
    started: list[Callback] = []
    with Interrupts(run) as interrupts:
        _attempt(run, _play, run, started, interrupts, saver)
        if run.iteration == run.iterations and run.error is None:
            run.status = "completed"
        elif run.status == "running":
            run.status = "stopped early"
        summary = _summary(run)
        _attempt(run, _write_weights, run)
        if run.error is None and not interrupts.skip_optional:
            _attempt(run, _evaluate, run, summary, interrupts)
        _attempt(run, _write_summary, run, summary)
        for callback in reversed(started):
            if not (interrupts.skip_optional and callback in run.experiment.figures):
                _attempt(run, _end, run, callback, interrupts)
        if summary["status"] != run.status:  # a callback's `on_end` failed or was interrupted
            _attempt(run, _write_summary, run, summary)
    if run.error is not None:
        raise run.error
    return summary


def _attempt(run: Run, part: Callable[..., None], *args: Any) -> None:
    """Call a part of the training; store its exception in the run, so that later parts are still called."""
    try:
        part(*args)
    except Divergence as divergence:
        run.divergence, run.status = divergence, "diverged"
    except KeyboardInterrupt:
        if run.status not in ("diverged", "failed"):
            run.status = run.stop_reason = "interrupted"
    except BaseException as error:
        run.error, run.status = run.error or error, "failed"


def _play(run: Run, started: list[Callback], interrupts: Interrupts, saver: Saver | None) -> None:
    for callback in run.callbacks:
        with interrupts.interruptible():
            callback.on_start(run)
        started.append(callback)
    game = run.experiment.game
    if not run.resumed:
        with interrupts.interruptible(at_once=True), np.errstate(all="ignore"):
            run.pretraining = run.experiment.pretraining()
    _save(saver, interrupts)
    rollback = Rollback(game)
    while run.iteration < run.iterations and run.stop_reason is None:
        try:
            # Overflow is detected below, once per iteration, in the metrics and in all arrays that training changes.
            with interrupts.interruptible(), np.errstate(all="ignore"), game.ops.session():
                metrics = game.metrics(run.experiment.play())
            _require_finite(run, metrics)
        except BaseException:  # restore the values of all players before the iteration
            rollback.restore()
            raise
        rollback.keep()
        run.iteration += 1
        run.metrics = metrics
        with interrupts.interruptible():
            for callback in run.callbacks:
                callback.on_iteration(run)
        run.history.append(run.metrics)
        if saver is not None and run.iteration % saver.every == 0:
            _save(saver, interrupts)
    _save(saver, interrupts)


def _save(saver: Saver | None, interrupts: Interrupts) -> None:
    if saver is not None:
        with interrupts.interruptible():
            saver.save()


def _require_finite(run: Run, metrics: Metrics) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise Divergence(run.iteration + 1, name, value)
    game = run.experiment.game
    if all(map(game.ops.finite, trained_vectors(game))):  # the losses were computed before the last update
        return
    for name, vector in named_arrays(game):
        numbers = to_host(vector)
        if not np.isfinite(numbers).all():
            raise Divergence(run.iteration + 1, name, float(numbers[~np.isfinite(numbers)][0]))


def _evaluate(run: Run, summary: dict[str, Any], interrupts: Interrupts) -> None:
    with interrupts.interruptible():
        summary.update(run.experiment.evaluate())


def _end(run: Run, callback: Callback, interrupts: Interrupts) -> None:
    with interrupts.interruptible():
        callback.on_end(run)


def _config(run: Run) -> dict[str, Any]:
    game = run.experiment.game
    return {
        "recipe": run.experiment.name,
        **run.experiment.config,
        "iterations": run.iterations,
        **({"note": run.experiment.note} if run.experiment.note else {}),
        "networks": describe(game),
        "versions": versions(),
        "engine": game.ops.engine(),
        "blas": blas(),
    }


def _write_weights(run: Run) -> None:
    if run.folder is not None:
        game = run.experiment.game
        for name, player in game.players.items():
            arrays = {**player.network.parameters(), **player.network.state}
            write_arrays(run.folder / f"{game.file_of(name)}.npz", arrays)


def _write_summary(run: Run, summary: dict[str, Any]) -> None:
    """Complete the summary with the status and the errors of the run, and write it."""
    summary["status"] = run.status
    if run.stop_reason is not None and run.status != "completed":
        summary["reason"] = run.stop_reason
    if run.status == "interrupted" and run.resume_advice:
        summary["advice"] = run.resume_advice
    if run.divergence is not None:
        summary["error"] = str(run.divergence)
        summary["divergence"] = {name: vars(run.divergence)[name] for name in ("iteration", "quantity", "value")}
    if run.error is not None:
        summary["error"] = f"{type(run.error).__name__}: {run.error}"
    if run.folder is not None:
        write_json(run.folder / "summary.json", summary)


def _summary(run: Run) -> dict[str, Any]:
    experiment = run.experiment
    return {
        "recipe": experiment.name,
        "seed": experiment.config.get("seed"),
        "status": run.status,
        "iterations": run.iteration,
        **run.clock.read(),
        "losses": {name: run.metrics.get(name) for name in experiment.game.losses},
        "metrics": run.metrics,
        "parameters": {name: player.network.theta.size for name, player in experiment.game.players.items()},
        **({} if run.diagnosis is None else {"diagnosis": [finding.as_dict() for finding in run.diagnosis]}),
        **run.pretraining,
        **({"resumed": run.resumed} if run.resumed else {}),
    }
