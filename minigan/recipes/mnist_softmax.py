"""`mnist-softmax`: U(-1, 1)^100 -> MNIST with a two-class softmax discriminator, pretrained (S5 in README.md).

The conventions are those of S5's Keras: "same" padding; batch norm with eps 1e-3, momentum 0.9 (the weight of
the running statistics) and a biased variance; Glorot weights (normal in G's dense layer, else uniform); Adam with eps
1e-7 and learning rates 2e-4 for G and 1e-4 for D.  First D is trained for one epoch on 10,000 real and 10,000 fake
images in shuffled batches of 32.  Then each step updates D on one batch, half real and half fake, and G on a full batch
of noise through the frozen D, with the labels "real".  The fakes for D come from ``predict`` (running statistics, no
dropout); G is trained with dropout, and D's dropout is active in G's step.

Choices that S5 leaves open: mini_batch_size is 32, as in its pretraining, and depth/2 is 200 // 2.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.data import RandomBatches
from minigan.gan import GAN, Draw, StepResults, capturable, combined, eval_fakes, pretrain, train_mode
from minigan.initializers import GlorotNormal
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
    Sigmoid,
)
from minigan.losses import SoftmaxTwoClass
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.recipes.adam import adam
from minigan.recipes.base import Recipe
from minigan.recipes.figures import BeforeAndAfter, image_figures
from minigan.recipes.images import SIDE, training_images, unit, unit_to_images
from minigan.recipes.options import RunOptions
from minigan.recipes.players import Architecture
from minigan.recipes.settings import require_at_least, require_within
from minigan.training.experiment import Experiment

QUARTER = SIDE // 4
"""The side of the feature maps after G's dense layer and after D's convolutions, which have two strides of 2."""
FAKES_PER_CALL = 500
"""The most fakes that one call of G makes for the pretraining, which limits the memory."""


@dataclass(frozen=True)
class Config:
    """The hyper-parameters.

    Parameters
    ----------
    iterations : int
        The number of iterations: one update of D and one of G each.
    batch_size : int
        The number of images in D's batch, half of them real and half fake, and of noise vectors in G's; at least 2.
    pretrain : int
        The number of real images, and of fakes, on which D is pretrained; 0 for no pretraining.
    latent : int
        The dimension of the noise z.
    depth : int
        The number of channels after G's dense layer, at least 8; the next layers have 1/2, 1/4 and 1/8 of them.
    d_depth : int
        The number of channels after D's first convolution; the second one has twice as many.
    dropout : float
        The fraction of values that dropout sets to 0, in [0, 1).
    bn_momentum : float
        The weight of batch norm's old running statistics, in [0, 1].
    slope : float
        The slope of LeakyReLU for negative inputs, >= 0.
    lr_G, lr_D : float
        The learning rates of Adam.
    beta1, beta2 : float
        The weights of Adam's old moments, in [0, 1).
    eps : float
        Adam's eps, > 0; 1e-7 as in Keras.
    data : str
        The data set, of images of 28x28 pixels: "mnist" or "fashion-mnist".
    sample_every : int
        The number of iterations between two grids of samples.
    ema : float
        The decay of the moving average of G's parameters in an iteration, in [0, 1), such as 0.999; samples are then
        drawn from the average (`minigan.training.AveragedNetwork`).  0, the default, means no average.

    """

    iterations: int = 10_000
    batch_size: int = 32
    pretrain: int = 10_000
    latent: int = 100
    depth: int = 200
    d_depth: int = 256
    dropout: float = 0.3
    bn_momentum: float = 0.9
    slope: float = 0.2
    lr_G: float = 2e-4
    lr_D: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-7
    data: str = "mnist"
    sample_every: int = 250
    ema: float = 0.0

    def __post_init__(self) -> None:
        require_at_least(1, iterations=self.iterations, sample_every=self.sample_every, latent=self.latent)
        require_at_least(2, batch_size=self.batch_size)
        require_at_least(8, depth=self.depth)
        require_at_least(1, d_depth=self.d_depth)
        require_at_least(0, pretrain=self.pretrain)
        require_within("(0, inf)", lr_G=self.lr_G, lr_D=self.lr_D, eps=self.eps)
        require_within("[0, 1)", beta1=self.beta1, beta2=self.beta2, dropout=self.dropout, ema=self.ema)
        require_within("[0, 1]", bn_momentum=self.bn_momentum)
        require_within("[0, inf)", slope=self.slope)


def architecture(config: Config) -> Architecture:
    """Return G, a dense layer and four transposed convolutions, and D, two convolutions and two dense layers."""
    depth, d_depth = config.depth, config.d_depth

    def act(channels: int) -> list[Layer]:
        return [BatchNorm.keras(channels, momentum=config.bn_momentum), ReLU(), Dropout(config.dropout)]

    def leaky() -> list[Layer]:
        return [LeakyReLU(config.slope), Dropout(config.dropout)]

    flat = QUARTER * QUARTER * depth
    return Architecture(
        G=[
            Dense(config.latent, flat, weight_init=GlorotNormal()), *act(flat), Reshape((QUARTER, QUARTER, depth)),
            ConvTranspose2D(depth, depth // 2, 5, stride=2, padding="same"), *act(depth // 2),
            ConvTranspose2D(depth // 2, depth // 4, 3, stride=2, padding="same"), *act(depth // 4),
            ConvTranspose2D(depth // 4, depth // 8, 3, padding="same"), *act(depth // 8),
            ConvTranspose2D(depth // 8, 1, 3, padding="same"), Sigmoid(),
        ],
        D=[
            Conv2D(1, d_depth, 5, stride=2, padding="same"), *leaky(),
            Conv2D(d_depth, 2 * d_depth, 5, stride=2, padding="same"), *leaky(),
            Flatten(), Dense(QUARTER * QUARTER * 2 * d_depth, 256), *leaky(),
            Dense(256, 2),
        ],
        noise_shape=(config.latent,),
        data_shape=(SIDE, SIDE, 1),
    )  # fmt: skip


def prior(config: Config, n: int, rng: np.random.Generator) -> Array:
    """Draw z ~ U(-1, 1)^latent, an array (n, latent)."""
    return rng.uniform(-1, 1, (n, config.latent))


@capturable
def halves(gan: GAN, real: Draw, noise: Draw, *, n_fake: int) -> StepResults:
    """Update D on real images and on the fakes of the first `n_fake` noise vectors, then G on the other vectors."""
    x_real, z = real(), noise()
    return gan.update_D(x_real, gan.fake(z[:n_fake])), gan.update_G(z[n_fake:])


def assemble(
    config: Config, run_options: RunOptions, G: Network, D: Network, streams: dict[str, np.random.Generator]
) -> Experiment:
    """Build the experiment: D is pretrained; an iteration updates D on half real, half fake images, then G on noise."""
    dtype, half = G.dtype, config.batch_size // 2

    gan = GAN(
        G,
        D,
        adam(G, config, lr=config.lr_G),
        adam(D, config, lr=config.lr_D),
        SoftmaxTwoClass(d_scale=0.5, mean_over_all=True),
        rng=streams["dropout"],
        d_batching=combined,
        fake_mode=eval_fakes,
        frozen_d_mode=train_mode,
    )
    images = training_images(config.data, run_options, shape=(SIDE, SIDE, 1)).images
    batches = RandomBatches(images, half, streams["data"], replace=True)

    def noise(n: int) -> Array:
        return prior(config, n, streams["noise"]).astype(dtype)

    def pretraining() -> dict[str, Any]:
        n = min(config.pretrain, len(images))
        if n == 0:
            return {}
        chosen = images[streams["pretraining"].choice(len(images), n)]
        x_fake = np.concatenate(
            [gan.fake(noise(len(part))) for part in np.array_split(np.empty(n), -(-n // FAKES_PER_CALL))]
        )
        costs = pretrain(gan, unit(chosen, dtype), x_fake, batch_size=config.batch_size, rng=streams["pretraining"])
        ends = (
            {"first_d_loss": costs[0], "last_d_loss": costs[-1]} if costs else {}
        )  # no costs if no batch had both kinds
        return {"pretraining": {"images": 2 * n, **ends}}

    def iteration() -> StepResults:
        return halves(gan, lambda: unit(batches(), dtype), lambda: noise(half + config.batch_size), n_fake=half)

    def figure_noise(n: int) -> Array:
        return prior(config, n, streams["figures"]).astype(dtype)

    def prepare(x: Array) -> Array:
        return unit(x, dtype)

    return Experiment(
        name="mnist-softmax",
        game=gan,
        play=iteration,
        iterations=config.iterations,
        streams=streams,
        pretraining=pretraining,
        figures=[
            BeforeAndAfter(G, prepare(images[1:2]), figure_noise(1), unit_to_images),
            *image_figures(
                gan, figure_noise, images, prepare, unit_to_images, every=config.sample_every, rows=3, columns=8
            ),
        ],
    )


RECIPE = Recipe(
    name="mnist-softmax",
    about="U(-1, 1)^100 to MNIST: a two-class softmax D, pretrained",
    source="S5: annotated proof",
    Config=Config,
    architecture=architecture,
    prior=prior,
    assemble=assemble,
    to_images=unit_to_images,
)
