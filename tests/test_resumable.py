"""A run reports whether it can be resumed, with advice that suits the command line or the notebook."""

import io
import signal
from functools import partial

import numpy as np
import pytest
from command import run

import minigan as mg
from minigan import data
from minigan.recipes import RunOptions, get_recipe
from minigan.runs import train_recipe
from minigan.training import Callback, Experiment, ProgressBar, random_streams, read_json, resume, train
from minigan.training.streams import require_named

SMALL = {"iterations": "6", "batch_size": "20", "frames": "3"}
TINY = ("--iterations", "2", "--set", "frames=1", "--set", "batch_size=8")
PYTHON, OPTION = "checkpoint_every=N", "--checkpoint-every N"


def small():
    recipe = get_recipe("gaussian")
    experiment = recipe.build(recipe.configure(SMALL), RunOptions(seed=3))
    experiment.figures = []
    return experiment


class Interrupt(Callback):
    def on_iteration(self, run):
        if run.iteration == 1:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def interrupted(monkeypatch):
    """Interrupt every run of a recipe in its first iteration."""
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
        summary = train_recipe("gaussian", overrides={"iterations": 40, "lr": 1e25, "frames": 2})
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


OWN = np.random.default_rng(5)


def own_draw():
    return OWN.standard_normal((4, 1)).astype("f4")


class OwnSource:
    """Data with a random stream that its state contains."""

    def __init__(self):
        self.rng = np.random.default_rng(2)

    def __call__(self):
        return self.rng.standard_normal((4, 1)).astype("f4")

    def state(self):
        return {"stream": self.rng.bit_generator.state}

    def restore(self, state):
        self.rng.bit_generator.state = state["stream"]


class OwnGame(mg.Game):
    losses = ("loss",)

    def iteration(self):
        return {"loss": float(own_draw().sum())}


def own(real, *, noise=None, rng=None, more=None, **rest):
    """A custom experiment whose real data come from `real`."""
    named = random_streams(0) | (more or {})
    weights = np.random.default_rng(0)
    G, D = (mg.Network([mg.Dense(1, 1), *layers], rng=weights) for layers in ([], [mg.Dropout(0.5)]))
    gan = mg.GAN(G, D, mg.Adam(G), mg.Adam(D), mg.NonSaturating(), rng=rng or named["dropout"])
    z = noise or (lambda: named["noise"].standard_normal((4, 1)).astype("f4"))
    return Experiment("own", gan, lambda: mg.alternating(gan, real, z), 3, named, **rest)


def closure(rng):
    return lambda: rng.standard_normal((4, 1)).astype("f4")


class TestStreams:
    """A stream without a name would start from its seed in a resumed run."""

    @pytest.mark.parametrize(
        ("build", "place"),
        [
            (lambda: own(closure(np.random.default_rng(1)), rng=np.random.default_rng(1)), "game.rng"),
            (lambda: own(closure(np.random.default_rng(1))), "play: real: rng"),
            (lambda: own(partial(np.random.default_rng(1).standard_normal, (4, 1))), "play: real"),
            (lambda: own(data.RandomBatches(np.ones((9, 1), "f4"), 4, np.random.default_rng(1))), "real.rng"),
            (lambda: own(data.Transformed(closure(np.random.default_rng(1)), abs)), "real.draw: rng"),
            (lambda: own(own_draw), "play: real: OWN"),
            (lambda: own(OwnSource()), "play: real.rng"),
            (lambda: own(closure(np.random.RandomState(1))), "play: real: rng"),
            (
                lambda: Experiment("own", game := OwnGame(own(own_draw).game.players), game.play, 3, random_streams(0)),
                "OWN",
            ),
        ],
    )
    def test_one_without_a_name(self, in_tmp, build, place):
        with pytest.raises(ValueError, match=r"has no name in its streams .*random_streams\(seed, 'NAME'\)") as refused:
            train(build(), folder="run", checkpoint_every=1)
        assert place in str(refused.value)
        assert not (in_tmp / "run").exists()

    def test_it_matters_to_checkpoints_alone(self, in_tmp):
        assert train(own(closure(np.random.default_rng(1))), folder="run")["status"] == "completed"

    def test_a_resumed_run_is_refused_too(self, in_tmp):
        """The checkpoints may come from a version that did not check streams."""
        named = random_streams(0)
        train(own(closure(named["data"]), more=named), folder="run", checkpoint_every=1)
        with pytest.raises(ValueError, match="has no name in its streams"):
            resume(own(closure(np.random.default_rng(1))), "run", iterations=4)

    def test_streams_with_names_and_sources_that_keep_theirs(self, in_tmp):
        named, source, mine = random_streams(0), OwnSource(), np.random.default_rng(1)
        for k, experiment in enumerate(
            (
                own(closure(named["data"]), more=named),
                own(data.EpochBatches(np.ones((9, 1), "f4"), 4, named["data"]), more=named),
                own(source, sources={"own": source}),
                own(closure(mine), more={"mine": mine}),
                own(closure(np.random.Generator(mine.bit_generator)), more={"mine": mine}),
                own(lambda: np.ones((4, 1), "f4")),
            )
        ):
            summary = train(experiment, folder=f"run {k}", checkpoint_every=1)
            assert summary["status"] == "completed"

    @pytest.mark.parametrize("name", ["gaussian", "mnist-dense"])
    def test_recipes_have_names_for_all(self, name):
        pytest.importorskip("sklearn", reason="scikit-learn is not installed")
        recipe = get_recipe(name)
        experiment = recipe.build(recipe.configure({} if name == "gaussian" else {"data": "digits"}))
        require_named(experiment)
        experiment.streams = {key: rng for key, rng in experiment.streams.items() if key != "noise"}
        with pytest.raises(ValueError, match="has no name"):
            require_named(experiment)
