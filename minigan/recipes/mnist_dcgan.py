"""`mnist-dcgan`: N(0, 1)^100 -> MNIST with convolutions at full size (S3 in README.md).

The conventions are those of the notebook's Keras (2.1, before TensorFlow 2): "same" padding with the odd pixel at the
bottom right; batch norm with eps 1e-3, momentum 0.8 (the weight of the running statistics) and a biased variance;
Glorot-uniform weights; Adam with eps 1e-7.  A step is two updates of D, one on real and one on fake images, each with
separate batch statistics, then one update of G on the same noise.  The frozen D in G's step runs in training mode
(batch statistics, dropout); its running statistics do not change.

The notebook's fakes for D come from ``predict`` (running statistics, no dropout): ``fakes=inference``.  With some
seeds, 0 among them, D then separates these fakes from real images but classifies G's samples in training mode as real,
and G stops learning.  Therefore the default is ``fakes=training``, the mode in which G is trained
(docs/decisions/mnist-dcgan-schedule.md).  The notebook shares one Adam between two models; here each has one.  D ends
in a logit; the printed D loss is the mean of both.  1,001 steps are half an epoch.
"""

from dataclasses import dataclass

import numpy as np

from minigan._names import ConfigError, unknown
from minigan.data import RandomBatches, Transformed
from minigan.gan import GAN, StepResults, eval_fakes, split_batch, train_fakes, train_mode
from minigan.layers import (
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    ReLU,
    Reshape,
    Tanh,
    ZeroPad2D,
)
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.recipes.adam import adam
from minigan.recipes.base import Recipe
from minigan.recipes.figures import image_figures
from minigan.recipes.images import SIDE, signed, signed_to_images, training_images
from minigan.recipes.objectives import objective_of, require_objective
from minigan.recipes.options import RunOptions
from minigan.recipes.players import Architecture
from minigan.recipes.settings import require_at_least, require_within
from minigan.training.experiment import Experiment

FAKES = {"training": train_fakes, "inference": eval_fakes}
"""The values of the hyper-parameter `fakes`."""


@dataclass(frozen=True)
class Config:
    """The hyper-parameters.

    Parameters
    ----------
    iterations : int
        The number of iterations: two updates of D and one of G each.
    batch_size : int
        The number of real images, and of fakes, in an iteration.
    latent : int
        The dimension of the noise z.
    dropout : float
        The fraction of values that dropout sets to 0, in [0, 1).
    bn_momentum : float
        The weight of batch norm's old running statistics, in [0, 1].
    slope : float
        The slope of LeakyReLU for negative inputs, >= 0.
    lr : float
        The learning rate of Adam, for both players.
    beta1, beta2 : float
        The weights of Adam's old moments, in [0, 1).
    eps : float
        Adam's eps, > 0; 1e-7 as in Keras.
    fakes : {"training", "inference"}
        The mode in which G makes the fakes for D; "inference" as in the notebook.
    objective : str
        The costs of both players, a name in `minigan.losses.OBJECTIVES` other than "softmax" (docs/objectives.md).
    clip : float
        The bound of the absolute values of D's parameters, to which they are clipped after each update; 0, the default,
        for none.  "wasserstein" needs one.
    data : str
        The data set, of images of 28x28 pixels: "mnist" or "fashion-mnist".
    sample_every : int
        The number of iterations between two grids of samples.
    ema : float
        The decay of the moving average of G's parameters in an iteration, in [0, 1), such as 0.999; samples are then
        drawn from the average (`minigan.training.AveragedNetwork`).  0, the default, means no average.

    """

    iterations: int = 1001
    batch_size: int = 32
    latent: int = 100
    dropout: float = 0.25
    bn_momentum: float = 0.8
    slope: float = 0.2
    lr: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    eps: float = 1e-7
    fakes: str = "training"
    objective: str = "non-saturating"
    clip: float = 0.0
    data: str = "mnist"
    sample_every: int = 100
    ema: float = 0.0

    def __post_init__(self) -> None:
        require_at_least(1, iterations=self.iterations, batch_size=self.batch_size, sample_every=self.sample_every)
        require_at_least(1, latent=self.latent)
        require_within("(0, inf)", lr=self.lr, eps=self.eps)
        require_within("[0, 1)", beta1=self.beta1, beta2=self.beta2, dropout=self.dropout, ema=self.ema)
        require_within("[0, 1]", bn_momentum=self.bn_momentum)
        require_within("[0, inf)", slope=self.slope)
        require_objective(self, one_kind="an iteration updates D on real images, and then on fakes")
        if self.fakes not in FAKES:
            raise ConfigError(unknown("fakes", self.fakes, FAKES))


def architecture(config: Config) -> Architecture:
    """Return G, a dense layer to 28x28x128 and three transposed convolutions of stride 1, and D, four convolutions."""

    def norm(channels: int) -> BatchNorm:
        return BatchNorm.keras(channels, momentum=config.bn_momentum)

    def up(c_in: int, c_out: int) -> ConvTranspose2D:
        return ConvTranspose2D(c_in, c_out, 3, padding="same")

    def down(c_in: int, c_out: int, *, stride: int = 2) -> Conv2D:
        return Conv2D(c_in, c_out, 3, stride=stride, padding="same")

    def act(*layers: Layer) -> list[Layer]:
        return [*layers, LeakyReLU(config.slope), Dropout(config.dropout)]

    return Architecture(
        G=[
            Dense(config.latent, SIDE * SIDE * 128), ReLU(), Reshape((SIDE, SIDE, 128)),
            up(128, 128), Dropout(config.dropout), norm(128), ReLU(),
            up(128, 64), Dropout(config.dropout), norm(64), ReLU(),
            up(64, 1), Tanh(),
        ],
        D=[
            *act(down(1, 32)),
            *act(down(32, 64), ZeroPad2D(((0, 1), (0, 1))), norm(64)),
            *act(down(64, 128), norm(128)),
            *act(down(128, 256, stride=1), norm(256)),
            Flatten(), Dense(4 * 4 * 256, 1),
        ],
        noise_shape=(config.latent,),
        data_shape=(SIDE, SIDE, 1),
    )  # fmt: skip


def prior(config: Config, n: int, rng: np.random.Generator) -> Array:
    """Draw z ~ N(0, 1)^latent, an array (n, latent)."""
    return rng.standard_normal((n, config.latent))


def assemble(
    config: Config, run_options: RunOptions, G: Network, D: Network, streams: dict[str, np.random.Generator]
) -> Experiment:
    """Build the experiment; an iteration updates D on real images, D on fakes, and G on the same noise."""
    dtype = G.dtype

    gan = GAN(
        G,
        D,
        adam(G, config),
        adam(D, config, clip=config.clip or None),
        objective_of(config),
        rng=streams["dropout"],
        fake_mode=FAKES[config.fakes],
        frozen_d_mode=train_mode,
    )
    images = training_images(config.data, run_options, shape=(SIDE, SIDE, 1)).images
    batches = RandomBatches(images, config.batch_size, streams["data"], replace=True)

    def prepare(x: Array) -> Array:
        return signed(x, dtype)

    real = Transformed(batches, prepare)

    def noise() -> Array:
        return prior(config, config.batch_size, streams["noise"]).astype(dtype)

    def iteration() -> StepResults:
        return split_batch(gan, real, noise)

    def figure_noise(n: int) -> Array:
        return prior(config, n, streams["figures"]).astype(dtype)

    return Experiment(
        name="mnist-dcgan",
        game=gan,
        play=iteration,
        iterations=config.iterations,
        streams=streams,
        figures=image_figures(
            gan, figure_noise, images, prepare, signed_to_images, every=config.sample_every, rows=5, columns=5
        ),
    )


RECIPE = Recipe(
    name="mnist-dcgan",
    about="N(0, 1)^100 to MNIST: convolutions at full size, batch norm, dropout",
    source="S3: Keras notebook",
    Config=Config,
    architecture=architecture,
    prior=prior,
    assemble=assemble,
    to_images=signed_to_images,
    stored_defaults={"fakes": "inference"},
)
