"""Small protocols of the `gaussian` recipe, and tables that are made in this process, for the tests of tables."""

import json
from pathlib import Path

import pytest

from minigan.recipes.base import Recipe
from minigan.tables import Column, Control, Ours, Protocol, Published, make_table, making
from minigan.tables.page import page
from minigan.training import workers

SMALL = {"iterations": 6, "batch_size": 20, "frames": 2, "d_updates": 1, "g_updates": 1, "evaluate_every": 1}
COLUMNS = (
    Column("mean", "mean", "summary.generator.mean", digits=3),
    Column("jsd", "JSD", "summary.jsd", digits=4),
    Column("accuracy", "accuracy of D, %", "summary.metrics.accuracy", digits=1, percent=True),
)


def tiny(**changes):
    """A protocol with two rows and two seeds, each run of which takes milliseconds without its figures."""
    parts = {
        "name": "tiny",
        "about": "N(0, 1) to N(4, 2^2) in six iterations.",
        "columns": COLUMNS,
        "rows": (
            Ours("ours", "ours", "gaussian", SMALL),
            Ours("fast", "a larger step", "gaussian", {**SMALL, "lr": 0.01}),
        ),
        "published": (Published("exact", {"mean": "4"}, "Theorem 1"),),
        "controls": (Control("the data", {"mean": "summary.target.mean"}),),
        "seeds": 2,
    }  # fmt: skip
    return Protocol(**{**parts, **changes})


BUILD = Recipe.build


def build_without_figures(*args, **kwargs):
    """Build an experiment that draws no figures, which take longer than the training."""
    experiment = BUILD(*args, **kwargs)
    experiment.figures.clear()
    return experiment


@pytest.fixture(name="no_figures")
def no_figures_fixture(monkeypatch):
    """Runs in this process draw no figures."""
    monkeypatch.setattr(Recipe, "build", build_without_figures)


class CallWithoutFigures(making.Call):
    """What a worker calls, so that runs in worker processes draw no figures."""

    def __call__(self, number):
        Recipe.build = build_without_figures
        return super().__call__(number)


class Never:
    """The event of the workers, in this process: never set."""

    def is_set(self):
        return False


class After:
    """An event that counts as set after so many questions: one in each iteration, and one before the measurement."""

    def __init__(self, questions):
        self.left = questions

    def is_set(self):
        self.left -= 1
        return self.left < 0


@pytest.fixture(name="in_turn")
def in_turn_fixture(monkeypatch, in_tmp, no_figures):
    """Make tables in this process, one run after the other; return the list of the tasks that were run."""
    run_tasks = []

    def train_here(one, n, *, workers, on_seed_end):
        for number in range(n):
            run_tasks.append((one.tasks[number].label, one.tasks[number].seed))
            try:
                result = one(number)
            except Exception as error:  # as `train_in_workers` does
                result = {"seed": number, "status": "failed", "error": f"{type(error).__name__}: {error}"}
            if result["status"] != "interrupted":
                on_seed_end(result)

    monkeypatch.setattr(making, "train_in_workers", train_here)
    monkeypatch.setattr(workers, "_stop", Never())
    return run_tasks


def stored(folder="t"):
    """Return table.json of a folder, after a check that table.md is made from it alone."""
    data = json.loads(Path(folder, "table.json").read_text())
    assert Path(folder, "table.md").read_text() == page(data)
    return data


def make(protocol=None, **options):
    """Make a table in the folder t."""
    return make_table(tiny() if protocol is None else protocol, **{"out": "t", **options})


def files(folder="t"):
    """Return the bytes of all files of the runs in a folder."""
    return {path: path.read_bytes() for path in sorted(Path(folder).glob("*/seed-*/**/*")) if path.is_file()}
