"""`mnist-wgan-gp`: N(0, 1)^128 -> MNIST with the Wasserstein objective and its gradient penalty.

Source: Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville, "Improved Training of Wasserstein GANs", 2017
(arXiv:1704.00028), Algorithm 1, with the hyper-parameters and networks of the authors' MNIST model
(github.com/igul222/improved_wgan_training, gan_mnist.py): five updates of D for one of G, lambda = 10, Adam with the
rate 1e-4 and the moments 0.5 and 0.9, batches of 50 of the first 50,000 images, no batch norm.  G is a dense layer to
4 x 4 and three transposed convolutions 5 x 5 of stride 2; D three such convolutions, "same" padding as in TensorFlow.

The authors cut the 8 x 8 maps of G's first convolution to their first 7 rows and columns.  Here this convolution makes
7 x 7 at once: its `padding`, which is what a transposed convolution cuts off, has one more row and column at the end
than "same".  The weights of convolutions are U(-r, r) with r = sqrt(12 / (fan_in + fan_out)), where the fan of the side
with the smaller maps is divided by stride^2; those of dense layers have Glorot's uniform distribution.

The published run has 200,000 iterations.  The default is what two cores do in about 15 minutes.
"""

import math
from dataclasses import dataclass

import numpy as np

from minigan.data import EpochBatches, Transformed
from minigan.gan import GAN, StepResults, WassersteinPenalty, alternating
from minigan.initializers import Uniform
from minigan.layers import Conv2D, ConvTranspose2D, Dense, Flatten, LeakyReLU, ReLU, Reshape, Sigmoid
from minigan.losses import Wasserstein
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.recipes.adam import adam
from minigan.recipes.base import Recipe
from minigan.recipes.figures import image_figures
from minigan.recipes.images import SIDE, training_images, unit, unit_to_images
from minigan.recipes.options import RunOptions
from minigan.recipes.players import Architecture
from minigan.recipes.settings import require_at_least, require_within
from minigan.training.experiment import Experiment

KERNEL, STRIDE = 5, 2
SMALL = 4
"""The side of the maps after G's dense layer and after D's last convolution."""
TO_SEVEN = ((1, 3), (1, 3))
"""What the convolution from 4 x 4 cuts off its 11 x 11 outputs: "same" for 8 x 8, ((1, 2), (1, 2)), and one more."""


@dataclass(frozen=True)
class Config:
    """The hyper-parameters.

    Parameters
    ----------
    iterations : int
        The number of iterations: `d_updates` updates of D and one of G each.  200,000 in the published run.
    batch_size : int
        The number of real images, and of fakes, in an update.
    d_updates : int
        The updates of D in an iteration, each on new images and new noise.
    latent : int
        The dimension of the noise z.
    dim : int
        The number of channels of the 14 x 14 maps of both networks; the smaller maps have twice and four times as many.
    penalty : float
        lambda, the weight of the gradient penalty, >= 0.
    penalty_every : int
        The penalty is part of every `penalty_every`-th update of D, with `penalty_every` times its weight; 1 as
        published.
    slope : float
        The slope of D's LeakyReLU for negative inputs, >= 0.
    lr : float
        The learning rate of Adam, for both players.
    beta1, beta2 : float
        The weights of Adam's old moments, in [0, 1).
    eps : float
        Adam's eps, > 0.
    train_images : int
        The number of training images; 50,000 as in the published run, which kept 10,000 for validation.
    data : str
        The data set, of images of 28x28 pixels: "mnist" or "fashion-mnist".
    sample_every : int
        The number of iterations between two grids of samples.
    ema : float
        The decay of the moving average of G's parameters in an iteration, in [0, 1), such as 0.999; samples are then
        drawn from the average (`minigan.training.AveragedNetwork`).  0, the default, means no average.

    """

    iterations: int = 1500
    batch_size: int = 50
    d_updates: int = 5
    latent: int = 128
    dim: int = 64
    penalty: float = 10.0
    penalty_every: int = 1
    slope: float = 0.2
    lr: float = 1e-4
    beta1: float = 0.5
    beta2: float = 0.9
    eps: float = 1e-8
    train_images: int = 50_000
    data: str = "mnist"
    sample_every: int = 100
    ema: float = 0.0

    def __post_init__(self) -> None:
        require_at_least(1, iterations=self.iterations, batch_size=self.batch_size, sample_every=self.sample_every)
        require_at_least(1, d_updates=self.d_updates, latent=self.latent, dim=self.dim)
        require_at_least(1, penalty_every=self.penalty_every, train_images=self.train_images)
        require_within("(0, inf)", lr=self.lr, eps=self.eps)
        require_within("[0, 1)", beta1=self.beta1, beta2=self.beta2, ema=self.ema)
        require_within("[0, inf)", slope=self.slope, penalty=self.penalty)


def weights(small: int, large: int) -> Uniform:
    """Return the distribution of a 5 x 5 kernel between maps of so many channels, the large ones of twice the side."""
    return Uniform(math.sqrt(12 / (KERNEL * KERNEL * (small / STRIDE**2 + large))))


def architecture(config: Config) -> Architecture:
    """Return G, a dense layer and three transposed convolutions, and D, three convolutions and a dense layer."""
    C = config.dim

    def up(
        c_in: int, c_out: int, *, padding: str | tuple[tuple[int, int], tuple[int, int]] = "same"
    ) -> ConvTranspose2D:
        return ConvTranspose2D(c_in, c_out, KERNEL, stride=STRIDE, padding=padding, weight_init=weights(c_in, c_out))

    def down(c_in: int, c_out: int) -> Conv2D:
        return Conv2D(c_in, c_out, KERNEL, stride=STRIDE, padding="same", weight_init=weights(c_out, c_in))

    flat = SMALL * SMALL * 4 * C
    return Architecture(
        G=[
            Dense(config.latent, flat), ReLU(), Reshape((SMALL, SMALL, 4 * C)),
            up(4 * C, 2 * C, padding=TO_SEVEN), ReLU(),
            up(2 * C, C), ReLU(),
            up(C, 1), Sigmoid(),
        ],
        D=[
            down(1, C), LeakyReLU(config.slope),
            down(C, 2 * C), LeakyReLU(config.slope),
            down(2 * C, 4 * C), LeakyReLU(config.slope),
            Flatten(), Dense(flat, 1),
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
    """Build the experiment; an iteration updates D `d_updates` times on new images and fakes, then G on new noise."""
    dtype = G.dtype
    gan = GAN(
        G,
        D,
        adam(G, config),
        adam(D, config),
        Wasserstein(),
        rng=streams["penalty"],
        penalties=(WassersteinPenalty(config.penalty),) if config.penalty else (),
        penalty_every=config.penalty_every,
    )
    images = training_images(config.data, run_options, shape=(SIDE, SIDE, 1)).images[: config.train_images]
    batches = EpochBatches(images, config.batch_size, streams["data"])

    def prepare(x: Array) -> Array:
        return unit(x, dtype)

    real = Transformed(batches, prepare)

    def noise() -> Array:
        return prior(config, config.batch_size, streams["noise"]).astype(dtype)

    def iteration() -> StepResults:
        return alternating(gan, real, noise, k=config.d_updates)

    def figure_noise(n: int) -> Array:
        return prior(config, n, streams["figures"]).astype(dtype)

    return Experiment(
        name="mnist-wgan-gp",
        game=gan,
        play=iteration,
        iterations=config.iterations,
        streams=streams,
        sources={"images": batches},
        figures=image_figures(
            gan, figure_noise, images, prepare, unit_to_images, every=config.sample_every, rows=5, columns=5
        ),
    )


RECIPE = Recipe(
    name="mnist-wgan-gp",
    about="N(0, 1)^128 to MNIST: the Wasserstein objective with a gradient penalty",
    source="Gulrajani et al. 2017",
    Config=Config,
    architecture=architecture,
    prior=prior,
    assemble=assemble,
    to_images=unit_to_images,
    streams=("penalty",),
)
