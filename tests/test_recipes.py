"""The recipes' architectures, parameter counts and hyper-parameters are those of the tutorials and papers."""

import dataclasses

import pytest

import minigan as mg
from minigan.recipes import RECIPES

# recipe -> (G trainable, G non-trainable, D trainable, D non-trainable)
COUNTS = {
    "gaussian": (2, 0, 31, 0),
    "mnist-dense": (243_600, 768, 535_041, 1_536),
    "mnist-maxout": (2_503_984, 0, 1_231_441, 0),
    "mnist-conditional": (293_825, 6_336, 436_321, 0),
    "mnist-wgan-gp": (1_554_177, 0, 1_030_145, 0),
    "stacked-mnist": (177_243, 4_752, 245_641, 0),
    "mnist-fast": (234_177, 192, 209_457, 0),
    "mnist-dcgan": (10_357_889, 384, 392_833, 896),
    "mnist-softmax": (1_566_401, 19_950, 9_707_266, 0),
    "dcgan64": (12_672_768, 1_792, 11_036_161, 3_584),
    "ring8": (12_802, 0, 12_737, 0),
    "grid25": (12_802, 0, 12_737, 0),
}
TOTALS = {  # as Keras prints them
    "mnist-dense": (244_368, 536_577),
    "mnist-dcgan": (10_358_273, 393_729),
    "mnist-softmax": (1_586_351, 9_707_266),
}


def test_every_recipe_is_counted():
    assert set(COUNTS) | {"cyclegan-toy"} == set(RECIPES)  # tests/test_cyclegan_recipe.py counts its four players


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts_are_exact(name, capsys):
    recipe = RECIPES[name]
    config = recipe.Config()
    architecture = recipe.architecture(config)
    G, D = recipe.networks(config)
    g, d = G.summary(architecture.noise_shape), D.summary(architecture.data_shape)
    assert (g.trainable, g.non_trainable, d.trainable, d.non_trainable) == COUNTS[name]
    assert (G.theta.size, D.theta.size) == (g.trainable, d.trainable)
    if name in TOTALS:
        assert (g.total, d.total) == TOTALS[name]
    assert g.rows[-1].output_shape == architecture.data_shape
    assert d.rows[-1].output_shape == ((2,) if name == "mnist-softmax" else (1,))
    assert "total" in capsys.readouterr().out


def test_the_printed_rows_of_mnist_dcgan(capsys):
    """The rows of D's table that the tutorial shows."""
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


MIXTURE = {
    "iterations": 12_000, "batch_size": 128, "latent": 2, "networks": "small", "hidden": 64, "layers": 4,
    "objective": "relativistic", "clip": 0.0, "pack": 1, "r1": 1e-3, "r2": 1e-3, "penalty_every": 4,
    "updates": "alternating", "lr": 2e-3, "decay": 0.5, "beta1": 0.0, "beta2": 0.99, "eps": 1e-8, "ema": 0.999,
    "evaluate_every": 100, "frames": 50,
}  # fmt: skip
CONFIGS = {
    "gaussian": {
        "iterations": 1000, "batch_size": 1000, "d_updates": 10, "g_updates": 10, "hidden": 10, "mu": 4.0, "sigma": 2.0,
        "lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7, "frames": 50, "evaluate_every": 50, "patience": 0,
        "objective": "non-saturating", "clip": 0.0, "ema": 0.0, "r1": 0.0, "r2": 0.0, "penalty_every": 1,
    },
    "mnist-dense": {
        "iterations": 2000, "batch_size": 32, "d_updates": 10, "g_updates": 10, "latent": 64, "lr": 1e-3, "beta1": 0.9,
        "beta2": 0.999, "eps": 1e-7, "data": "mnist", "sample_every": 200, "pack": 1,
        "objective": "non-saturating", "clip": 0.0, "ema": 0.0,
    },
    "mnist-maxout": {
        "iterations": 30_000, "batch_size": 100, "latent": 100, "lr": 0.1, "lr_decay": 1.000004, "lr_min": 1e-6,
        "momentum": 0.5, "momentum_final": 0.7, "momentum_epochs": 250, "train_images": 50_000, "data": "mnist",
        "sample_every": 1000,
        "objective": "non-saturating", "clip": 0.0, "ema": 0.0, "r1": 0.0, "r2": 0.0, "penalty_every": 1,
    },
    "mnist-dcgan": {
        "iterations": 1001, "batch_size": 32, "latent": 100, "dropout": 0.25, "bn_momentum": 0.8, "slope": 0.2,
        "lr": 2e-4, "beta1": 0.5, "beta2": 0.999, "eps": 1e-7, "fakes": "training", "data": "mnist",
        "sample_every": 100,
        "objective": "non-saturating", "clip": 0.0, "ema": 0.0,
    },
    "mnist-softmax": {
        "iterations": 10_000, "batch_size": 32, "pretrain": 10_000, "latent": 100, "depth": 200, "d_depth": 256,
        "dropout": 0.3, "bn_momentum": 0.9, "slope": 0.2, "lr_G": 2e-4, "lr_D": 1e-4, "beta1": 0.9, "beta2": 0.999,
        "eps": 1e-7, "data": "mnist", "sample_every": 250,
        "ema": 0.0,
    },
    "mnist-wgan-gp": {
        "iterations": 1500, "batch_size": 50, "d_updates": 5, "latent": 128, "dim": 64, "penalty": 10.0,
        "penalty_every": 1, "slope": 0.2, "lr": 1e-4, "beta1": 0.5, "beta2": 0.9, "eps": 1e-8, "train_images": 50_000,
        "data": "mnist", "sample_every": 100, "ema": 0.0,
    },
    "dcgan64": {
        "iterations": 93_600, "batch_size": 128, "latent": 100, "width": 1, "slope": 0.2, "init_std": 0.02, "lr": 2e-4,
        "beta1": 0.5, "beta2": 0.999, "eps": 1e-8, "data": "mnist", "sample_every": 100,
        "objective": "non-saturating", "clip": 0.0, "ema": 0.0,
    },
    "ring8": MIXTURE,
    "grid25": {**MIXTURE, "iterations": 40_000, "batch_size": 256, "r1": 0.01, "r2": 0.01},
}  # fmt: skip
KERAS_NORM = {"eps": 1e-3, "momentum": 0.99, "convention": "old", "unbiased": False}
U05, U005 = mg.Uniform(0.05), mg.Uniform(0.005)
LEAKY = mg.LeakyReLU(0.2)
NORM8, NORM9 = ({"eps": 1e-3, "momentum": m, "convention": "old", "unbiased": False} for m in (0.8, 0.9))
N02, GAMMA = {"weight_init": mg.Normal(0.02)}, {"gamma_init": mg.Normal(0.02, mean=1.0)}
K4 = {"stride": 2, "padding": 1, "bias": False, **N02}


def K5(channels):
    """Stride and weights of the 5 x 5 convolutions of Gulrajani et al. (2017); the fans are 25 channels together."""
    return {"stride": 2, "weight_init": mg.Uniform((12 / (25 * channels)) ** 0.5)}


def mixture_chains(hidden, radius):
    """G: three hidden layers of LeakyReLU and one of tanh; D: four of LeakyReLU."""

    def chain(outputs, std, spread, last):
        denses = [mg.Dense(2, hidden, weight_init=mg.Normal(std), bias_init=mg.Uniform(spread))]
        denses += [mg.Dense(hidden, hidden)] * 3
        layers = [layer for dense, act in zip(denses, [LEAKY] * 3 + [last], strict=True) for layer in (dense, act)]
        return [*layers, mg.Dense(hidden, outputs)]

    return chain(2, 1.0, 2.0, mg.Tanh()), chain(1, 2 / radius, 4.0, LEAKY)


CHAINS = {
    "ring8": mixture_chains(64, 1.0),
    "grid25": mixture_chains(64, 5.0),
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
    "mnist-wgan-gp": (
        [mg.Dense(128, 4096), mg.ReLU(), mg.Reshape((4, 4, 256)),
         mg.ConvTranspose2D(256, 128, 5, padding=((1, 3), (1, 3)), **K5(256 / 4 + 128)), mg.ReLU(),
         mg.ConvTranspose2D(128, 64, 5, padding="same", **K5(128 / 4 + 64)), mg.ReLU(),
         mg.ConvTranspose2D(64, 1, 5, padding="same", **K5(64 / 4 + 1)), mg.Sigmoid()],
        [mg.Conv2D(1, 64, 5, padding="same", **K5(1 + 64 / 4)), LEAKY,
         mg.Conv2D(64, 128, 5, padding="same", **K5(64 + 128 / 4)), LEAKY,
         mg.Conv2D(128, 256, 5, padding="same", **K5(128 + 256 / 4)), LEAKY,
         mg.Flatten(), mg.Dense(4096, 1)],
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
    architecture = recipe.architecture(recipe.Config())
    assert (list(architecture.G), list(architecture.D)) == CHAINS[name]
    if name in ("gaussian", "mnist-dense", "mnist-dcgan"):  # Keras's defaults
        affine = (
            layer
            for layer in (*architecture.G, *architecture.D)
            if isinstance(layer, (mg.Dense, mg.Conv2D, mg.ConvTranspose2D))
        )
        assert {(layer.weight_init, layer.bias_init) for layer in affine} == {(mg.GlorotUniform(), mg.Zeros())}


@pytest.mark.parametrize("name", ["gaussian", "mnist-dense"])
def test_adam_is_keras_default(name, images):
    experiment = RECIPES[name].build()
    for adam in (experiment.gan.optimizer_G, experiment.gan.optimizer_D):
        assert isinstance(adam, mg.Adam)
        assert (adam.lr, adam.beta1, adam.beta2, adam.eps) == (1e-3, 0.9, 0.999, 1e-7)
    assert experiment.gan.objective == mg.NonSaturating(d_scale=0.5)
