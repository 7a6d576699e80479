"""A run says whether it can be resumed, and what it advises can be done by the caller who reads it."""

import io
import signal

import pytest
from command import run

from minigan.recipes import Setting, get_recipe
from minigan.runs import train_recipe
from minigan.training import Callback, ProgressBar, read_json, resume, train

SMALL = {"iterations": "6", "batch_size": "20", "frames": "3"}
TINY = ("--iterations", "2", "--set", "frames=1", "--set", "batch_size=8")
PYTHON, OPTION = "checkpoint_every=N", "--checkpoint-every N"


def small():
    recipe = get_recipe("gaussian")
    experiment = recipe.build(recipe.configure(SMALL), Setting(seed=3))
    experiment.figures = []
    return experiment


class Interrupt(Callback):
    def on_iteration(self, run):
        if run.iteration == 1:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def interrupted(monkeypatch):
    """Every run of a recipe is interrupted in its first iteration."""
    build = type(get_recipe("gaussian")).build

    def interrupted(*args):
        experiment = build(*args)
        experiment.callbacks.append(Interrupt())
        return experiment

    monkeypatch.setattr(type(get_recipe("gaussian")), "build", interrupted)


class TestWithoutCheckpoints:
    def test_python_is_told_at_the_start_and_at_the_end(self, in_tmp):
        stream = io.StringIO()
        summary = train(small(), folder="run", callbacks=[Interrupt(), ProgressBar(stream)])
        said = stream.getvalue().splitlines()
        for line in (said[0], said[-1]):
            assert "cannot be resumed" in line
            assert PYTHON in line
            assert "--" not in line
        assert summary["status"] == "interrupted"
        assert PYTHON in summary["advice"]
        assert read_json("run/summary.json")["advice"] == summary["advice"]

    def test_the_command_line_is_told_at_the_start_and_at_the_end(self, in_tmp, capsys, interrupted):
        status, _, err = run(capsys, "train", "gaussian", *TINY, "--out", "run")
        said = err.splitlines()
        assert status == 130
        for line in (said[0], said[-1]):
            assert "cannot be resumed" in line
            assert OPTION in line
            assert "checkpoint_every" not in line

    def test_a_run_that_completes_is_told_at_the_start_alone(self, in_tmp):
        stream = io.StringIO()
        summary = train(small(), folder="run", callbacks=[ProgressBar(stream)])
        assert stream.getvalue().count("cannot be resumed") == 1
        assert "advice" not in summary

    def test_a_run_without_a_folder_asks_for_one(self):
        assert "a folder" in train(small(), callbacks=[Interrupt()])["advice"]

    def test_a_run_with_checkpoints_is_told_nothing(self, in_tmp):
        stream = io.StringIO()
        summary = train(small(), folder="run", callbacks=[Interrupt(), ProgressBar(stream)], checkpoint_every=2)
        assert "resume" not in stream.getvalue()
        assert "advice" not in summary
        stream = io.StringIO()
        assert resume(small(), "run", callbacks=[Callback(), ProgressBar(stream)])["status"] == "completed"
        assert "cannot be resumed" not in stream.getvalue()


class TestDivergence:
    def test_python(self, in_tmp):
        summary = train_recipe("gaussian", settings={"iterations": 40, "lr": 1e25, "frames": 2})
        assert summary["status"] == "diverged"
        assert "smaller learning rate" in summary["error"]
        assert "--" not in summary["error"]

    def test_the_command_line_names_its_options(self, in_tmp, capsys):
        status, _, err = run(capsys, "train", "gaussian", *TINY, "--iterations", "40", "--set", "lr=1e25")
        assert status == 1
        assert "--set lr=" in err
        assert "--dtype float64" in err

    def test_the_command_line_names_the_rates_that_the_recipe_has(self, in_tmp, capsys):
        pytest.importorskip("sklearn", reason="scikit-learn is not installed")
        line = ("train", "mnist-softmax", "--data", "digits", "--iterations", "3", "--set", "lr_D=1e30")
        status, _, err = run(
            capsys, *line, "--set", "batch_size=4", "--set", "pretrain=0", "--set", "depth=8", "--set", "d_depth=4"
        )
        assert status == 1, err
        assert "--set lr_G=" in err
        assert "--set lr_D=" in err
