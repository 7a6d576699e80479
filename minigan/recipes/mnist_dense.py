"""`mnist-dense`: U(0, 1)^64 -> MNIST with dense networks and batch normalisation.

The model is in the commented-out part of the notebook S1 (README.md).  The conventions are Keras's: batch norm with eps
1e-3, momentum 0.99 (the weight of the running statistics) and a biased variance; D is trained on real and fake images
in one batch (common statistics); the fakes for D come from ``predict`` (running statistics); the frozen D in G's step
uses its running statistics, as Keras freezes batch norm since TensorFlow 2 (with batch statistics of fakes alone G
learns nothing: docs/decisions/frozen-batch-norm.md); Adam with eps 1e-7; J_D is the mean over both kinds.  D ends in a
logit.
"""

import math
from dataclasses import dataclass

import numpy as np

from minigan._names import ConfigError
from minigan.data import RandomBatches
from minigan.gan import GAN, StepResults, combined, eval_fakes, eval_mode, same_batch
from minigan.layers import BatchNorm, Dense, ReLU, Sigmoid
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.recipes.adam import adam
from minigan.recipes.base import Recipe
from minigan.recipes.figures import SHEET, Samples
from minigan.recipes.images import PIXELS, flat_to_images, training_pixels
from minigan.recipes.objectives import objective_of, require_objective
from minigan.recipes.options import RunOptions
from minigan.recipes.players import Architecture
from minigan.recipes.settings import require_at_least, require_within
from minigan.training.experiment import Experiment


@dataclass(frozen=True)
class Config:
    """The hyper-parameters.

    Parameters
    ----------
    iterations : int
        The number of iterations, each of which draws a batch.
    batch_size : int
        The number of real images, and of noise vectors, in an iteration.
    d_updates, g_updates : int
        The updates of D on an iteration's batch, and then of G on its noise.
    latent : int
        The dimension of the noise z.
    lr : float
        The learning rate of Adam, for both players.
    beta1, beta2 : float
        The weights of Adam's old moments, in [0, 1).
    eps : float
        Adam's eps, > 0; 1e-7 as in Keras.
    objective : str
        The costs of both players, a name in `minigan.losses.OBJECTIVES` other than "softmax" (docs/objectives.md).
    clip : float
        The bound of the absolute values of D's parameters, to which they are clipped after each update; 0, the default,
        for none.  "wasserstein" needs one.
    data : str
        The data set, of images of 28x28 pixels: "mnist" or "fashion-mnist".
    sample_every : int
        The number of iterations between two grids of samples.
    pack : int
        The number of images that D sees at a time (`minigan.gan.packing`), a divisor of `batch_size`; 1 by default.
    ema : float
        The decay of the moving average of G's parameters in an iteration, in [0, 1), such as 0.999; samples are then
        drawn from the average (`minigan.training.AveragedNetwork`).  0, the default, means no average.

    """

    iterations: int = 2000
    batch_size: int = 32
    d_updates: int = 10
    g_updates: int = 10
    latent: int = 64
    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-7
    objective: str = "non-saturating"
    clip: float = 0.0
    data: str = "mnist"
    sample_every: int = 200
    pack: int = 1
    ema: float = 0.0

    def __post_init__(self) -> None:
        require_at_least(1, iterations=self.iterations, batch_size=self.batch_size, sample_every=self.sample_every)
        require_at_least(1, d_updates=self.d_updates, g_updates=self.g_updates, latent=self.latent)
        require_at_least(1, pack=self.pack)
        if self.batch_size % self.pack:
            raise ConfigError(f"pack={self.pack} with batch_size={self.batch_size}; expected a divisor of it")
        require_within("(0, inf)", lr=self.lr, eps=self.eps)
        require_within("[0, 1)", beta1=self.beta1, beta2=self.beta2, ema=self.ema)
        require_objective(self)


def architecture(config: Config) -> Architecture:
    """Return G 64-128-256-784 and D 784-512-256-1, with ReLU and then batch norm after each hidden layer."""
    return Architecture(
        G=[
            Dense(config.latent, 128), ReLU(), BatchNorm.keras(128),
            Dense(128, 256), ReLU(), BatchNorm.keras(256),
            Dense(256, PIXELS), Sigmoid(),
        ],
        D=[
            Dense(PIXELS * config.pack, 512), ReLU(), BatchNorm.keras(512),
            Dense(512, 256), ReLU(), BatchNorm.keras(256),
            Dense(256, 1),
        ],
        noise_shape=(config.latent,),
        data_shape=(PIXELS * config.pack,),
    )  # fmt: skip


def prior(config: Config, n: int, rng: np.random.Generator) -> Array:
    """Draw z ~ U(0, 1)^latent, an array (n, latent)."""
    return rng.random((n, config.latent))


def assemble(
    config: Config, run_options: RunOptions, G: Network, D: Network, streams: dict[str, np.random.Generator]
) -> Experiment:
    """Build the experiment; an iteration draws a batch, updates D on it `d_updates` times, then G on its noise."""
    dtype = G.dtype
    pixels = training_pixels(config.data, run_options, dtype)

    gan = GAN(
        G,
        D,
        adam(G, config),
        adam(D, config, clip=config.clip or None),
        objective_of(config, d_scale=0.5),  # J_D averages the costs of real and fake images
        rng=streams["dropout"],
        d_batching=combined,
        fake_mode=eval_fakes,
        frozen_d_mode=eval_mode,
        pack=config.pack,
    )
    real = RandomBatches(pixels, config.batch_size, streams["data"])

    def noise() -> Array:
        return prior(config, config.batch_size, streams["noise"]).astype(dtype)

    def iteration() -> StepResults:
        return same_batch(gan, real, noise, d_updates=config.d_updates, g_updates=config.g_updates)

    shown = prior(config, math.prod(SHEET), streams["figures"]).astype(dtype)
    return Experiment(
        name="mnist-dense",
        game=gan,
        play=iteration,
        iterations=config.iterations,
        streams=streams,
        figures=[Samples(G, shown, flat_to_images, every=config.sample_every, rows=1, columns=4)],
    )


RECIPE = Recipe(
    name="mnist-dense",
    about="U(0, 1)^64 to MNIST: dense networks with batch norm",
    source="S1: notebook on GANs",
    Config=Config,
    architecture=architecture,
    prior=prior,
    assemble=assemble,
    to_images=flat_to_images,
)
