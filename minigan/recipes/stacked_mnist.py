"""`stacked-mnist`: three random digits as the channels of an image, 1000 modes, of which no one should be missing.

The data are 128,000 stacks, and summary.json says how many of the 1000 modes occur among 26,000 samples, and the
reverse KL divergence of the modes from uniform ones, by the protocol of PacGAN (Lin et al. 2018, arXiv:1712.04086,
section 4.2; `minigan.recipes.mode_counts`).  docs/stacked-mnist.md has the measurements.

networks=small    G is a dense layer and two transposed convolutions with batch norm, D two convolutions without any
                  norm and a dense layer.  The defaults pair real images with fakes (the relativistic cost of Huang et
                  al. 2024, arXiv:2501.05441) and penalise D's gradient at both.
networks=dcgan    the DCGAN of PacGAN's experiment: four convolutions of 5x5 with batch norm in either network, noise
                  U(-1, 1), weights N(0, 0.02^2).  Its published settings are channels=64, latent=100,
                  objective=non-saturating, r1=r2=0, lr_G=lr_D=2e-4, beta1=.5, beta2=.999, g_updates=2, ema=0,
                  lr_end=1, 100,000 iterations.

An iteration draws a batch, updates D once on it, and then G `g_updates` times on the same noise, as that experiment.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan._names import ConfigError, unknown
from minigan.data import EpochBatches, Images, Transformed, stack_digits
from minigan.gan import GAN, StepResults, same_batch
from minigan.gan.packing import unpack
from minigan.initializers import Normal
from minigan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dense, Flatten, Layer, LeakyReLU, ReLU, Reshape, Tanh
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.optimizers import Adam
from minigan.recipes.base import Recipe
from minigan.recipes.figures import Samples
from minigan.recipes.images import SIDE, held_out_images, signed, signed_to_images, training_images
from minigan.recipes.mode_counts import MODES, PUBLISHED_SAMPLES, ModeCount
from minigan.recipes.objectives import objective_of, penalties_of, require_objective, require_penalties
from minigan.recipes.options import RunOptions
from minigan.recipes.players import Architecture
from minigan.recipes.settings import require_at_least, require_within
from minigan.training.experiment import Experiment

CHANNELS = 3
SMALL = SIDE // 4
"""The side of the feature maps of the small networks between the dense layer and the two strides of 2."""
NETWORKS = ("small", "dcgan")
PICTURES = (8, 16)
"""The rows and columns of a grid of samples."""


@dataclass(frozen=True)
class Config:
    """The hyper-parameters.

    Parameters
    ----------
    iterations : int
        The number of iterations: an update of D and `g_updates` of G each.
    batch_size : int
        The number of real images, and of fakes, in an iteration.
    stacks : int
        The number of training images; 128,000 as in PacGAN.
    networks : {"small", "dcgan"}
        The layers of both networks (see the module).
    latent : int
        The dimension of the noise z.
    channels : int
        The channels of the feature maps at half the images' size; those of smaller maps have 2, 4 and 8 times as many.
    slope : float
        The slope of D's LeakyReLU for negative inputs, >= 0.
    objective : str
        The costs of both players, a name in `minigan.losses.OBJECTIVES` other than "softmax" (docs/objectives.md).
    clip : float
        The bound of the absolute values of D's parameters, to which they are clipped after each update; 0, the default,
        for none.  "wasserstein" needs one.
    r1, r2 : float
        The weights of the penalties of D's gradient at real images and at fakes, >= 0.  Not with networks=dcgan, whose
        D has batch norm.
    penalty_every : int
        The penalties are part of every so many-th update of D, with so many times their weight.
    pack : int
        The number of images that D sees at a time (`minigan.gan.packing`), a divisor of `batch_size`.
    g_updates : int
        The updates of G in an iteration.
    lr_G, lr_D : float
        The learning rates of Adam.
    lr_end : float
        The fraction, in (0, 1], to which both learning rates fall linearly over the second half of the iterations.
    beta1, beta2 : float
        The weights of Adam's old moments, in [0, 1).
    eps : float
        Adam's eps, > 0.
    ema : float
        The decay of the moving average of G's parameters in an iteration, in [0, 1); samples are drawn from the average
        and measured (`minigan.training.AveragedNetwork`).  0 means no average.
    data : str
        The data set, of images of 28x28 pixels in ten classes: "mnist" or "fashion-mnist".
    sample_every : int
        The number of iterations between two grids of samples.
    count_every : int
        The number of iterations between two counts of the modes; 0 for none during training.
    count_samples : int
        The number of samples of such a count.
    final_samples : int
        The number of samples at the end; 26,000 as in PacGAN.  0 for no count at the end.

    """

    iterations: int = 20_000
    batch_size: int = 64
    stacks: int = 128_000
    networks: str = "small"
    latent: int = 64
    channels: int = 24
    slope: float = 0.2
    objective: str = "relativistic"
    clip: float = 0.0
    r1: float = 1.0
    r2: float = 1.0
    penalty_every: int = 8
    pack: int = 1
    g_updates: int = 1
    lr_G: float = 1e-3
    lr_D: float = 1e-3
    lr_end: float = 0.1
    beta1: float = 0.5
    beta2: float = 0.99
    eps: float = 1e-8
    ema: float = 0.999
    data: str = "mnist"
    sample_every: int = 2000
    count_every: int = 1000
    count_samples: int = 5000
    final_samples: int = PUBLISHED_SAMPLES

    def __post_init__(self) -> None:
        require_at_least(1, iterations=self.iterations, batch_size=self.batch_size, sample_every=self.sample_every)
        require_at_least(1, stacks=self.stacks, latent=self.latent, channels=self.channels, pack=self.pack)
        require_at_least(1, g_updates=self.g_updates)
        require_at_least(0, count_every=self.count_every, count_samples=self.count_samples)
        require_at_least(0, final_samples=self.final_samples)
        require_within("(0, inf)", lr_G=self.lr_G, lr_D=self.lr_D, eps=self.eps)
        require_within("[0, 1)", beta1=self.beta1, beta2=self.beta2, ema=self.ema)
        require_within("(0, 1]", lr_end=self.lr_end)
        require_within("[0, inf)", slope=self.slope)
        require_objective(self)
        require_penalties(self)
        if self.networks not in NETWORKS:
            raise ConfigError(unknown("networks", self.networks, NETWORKS))
        if self.networks == "dcgan" and (self.r1 or self.r2):
            raise ConfigError(
                f"r1={self.r1} and r2={self.r2} with networks=dcgan, whose D has batch norm: its output depends on the "
                "whole batch, so that no image has a gradient of its own; expected r1=0 and r2=0"
            )
        if self.batch_size % self.pack:
            raise ConfigError(f"pack={self.pack} with batch_size={self.batch_size}; expected a divisor of it")


def architecture(config: Config) -> Architecture:
    """Return the layers of G and D."""
    build = _dcgan if config.networks == "dcgan" else _small
    G, D = build(config)
    return Architecture(G=G, D=D, noise_shape=(config.latent,), data_shape=(SIDE, SIDE, CHANNELS * config.pack))


def _small(config: Config) -> tuple[list[Layer], list[Layer]]:
    C, flat = config.channels, SMALL * SMALL * 2 * config.channels
    act = LeakyReLU(config.slope)
    G: list[Layer] = [
        Dense(config.latent, flat), BatchNorm(flat), ReLU(), Reshape((SMALL, SMALL, 2 * C)),
        ConvTranspose2D(2 * C, C, 4, stride=2, padding="same"), BatchNorm(C), ReLU(),
        ConvTranspose2D(C, CHANNELS, 4, stride=2, padding="same"), Tanh(),
    ]  # fmt: skip
    D: list[Layer] = [
        Conv2D(CHANNELS * config.pack, C, 4, stride=2, padding="same"), act,
        Conv2D(C, 2 * C, 4, stride=2, padding="same"), act,
        Flatten(), Dense(flat, 4 * C), act, Dense(4 * C, 1),
    ]  # fmt: skip
    return G, D


def _dcgan(config: Config) -> tuple[list[Layer], list[Layer]]:
    """Return 2x2 -> 4x4 -> 7x7 -> 14x14 -> 28x28, and back, as TensorFlow pads it."""
    C, w = config.channels, Normal(0.02)

    def up(c_in: int, c_out: int, *, padding: int | str = "same") -> ConvTranspose2D:
        return ConvTranspose2D(c_in, c_out, 5, stride=2, padding=padding, weight_init=w)

    def down(c_in: int, c_out: int) -> Conv2D:
        return Conv2D(c_in, c_out, 5, stride=2, padding="same", weight_init=w)

    G: list[Layer] = [
        Dense(config.latent, 4 * 8 * C, weight_init=w), Reshape((2, 2, 8 * C)), BatchNorm(8 * C), ReLU(),
        up(8 * C, 4 * C), BatchNorm(4 * C), ReLU(),
        up(4 * C, 2 * C, padding=2), BatchNorm(2 * C), ReLU(),
        up(2 * C, C), BatchNorm(C), ReLU(),
        up(C, CHANNELS), Tanh(),
    ]  # fmt: skip
    D: list[Layer] = [down(CHANNELS * config.pack, C), LeakyReLU(config.slope)]
    for c in (C, 2 * C, 4 * C):
        D += [down(c, 2 * c), BatchNorm(2 * c), LeakyReLU(config.slope)]
    return G, [*D, Flatten(), Dense(4 * 8 * C, 1, weight_init=w)]


def prior(config: Config, n: int, rng: np.random.Generator) -> Array:
    """Draw z ~ N(0, 1)^latent or, with networks=dcgan, U(-1, 1)^latent, an array (n, latent)."""
    size = (n, config.latent)
    return rng.uniform(-1, 1, size) if config.networks == "dcgan" else rng.standard_normal(size)


def to_images(x: Array) -> Array:
    """Return G's output (N, 28, 28, 3) in [-1, 1] as images in [0, 1]; packs of m images as m images."""
    return signed_to_images(unpack(x, x.shape[3] // CHANNELS))


def optimizer(net: Network, config: Config, lr: float, *, updates: int = 1, clip: float = 0.0) -> Adam:
    """Return Adam with the learning rate that falls in the second half of the iterations, of `updates` steps each."""
    half = config.iterations * updates / 2

    def rate(t: int) -> float:
        late = min(max(t / half - 1, 0.0), 1.0)
        return lr * (1 - (1 - config.lr_end) * late)

    return Adam(net, lr=rate, beta1=config.beta1, beta2=config.beta2, eps=config.eps, clip=clip or None)


def real_images(
    config: Config, run_options: RunOptions, dtype: Any, streams: dict[str, np.random.Generator]
) -> tuple[EpochBatches, Transformed]:
    """Return the batches of stacks, or of your own images with three channels, and these batches in [-1, 1]."""
    own = run_options.images
    if own is not None and own.shape[1:] == (SIDE, SIDE, CHANNELS):
        batches = EpochBatches(own, config.batch_size, streams["data"])
        return batches, Transformed(batches, lambda x: signed(x, dtype))
    digits = training_images(config.data, run_options, shape=(SIDE, SIDE, 1))
    stacked = stack_digits(digits, rng=streams["stacks"], n=config.stacks)
    batches = EpochBatches(stacked.index, config.batch_size, streams["data"])
    return batches, Transformed(lambda: stacked.images(batches()), lambda x: signed(x, dtype))


def assemble(
    config: Config, run_options: RunOptions, G: Network, D: Network, streams: dict[str, np.random.Generator]
) -> Experiment:
    """Build the experiment; an iteration draws a batch, updates D once and then G on the same noise."""
    dtype = G.dtype
    gan = GAN(
        G,
        D,
        optimizer(G, config, config.lr_G, updates=config.g_updates),
        optimizer(D, config, config.lr_D, clip=config.clip),
        objective_of(config),
        pack=config.pack,
        penalties=penalties_of(config),
        penalty_every=config.penalty_every,
    )
    batches, real = real_images(config, run_options, dtype, streams)

    def noise() -> Array:
        return prior(config, config.batch_size, streams["noise"]).astype(dtype)

    def iteration() -> StepResults:
        return same_batch(gan, real, noise, d_updates=1, g_updates=config.g_updates)

    def images() -> tuple[Images, Images]:
        return training_images(config.data, run_options), held_out_images(config.data, run_options)

    rows, columns = PICTURES
    shown = prior(config, rows * columns, streams["figures"]).astype(dtype)
    counted = prior(config, config.count_samples, streams["figures"]).astype(dtype)
    count = ModeCount(G, counted, to_images, every=config.count_every, images=images, final=config.final_samples > 0)

    def evaluate() -> dict[str, Any]:
        return count.measure(prior(config, config.final_samples, streams["evaluation"]).astype(dtype))

    classified = run_options.images is None  # the classes of your own images may mean something else
    return Experiment(
        name="stacked-mnist",
        game=gan,
        play=iteration,
        iterations=config.iterations,
        streams=streams,
        sources={"stacks": batches},
        callbacks=[count] if classified else [],
        evaluate=evaluate if classified else dict,
        figures=[
            Samples(G, shown, to_images, every=config.sample_every, rows=rows, columns=columns, sheet=PICTURES),
        ],
    )


RECIPE = Recipe(
    name="stacked-mnist",
    about="three digits as the channels of an image: 1000 modes, none of which should be missing",
    source="PacGAN, R3GAN",
    Config=Config,
    architecture=architecture,
    prior=prior,
    assemble=assemble,
    to_images=to_images,
    streams=("stacks",),
    modes=MODES,
    measures="makes stacks of three digits; their modes and reverse KL divergence",
)
