"""Weight clipping after each step, and runs with objectives and clipping that are interrupted and resumed."""

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cases import ON_EACH_BACKEND
from hypothesis import given
from hypothesis import strategies as st
from test_resume import broken, build, everything, files

import minigan as mg
from minigan import data
from minigan._names import ConfigError
from minigan.data import RandomBatches
from minigan.ensembles import ensemble_obstacle
from minigan.ops import to_host
from minigan.recipes import RunOptions, get_recipe
from minigan.recipes.objectives import NAMES
from minigan.runs import resume_run
from minigan.training import Callback, Experiment, random_streams, resume, train
from minigan.training.checkpoint import read_checkpoint, write_checkpoint

OPTIMIZERS = [mg.SGD, mg.RMSProp, mg.Adam]


def net_of(n_in=3, dtype="float64", ops="cpu"):
    return mg.Network([mg.Dense(n_in, 4)], rng=np.random.default_rng(0), dtype=dtype, ops=ops)


@ON_EACH_BACKEND
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", OPTIMIZERS)
def test_a_step_is_the_unclipped_one_and_then_clipped(make, dtype, ops):
    clipped, free = net_of(dtype=dtype, ops=ops), net_of(dtype=dtype, ops=ops)
    one, other = make(clipped, lr=0.3, clip=0.25), make(free, lr=0.3)
    rng = np.random.default_rng(1)
    for _ in range(3):
        g = rng.standard_normal(16).astype(dtype)
        one.step(g)
        other.step(g)
        want = np.clip(to_host(free.theta), -0.25, 0.25)
        np.testing.assert_array_equal(to_host(clipped.theta), want)
        assert to_host(clipped.theta).dtype == np.dtype(dtype)
        for name in one.state:  # the moments are not clipped
            np.testing.assert_array_equal(to_host(one.state[name]), to_host(other.state[name]))
        free.theta = want
    assert (np.abs(to_host(clipped.theta)) == np.dtype(dtype).type(0.25)).any()


@given(st.floats(1e-3, 10), st.integers(0, 2**32 - 1))
def test_what_is_within_the_bound_stays(c, seed):
    net = net_of()
    net.theta = np.random.default_rng(seed).uniform(-c, c, 16)
    before = net.theta.copy()
    mg.SGD(net, lr=0.0, clip=c).step(np.ones(16))
    np.testing.assert_array_equal(net.theta, before)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_stays_nan_and_infinities_are_clipped(value):
    net = net_of()
    theta = np.zeros(16)
    theta[3] = value
    net.theta = theta
    mg.SGD(net, lr=0.0, clip=0.5).step(np.zeros(16))
    np.testing.assert_array_equal(net.theta[3], value if math.isnan(value) else math.copysign(0.5, value))


def test_the_bits_do_not_depend_on_threads():
    ends = []
    for threads in (1, 2):
        ops = mg.ops.get_ops("cpu", threads=threads)
        net = mg.Network([mg.Dense(500, 600)], rng=np.random.default_rng(0), ops=ops)
        optimizer = mg.RMSProp(net, lr=0.05, clip=0.04)
        for k in range(2):
            optimizer.step(np.random.default_rng(k).standard_normal(net.theta.size).astype("float32"))
        ends.append(net.theta.tobytes())
    assert ends[0] == ends[1]


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_it_is_checked_shown_and_may_change(make):
    for wrong in (0, -1, math.inf, "small", True):
        with pytest.raises(ValueError, match="clip must be"):
            make(net_of(), lr=0.1, clip=wrong)
    optimizer = make(net_of(), lr=0.1)
    assert "clip" not in repr(optimizer)
    optimizer.clip = Fraction(1, 4)
    assert "clip=0.25, t=0" in repr(optimizer)
    with pytest.raises(ValueError, match="clip must be > 0, got 0"):
        optimizer.clip = 0
    optimizer.clip = None
    before = optimizer.net.theta.copy()
    optimizer.step(np.zeros(16))
    np.testing.assert_array_equal(optimizer.net.theta, before)


# --- runs -----------------------------------------------------------------------------------------


@pytest.fixture
def images(monkeypatch):
    rng = np.random.default_rng(0)
    fake = data.Images("mnist", rng.integers(0, 256, (60, 28, 28, 1)).astype(np.uint8), np.zeros(60, np.uint8))
    monkeypatch.setattr("minigan.recipes.images.load", lambda name, split, data_dir=None: fake)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gaussian", {"objective": "wasserstein", "clip": 0.1}),
        ("gaussian", {"objective": "relativistic"}),
        ("mnist-maxout", {"objective": "relativistic-average"}),
        ("dcgan64", {"objective": "relativistic"}),  # alternating: G's step draws its own real images
    ],
)
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(name, settings, images, in_tmp):
    whole = build(name, **settings)
    train(whole, folder="whole", checkpoint_every=2)
    broken(name, at=4, **settings)
    resumed = build(name, **settings)
    resume(resumed, "broken")
    assert everything(resumed) == everything(whole)
    assert files("broken") == files("whole")


def test_alternating_draws_another_batch_for_G_and_resumes(in_tmp):
    """The position in the data stream is in the checkpoint, the batch of G's step included."""

    class Stop(Callback):
        def on_iteration(self, run):
            if run.iteration == 3:
                raise RuntimeError("planted")

    def experiment():
        streams = random_streams(0)
        G, D = (mg.Network([mg.Dense(2, 2)], rng=streams[w]) for w in ("weights_G", "weights_D"))
        D = mg.Network([mg.Dense(2, 3), mg.Tanh(), mg.Dense(3, 1)], rng=streams["weights_D"])
        gan = mg.GAN(G, D, mg.Adam(G), mg.RMSProp(D, lr=0.01, clip=0.5), mg.RelativisticPairing())
        real = RandomBatches(np.random.default_rng(1).standard_normal((40, 2)).astype("f4"), 8, streams["data"])

        def noise():
            return streams["noise"].standard_normal((8, 2)).astype("f4")

        return Experiment("pairs", gan, lambda: mg.alternating(gan, real, noise, k=2), 5, streams)

    whole, broken_off, resumed = experiment(), experiment(), experiment()
    train(whole, folder="whole")
    with pytest.raises(RuntimeError, match="planted"):
        train(broken_off, folder="run", callbacks=[Stop()], checkpoint_every=2)
    resume(resumed, "run")
    assert everything(resumed) == everything(whole)


@pytest.mark.parametrize("objective", NAMES)
def test_the_recipe_gaussian_trains_with_every_objective(objective, in_tmp):
    settings = {"objective": objective, **({"clip": 0.1} if objective == "wasserstein" else {})}
    summary = train(build(**settings))
    assert summary["status"] == "completed"
    assert ("value" in summary) == (objective in ("minimax", "non-saturating"))


@pytest.mark.parametrize("name", ["mnist-dense", "mnist-dcgan"])
def test_other_recipes_take_an_objective(name, images, in_tmp):
    for settings in ({"objective": "hinge"}, {"objective": "wasserstein", "clip": 0.05}):
        experiment = build(name, **settings)
        assert train(experiment, iterations=1)["status"] == "completed"
        assert (np.abs(experiment.gan.D.theta).max() <= np.float32(0.05)) == ("clip" in settings)


def test_a_run_of_a_version_without_the_settings_continues(images, in_tmp):
    """config.json and the checkpoints of earlier versions have neither `objective` nor `clip`."""
    train(build("mnist-dense"), folder="whole")
    broken("mnist-dense", at=3, folder="run")
    for path in Path("run/checkpoints").iterdir():
        tree = read_checkpoint(path)
        for name in ("objective", "clip"):
            del tree["identity"]["settings"][name]
        write_checkpoint(path, tree)
    config = json.loads(Path("run/config.json").read_text())
    for name in ("objective", "clip"):
        del config["settings"][name]
    Path("run/config.json").write_text(json.dumps(config))
    resume_run("run")
    for player in ("generator", "discriminator"):
        with np.load(f"run/{player}.npz") as resumed, np.load(f"whole/{player}.npz") as uninterrupted:
            for name in uninterrupted.files:
                np.testing.assert_array_equal(resumed[name], uninterrupted[name])


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("gaussian", {"objective": "hingee"}, r"unknown objective 'hingee' \(did you mean 'hinge'\?\)"),
        ("gaussian", {"objective": "softmax"}, "unknown objective 'softmax'"),
        ("gaussian", {"objective": "wasserstein"}, "objective=wasserstein needs clip > 0"),
        ("mnist-dense", {"clip": -1.0}, "clip must be > 0, got -1.0"),
        ("mnist-dcgan", {"objective": "relativistic"}, "objective=relativistic compares real examples with fakes, but"),
        ("mnist-softmax", {"objective": "hinge"}, "unknown setting of mnist-softmax 'objective'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name, settings, message):
    with pytest.raises(ConfigError, match=message):
        get_recipe(name).build(get_recipe(name).configure(settings), RunOptions())


def test_a_kernel_that_trains_all_seeds_knows_one_objective():
    config = get_recipe("gaussian").configure({"objective": "hinge"})
    assert "objective=hinge" in ensemble_obstacle(config, "float32")
    assert "clip=0.1" in ensemble_obstacle(get_recipe("gaussian").configure({"clip": 0.1}), "float32")
