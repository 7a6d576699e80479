"""One run of a table: train it, continue it or read it, and measure it.

ROW/seed-000/001/           the run folder; 002, ... if it had to be started again
ROW/seed-000/result.json    its numbers, written last: with this file the run is finished
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigan.recipes import get_recipe
from minigan.runs import resume_run, train_recipe
from minigan.tables.measures import found_in, number_at
from minigan.tables.protocol import Column, Control
from minigan.training import RunError, new_folder, read_json, write_json
from minigan.training.checkpoint import Checkpoints
from minigan.training.files import jsonable
from minigan.training.workers import StopOnEvent, stopping

RESULT = "result.json"
ENDED = ("completed", "stopped early", "diverged")
"""The states of a run that another attempt would repeat, as runs are deterministic."""


@dataclass(frozen=True)
class Task:
    """One run of a table: a row with a seed.

    Parameters
    ----------
    label : str
        The row.
    seed : int
        The seed.
    recipe : str
        The name of the recipe.
    settings : mapping
        All hyper-parameters.
    folder : Path
        The folder of the row's seed.
    columns : sequence of Column
        What is measured.
    controls : sequence of Control
        What is measured for the rows of real data.
    checkpoint_every : int
        The number of iterations between two checkpoints.
    data_dir : str, optional
        The folder with the data files.

    """

    label: str
    seed: int
    recipe: str
    settings: Mapping[str, Any]
    folder: Path
    columns: Sequence[Column]
    controls: Sequence[Control] = ()
    checkpoint_every: int = 1000
    data_dir: str | None = None

    @property
    def keys(self) -> dict[str, Any]:
        """The measured keys by the names of the columns, and those of the controls by their titles."""
        return {
            "columns": {column.name: column.key for column in self.columns},
            "controls": {control.title: dict(control.keys) for control in self.controls},
        }

    def result(self) -> dict[str, Any] | None:
        """Return the result of a finished run; None if the run is not finished, or something else was measured.

        Raises
        ------
        RunError
            If the file is damaged, or has the result of other hyper-parameters.

        """
        path = self.folder / RESULT
        if not path.is_file():
            return None
        found = read_json(path)
        if not isinstance(found, dict) or not isinstance(found.get("settings"), dict) or "status" not in found:
            raise RunError(f"{path}: not the result of a run; without the file the run is measured again")
        self._require_same(path, found["settings"])
        return found if found.get("keys") == jsonable(self.keys) else None

    def _require_same(self, path: Path, stored: Mapping[str, Any]) -> None:
        changes = differences(self.recipe, stored, self.settings)
        if changes:
            raise RunError(f"{path}: of a run with other hyper-parameters ({changes}); expected a new folder")

    def newest_run(self) -> Path | None:
        """Return the newest run folder of this seed that was begun; None if there is none.

        Raises
        ------
        RunError
            If it has other hyper-parameters.

        """
        numbers = [p for p in self.folder.glob("[0-9]*") if p.name.isdecimal() and (p / "config.json").is_file()]
        if not numbers:
            return None
        path = max(numbers, key=lambda p: int(p.name)) / "config.json"
        stored = read_json(path)
        if not isinstance(stored, dict) or not isinstance(stored.get("settings"), dict):
            raise RunError(f"{path}: not the configuration of a run")
        self._require_same(path, stored["settings"])
        return path.parent


def differences(recipe: str, stored: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Return what differs between stored hyper-parameters and those of now, as text; "" if nothing does.

    Hyper-parameters that an earlier version of the recipe did not have count with the values that its runs had.

    Parameters
    ----------
    recipe : str
        The name of the recipe.
    stored : mapping
        The hyper-parameters in a file.
    settings : mapping
        All hyper-parameters of now.

    Returns
    -------
    str
        Such as "lr was 0.001, is 0.002".

    """
    try:
        before = vars(get_recipe(recipe).configure_stored(stored))
    except ValueError as error:
        return str(error)
    changed = [name for name in settings if before.get(name) != settings[name]]
    return "; ".join(f"{name} was {before.get(name)!r}, is {settings[name]!r}" for name in changed)


def run_task(task: Task) -> dict[str, Any]:
    """Train a run, or continue it, and measure it; in a worker process, with one thread.

    Parameters
    ----------
    task : Task
        The run.

    Returns
    -------
    dict
        The result, which is also written to result.json: "label", "seed", "status" ("completed", or "diverged" with
        the "error"; "interrupted" results are not written), "run", "keys", "values", "controls", "iterations",
        "seconds", "cpu_seconds", "versions" and "history".

    Raises
    ------
    Exception
        What training or measuring raises.

    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        summary, history = _trained(task)
        folder = Path(summary["folder"])
        result = {
            "label": task.label, "seed": task.seed, "status": summary["status"], "run": str(folder), "keys": task.keys,
            "recipe": task.recipe, "settings": dict(task.settings), "iterations": summary["iterations"],
            "versions": _versions(folder, summary), "history": history,
            "seconds": summary["seconds"], "cpu_seconds": summary["cpu_seconds"],
        }  # fmt: skip
        if summary["status"] == "diverged":
            result |= {"error": summary["error"], "values": {}, "controls": {}}
        elif summary["status"] not in ENDED or stopping():
            return {**result, "status": "interrupted"}
        else:
            start = time.process_time()
            result |= measured(task, folder)
            result["measuring_cpu_seconds"] = round(time.process_time() - start, 3)
    write_json(task.folder / RESULT, result)
    return result


def measured(task: Task, run: Path) -> dict[str, Any]:
    """Return the "values" of all columns and the figures of all "controls" for a finished run."""
    controls = {c.title: c.keys for c in task.controls if c.label in ("", task.label)}
    keys = [column.key for column in task.columns] + [key for found in controls.values() for key in found.values()]
    results = found_in(run, {key.partition(".")[0] for key in keys}, data_dir=task.data_dir)
    return {
        "values": {column.name: number_at(results, column.key) for column in task.columns},
        "controls": {
            title: {name: number_at(results, key) for name, key in found.items()} for title, found in controls.items()
        },
    }


def _trained(task: Task) -> tuple[dict[str, Any], list[str]]:
    """Return the summary of the run with its folder, and what happened to earlier attempts."""
    run, history = task.newest_run(), []
    if run is not None:
        if (run / "summary.json").is_file():
            summary = read_json(run / "summary.json")
            if isinstance(summary, dict) and summary.get("status") in ENDED:
                return {**summary, "folder": str(run)}, [f"{run.name} was finished"]
        resumed, reason = _resumed(run, task)
        if resumed is not None:
            return resumed, [f"{run.name} was continued from iteration {resumed['resumed'][-1]['iteration']}"]
        history.append(f"{run.name} was started again: {reason}")
    summary = train_recipe(
        task.recipe, seed=task.seed, overrides=task.settings, options={"threads": 1}, data_dir=task.data_dir,
        out=new_folder(task.folder.name, root=task.folder.parent), callbacks=[StopOnEvent()],
        checkpoint_every=task.checkpoint_every,
    )  # fmt: skip
    return summary, history


def _resumed(run: Path, task: Task) -> tuple[dict[str, Any] | None, str]:
    """Continue a run from its newest checkpoint before the last iteration; return None and the reason if it cannot be.

    Raises
    ------
    RunError
        If another process is training the run.

    """
    checkpoints = Checkpoints(run)
    before_the_end = [number for number in checkpoints.numbers() if number < task.settings["iterations"]]
    if not before_the_end:
        return None, "it had no checkpoint"
    with checkpoints.locked():  # raises RunError if another process is training it
        pass
    try:
        path = checkpoints.path(before_the_end[0])
        return resume_run(run, checkpoint=path, data_dir=task.data_dir, callbacks=[StopOnEvent()]), ""
    except RunError as error:
        return None, str(error)


def _versions(run: Path, summary: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the versions of the libraries with which the run was trained: one, or more if it was continued later."""
    found = [read_json(run / "config.json")["versions"]]
    for resumed in summary.get("resumed", ()):
        if "versions" in resumed and resumed["versions"] not in found:
            found.append(resumed["versions"])
    return found
