"""The recipe `cyclegan-toy`: its data, runs, checkpoints with the pools, samples, measures, and what it learns."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from command import run
from PIL import Image

import minigan as mg
from minigan import runs
from minigan._names import ConfigError
from minigan.evaluation import evaluate
from minigan.gan.cycle import NAMES
from minigan.recipes import RunOptions, cyclegan_toy, domains, get_recipe
from minigan.recipes.symmetries import Symmetries
from minigan.recipes.translations import measure, translations
from minigan.training import Callback, RunError, read_json, resume, train
from minigan.training.checkpoint import Checkpoints, read_checkpoint, write_checkpoint

RECIPE = get_recipe("cyclegan-toy")
FEW = {"iterations": 7, "batch_size": 4, "pool": 6, "sample_every": 3}
DATA = ["points", "mnist"]
FOUR = {"G_AB.npz", "G_BA.npz", "D_A.npz", "D_B.npz"}


def build(data="points", *, seed=3, images=None, dtype="float32", ops="cpu", **settings):
    config = RECIPE.configure({**FEW, "data": data, **settings})
    return RECIPE.build(config, RunOptions(seed=seed, images=images, dtype=dtype, ops=ops))


@pytest.fixture
def few_examples(monkeypatch):
    monkeypatch.setattr(cyclegan_toy, "EVALUATION_EXAMPLES", {"points": 50, "images": 8})


@pytest.fixture
def small_runs(few_examples, images, in_tmp):
    """Random images as MNIST, few examples in the evaluation, and a new working folder."""
    return in_tmp


def bytes_of(experiment):
    """Everything that training changes, with the contents of the pools."""
    found = {}
    for name, player in experiment.game.players.items():
        found |= {name: player.network.theta.tobytes(), f"{name} t": player.optimizer.t}
        found |= {f"{name} {key}": array.tobytes() for key, array in player.optimizer.state.items()}
    for name, pool in experiment.sources.items():
        found |= {name: pool.images.tobytes(), f"{name} filled": pool.filled}
    return found | {name: rng.bit_generator.state for name, rng in experiment.streams.items()}


def files(folder):
    found = {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}
    summary = json.loads(found.pop("summary.json"))
    del found["config.json"]
    return found | {"summary": {k: v for k, v in summary.items() if k not in ("seconds", "cpu_seconds", "resumed")}}


class Dies(Callback):
    def on_iteration(self, run):
        if run.iteration == 6:
            raise RuntimeError("planted")


def broken(data, folder="run"):
    with pytest.raises(RuntimeError, match="planted"):
        train(build(data), folder=folder, callbacks=[Dies()], checkpoint_every=5)


class TestARun:
    @pytest.mark.parametrize("data", DATA)
    def test_its_folder_and_summary(self, data, small_runs):
        summary = runs.train_recipe("cyclegan-toy", overrides={**FEW, "data": data}, out="run")
        pictures = {f"samples_{n:06d}.png" for n in (0, 3, 6, 7)} | {"samples.png", "samples.gif", "losses.png"}
        assert {p.name for p in Path("run").iterdir()} == FOUR | pictures | {
            "config.json", "metrics.jsonl", "summary.json"
        }  # fmt: skip
        assert set(summary["metrics"]) == {"d_loss", "g_loss", "cycle_loss", "identity_loss"}
        assert set(summary["translations"]) == {"A_to_B", "B_to_A"}
        both = summary["translations"].values()
        assert summary["cycle_error"] == max(one["cycle_error"] for one in both) > 0
        assert summary["identity_error"] == max(one["identity_error"] for one in both) > 0
        assert ("labels_kept" in summary) == (data == "points")  # there is no classifier in this home folder
        with Image.open("run/samples.gif") as animation:
            assert animation.n_frames == 4

    @pytest.mark.parametrize("data", DATA)
    def test_a_resumed_run_is_the_uninterrupted_one(self, data, small_runs):
        whole, again = build(data), build(data)
        train(whole, folder="whole")
        broken(data)
        assert Checkpoints("run").numbers() == [5, 0]
        resume(again, "run")
        assert bytes_of(again) == bytes_of(whole)
        assert files("run") == files("whole")
        assert whole.sources["pool_A"].filled == 6

    def test_the_content_of_the_pools_matters(self, small_runs):
        """A checkpoint whose pool is altered gives another run: the check above would see a pool that is left out."""
        broken("points")
        whole, again = build(), build()
        train(whole)
        tree = read_checkpoint("run/checkpoints/000005.checkpoint")
        tree["sources"]["pool_A"]["images"] = tree["sources"]["pool_A"]["images"] + 1
        write_checkpoint("run/checkpoints/000005.checkpoint", tree)
        resume(again, "run")
        assert bytes_of(again)["D_A"] != bytes_of(whole)["D_A"]

    def test_another_pool_is_refused(self, small_runs):
        broken("points")
        tree = read_checkpoint("run/checkpoints/000005.checkpoint")
        tree["sources"]["pool_A"]["images"] = np.zeros((3, 2), "float32")
        write_checkpoint("run/checkpoints/000005.checkpoint", tree)
        with pytest.raises(RunError, match=r"does not fit the run: the pool is float32 \(3, 2\); expected float32 \(6"):
            resume(build(), "run")

    def test_the_command_line_trains_resumes_and_samples(self, small_runs, capsys):
        options = ["--set", "batch_size=4", "--set", "pool=6", "--out", "run", "--checkpoint-every", "2"]
        status, out, _ = run(capsys, "train", "cyclegan-toy", "--iterations", "3", *options)
        assert status == 0
        assert "A to B         cycle error" in out
        assert "labels kept" in out
        assert run(capsys, "resume", "run", "--iterations", "5")[0] == 0
        assert run(capsys, "sample", "run", "--n", "5")[:2] == (0, "run/samples-001.png\n")
        assert run(capsys, "sample", "run", "--n", "5", "--out", "x.npy")[0] == 0
        assert np.load("x.npy").shape == (6, 5, 2)
        status, _, err = run(capsys, "evaluate", "run")
        assert (status, "summary.json; expected a run of a recipe with one generator" in err) == (1, True)

    def test_the_command_line_describes_four_players(self, capsys):
        status, out, _ = run(capsys, "summary", "cyclegan-toy", "--set", "data=mnist")
        assert status == 0
        assert [line for line in out.splitlines() if line.split(" ")[0] in NAMES] == [
            "G_AB", "G_BA", "D_A (ends in logits)", "D_B (ends in logits)"
        ]  # fmt: skip
        line = next(one for one in run(capsys, "recipes")[1].splitlines() if one.startswith("cyclegan-toy"))
        assert line.split()[1:3] == ["8,964", "8,834"]

    def test_a_sweep_tabulates_the_labels(self, few_examples):
        found = runs.sweep("cyclegan-toy", seeds=2, workers=1, overrides=FEW)
        assert {"cycle_error", "identity_error", "labels_kept"} <= set(found.table())

    @pytest.mark.parametrize("data", DATA)
    def test_float64_and_reference_follow_the_same_path(self, data, few_examples, images):
        thetas = []
        for dtype, ops in (("float32", "cpu"), ("float64", "cpu"), ("float64", "reference")):
            experiment = build(data, dtype=dtype, ops=ops, iterations=3)
            train(experiment)
            thetas.append(np.concatenate([experiment.game.network(name).theta for name in NAMES]))
        np.testing.assert_allclose(thetas[0], thetas[1], rtol=1e-2, atol=1e-3)
        np.testing.assert_allclose(thetas[1], thetas[2], rtol=1e-9, atol=1e-12)


class TestSamples:
    @pytest.mark.parametrize("data", DATA)
    def test_they_are_translations_of_test_examples(self, data, small_runs):
        runs.train_recipe("cyclegan-toy", overrides={**FEW, "data": data}, out="run")
        x = runs.sample("run", n=9)
        players, recipe, config = runs.load_players("run")
        assert (recipe.name, config.data, x.dtype) == ("cyclegan-toy", data, np.float32)
        np.testing.assert_array_equal(x[1], players["G_AB"](x[0]))
        np.testing.assert_array_equal(x[2], players["G_BA"](x[1]))
        np.testing.assert_array_equal(x[4], players["G_BA"](x[3]))
        np.testing.assert_array_equal(x[5], players["G_AB"](x[4]))
        np.testing.assert_array_equal(runs.sample("run", n=9), x)
        assert (runs.sample("run", n=9, seed=1) != x).any()
        with Image.open(runs.write_samples("x.png", recipe, x, config=config)) as picture:
            assert picture.width > 100

    def test_what_has_no_generator_of_noise(self, small_runs):
        runs.train_recipe("cyclegan-toy", overrides=FEW, out="run")
        with pytest.raises(
            RunError, match="cyclegan-toy has no generator of noise; expected load_players, which retur"
        ):
            runs.load_generator("run")
        with pytest.raises(RunError, match="cyclegan-toy translates examples; its cycle error"):
            evaluate("run")
        runs.train_recipe("gaussian", overrides={"iterations": 1, "batch_size": 20}, out="other")
        with pytest.raises(RunError, match="gaussian has the players G and D; expected load_generator"):
            runs.load_players("other")

    def test_weights_that_are_not_finite(self, small_runs):
        runs.train_recipe("cyclegan-toy", overrides=FEW, out="run")
        arrays = dict(np.load("run/G_BA.npz"))
        arrays["0.W"][0, 0] = np.nan
        np.savez("run/G_BA.npz", **arrays)
        with pytest.raises(RunError, match="run: its generators give values that are not finite"):
            runs.sample("run")


class TestData:
    def test_b_is_a_turned_and_enlarged(self):
        a, labels = domains.points("A", 50_000, np.random.default_rng(0))
        b, others = domains.points("B", 50_000, np.random.default_rng(0))
        np.testing.assert_array_equal(labels, others)
        complex_a, complex_b = a @ [1, 1j], b @ [1, 1j]
        np.testing.assert_allclose(complex_b, 1.5 * np.exp(1j * np.pi / 6) * complex_a, rtol=1e-12)
        np.testing.assert_allclose(np.bincount(labels) / 50_000, [4 / 7, 2 / 7, 1 / 7], atol=0.01)
        for domain, x in (("A", a), ("B", b)):
            assert (domains.nearest_label(domain, x) == labels).mean() > 0.999

    def test_the_halves_of_the_images_have_none_in_common(self, images):
        experiment = build("mnist", batch_size=30)
        drawn = {name: experiment.game.draws[name]() for name in ("a", "b")}
        expected = images.images[:, :, :, 0] / 127.5 - 1
        turned_back = np.rot90(-drawn["b"][..., 0], -1, axes=(1, 2))
        for got, part in ((drawn["a"][..., 0], expected[:30]), (turned_back, expected[30:])):
            order = np.lexsort(got.reshape(30, -1).T), np.lexsort(part.reshape(30, -1).T)
            np.testing.assert_allclose(got[order[0]], part[order[1]], atol=1e-6)

    def test_upright_undoes_the_translation(self, images):
        turned = domains.to_b(images.images)
        assert turned.dtype == np.uint8
        np.testing.assert_allclose(domains.upright(turned / 127.5 - 1), images.images / 255, atol=1e-12)

    def test_ones_own_images_have_no_labels(self, small_runs):
        own = np.random.default_rng(1).integers(0, 256, (20, 28, 28, 1), dtype=np.uint8)
        summary = train(build("mnist", images=own))
        assert "labels_kept" not in summary
        assert summary["cycle_error"] > 0

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"data": "minst"}, "unknown data 'minst' .did you mean 'mnist'"),
            ({"objective": "hinge"}, "unknown objective 'hinge'"),
            ({"distance": "l3"}, "unknown distance 'l3'"),
            ({"cycle": -1}, "cycle must be >= 0"),
            ({"pool": -1}, "pool must be >= 0"),
            ({"lr_D": 0}, r"lr_D must be > 0"),
            ({"beta1": 1}, r"beta1 must be in \[0, 1\)"),
        ],
    )
    def test_settings_that_are_refused(self, settings, message):
        with pytest.raises(ConfigError, match=message):
            RECIPE.configure(settings)

    def test_images_that_are_refused(self):
        own = np.zeros((20, 32, 32, 1), np.uint8)
        with pytest.raises(ConfigError, match="images must be None because cyclegan-toy is not trained on images"):
            build("points", images=own)
        with pytest.raises(ConfigError, match=r"got shape \(20, 32, 32, 1\); expected \(N, 28, 28, 1\)"):
            build("mnist", images=own)
        with pytest.raises(ConfigError, match=r"batch_size must be in 1 ... 10 "):
            build("mnist", images=np.zeros((20, 28, 28, 1), np.uint8), batch_size=11)


def test_hyper_parameters_and_layers_are_those_written_here():
    config = RECIPE.Config()
    assert (config.objective, config.distance, config.pool, config.beta1) == ("least-squares", "l1", 50, 0.5)
    leaky = mg.LeakyReLU(0.2)
    players = RECIPE.architecture(config).players
    for name in NAMES:
        outputs = 2 if name.startswith("G") else 1
        assert list(players[name].layers) == [
            mg.Dense(2, 64), leaky, mg.Dense(64, 64), leaky, mg.Dense(64, outputs)
        ]  # fmt: skip
    players = RECIPE.architecture(RECIPE.configure({"data": "mnist"})).players
    assert list(players["G_AB"].layers) == list(players["G_BA"].layers) == [
        Symmetries(), mg.Conv2D(8, 8, 1, padding="same"), leaky, mg.Conv2D(8, 1, 1, padding="same"), mg.Tanh()
    ]  # fmt: skip
    assert list(players["D_A"].layers) == list(players["D_B"].layers) == [
        mg.Conv2D(1, 16, 4, stride=2, padding=1), leaky, mg.Conv2D(16, 32, 4, stride=2, padding=1), leaky,
        mg.Flatten(), mg.Dense(1568, 1),
    ]  # fmt: skip
    sizes = {name: net.theta.size for name, net in zip(NAMES, RECIPE.networks(RECIPE.Config()), strict=True)}
    assert sizes == {"G_AB": 4482, "G_BA": 4482, "D_A": 4417, "D_B": 4417}


def test_without_a_pool_d_sees_the_newest_fakes():
    experiment = build(pool=0)
    assert experiment.sources == {}
    assert experiment.game.pools == {}
    experiment.play()


# --- measures ---------------------------------------------------------------------------------------


def exact(turns):
    """The network -g x, for the turn g of an image by quarter turns; `Symmetries` and one weight of -1."""
    net = mg.Network([Symmetries(), mg.Conv2D(8, 1, 1)], rng=np.random.default_rng(0))
    net.theta = np.zeros(9, "float32")
    net.parameters()["1.W"][0, 0, turns % 4, 0] = -1
    net.mark_modified()
    return net


class ReadsTheLabel:
    """A classifier of images whose first pixel is a tenth of the label."""

    def accuracy_on(self, images, labels):
        return float((np.rint(10 * images[:, 0, 0, 0]) == labels).mean())


def labelled(monkeypatch, n=40):
    """Images of random pixels, the first of which is a tenth of the label."""
    rng = np.random.default_rng(0)
    pixels, labels = rng.random((n, 28, 28, 1)), rng.integers(0, 10, n).astype(np.uint8)
    pixels[:, 0, 0, 0] = labels / 10
    found = mg.data.Images("mnist", np.rint(255 * pixels).astype(np.uint8), labels)
    monkeypatch.setattr("minigan.recipes.images.load", lambda name, split, data_dir=None: found)
    monkeypatch.setattr("minigan.classifier.stored_classifier", lambda data: ReadsTheLabel())


def test_the_right_translation_has_no_error_and_keeps_all_labels(monkeypatch):
    labelled(monkeypatch)
    right = {"G_AB": exact(1), "G_BA": exact(-1)}
    both = domains.image_domains(
        "mnist", RunOptions(), 4, "float32", {f"data_{d}": np.random.default_rng(0) for d in "AB"}
    )
    a, b, kept = both.test(20, np.random.default_rng(0))
    found = measure(right, a, b, kept)
    assert (found["cycle_error"], found["labels_kept"]) == (0, 1)
    np.testing.assert_array_equal(translations(right, a, b)[1], -np.rot90(a, 1, axes=(1, 2)))
    identity = np.abs(-np.rot90(b, 1, axes=(1, 2)) - b).mean()
    assert found["translations"]["A_to_B"]["identity_error"] == pytest.approx(identity, rel=1e-5)
    wrong = measure({"G_AB": exact(-1), "G_BA": exact(1)}, a, b, kept)  # upside down
    assert wrong["cycle_error"] == 0
    assert wrong["labels_kept"] < 0.5
    none = measure(right, a, b, lambda direction, y: None)
    assert "labels_kept" not in none


def test_the_right_translation_of_points(few_examples):
    streams = {f"data_{d}": np.random.default_rng(0) for d in "AB"}
    a, b, kept = domains.point_domains(4, "float64", streams).test(500, np.random.default_rng(0))

    def affine(W):
        net = mg.Network([mg.Dense(2, 2)], rng=np.random.default_rng(0), dtype="float64")
        net.load_parameters({"0.W": W, "0.b": np.zeros(2)})
        return net

    found = measure({"G_AB": affine(domains.TURN), "G_BA": affine(np.linalg.inv(domains.TURN))}, a, b, kept)
    assert found["cycle_error"] < 1e-14
    assert found["labels_kept"] > 0.995
    half_turn = measure({"G_AB": affine(-domains.TURN), "G_BA": affine(-np.linalg.inv(domains.TURN))}, a, b, kept)
    assert half_turn["labels_kept"] < 0.7


# --- what it learns ---------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["least-squares", "non-saturating"])
def test_it_learns_to_translate_points(objective):
    summary = train(RECIPE.build(RECIPE.configure({"objective": objective, "iterations": 600})))
    assert summary["labels_kept"] >= 0.95
    assert summary["cycle_error"] < 0.2


def test_it_learns_to_turn_and_invert_digits(data_dir):
    """The mean difference of the translations from the right ones, in units of white minus black = 2."""
    config = RECIPE.configure({"data": "mnist", "iterations": 400})
    experiment = RECIPE.build(config, RunOptions(seed=0, data_dir=data_dir))
    experiment.evaluate = dict
    train(experiment)
    a, b = RECIPE.translator.draw(config, RunOptions(data_dir=data_dir), 500, np.random.default_rng(0))
    x = translations({name: experiment.game.network(name) for name in NAMES}, a, b)
    assert np.abs(x[1] + np.rot90(a, 1, axes=(1, 2))).mean() < 0.15
    assert np.abs(x[4] + np.rot90(b, -1, axes=(1, 2))).mean() < 0.15
    assert np.abs(x[2] - a).mean() < 0.15


def test_the_configuration_is_written_as_json(small_runs):
    runs.train_recipe("cyclegan-toy", overrides=FEW, out="run")
    config = read_json("run/config.json")
    assert config["settings"] == dataclasses.asdict(RECIPE.configure(FEW))
    assert set(config["networks"]) == set(NAMES)
