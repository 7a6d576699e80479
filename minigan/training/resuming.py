"""Continue a run that was killed or interrupted, from one of its checkpoints."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minigan._arguments import size
from minigan._names import ConfigError
from minigan.training.checkpoint import Checkpoints
from minigan.training.environment import versions
from minigan.training.experiment import Callback, Experiment, Run
from minigan.training.files import PathLike, RunError, read_json, write_json
from minigan.training.loop import run_to_end, with_files
from minigan.training.state import Saver, read_metrics, restore
from minigan.training.streams import require_named

NEGLIGIBLE_RATE = 1e-3
"""The share of its first value to which a learning rate has fallen when it trains no more."""
CHECKPOINT_KINDS = {
    "identity": dict, "iteration": int, "every": int, "streams": dict, "sources": dict, "callbacks": dict,
    "before": dict, "clock": dict, "resumed": list,
}  # fmt: skip


def resume(
    experiment: Experiment,
    folder: PathLike,
    *,
    iterations: int | None = None,
    checkpoint: PathLike | None = None,
    callbacks: Sequence[Callback] = (),
) -> dict[str, Any]:
    """Continue a run from a checkpoint and return its summary.

    With the same versions, processor and number of BLAS threads the results are bit for bit those of an uninterrupted
    run.

    Parameters
    ----------
    experiment : Experiment
        The experiment of the original run, built again with the same seed and hyper-parameters.
    folder : path
        The run folder of a training with `checkpoint_every`.
    iterations : int, optional
        The total number of iterations; by default that of the original run.
    checkpoint : path, optional
        The checkpoint to continue from; by default the newest.
    callbacks : sequence of Callback, optional
        The callbacks of the original run.

    Returns
    -------
    dict
        The summary, as `train` returns it, with an entry in "resumed" for each time that the run was resumed.

    Raises
    ------
    RunError
        If the run is complete or diverged, another process is training it, there is no checkpoint, or a file is
        damaged or belongs to another run.
    ConfigError
        If `iterations` is not greater than the checkpoint's; or is greater than the experiment's, after whose last
        iteration all learning rates have fallen to (almost) 0, so that the further ones would change nothing.

    """
    folder = Path(folder)
    config = _read(folder / "config.json", iterations=int, versions=dict)
    total = config["iterations"] if iterations is None else size("iterations", iterations)
    checkpoints = Checkpoints(folder)
    _require_unfinished(folder, iterations)
    require_named(experiment)
    with checkpoints.locked():
        path, tree = checkpoints.read(checkpoint)
        _require_kinds(path, tree, CHECKPOINT_KINDS)
        done = tree["iteration"]
        if total <= done:
            raise ConfigError(f"iterations must be > {done}, those of {path}, got {total}")
        every = tree["every"]
        run = Run(experiment, total, folder=folder, callbacks=with_files(experiment, callbacks), checkpoint_every=every)
        run.history, end = read_metrics(folder / "metrics.jsonl", done)
        run.metrics = run.history[-1] if run.history else {}
        restore(run, tree, path=path)
        _require_rates(experiment, done, total)
        if versions() != config["versions"]:
            run.resumed[-1]["versions"] = versions()
        # From here on files are changed, in an order that allows another resume if the process is killed.
        (folder / "summary.json").unlink(missing_ok=True)
        write_json(folder / "config.json", {**config, "iterations": total})
        checkpoints.drop_after(done)
        os.truncate(folder / "metrics.jsonl", end)  # one system call, which leaves the earlier lines unchanged
        saver = Saver(run, checkpoints, every=every)
        if path.resolve() == checkpoints.path(done).resolve():
            saver.saved_iteration = done
        return run_to_end(run, saver)


def _require_rates(experiment: Experiment, done: int, total: int) -> None:
    """Raise ConfigError if iterations beyond those of the experiment would have negligible learning rates."""
    if total <= experiment.iterations:
        return
    rates = []
    for player in experiment.game.players.values():
        optimizer = player.optimizer
        if not callable(optimizer.lr) or any("lr" in settings for settings in optimizer.groups.values()):
            return
        first_after = optimizer.t * experiment.iterations // max(1, done) + 1
        rate = optimizer.lr(first_after)
        if rate > NEGLIGIBLE_RATE * optimizer.lr(1):
            return
        rates.append(rate)
    if rates:
        raise ConfigError(
            f"iterations={total}: the learning rates are {max(rates):g} after iteration {experiment.iterations}, so "
            f"that further ones train nothing; expected a new run with iterations={total}"
        )


def _require_unfinished(folder: Path, iterations: int | None) -> None:
    if not (folder / "summary.json").exists():  # the process was killed
        return
    summary = _read(folder / "summary.json", status=str, iterations=int)
    if summary["status"] == "diverged":
        raise RunError(f"{folder}: {summary.get('error', 'diverged')}; it would diverge again; start a new run")
    done = summary["iterations"]
    if summary["status"] in ("completed", "stopped early") and (iterations is None or iterations <= done):
        ended = f"{folder}: {summary['status']} after {done} iterations"
        if not Checkpoints(folder).numbers():
            raise RunError(f"{ended}, without checkpoints to continue from; start a new run with checkpoint_every=N")
        raise RunError(f"{ended}; to continue, expected iterations=N, N > {done}")


def _read(path: Path, **kinds: type) -> dict[str, Any]:
    """Read a JSON file of a run; raise RunError unless it has these names with values of these types."""
    return _require_kinds(path, read_json(path), kinds)


def _require_kinds(path: Path, data: Any, kinds: Mapping[str, type]) -> dict[str, Any]:
    """Return `data`, read from `path`; raise RunError unless it is a dict with these names and types."""
    if not isinstance(data, dict):
        raise RunError(f"{path}: expected a JSON object, got {type(data).__name__}")
    for name, kind in kinds.items():
        if name not in data:
            raise RunError(f"{path}: it has no {name!r}")
        if type(data[name]) is not kind:
            raise RunError(f"{path}: {name!r} is of type {type(data[name]).__name__}; expected {kind.__name__}")
    return data
