"""`mnist-conditional`: N(0, 1)^64 and a class -> MNIST: G draws the digit that it is asked for.

G gets the noise with an embedded label, and D is a projection discriminator (Miyato and Koyama, "cGANs with Projection
Discriminator", 2018, equation 3): its logit is <w, phi> + b + <E[k], phi>, with the features phi of its last hidden
layer and the label k.  The labels of the fakes are uniform on the classes, independent of the noise, and drawn from the
same stream after it.  The networks are small, so that a run takes minutes on two cores: G has a dense layer and two
transposed convolutions of stride 2 with batch norm, D two convolutions of stride 2 and a dense layer with dropout.  An
iteration updates D on real images and on fakes with statistics of each kind, then G on new noise (Algorithm 1).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.data import RandomBatches, Transformed
from minigan.gan import GAN, StepResults, alternating
from minigan.layers import (
    BatchNorm,
    ConcatEmbedding,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    LeakyReLU,
    Projection,
    ReLU,
    Reshape,
    Sigmoid,
)
from minigan.losses import NonSaturating
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.recipes.adam import adam
from minigan.recipes.base import Recipe
from minigan.recipes.figures import Samples
from minigan.recipes.images import SIDE, training_classes, unit, unit_to_images
from minigan.recipes.labels import label_accuracy
from minigan.recipes.objectives import penalties_of, require_penalties
from minigan.recipes.options import RunOptions
from minigan.recipes.players import Architecture
from minigan.recipes.settings import require_at_least, require_within
from minigan.training.experiment import Experiment

CLASSES = 10
SMALL = SIDE // 4
"""The side of the feature maps after G's dense layer and after D's convolutions, which have two strides of 2."""


@dataclass(frozen=True)
class Config:
    """The hyper-parameters.

    Parameters
    ----------
    iterations : int
        The number of iterations: one update of D and one of G each.
    batch_size : int
        The number of real images, and of fakes, in an iteration.
    latent : int
        The dimension of the noise z.
    embedding : int
        The number of features of G's embedding of a label.
    channels : int
        The channels of G's second and D's first feature maps; G's first and D's second have twice as many.
    features : int
        The number of features phi that D's projection reads.
    dropout : float
        The fraction of D's values that dropout sets to 0, in [0, 1).
    slope : float
        The slope of D's LeakyReLU for negative inputs, >= 0.
    lr_G, lr_D : float
        The learning rates of Adam.
    beta1, beta2 : float
        The weights of Adam's old moments, in [0, 1).
    eps : float
        Adam's eps, > 0.
    r1, r2 : float
        The weights of D's gradient penalties R1, on real images, and R2, on fakes (docs/second-order.md); 0, the
        default, for none.
    penalty_every : int
        The penalties are part of every `penalty_every`-th update of D, with `penalty_every` times their weight.
    data : str
        The data set, of images of 28x28 pixels in ten classes: "mnist" or "fashion-mnist".
    sample_every : int
        The number of iterations between two grids of samples.
    label_samples : int
        The number of samples at the end of a run in which the evaluation classifier reads the class, if it is in the
        cache folder; 0 for none.

    """

    iterations: int = 5000
    batch_size: int = 64
    latent: int = 64
    embedding: int = 16
    channels: int = 32
    features: int = 128
    dropout: float = 0.3
    slope: float = 0.2
    lr_G: float = 5e-4
    lr_D: float = 5e-4
    beta1: float = 0.5
    beta2: float = 0.999
    eps: float = 1e-8
    r1: float = 0.0
    r2: float = 0.0
    penalty_every: int = 1
    data: str = "mnist"
    sample_every: int = 500
    label_samples: int = 10_000

    def __post_init__(self) -> None:
        require_at_least(1, iterations=self.iterations, batch_size=self.batch_size, sample_every=self.sample_every)
        require_at_least(1, latent=self.latent, embedding=self.embedding, channels=self.channels)
        require_at_least(1, features=self.features)
        require_at_least(0, label_samples=self.label_samples)
        require_within("(0, inf)", lr_G=self.lr_G, lr_D=self.lr_D, eps=self.eps)
        require_within("[0, 1)", beta1=self.beta1, beta2=self.beta2, dropout=self.dropout)
        require_within("[0, inf)", slope=self.slope)
        require_penalties(self)


def architecture(config: Config) -> Architecture:
    """Return G, a dense layer and two transposed convolutions, and D, two convolutions, a dense layer, a projection."""
    C = config.channels
    flat = SMALL * SMALL * 2 * C

    def act() -> list[LeakyReLU | Dropout]:
        return [LeakyReLU(config.slope), Dropout(config.dropout)]

    return Architecture(
        G=[
            ConcatEmbedding(CLASSES, config.embedding),
            Dense(config.latent + config.embedding, flat), BatchNorm(flat), ReLU(), Reshape((SMALL, SMALL, 2 * C)),
            ConvTranspose2D(2 * C, C, 4, stride=2, padding="same"), BatchNorm(C), ReLU(),
            ConvTranspose2D(C, 1, 4, stride=2, padding="same"), Sigmoid(),
        ],
        D=[
            Conv2D(1, C, 4, stride=2, padding="same"), *act(),
            Conv2D(C, 2 * C, 4, stride=2, padding="same"), *act(),
            Flatten(), Dense(flat, config.features), *act(),
            Projection(config.features, CLASSES),
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
    """Build the experiment; an iteration updates D on labelled images and fakes, then G on noise and labels."""
    dtype = G.dtype

    gan = GAN(
        G,
        D,
        adam(G, config, lr=config.lr_G),
        adam(D, config, lr=config.lr_D),
        NonSaturating(),
        rng=streams["dropout"],
        penalties=penalties_of(config),
        penalty_every=config.penalty_every,
    )
    images, labels = training_classes(config.data, run_options, CLASSES, shape=(SIDE, SIDE, 1))
    batches = RandomBatches((images, labels), config.batch_size, streams["data"], replace=True)
    real = Transformed(batches, lambda batch: (unit(batch[0], dtype), batch[1]))

    def noise() -> tuple[Array, Array]:
        z = prior(config, config.batch_size, streams["noise"]).astype(dtype)
        return z, streams["noise"].integers(CLASSES, size=config.batch_size)

    def iteration() -> StepResults:
        return alternating(gan, real, noise)

    def evaluate() -> dict[str, Any]:
        if run_options.images is not None:  # their classes may mean something else
            return {}
        z = prior(config, config.label_samples, streams["evaluation"]).astype(dtype)
        return label_accuracy(G, z, unit_to_images, classes=CLASSES, data=config.data)

    rows = CLASSES
    shown = prior(config, rows * rows, streams["figures"]).astype(dtype)
    return Experiment(
        name="mnist-conditional",
        game=gan,
        play=iteration,
        iterations=config.iterations,
        streams=streams,
        evaluate=evaluate,
        figures=[
            Samples(
                G, (shown, np.repeat(np.arange(CLASSES), rows)), unit_to_images, every=config.sample_every,
                rows=rows, columns=rows, sheet=(rows, rows), examples=images, prepare=lambda x: unit(x, dtype),
            ),
        ],
    )  # fmt: skip


RECIPE = Recipe(
    name="mnist-conditional",
    about="N(0, 1)^64 and a class to MNIST: a projection discriminator",
    source="Miyato and Koyama 2018",
    Config=Config,
    architecture=architecture,
    prior=prior,
    assemble=assemble,
    to_images=unit_to_images,
)
