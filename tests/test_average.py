"""The moving average of G: its formula, resumed bit for bit, sampled and evaluated, and without effect on training."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from cases import ON_EACH_BACKEND, emulated
from command import run
from small_runs import SMALL, normalised
from test_resume import Dies, build

import minigan as mg
from minigan import classifier, runs
from minigan._names import ConfigError
from minigan.classifier import Config
from minigan.ensembles import ensemble_obstacle
from minigan.evaluation import evaluate
from minigan.ops import get_ops, to_host
from minigan.recipes import RunOptions, get_recipe
from minigan.runs import train_recipe
from minigan.training import AveragedNetwork, Callback, RunError, half_life_decay, read_arrays, resume, train


class Kept(Callback):
    """The parameters and running statistics of a network after each iteration."""

    def __init__(self, net):
        self.net, self.vectors = net, []

    def on_iteration(self, run):
        self.vectors.append(np.concatenate([self.net.theta, self.net.state_vector]))


def joined(arrays):
    return np.concatenate([value.ravel() for value in arrays.values()])


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.999])
def test_the_formula(decay, in_tmp):
    """b = min(decay, t / (t + 9)), for the parameters and for the running statistics of batch norm."""
    experiment = normalised()
    G = experiment.gan.G
    want = np.concatenate([G.theta, G.state_vector]).astype(float)
    kept, average = Kept(G), AveragedNetwork(G, decay=decay)
    train(experiment, iterations=20, folder="run", callbacks=[kept, average])
    for t, now in enumerate(kept.vectors, start=1):
        b = min(decay, t / (t + 9))
        want = b * want + (1 - b) * now
    found = np.concatenate([average.network.theta, average.network.state_vector])
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(joined(read_arrays("run/generator-ema.npz")), found)
    assert set(read_arrays("run/generator-ema.npz")) == set(read_arrays("run/generator.npz"))
    if decay == 0:
        np.testing.assert_array_equal(found, kept.vectors[-1])
    else:
        assert np.abs(found - kept.vectors[-1]).max() > 1e-4


def test_training_does_not_depend_on_it(in_tmp):
    """The same bits of all files, and one more file."""
    for out, more in (("with", {"ema": 0.9}), ("without", {})):
        train(build("gaussian", **more), folder=out)
    for name in ("metrics.jsonl", "generator.npz", "discriminator.npz"):
        assert Path("with", name).read_bytes() == Path("without", name).read_bytes()
    assert not Path("without/generator-ema.npz").exists()


@pytest.mark.parametrize("at", [1, 3, 6])
def test_a_resumed_run_has_the_same_average(at, in_tmp):
    settings = {"ema": 0.9}
    train(build("gaussian", **settings), folder="whole")
    with pytest.raises(RuntimeError, match="planted"):
        train(build("gaussian", **settings), folder="run", callbacks=[Dies(at)], checkpoint_every=2)
    resume(build("gaussian", **settings), "run")
    assert Path("run/generator-ema.npz").read_bytes() == Path("whole/generator-ema.npz").read_bytes()


def test_a_run_cannot_be_resumed_with_another_decay(in_tmp):
    with pytest.raises(RuntimeError, match="planted"):
        train(build("gaussian", ema=0.9), folder="run", callbacks=[Dies(3)], checkpoint_every=2)
    with pytest.raises(RunError, match="a checkpoint of another run: it differs in settings"):
        resume(build("gaussian", ema=0.5), "run")


@ON_EACH_BACKEND
def test_on_every_backend(ops):
    """The arithmetic is that of the backend's arrays."""
    nets = [mg.Network([mg.Dense(3, 4), mg.BatchNorm(4)], rng=np.random.default_rng(0), dtype="float64", ops=one)
            for one in ("reference", ops)]  # fmt: skip
    ends = []
    for net in nets:
        average, rng, run = AveragedNetwork(net, decay=0.5), np.random.default_rng(1), type("Run", (), {})()
        run.resumed = []
        average.on_start(run)
        for run.iteration in range(1, 6):
            net.theta = rng.standard_normal(net.theta.shape)
            net.load_state({key: rng.random(value.shape) for key, value in net.state.items()})
            average.on_iteration(run)
        ends.append(np.concatenate([average.network.theta, average.network.state_vector]))
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-15)


def test_iterations_on_cuda_are_captured_with_it():
    if not emulated():
        pytest.skip("needs a C++ compiler")
    from minigan.ops.cuda.capture.iterations import CaptureWarning

    ends = []
    for graphs in (True, False):
        ops, rng = get_ops("cuda", device="emulated", graphs=graphs), np.random.default_rng(0)
        G, D = (mg.Network([mg.Dense(2, 2)], rng=rng, ops=ops), mg.Network([mg.Dense(2, 1)], rng=rng, ops=ops))
        gan = mg.GAN(G, D, mg.Adam(G), mg.Adam(D), mg.NonSaturating())
        average = AveragedNetwork(G, decay=0.9)

        def play(gan=gan, rng=rng):
            return mg.alternating(gan, lambda: rng.random((8, 2)).astype("f4"), lambda: rng.random((8, 2)).astype("f4"))

        experiment = mg.training.Experiment("captured", gan, play, 6, {"data": rng}, callbacks=[average])
        with warnings.catch_warnings():
            warnings.simplefilter("error", CaptureWarning)
            train(experiment)
        ends.append(to_host(average.network.theta))
        assert np.abs(ends[-1] - to_host(G.theta)).max() > 1e-5
        assert (ops.iterations._find(gan).captured is not None) is graphs
    np.testing.assert_array_equal(*ends)


class TestRecipes:
    def train(self, **settings):
        train_recipe("gaussian", overrides=SMALL | {"ema": 0.9} | settings, out="run")

    def test_samples_come_from_the_average_unless_raw(self, in_tmp, capsys):
        self.train()
        for raw, file in ((False, "generator-ema.npz"), (True, "generator.npz")):
            G, _, config = runs.load_generator("run", raw=raw)
            assert config.ema == 0.9
            assert runs.generator_file("run", raw=raw) == Path("run", file)
            np.testing.assert_array_equal(G.theta, joined(read_arrays(f"run/{file}")))
        averaged, raw = runs.sample("run", n=30), runs.sample("run", n=30, raw=True)
        assert np.abs(averaged - raw).max() > 1e-6
        status, out, _ = run(capsys, "sample", "run", "--n", "30", "--out", "a.npy")
        assert status == 0
        assert "drawn from the averaged generator, generator-ema.npz (--raw: from generator.npz)" in out
        np.testing.assert_array_equal(np.load("a.npy"), averaged)
        status, out, _ = run(capsys, "sample", "run", "--n", "30", "--out", "b.npy", "--raw")
        assert status == 0
        assert "averaged" not in out
        np.testing.assert_array_equal(np.load("b.npy"), raw)

    def test_without_it_nothing_changes(self, in_tmp, capsys):
        self.train(ema=0.0)
        assert not Path("run/generator-ema.npz").exists()
        assert "averaged" not in run(capsys, "sample", "run", "--out", "a.npy")[1]
        stored = json.loads(Path("run/config.json").read_text())
        del stored["settings"]["ema"]  # a run of an earlier version
        Path("run/config.json").write_text(json.dumps(stored))
        assert runs.load_generator("run")[2].ema == 0

    def test_evaluation_names_the_weights(self, in_tmp, monkeypatch):
        monkeypatch.setitem(classifier.CLASSIFIERS, "digits", Config(epochs=1, batch_size=150))
        train_recipe("mnist-dense", overrides={"data": "digits", "iterations": 2, "ema": 0.5}, out="run")
        averaged, raw = (evaluate("run", n=20, raw=raw) for raw in (False, True))
        assert (averaged.weights, raw.weights) == ("generator-ema.npz", "generator.npz")
        assert averaged.generator != raw.generator
        assert averaged.rows[1] != raw.rows[1]
        assert "20 samples of the averaged generator, generator-ema.npz, noise seed 0" in str(averaged)
        assert "20 samples, noise seed 0" in str(raw)
        assert averaged.as_dict()["weights"] == "generator-ema.npz"

    def test_pictures_of_samples_show_the_average(self):
        recipe = get_recipe("mnist-dense")
        experiment = recipe.build(recipe.configure({"data": "digits", "ema": 0.9}), RunOptions())
        average = experiment.callbacks[0]
        assert isinstance(average, AveragedNetwork)
        assert experiment.figures[0].G is average.network

    @pytest.mark.parametrize("ema", [1.0, -0.1])
    def test_a_decay_outside_its_range(self, ema):
        with pytest.raises(ConfigError, match=r"ema must be in \[0, 1\), got"):
            get_recipe("gaussian").configure({"ema": ema})

    def test_the_kernel_that_trains_all_seeds_refuses_it(self):
        assert ensemble_obstacle(get_recipe("gaussian").configure({"ema": 0.9}), "float32").startswith("ema=0.9")


def test_half_life():
    decay = half_life_decay(1000, 50)
    assert decay**20 == pytest.approx(0.5, rel=1e-12)
    for examples, batch_size, message in ((0, 1, "examples must be > 0, got 0"), (1, 0, "batch_size must be >= 1")):
        with pytest.raises(ValueError, match=message):
            half_life_decay(examples, batch_size)
    with pytest.raises(ValueError, match=r"decay must be in \[0, 1\), got 1"):
        AveragedNetwork(mg.Network([mg.Dense(1, 1)], rng=np.random.default_rng(0)), decay=1)
