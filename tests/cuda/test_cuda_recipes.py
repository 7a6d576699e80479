"""Every recipe on the device follows the CPU, to rounding; runs and checkpoints have the same files."""

import json
import warnings

import numpy as np
import pytest
from emulated import NAME, NEEDS_HOST_COMPILER, error_of

import minigan as mg
from minigan.data import Transformed
from minigan.ops import to_host
from minigan.ops.cuda.capture.iterations import CaptureWarning
from minigan.recipes import RECIPES, RunOptions, get_recipe
from minigan.training import read_arrays, read_json, resume, train

pytestmark = NEEDS_HOST_COMPILER

SMALL = {
    "gaussian": {"batch_size": 8, "d_updates": 2, "g_updates": 2},
    "mnist-dense": {"batch_size": 4, "d_updates": 2, "g_updates": 2},
    "mnist-maxout": {"batch_size": 4, "train_images": 30},
    "mnist-dcgan": {"batch_size": 2},
    "mnist-softmax": {"batch_size": 4, "depth": 8, "d_depth": 8, "pretrain": 8},
    "mnist-conditional": {"batch_size": 4, "channels": 2, "features": 8, "latent": 5},
    "mnist-wgan-gp": {"batch_size": 2, "d_updates": 2, "dim": 2, "latent": 5},
    "stacked-mnist": {"batch_size": 4, "channels": 2, "latent": 5, "penalty_every": 1},
    "mnist-fast": {
        "batch_size": 4,
        "channels_G": 2,
        "channels_D": 2,
        "features": 8,
        "latent": 5,
        "penalty_every": 1,
        "iterations": 4,
    },
    "dcgan64": {"batch_size": 2, "width": 32},
    "cyclegan-toy": {"batch_size": 4, "pool": 6, "hidden": 8},
    "ring8": {"batch_size": 4, "hidden": 8},
    "grid25": {"batch_size": 4, "hidden": 8, "pack": 2, "objective": "minimax", "r2": 0.0},
}
GATES = {"float64": 1e-9, "float32": 2e-3}
"""Relative tolerances after three iterations; Adam's first steps are the signs of gradients, which may be near 0."""


def experiment(name, *, dtype="float64", **setting):
    size = 64 if name == "dcgan64" else 28
    images = np.random.default_rng(0).integers(0, 256, (40, size, size, 1), dtype=np.uint8)
    points = ("gaussian", "cyclegan-toy", "ring8", "grid25")
    own = {} if name in points else {"images": images, "labels": np.arange(40) * 3 % 10}
    recipe = get_recipe(name)
    return recipe.build(recipe.configure(SMALL[name]), RunOptions(dtype=dtype, **own, **setting))


def on_device(name, *, dtype="float64", **options):
    return experiment(name, dtype=dtype, ops="cuda", options={"device": NAME, **options})


def end(game, iterations=3):
    summary = train(game, iterations=iterations)
    assert summary["status"] == "completed"
    assert all(type(value) is float for value in summary["metrics"].values())
    nets = [player.network for player in game.game.players.values()]
    return [to_host(part) for net in nets for part in (net.theta, net.state_vector)], summary["metrics"]


def test_every_recipe_has_a_small_variant():
    assert set(SMALL) == set(RECIPES)


@pytest.mark.parametrize(
    ("name", "dtype", "graphs"),
    [*((name, "float64", True) for name in SMALL), ("dcgan64", "float32", False), ("mnist-softmax", "float32", True)],
)
def test_recipes(name, dtype, graphs):
    expected, metrics = end(experiment(name, dtype=dtype))
    found, their_metrics = end(on_device(name, dtype=dtype, graphs=graphs))
    for a, b in zip(found, expected, strict=True):
        assert error_of(a, b) < GATES[dtype]
    for key, value in metrics.items():
        assert their_metrics[key] == pytest.approx(value, rel=GATES[dtype], abs=GATES[dtype])


@pytest.mark.parametrize("name", sorted(set(SMALL) - {"mnist-dcgan"}))
def test_graphs_are_captured(name):
    """Except mnist-dcgan, which takes long: other recipes have its schedule, its layers and its keys."""
    game = on_device(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CaptureWarning)
        end(game)
    assert game.game.ops.iterations._find(game.game).captured is not None
    without = on_device(name, graphs=False)
    end(without)
    for player, other in zip(game.game.players.values(), without.game.players.values(), strict=True):
        np.testing.assert_array_equal(to_host(player.network.theta), to_host(other.network.theta))


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_rounded_precisions_stay_close(precision):
    expected, metrics = end(experiment("dcgan64", dtype="float32"), 1)
    found, their_metrics = end(on_device("dcgan64", dtype="float32", precision=precision), 1)
    assert their_metrics["d_loss"] == pytest.approx(metrics["d_loss"], rel=0.05)
    assert any((a != b).any() for a, b in zip(found, expected, strict=True))


def test_a_run_folder_has_the_files_of_a_cpu_run(tmp_path):
    game = on_device("gaussian")
    summary = train(game, iterations=4, folder=tmp_path / "run", checkpoint_every=2)
    assert summary["generator"]["samples"] == 100_000
    config = read_json(tmp_path / "run" / "config.json")
    assert (config["ops"], config["options"]) == ("cuda", {"device": NAME})
    assert config["engine"]["precision"] == "fp32"
    stored = read_arrays(tmp_path / "run" / "generator.npz")
    np.testing.assert_array_equal(stored["0.W"], to_host(game.gan.G.parameters()["0.W"]))
    assert {"gaussian.gif", "losses.png"} <= {path.name for path in (tmp_path / "run").iterdir()}
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == [1, 2, 3, 4]


def test_a_resumed_run_gives_the_same_bits(tmp_path):
    whole, first, second = (on_device("mnist-softmax", dtype="float32") for _ in range(3))
    end(whole, 6)
    train(first, iterations=3, folder=tmp_path / "run", checkpoint_every=3)
    resume(second, tmp_path / "run", iterations=6)
    for net, other in ((whole.gan.G, second.gan.G), (whole.gan.D, second.gan.D)):
        np.testing.assert_array_equal(to_host(net.theta), to_host(other.theta))


def test_divergence_is_reported():
    game = on_device("gaussian")
    game.gan.optimizer_D.lr = 1e300
    summary = train(game, iterations=5)
    assert summary["status"] == "diverged"
    assert np.isfinite(to_host(game.gan.D.theta)).all()


def test_infinite_parameters_are_reported_as_on_the_cpu(monkeypatch):
    """The losses are finite, because they were computed before the update."""
    monkeypatch.setitem(SMALL, "gaussian", {"batch_size": 8, "d_updates": 1, "g_updates": 1})
    errors = []
    for game in (on_device("gaussian"), experiment("gaussian")):
        game.gan.optimizer_G.lr = 1e308  # divided by 1 - beta1, this is infinite
        with np.errstate(over="ignore", invalid="ignore"):
            summary = train(game, iterations=2)
        assert summary["status"] == "diverged"
        assert np.isfinite(to_host(game.gan.G.theta)).all()
        errors.append(summary["error"])
    assert errors[0] == errors[1]
    assert "loss" not in errors[0].partition(";")[0]


def test_a_loop_in_a_users_script():
    """The update schedule is a user's, and batches come from the host."""
    rng = np.random.default_rng(0)
    G = mg.Network([mg.Dense(1, 1)], rng=rng, ops=mg.ops.get_ops("cuda", device=NAME))
    D = mg.Network([mg.Dense(1, 8), mg.LeakyReLU(0.2), mg.Dense(8, 1)], rng=rng, ops=G.ops)
    gan = mg.GAN(G, D, mg.Adam(G, lr=0.01), mg.Adam(D, lr=0.01), mg.NonSaturating(), rng=rng)
    for _ in range(4):
        seen_D, seen_G = mg.alternating(
            gan, lambda: rng.normal(4, 2, (16, 1)), lambda: rng.standard_normal((16, 1)), k=2
        )
    assert 0 < float(seen_D.loss) < 5
    assert 0 < float(seen_G.loss) < 5
    assert gan.optimizer_D.t == 8


def test_batches_are_prepared_on_the_device():
    """The drawn batch is copied to the device as bytes, as a recipe for images does it."""
    game = on_device("mnist-softmax", dtype="float32")
    device = game.gan.D.ops.device
    seen = []
    draw = Transformed(
        lambda: np.full((2, 28, 28, 1), 51, np.uint8), lambda x: seen.append(x) or (x / 127.5 - 1).astype("float32")
    )
    gan = game.gan
    for _ in range(4):  # step by step, captured, replayed
        outcome, _ = mg.alternating(gan, draw, lambda: np.zeros((2, 100), np.float32))
    assert [(type(x), x.dtype) for x in seen] == [(device.xp.ndarray, np.uint8)] * 2
    assert np.isfinite(float(outcome.loss))
