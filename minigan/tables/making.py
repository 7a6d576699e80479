"""Make a table: train what is missing in worker processes, and write table.json and table.md after every run."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minigan._arguments import size
from minigan.recipes import RunOptions, get_recipe
from minigan.tables.environment import versions_text
from minigan.tables.folders import PAGE, TABLE, described, earlier_table, table_folder
from minigan.tables.page import page
from minigan.tables.protocol import Ours, Protocol
from minigan.tables.protocols import get_protocol
from minigan.tables.report import Plan, Table, table_data
from minigan.tables.task import RESULT, Task, run_task
from minigan.training import create_run, write_json
from minigan.training.environment import versions
from minigan.training.files import PathLike, atomic_write, jsonable
from minigan.training.locks import locked
from minigan.training.workers import terminable, train_in_workers

Log = Callable[[str], None]
CHECKPOINTS = 20
"""The number of checkpoints in a run, so that an interruption costs at most a twentieth of it."""


def make_table(
    protocol: str | Protocol,
    *,
    seeds: int | None = None,
    rows: Sequence[str] = (),
    iterations: int | None = None,
    workers: int | None = None,
    checkpoint_every: int | None = None,
    data_dir: PathLike | None = None,
    out: PathLike | None = None,
    on_run_end: Callable[[Mapping[str, Any]], None] | None = None,
    log: Log | None = None,
) -> Table:
    """Make the table of a published protocol, or continue it.

    A script must call it below ``if __name__ == "__main__":``, because the worker processes import the script again.
    Ctrl-C and SIGTERM end it; the same call continues: finished runs are not repeated, and the others resume from their
    newest checkpoints.

    Parameters
    ----------
    protocol : str or Protocol
        A name in `PROTOCOLS`, or a protocol of your own.
    seeds : int, optional
        The number of seeds, at least 1; by default that of the protocol.
    rows : sequence of str
        The labels of the rows that are trained; by default all.
    iterations : int, optional
        The number of iterations for a quick try, whose table says that it is not the protocol; by default those of the
        protocol.
    workers : int, optional
        The number of parallel runs, of one thread each; by default one per core.
    checkpoint_every : int, optional
        The number of iterations between two checkpoints; by default a twentieth of the run.
    data_dir : path, optional
        The folder with the data files; by default $MINIGAN_DATA, then the cache folder.
    out : path, optional
        The folder: new or empty, or that of a table which is continued; by default runs/tables/NAME, and
        runs/tables/NAME-N-iterations with `iterations`.
    on_run_end : callable, optional
        ``on_run_end(result)`` is called whenever a run ends, with its "label", "seed" and "status" (and "error").
    log : callable, optional
        ``log(message)`` is called with remarks on the progress.

    Returns
    -------
    Table
        The table; ``print(table)`` shows it.

    Raises
    ------
    ValueError
        If an argument is outside its range, or (`ConfigError`) there is no protocol or row of a name.
    RunError
        If the folder cannot be written, has other files, another process is writing into it, or the protocol has
        changed since its first run.
    DataError
        If data files are missing or damaged.

    """
    chosen = get_protocol(protocol) if isinstance(protocol, str) else protocol
    for name, given in (
        ("seeds", seeds), ("iterations", iterations), ("workers", workers), ("checkpoint_every", checkpoint_every)
    ):  # fmt: skip
        if given is not None:
            size(name, given)
    plan = Plan(chosen, chosen.chosen(rows), chosen.seeds if seeds is None else seeds, iterations)
    settings = {row.label: described(row, iterations) for row in chosen.rows}
    folder = table_folder(chosen.name, iterations=iterations, out=out)
    earlier = earlier_table(folder, chosen.name, settings)
    for row in plan.rows:  # so that missing data is reported once, before any process starts
        recipe = get_recipe(row.recipe)
        recipe.build(recipe.configure(row.settings(iterations)), RunOptions(data_dir=data_dir))
    from minigan.ops.cpu.threads.pool import cores  # here, because the import loads the CPU backend

    making = Making(plan, settings, folder, workers or cores(), earlier or {})
    if earlier is None:
        create_run(folder, TABLE, making.content())
    with locked(folder, f"{folder}: another process is making this table"):
        options = {"checkpoint_every": checkpoint_every, "data_dir": None if data_dir is None else str(data_dir)}
        tasks = making.read(options)
        if earlier is not None and log is not None:
            making.report_earlier(log)
        with terminable(), suppress(KeyboardInterrupt):
            making.write()
            if tasks and chosen.classifier:
                _require_classifier(chosen.classifier, data_dir, log)
            if tasks:
                making.train(tasks, on_run_end)
        return making.write()


def _require_classifier(data: str, data_dir: PathLike | None, log: Log | None) -> None:
    """Train the evaluation classifier of a data set, unless the cache folder has it: once, before workers need it."""
    from minigan.classifier import classifier_of, stored_classifier

    if stored_classifier(data) is None:
        from minigan.evaluation import splits

        classifier_of(*splits(data, data_dir=data_dir), log=log)


@dataclass
class Making:
    """A table while it is made.

    Parameters
    ----------
    plan : Plan
        What is trained.
    settings : mapping of str to mapping
        The recipe and all hyper-parameters of every row, by label.
    folder : Path
        The folder of the table.
    workers : int
        The number of parallel runs.
    earlier : mapping
        table.json as it was before; empty for a new table.
    results : dict
        The results of the runs that have ended, by label and seed.
    remeasured : int
        The number of finished runs that are measured again.
    start : float
        When this began, by `time.monotonic`.

    """

    plan: Plan
    settings: Mapping[str, Mapping[str, Any]]
    folder: Path
    workers: int
    earlier: Mapping[str, Any]
    results: dict[tuple[str, int], Mapping[str, Any]] = field(default_factory=dict)
    remeasured: int = 0
    start: float = field(default_factory=time.monotonic)

    def content(self) -> dict[str, Any]:
        """Return the content of table.json as of now."""
        seconds = self.earlier.get("seconds", 0) + time.monotonic() - self.start
        data: dict[str, Any] = jsonable(
            table_data(
                self.plan, self.settings, self.results, seconds=seconds, workers=self.workers, earlier=self.earlier
            )
        )
        return data

    def write(self) -> Table:
        """Write table.json, and table.md from the same content."""
        data = self.content()
        write_json(self.folder / TABLE, data)
        atomic_write(self.folder / PAGE, lambda stream: stream.write(page(data).encode()))
        return Table(data, self.folder / PAGE)

    def read(self, options: Mapping[str, Any]) -> list[Task]:
        """Read the results of finished runs of all rows; return the tasks of the chosen rows that are left.

        The tasks go through the rows before the seeds, so that the rows of an interrupted table have the same seeds.
        """
        left = []
        for seed in range(self.plan.seeds):
            for row in self.plan.protocol.rows:
                task = self._task(row, seed, **options)
                result = task.result()
                if result is not None:
                    self.results[row.label, seed] = result
                elif row in self.plan.rows:
                    left.append(task)
                    self.remeasured += (task.folder / RESULT).exists()
        return left

    def _task(self, row: Ours, seed: int, *, checkpoint_every: int | None, data_dir: str | None) -> Task:
        settings = row.settings(self.plan.iterations)
        return Task(
            label=row.label, seed=seed, recipe=row.recipe, settings=settings,
            folder=self.folder / row.label / f"seed-{seed:03d}", columns=self.plan.protocol.columns,
            controls=self.plan.protocol.controls, data_dir=data_dir,
            checkpoint_every=checkpoint_every or max(1, settings["iterations"] // CHECKPOINTS),
        )  # fmt: skip

    def report_earlier(self, log: Log) -> None:
        """Say what the folder already has, and if versions or the measured figures have changed since."""
        total = len(self.plan.rows) * self.plan.seeds
        chosen = {row.label for row in self.plan.rows}
        log(f"{self.folder}: {sum(label in chosen for label, _ in self.results)} of {total} runs are finished")
        if self.remeasured:
            log(f"the protocol's figures have changed since: {self.remeasured} finished runs are measured again")
        if self.earlier["versions"] != versions():
            before, now = (versions_text(found) for found in (self.earlier["versions"], versions()))
            log(f"the last command here had {before}; this is {now}: a table of both is not that of either")

    def train(self, tasks: Sequence[Task], on_run_end: Callable[[Mapping[str, Any]], None] | None) -> None:
        """Run tasks in worker processes; write the table after each."""

        def collect(result: dict[str, Any]) -> None:
            if "label" not in result:  # the run has failed, and its number stands for the seed
                task = tasks[result["seed"]]
                result = {**result, "label": task.label, "seed": task.seed}
            self.results[result["label"], result["seed"]] = result
            self.write()
            if on_run_end is not None:
                on_run_end(result)

        train_in_workers(Call(tasks), len(tasks), workers=min(self.workers, len(tasks)), on_seed_end=collect)


class Call:
    """The function that a worker calls with the number of a task."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tasks

    def __call__(self, number: int) -> dict[str, Any]:
        """Run a task."""
        return run_task(self.tasks[number])
