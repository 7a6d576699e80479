"""Going on with a run that was killed or interrupted, from one of its checkpoints."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minigan._arguments import size
from minigan._names import ConfigError
from minigan.training.callbacks import Callback
from minigan.training.checkpoint import Checkpoints
from minigan.training.environment import versions
from minigan.training.experiment import Experiment, Run
from minigan.training.files import PathLike, RunError, read_json, write_json
from minigan.training.loop import run_to_end, with_files
from minigan.training.state import Saver, read_metrics, restore
from minigan.training.streams import require_named

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
    """Go on with the run in `folder` and return its summary, as of `train`, with `resumed`: from which iterations.

    `experiment` is built as for `train`, and `callbacks` are the same ones.  `iterations` is the total (default: as
    asked for before), `checkpoint` a file to use in place of the newest.  With the same versions, processor and number
    of BLAS threads the run ends bit-identical to one that was never interrupted.

    RunError where the run is complete or diverged, another process is training it, it has no checkpoint, or a file is
    damaged or another run's.
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
        run = Run(experiment, total, folder=folder, hooks=with_files(experiment, callbacks), checkpoint_every=every)
        run.history, end = read_metrics(folder / "metrics.jsonl", done)
        run.metrics = run.history[-1] if run.history else {}
        restore(run, tree, path=path)
        if versions() != config["versions"]:
            run.resumed[-1]["versions"] = versions()
        # From here on files change; a process that is killed at any line leaves a run that can be resumed.
        (folder / "summary.json").unlink(missing_ok=True)
        write_json(folder / "config.json", {**config, "iterations": total})
        checkpoints.drop_after(done)
        os.truncate(folder / "metrics.jsonl", end)  # one system call: the lines before are never touched
        saver = Saver(run, checkpoints, every=every)
        if path.resolve() == checkpoints.path(done).resolve():
            saver.saved = done
        return run_to_end(run, saver)


def _require_unfinished(folder: Path, iterations: int | None) -> None:
    if not (folder / "summary.json").exists():  # it was killed
        return
    summary = _read(folder / "summary.json", status=str, iterations=int)
    if summary["status"] == "diverged":
        raise RunError(f"{folder}: {summary.get('error', 'diverged')}; it would diverge again: train anew")
    done = summary["iterations"]
    if summary["status"] in ("completed", "stopped early") and (iterations is None or iterations <= done):
        ended = f"{folder}: {summary['status']} after {done} iterations"
        if not Checkpoints(folder).numbers():
            raise RunError(f"{ended}, without checkpoints to continue from; train anew with checkpoint_every=N")
        raise RunError(f"{ended}; to continue, expected iterations=N, N > {done}")


def _read(path: Path, **kinds: type) -> dict[str, Any]:
    """Read a JSON file of a run that must have these names, with values of these kinds."""
    return _require_kinds(path, read_json(path), kinds)


def _require_kinds(path: Path, data: Any, kinds: Mapping[str, type]) -> dict[str, Any]:
    """Return `data`, read from `path`; RunError unless it is a dict with these names and kinds."""
    if not isinstance(data, dict):
        raise RunError(f"{path}: expected a JSON object, got {type(data).__name__}")
    for name, kind in kinds.items():
        if name not in data:
            raise RunError(f"{path}: it has no {name!r}")
        if type(data[name]) is not kind:
            raise RunError(f"{path}: {name!r} is of type {type(data[name]).__name__}; expected {kind.__name__}")
    return data
