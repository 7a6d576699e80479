"""Recipes: the published parameter counts, exact, and the systems as the documents have them."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import minigan as mg
from minigan import data, plots
from minigan.cli import main
from minigan.plots.images import LINE_PIXELS
from minigan.recipes import RECIPES, RunOptions, get_recipe
from minigan.recipes.figures import Samples, thinned
from minigan.training import read_json, train

# recipe -> (G trainable, G non-trainable, D trainable, D non-trainable)
COUNTS = {
    "gaussian": (2, 0, 31, 0),
    "mnist-dense": (243_600, 768, 535_041, 1_536),
    "mnist-maxout": (2_503_984, 0, 1_231_441, 0),
    "mnist-dcgan": (10_357_889, 384, 392_833, 896),
    "mnist-softmax": (1_566_401, 19_950, 9_707_266, 0),
    "dcgan64": (12_672_768, 1_792, 11_036_161, 3_584),
}
TOTALS = {  # as Keras prints them
    "mnist-dense": (244_368, 536_577),
    "mnist-dcgan": (10_358_273, 393_729),
    "mnist-softmax": (1_586_351, 9_707_266),
}


def test_every_recipe_is_counted():
    assert set(COUNTS) == set(RECIPES)


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts_are_exact(name, capsys):
    recipe = RECIPES[name]
    config = recipe.Config()
    chains = recipe.architecture(config)
    G, D = recipe.networks(config)
    g, d = G.summary(chains.noise_shape), D.summary(chains.data_shape)
    assert (g.trainable, g.non_trainable, d.trainable, d.non_trainable) == COUNTS[name]
    assert (G.theta.size, D.theta.size) == (g.trainable, d.trainable)
    if name in TOTALS:
        assert (g.total, d.total) == TOTALS[name]
    assert g.rows[-1].output_shape == chains.data_shape
    assert d.rows[-1].output_shape == ((2,) if name == "mnist-softmax" else (1,))
    assert "total" in capsys.readouterr().out


def test_the_printed_rows_of_mnist_dcgan(capsys):
    """The rows of D's table that the document shows."""
    recipe = RECIPES["mnist-dcgan"]
    _, D = recipe.networks(recipe.Config())
    rows = D.summary((28, 28, 1)).rows[:7]
    assert [(row.layer, row.output_shape, row.trainable + row.non_trainable) for row in rows] == [
        ("Conv2D", (14, 14, 32), 320),
        ("LeakyReLU", (14, 14, 32), 0),
        ("Dropout", (14, 14, 32), 0),
        ("Conv2D", (7, 7, 64), 18_496),
        ("ZeroPad2D", (8, 8, 64), 0),
        ("BatchNorm", (8, 8, 64), 256),
        ("LeakyReLU", (8, 8, 64), 0),
    ]
    assert "18,496" in capsys.readouterr().out


CONFIGS = {
    "gaussian": {
        "iterations": 1000, "batch_size": 1000, "d_updates": 10, "g_updates": 10, "hidden": 10, "mu": 4.0, "sigma": 2.0,
        "lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7, "frames": 50, "evaluate_every": 50, "patience": 0,
    },
    "mnist-dense": {
        "iterations": 2000, "batch_size": 32, "d_updates": 10, "g_updates": 10, "latent": 64, "lr": 1e-3, "beta1": 0.9,
        "beta2": 0.999, "eps": 1e-7, "data": "mnist", "sample_every": 200,
    },
    "mnist-maxout": {
        "iterations": 30_000, "batch_size": 100, "latent": 100, "lr": 0.1, "lr_decay": 1.000004, "lr_min": 1e-6,
        "momentum": 0.5, "momentum_final": 0.7, "momentum_epochs": 250, "train_images": 50_000, "data": "mnist",
        "sample_every": 1000,
    },
    "mnist-dcgan": {
        "iterations": 1001, "batch_size": 32, "latent": 100, "dropout": 0.25, "bn_momentum": 0.8, "slope": 0.2,
        "lr": 2e-4, "beta1": 0.5, "beta2": 0.999, "eps": 1e-7, "fakes": "training", "data": "mnist",
        "sample_every": 100,
    },
    "mnist-softmax": {
        "iterations": 10_000, "batch_size": 32, "pretrain": 10_000, "latent": 100, "depth": 200, "d_depth": 256,
        "dropout": 0.3, "bn_momentum": 0.9, "slope": 0.2, "lr_G": 2e-4, "lr_D": 1e-4, "beta1": 0.9, "beta2": 0.999,
        "eps": 1e-7, "data": "mnist", "sample_every": 250,
    },
    "dcgan64": {
        "iterations": 93_600, "batch_size": 128, "latent": 100, "width": 1, "slope": 0.2, "init_std": 0.02, "lr": 2e-4,
        "beta1": 0.5, "beta2": 0.999, "eps": 1e-8, "data": "mnist", "sample_every": 100,
    },
}  # fmt: skip
KERAS_NORM = {"eps": 1e-3, "momentum": 0.99, "convention": "old", "unbiased": False}
U05, U005 = mg.Uniform(0.05), mg.Uniform(0.005)
LEAKY = mg.LeakyReLU(0.2)
NORM8, NORM9 = ({"eps": 1e-3, "momentum": m, "convention": "old", "unbiased": False} for m in (0.8, 0.9))
N02, GAMMA = {"weight_init": mg.Normal(0.02)}, {"gamma_init": mg.Normal(0.02, mean=1.0)}
K4 = {"stride": 2, "padding": 1, "bias": False, **N02}
CHAINS = {
    "gaussian": (
        [mg.Dense(1, 1)],
        [mg.Dense(1, 10), mg.ReLU(), mg.Dense(10, 1)],
    ),
    "mnist-dense": (
        [mg.Dense(64, 128), mg.ReLU(), mg.BatchNorm(128, **KERAS_NORM),
         mg.Dense(128, 256), mg.ReLU(), mg.BatchNorm(256, **KERAS_NORM), mg.Dense(256, 784), mg.Sigmoid()],
        [mg.Dense(784, 512), mg.ReLU(), mg.BatchNorm(512, **KERAS_NORM),
         mg.Dense(512, 256), mg.ReLU(), mg.BatchNorm(256, **KERAS_NORM), mg.Dense(256, 1)],
    ),
    "mnist-maxout": (
        [mg.Dense(100, 1200, weight_init=U05), mg.ReLU(), mg.Dense(1200, 1200, weight_init=U05), mg.ReLU(),
         mg.Dense(1200, 784, weight_init=U05), mg.Sigmoid()],
        [mg.Dropout(0.2), mg.Maxout(784, 240, pieces=5, weight_init=U005),
         mg.Dropout(0.5), mg.Maxout(240, 240, pieces=5, weight_init=U005),
         mg.Dropout(0.5), mg.Dense(240, 1, weight_init=U005)],
    ),
    "mnist-dcgan": (
        [mg.Dense(100, 100_352), mg.ReLU(), mg.Reshape((28, 28, 128)),
         mg.ConvTranspose2D(128, 128, 3, padding="same"), mg.Dropout(0.25), mg.BatchNorm(128, **NORM8), mg.ReLU(),
         mg.ConvTranspose2D(128, 64, 3, padding="same"), mg.Dropout(0.25), mg.BatchNorm(64, **NORM8), mg.ReLU(),
         mg.ConvTranspose2D(64, 1, 3, padding="same"), mg.Tanh()],
        [mg.Conv2D(1, 32, 3, stride=2, padding="same"), LEAKY, mg.Dropout(0.25),
         mg.Conv2D(32, 64, 3, stride=2, padding="same"), mg.ZeroPad2D(((0, 1), (0, 1))), mg.BatchNorm(64, **NORM8),
         LEAKY, mg.Dropout(0.25),
         mg.Conv2D(64, 128, 3, stride=2, padding="same"), mg.BatchNorm(128, **NORM8), LEAKY, mg.Dropout(0.25),
         mg.Conv2D(128, 256, 3, padding="same"), mg.BatchNorm(256, **NORM8), LEAKY, mg.Dropout(0.25),
         mg.Flatten(), mg.Dense(4096, 1)],
    ),
    "mnist-softmax": (
        [mg.Dense(100, 9800, weight_init=mg.GlorotNormal()),
         mg.BatchNorm(9800, **NORM9), mg.ReLU(), mg.Dropout(0.3), mg.Reshape((7, 7, 200)),
         mg.ConvTranspose2D(200, 100, 5, stride=2, padding="same"), mg.BatchNorm(100, **NORM9), mg.ReLU(),
         mg.Dropout(0.3),
         mg.ConvTranspose2D(100, 50, 3, stride=2, padding="same"), mg.BatchNorm(50, **NORM9), mg.ReLU(),
         mg.Dropout(0.3),
         mg.ConvTranspose2D(50, 25, 3, padding="same"), mg.BatchNorm(25, **NORM9), mg.ReLU(), mg.Dropout(0.3),
         mg.ConvTranspose2D(25, 1, 3, padding="same"), mg.Sigmoid()],
        [mg.Conv2D(1, 256, 5, stride=2, padding="same"), LEAKY, mg.Dropout(0.3),
         mg.Conv2D(256, 512, 5, stride=2, padding="same"), LEAKY, mg.Dropout(0.3),
         mg.Flatten(), mg.Dense(25_088, 256), LEAKY, mg.Dropout(0.3), mg.Dense(256, 2)],
    ),
    "dcgan64": (
        [mg.Dense(100, 16_384, weight_init=mg.Uniform(0.1), bias_init=mg.Uniform(0.1)), mg.Reshape((4, 4, 1024)),
         mg.ConvTranspose2D(1024, 512, 4, **K4), mg.BatchNorm(512, **GAMMA), mg.ReLU(),
         mg.ConvTranspose2D(512, 256, 4, **K4), mg.BatchNorm(256, **GAMMA), mg.ReLU(),
         mg.ConvTranspose2D(256, 128, 4, **K4), mg.BatchNorm(128, **GAMMA), mg.ReLU(),
         mg.ConvTranspose2D(128, 3, 4, **K4), mg.Tanh()],
        [mg.Conv2D(3, 128, 4, **K4), LEAKY,
         mg.Conv2D(128, 256, 4, **K4), mg.BatchNorm(256, **GAMMA), LEAKY,
         mg.Conv2D(256, 512, 4, **K4), mg.BatchNorm(512, **GAMMA), LEAKY,
         mg.Conv2D(512, 1024, 4, **K4), mg.BatchNorm(1024, **GAMMA), LEAKY,
         mg.Flatten(), mg.Dense(16_384, 1, weight_init=mg.Uniform(1 / 128), bias_init=mg.Uniform(1 / 128))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_hyper_parameters_and_layers_are_those_written_here(name):
    recipe = RECIPES[name]
    assert dataclasses.asdict(recipe.Config()) == CONFIGS[name]
    chains = recipe.architecture(recipe.Config())
    assert (list(chains.G), list(chains.D)) == CHAINS[name]
    if name in ("gaussian", "mnist-dense", "mnist-dcgan"):  # Keras's defaults
        affine = (
            layer for layer in (*chains.G, *chains.D) if isinstance(layer, (mg.Dense, mg.Conv2D, mg.ConvTranspose2D))
        )
        assert {(layer.weight_init, layer.bias_init) for layer in affine} == {(mg.GlorotUniform(), mg.Zeros())}


@pytest.mark.parametrize("name", ["gaussian", "mnist-dense"])
def test_adam_is_keras_default(name, images):
    experiment = RECIPES[name].build()
    for adam in (experiment.gan.optimizer_G, experiment.gan.optimizer_D):
        assert isinstance(adam, mg.Adam)
        assert (adam.lr, adam.beta1, adam.beta2, adam.eps) == (1e-3, 0.9, 0.999, 1e-7)
    assert experiment.gan.objective == mg.NonSaturating(d_scale=0.5)


@pytest.fixture
def images(monkeypatch):
    """Sixty random images in place of a data set."""
    rng = np.random.default_rng(0)
    fake = data.Images("mnist", rng.integers(0, 256, (60, 28, 28, 1)).astype(np.uint8), np.zeros(60, np.uint8))
    monkeypatch.setattr("minigan.recipes.images.load", lambda name, split, data_dir=None: fake)
    return fake


class TestGaussian:
    def test_hyper_parameters_are_the_documents(self):
        config = get_recipe("gaussian").Config()
        assert (config.batch_size, config.d_updates, config.g_updates, config.hidden) == (1000, 10, 10, 10)
        assert (config.mu, config.sigma, config.iterations) == (4, 2, 1000)
        assert (config.lr, config.beta1, config.beta2, config.eps) == (1e-3, 0.9, 0.999, 1e-7)

    def test_one_iteration_is_ten_and_ten_updates(self):
        experiment = get_recipe("gaussian").build()
        experiment.play()
        assert (experiment.gan.optimizer_D.t, experiment.gan.optimizer_G.t) == (10, 10)

    def test_it_learns(self):
        """A whole run ends near N(4, 2^2), nearer than where the document's own 200 iterations end."""
        recipe = get_recipe("gaussian")
        done = train(recipe.build(run_options=RunOptions(seed=1)))
        assert abs(done["generator"]["mean"] - 4) <= 0.06
        assert abs(done["generator"]["std"] - 2) <= 0.15
        assert done["jsd"] < 0.005
        document = train(recipe.build(recipe.configure({"iterations": "200"}), RunOptions(seed=1)))
        assert document["generator"]["mean"] < 3
        assert document["jsd"] > 10 * done["jsd"]

    def test_float64_and_reference_follow_the_same_path(self):
        recipe = get_recipe("gaussian")
        config = recipe.configure({"iterations": "5"})
        thetas = []
        for setting in (RunOptions(), RunOptions(dtype="float64"), RunOptions(dtype="float64", ops="reference")):
            experiment = recipe.build(config, setting)
            train(experiment)
            thetas.append(experiment.gan.D.theta)
        np.testing.assert_allclose(thetas[0], thetas[1], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(thetas[1], thetas[2], rtol=1e-10)

    def test_its_figures(self, tmp_path):
        recipe = get_recipe("gaussian")
        train(recipe.build(recipe.configure({"iterations": "12", "frames": "4"})), folder=tmp_path)
        assert {p.name for p in tmp_path.glob("*.[pg][ni][gf]")} == {
            "gaussian.png", "gaussian.gif", "figure_1.png", "losses.png"
        }  # fmt: skip
        with Image.open(tmp_path / "gaussian.gif") as gif:
            assert gif.n_frames == 5  # iterations 0, 3, 6, 9, 12

    def test_figure_1_shows_four_moments(self, tmp_path, monkeypatch):
        shown = []
        draw = plots.figure_1
        monkeypatch.setattr(plots, "figure_1", lambda moments: shown.extend(moments) or draw(moments))
        recipe = get_recipe("gaussian")
        train(recipe.build(recipe.configure({"iterations": "12", "frames": "12"})), folder=tmp_path)
        assert [moment.iteration for moment in shown] == [0, 3, 6, 12]


class TestSamples:
    def run(self, images, folder, name, **settings):
        recipe = get_recipe(name)
        texts = {"batch_size": "20", **{key: str(value) for key, value in settings.items()}}
        experiment = recipe.build(recipe.configure(texts))
        train(experiment, folder=folder)
        return experiment.gan.G

    def test_mnist_dense_shows_one_by_four_and_forty_at_the_end(self, images, tmp_path):
        self.run(images, tmp_path, "mnist-dense", iterations=3, sample_every=2)
        grids = sorted(p.name for p in tmp_path.glob("samples_*.png"))
        assert grids == ["samples_000000.png", "samples_000002.png", "samples_000003.png"]
        sizes = {}
        for name in (*grids, "samples.png", "samples.gif"):
            with Image.open(tmp_path / name) as picture:
                sizes[name] = picture.size
        head = LINE_PIXELS + 4  # a line of title
        one_by_four, four_by_ten = (2 * (4 * 30 - 2), 2 * 28 + head), (2 * (10 * 30 - 2), 2 * (4 * 30 - 2) + head)
        assert set(map(sizes.get, grids)) == {one_by_four}
        assert (sizes["samples.gif"], sizes["samples.png"]) == (one_by_four, four_by_ten)
        with Image.open(tmp_path / "samples.gif") as gif:
            assert gif.n_frames == 3
        assert not (tmp_path / "neighbours.png").exists()

    def test_mnist_maxout_shows_the_nearest_training_image_of_each_rows_last_sample(self, images, tmp_path):
        self.run(images, tmp_path, "mnist-maxout", iterations=1)
        with Image.open(tmp_path / "neighbours.png") as picture:
            sheet = np.asarray(picture)[3 * LINE_PIXELS + 4 :]  # below the label of the neighbours
        with Image.open(tmp_path / "samples.png") as picture:
            np.testing.assert_array_equal(sheet[:, : picture.width], np.asarray(picture)[LINE_PIXELS + 4 :])
        training = images.images[..., 0].astype(float)
        for row in range(4):
            top = 60 * row
            sample, neighbour = (sheet[top : top + 56 : 2, left::2][:, :28].astype(float) for left in (540, 612))
            distances = np.square(training - sample).sum(axis=(1, 2))
            np.testing.assert_array_equal(neighbour, training[distances.argmin()])

    def test_the_animation_is_made_of_the_pictures_in_the_folder_in_their_colours(self, tmp_path):
        """None is kept in memory, of which a long run would need a gigabyte."""
        rng = np.random.default_rng(0)
        x = rng.random((6, 16, 16, 3))
        x = np.round(x * 5) / 5  # 216 colours at most
        samples = Samples(lambda z: x, np.zeros((6, 1)), np.asarray, every=1, rows=2, columns=3, sheet=(2, 3))
        run = SimpleNamespace(folder=tmp_path, iteration=0, history=[], resumed=[])
        samples.on_start(run)
        run.iteration = 1
        samples.on_iteration(run)
        with Image.open(tmp_path / "samples_000001.png") as picture:
            shown = picture.copy()
        assert len(shown.getcolors(1000)) > 150
        other = plots.image_grid(1 - x, rows=2, columns=3, title="iteration 0")
        plots.save_picture(other, tmp_path / "samples_000000.png")
        samples.on_end(run)
        with Image.open(tmp_path / "samples.gif") as gif:
            assert gif.n_frames == 2
            first = np.asarray(gif.convert("RGB"), dtype=int)
            gif.seek(1)
            last = np.asarray(gif.convert("RGB"), dtype=int)
        want = np.asarray(shown, dtype=int)
        assert np.abs(last - want).mean() < 1  # about 10 with 64 colours
        assert np.abs(first - last).mean() > 50

    def test_the_animation_is_thinned_not_cut(self):
        frames = thinned(range(1000), 60)
        assert (len(frames), frames[0], frames[-1]) == (60, 0, 999)
        assert set(np.diff(frames)) == {16, 17}
        assert thinned(range(60), 60) == list(range(60))


class TestMnistDense:
    def test_it_plays_as_the_document_does(self, images):
        recipe = get_recipe("mnist-dense")
        experiment = recipe.build(recipe.configure({"batch_size": "16"}))
        gan = experiment.gan
        assert (gan.d_batching, gan.fake_mode, gan.frozen_d_mode) == (mg.combined, mg.eval_fakes, mg.gan.eval_mode)
        experiment.play()
        assert (gan.optimizer_D.t, gan.optimizer_G.t) == (10, 10)
        assert gan.objective == mg.NonSaturating(d_scale=0.5)

    def test_prior_and_pixels(self, images):
        recipe = get_recipe("mnist-dense")
        z = recipe.prior(recipe.Config(), 1000, np.random.default_rng(0))
        assert z.shape == (1000, 64)
        assert 0 <= z.min() < 0.01 < 0.99 < z.max() <= 1


class TestMnistMaxout:
    def test_schedules_prior_and_bias(self, images):
        recipe = get_recipe("mnist-maxout")
        config = recipe.configure({"batch_size": "20", "momentum_epochs": "3", "train_images": "60"})
        experiment = recipe.build(config)
        optimizer = experiment.gan.optimizer_G
        assert optimizer.lr(1) == 0.1
        assert optimizer.lr(1001) == pytest.approx(0.1 * 1.000004**-1000, rel=1e-14)
        assert optimizer.lr(10**9) == 1e-6
        # 3 batches an epoch: epoch 1 at 0.5, epoch 2 half way, 0.7 from epoch 3
        assert [round(optimizer.momentum(t), 10) for t in (1, 3, 4, 6, 7, 1000)] == [0.5, 0.5, 0.6, 0.6, 0.7, 0.7]
        z = recipe.prior(config, 2000, np.random.default_rng(0))
        assert np.abs(z).max() <= math.sqrt(3)
        assert z.var() == pytest.approx(1, abs=0.02)
        pixels = images.images.reshape(60, 784) / 255
        bias = experiment.gan.G.parameters()["4.b"]
        np.testing.assert_allclose(1 / (1 + np.exp(-bias.astype(float))), pixels.mean(axis=0), rtol=1e-5)
        w = experiment.gan.D.parameters()["1.W"]
        assert 0.0049 < np.abs(w).max() <= 0.005

    def test_one_iteration_is_one_update_of_both(self, images):
        recipe = get_recipe("mnist-maxout")
        experiment = recipe.build(recipe.configure({"batch_size": "20"}))
        experiment.play()
        assert (experiment.gan.optimizer_D.t, experiment.gan.optimizer_G.t) == (1, 1)


def test_settings_are_parsed_by_the_kind_of_their_field():
    recipe = get_recipe("gaussian")
    config = recipe.configure({"lr": "1e-4", "batch_size": "32"})
    assert (config.lr, config.batch_size) == (1e-4, 32)
    assert dataclasses.replace(config, lr=1e-3, batch_size=1000) == recipe.Config()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batchsize": "3"}, "unknown setting of gaussian 'batchsize' .did you mean 'batch_size'"),
        ({"batch_size": "3.5"}, "batch_size='3.5'; expected a whole number"),
        ({"lr": "fast"}, "lr='fast'; expected a number"),
        ({"iterations": "0"}, "iterations must be >= 1, got 0"),
        ({"hidden": "-1"}, "hidden must be >= 1, got -1"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        get_recipe("gaussian").configure(settings)


def test_unknown_recipe():
    with pytest.raises(ValueError, match="unknown recipe 'gausian' .did you mean 'gaussian'"):
        get_recipe("gausian")


@pytest.fixture
def colour(monkeypatch):
    """A part of a little CIFAR-10."""
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
    found = data.Images("cifar10", images, np.zeros(6, dtype=np.uint8), "6 of 50,000 images: data_batch_1.bin")
    monkeypatch.setattr("minigan.recipes.images.load", lambda name, split, data_dir=None: found)
    return found


@pytest.mark.parametrize("name", ["mnist-dense", "mnist-maxout", "mnist-dcgan", "mnist-softmax"])
def test_images_of_another_size_are_refused_before_a_folder_is_made(name, colour, in_tmp, capsys):
    assert main(["train", name, "--data", "cifar10"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    want = "data='cifar10' has images (32, 32, 3); expected (28, 28, 1), such as mnist"
    assert err == f"minigan train: {want}\n"
    assert not list(in_tmp.iterdir())


def test_a_part_of_a_data_set_is_said_first_and_kept(colour, in_tmp, capsys):
    """Where a run starts, where it is resumed, and in config.json; of whole data sets nothing is said."""
    note = "cifar10: 6 of 50,000 images: data_batch_1.bin"
    small = ["--data", "cifar10", "--width", "128", "--set", "batch_size=2", "--iterations", "1"]
    assert main(["train", "dcgan64", *small, "--out", "run", "--checkpoint-every", "1"]) == 0
    assert capsys.readouterr().err.startswith(f"{note}\n1 [D loss")
    assert read_json("run/config.json")["note"] == note
    assert main(["resume", "run", "--iterations", "2"]) == 0
    assert capsys.readouterr().err.startswith(f"{note}\n2 [D loss")
    assert read_json("run/config.json")["note"] == note
    assert (
        main(
            ["train", "gaussian", "--iterations", "1", "--set", "frames=1", "--out", "other", "--checkpoint-every", "1"]
        )
        == 0
    )
    assert capsys.readouterr().err.startswith("1 [D loss")
    assert "note" not in read_json("other/config.json")


def test_width_is_an_option(colour, in_tmp, capsys):
    for option in (["--width", "64"], ["--set", "width=64"]):
        small = ["--data", "cifar10", "--set", "batch_size=2", "--iterations", "1", "--out", option[0][2:]]
        assert main(["train", "dcgan64", *option, *small]) == 0
    stored, same = (read_json(f"{name}/config.json") for name in ("width", "set"))
    assert stored == same
    assert stored["settings"]["width"] == 64


def test_a_pretraining_whose_batches_hold_one_kind_each_has_no_losses(images):
    recipe = get_recipe("mnist-softmax")
    config = recipe.configure({"pretrain": 2, "batch_size": 2, "depth": 8, "d_depth": 1})
    found = [recipe.build(config, RunOptions(seed=seed)).pretraining()["pretraining"] for seed in range(8)]
    assert {"images": 4} in found
    assert any(math.isfinite(one.get("first_d_loss", math.nan)) for one in found)
