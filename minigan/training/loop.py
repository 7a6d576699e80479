"""The training loop, and the results that are written however a run ends."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minigan._arguments import size
from minigan.game import Game
from minigan.ops import to_host
from minigan.ops.protocol import Array
from minigan.training.callbacks import Callback, MetricsFile
from minigan.training.checkpoint import Checkpoints
from minigan.training.environment import blas, versions
from minigan.training.experiment import Divergence, Experiment, Metrics, Run
from minigan.training.files import PathLike, create_run, write_arrays, write_json
from minigan.training.interrupts import Interrupts
from minigan.training.state import Saver, describe, require_names
from minigan.training.streams import require_named


def vectors(game: Game) -> list[Array]:
    """Return every vector that training changes: few vectors mean few launches and device synchronisations."""
    networks = [player.network for player in game.players.values()]
    return [vector for net in networks for vector in (net.theta, net.state_vector) if vector.size]


def named(game: Game) -> Iterator[tuple[str, Array]]:
    """Yield every array that training changes, each with a description of its values."""
    for name, player in game.players.items():
        yield f"a parameter of {name}", player.network.theta
        for key, statistic in player.network.state.items():
            yield f"{key} of {name}", statistic


class Rollback:
    """A copy of parameters and running statistics of all players."""

    def __init__(self, game: Game) -> None:
        self._vectors = vectors(game)
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

    Weights and summary are written however the training ends.

    Parameters
    ----------
    experiment : Experiment
        What to train.  Its networks are changed in place.
    iterations : int, optional
        The number of iterations, at least 1; by default that of the experiment.
    folder : path, optional
        A new or empty folder, as from `new_folder`, for config.json, metrics.jsonl, summary.json, the named parameters
        and running statistics of each player (of a GAN generator.npz and discriminator.npz) and the experiment's
        figures.  By default nothing is written.
    callbacks : sequence of Callback, optional
        Called after those of the experiment.
    checkpoint_every : int, optional
        Write a checkpoint into FOLDER/checkpoints before the first iteration, every so many iterations and where the
        training ends, and keep the newest two, for `resume`.  By default there are none, and an interrupted run cannot
        be resumed: `ProgressBar` and, under "advice", the summary say so.

    Returns
    -------
    dict
        The summary: JSON-able results, among them "iterations", "losses", "metrics", "seconds" and "status", which is
        "completed"; "stopped early" (by a callback, "reason" says why); "diverged" (the parameters of the iteration
        before are kept, "error" and "divergence" say which value was not finite); or "interrupted" (by Ctrl-C or
        SIGTERM; a second signal skips evaluation and figures).

    Raises
    ------
    ValueError
        Where an argument is out of range, `checkpoint_every` is given without a folder, two players share a name, or a
        random stream of the experiment has no name, so that no checkpoint would keep it.
    RunError
        Where `folder` is not empty or cannot be written.
    Exception
        Whatever a callback, the evaluation or the game raises, after weights and summary (status "failed") were
        written.

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
    run = Run(experiment, total, hooks=[*experiment.callbacks, *callbacks], checkpoint_every=checkpoint_every)
    if folder is not None:
        run.folder = create_run(folder, "config.json", _config(run))
        run.hooks = with_files(experiment, callbacks)
    if folder is None or checkpoint_every is None:
        return run_to_end(run)
    checkpoints = Checkpoints(folder)
    checkpoints.folder.mkdir()
    with checkpoints.locked():
        return run_to_end(run, Saver(run, checkpoints, every=checkpoint_every))


def with_files(experiment: Experiment, callbacks: Sequence[Callback]) -> list[Callback]:
    """Return the callbacks of a run with a folder; their `on_end` is called in reverse order."""
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
        if run.error is None and not interrupts.cut:
            _attempt(run, _evaluate, run, summary, interrupts)
        _attempt(run, _write_summary, run, summary)
        for hook in reversed(started):
            if not (interrupts.cut and hook in run.experiment.figures):
                _attempt(run, _end, run, hook, interrupts)
        if summary["status"] != run.status:  # a callback's `on_end` failed or was interrupted
            _attempt(run, _write_summary, run, summary)
    if run.error is not None:
        raise run.error
    return summary


def _attempt(run: Run, part: Callable[..., None], *args: Any) -> None:
    """Call a part of the training; keep its exception in the run, so that the later parts are called too."""
    try:
        part(*args)
    except Divergence as divergence:
        run.divergence, run.status = divergence, "diverged"
    except KeyboardInterrupt:
        if run.status not in ("diverged", "failed"):
            run.status = run.stop = "interrupted"
    except BaseException as error:
        run.error, run.status = run.error or error, "failed"


def _play(run: Run, started: list[Callback], interrupts: Interrupts, saver: Saver | None) -> None:
    for hook in run.hooks:
        with interrupts.interruptible():
            hook.on_start(run)
        started.append(hook)
    game = run.experiment.game
    if not run.resumed:
        with interrupts.interruptible(at_once=True), np.errstate(all="ignore"):
            run.pretraining = run.experiment.pretraining()
    _save(saver, interrupts)
    good = Rollback(game)
    while run.iteration < run.iterations and run.stop is None:
        try:
            # Overflow is detected below, once per iteration: in the metrics and in every array that training changes.
            with interrupts.interruptible(), np.errstate(all="ignore"), game.ops.session():
                metrics = game.metrics(run.experiment.play())
            _require_finite(run, metrics)
        except BaseException:  # within an iteration: restore the values that all players had before it
            good.restore()
            raise
        good.keep()
        run.iteration += 1
        run.metrics = metrics
        with interrupts.interruptible():
            for hook in run.hooks:
                hook.on_iteration(run)
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
    if all(map(game.ops.finite, vectors(game))):  # the losses were computed before the last update
        return
    for name, vector in named(game):
        numbers = to_host(vector)
        if not np.isfinite(numbers).all():
            raise Divergence(run.iteration + 1, name, float(numbers[~np.isfinite(numbers)][0]))


def _evaluate(run: Run, summary: dict[str, Any], interrupts: Interrupts) -> None:
    with interrupts.interruptible():
        summary.update(run.experiment.evaluate())


def _end(run: Run, hook: Callback, interrupts: Interrupts) -> None:
    with interrupts.interruptible():
        hook.on_end(run)


def _config(run: Run) -> dict[str, Any]:
    game = run.experiment.game
    return {
        "recipe": run.experiment.recipe,
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
    if run.stop is not None and run.status != "completed":
        summary["reason"] = run.stop
    if run.status == "interrupted" and run.not_resumable:
        summary["advice"] = run.not_resumable
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
        "recipe": experiment.recipe,
        "seed": experiment.config.get("seed"),
        "status": run.status,
        "iterations": run.iteration,
        **run.clock.read(),
        "losses": {name: run.metrics.get(name) for name in experiment.game.losses},
        "metrics": run.metrics,
        "parameters": {name: player.network.theta.size for name, player in experiment.game.players.items()},
        **run.pretraining,
        **({"resumed": run.resumed} if run.resumed else {}),
    }
