"""`mnist-fast`: N(0, 1)^64 -> MNIST: the best digits that two processor cores learn in minutes.

G has a dense layer and two transposed convolutions of stride 2 with batch norm, D two convolutions of stride 2 and a
dense layer, without normalisation.  The objective is the non-saturating one with the penalty R1 on real images, which
keeps D flat at the data (Mescheder, Geiger and Nowozin 2018, arXiv:1801.04406).  Four things save time:

- The penalty is part of every `penalty_every`-th update of D, with as many times its weight (Karras et al. 2020,
  arXiv:1912.04958, appendix B).
- Both players share one pass of G and of D in an iteration (`minigan.gan.simultaneous`).
- The learning rates fall linearly to 0 at the end of the run, when the players have stopped to circle each other.
- Samples are drawn from a moving average of G's parameters (Yazici et al. 2019, arXiv:1806.04498).

docs/decisions/mnist-fast.md has what was measured for these choices.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigan.data import RandomBatches, Transformed
from minigan.gan import GAN, StepResults, simultaneous
from minigan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dense, Flatten, LeakyReLU, Reshape, Sigmoid
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.optimizers import Adam
from minigan.recipes.base import Recipe
from minigan.recipes.figures import SHEET, Samples
from minigan.recipes.images import SIDE, training_images, unit, unit_to_images
from minigan.recipes.objectives import objective_of, penalties_of, require_objective, require_penalties
from minigan.recipes.options import RunOptions
from minigan.recipes.players import Architecture
from minigan.recipes.settings import require_at_least, require_within
from minigan.training.experiment import Experiment

SMALL = SIDE // 4
"""The side of the feature maps after G's dense layer and after D's convolutions, which have two strides of 2."""


@dataclass(frozen=True)
class Config:
    """The hyper-parameters.

    Parameters
    ----------
    iterations : int
        The number of iterations: one update of D and one of G each.  The learning rates are 0 after the last.
    batch_size : int
        The number of real images, and of fakes, in an iteration.
    latent : int
        The dimension of the noise z.
    channels_G, channels_D : int
        The channels of G's last and of D's first feature maps; G's first and D's second have twice as many.
    features : int
        The number of features of D's hidden dense layer.
    slope : float
        The slope of LeakyReLU for negative inputs, >= 0.
    objective : str
        The costs of both players, a name in `minigan.losses.OBJECTIVES` other than "softmax" (docs/objectives.md).
    clip : float
        The bound of the absolute values of D's parameters, to which they are clipped after each update; 0, the default,
        for none.  "wasserstein" needs one.
    r1, r2 : float
        The weights of D's gradient penalties R1, on real images, and R2, on fakes (docs/second-order.md); 0 for none.
    penalty_every : int
        The penalties are part of every `penalty_every`-th update of D, with `penalty_every` times their weight.
    lr_G, lr_D : float
        The learning rates of Adam before they fall.
    decay_from : float
        The share of the run, in [0, 1], after which the learning rates fall linearly to 0; 1 keeps them constant.
    beta1, beta2 : float
        The weights of Adam's old moments, in [0, 1).
    eps : float
        Adam's eps, > 0.
    ema : float
        The decay of the moving average of G's parameters in an iteration, in [0, 1); samples are drawn from the average
        (`minigan.training.AveragedNetwork`).  0 means no average.
    data : str
        The data set, of images of 28x28 pixels: "mnist" or "fashion-mnist".
    sample_every : int
        The number of iterations between two grids of samples.

    """

    iterations: int = 8000
    batch_size: int = 64
    latent: int = 64
    channels_G: int = 32
    channels_D: int = 16
    features: int = 128
    slope: float = 0.2
    objective: str = "non-saturating"
    clip: float = 0.0
    r1: float = 0.5
    r2: float = 0.0
    penalty_every: int = 8
    lr_G: float = 3e-3
    lr_D: float = 3e-3
    decay_from: float = 0.3
    beta1: float = 0.0
    beta2: float = 0.99
    eps: float = 1e-8
    ema: float = 0.998
    data: str = "mnist"
    sample_every: int = 1000

    def __post_init__(self) -> None:
        require_at_least(1, iterations=self.iterations, batch_size=self.batch_size, sample_every=self.sample_every)
        require_at_least(1, latent=self.latent, channels_G=self.channels_G, channels_D=self.channels_D)
        require_at_least(1, features=self.features)
        require_within("(0, inf)", lr_G=self.lr_G, lr_D=self.lr_D, eps=self.eps)
        require_within("[0, 1)", beta1=self.beta1, beta2=self.beta2, ema=self.ema)
        require_within("[0, inf)", slope=self.slope)
        require_within("[0, 1]", decay_from=self.decay_from)
        require_objective(self)
        require_penalties(self)


def architecture(config: Config) -> Architecture:
    """Return G, a dense layer and two transposed convolutions, and D, two convolutions and two dense layers."""
    g, d = config.channels_G, config.channels_D
    act = LeakyReLU(config.slope)
    flat = SMALL * SMALL * 2 * d
    return Architecture(
        G=[
            Dense(config.latent, SMALL * SMALL * 2 * g, bias=False), Reshape((SMALL, SMALL, 2 * g)),
            BatchNorm(2 * g), act,
            ConvTranspose2D(2 * g, g, 4, stride=2, padding="same", bias=False), BatchNorm(g), act,
            ConvTranspose2D(g, 1, 4, stride=2, padding="same"), Sigmoid(),
        ],
        D=[
            Conv2D(1, d, 4, stride=2, padding="same"), act,
            Conv2D(d, 2 * d, 4, stride=2, padding="same"), act,
            Flatten(), Dense(flat, config.features), act,
            Dense(config.features, 1),
        ],
        noise_shape=(config.latent,),
        data_shape=(SIDE, SIDE, 1),
    )  # fmt: skip


def prior(config: Config, n: int, rng: np.random.Generator) -> Array:
    """Draw z ~ N(0, 1)^latent, an array (n, latent)."""
    return rng.standard_normal((n, config.latent))


def learning_rate(config: Config, lr: float) -> Callable[[int], float]:
    """Return the learning rate as a function of the update t = 1, 2, ...

        lr(t) = lr min(1, (T - t + 1) / ((1 - decay_from) T)),    T = iterations

    Parameters
    ----------
    config : Config
        The hyper-parameters.
    lr : float
        The learning rate of the first update.

    Returns
    -------
    callable
        ``lr(t)``, which is 0 for t > T; with ``decay_from=1`` it is always `lr`.

    """
    T = config.iterations
    falling = (1 - config.decay_from) * T

    def rate(t: int) -> float:
        left = max(T - t + 1, 0)
        return lr * (left / falling) if left < falling else lr

    return rate


def assemble(
    config: Config, run_options: RunOptions, G: Network, D: Network, streams: dict[str, np.random.Generator]
) -> Experiment:
    """Build the experiment; an iteration is one simultaneous update of D and G."""
    dtype = G.dtype
    images = training_images(config.data, run_options, shape=(SIDE, SIDE, 1)).images
    batches = RandomBatches(images, config.batch_size, streams["data"], replace=True)
    real = Transformed(batches, lambda x: unit(x, dtype))

    def adam(net: Network, lr: float, clip: float = 0.0) -> Adam:
        rate = learning_rate(config, lr)
        return Adam(net, lr=rate, beta1=config.beta1, beta2=config.beta2, eps=config.eps, clip=clip or None)

    gan = GAN(
        G,
        D,
        adam(G, config.lr_G),
        adam(D, config.lr_D, config.clip),
        objective_of(config),
        penalties=penalties_of(config),
        penalty_every=config.penalty_every,
    )

    def noise() -> Array:
        return prior(config, config.batch_size, streams["noise"]).astype(dtype)

    def iteration() -> StepResults:
        return simultaneous(gan, real, noise)

    shown = prior(config, math.prod(SHEET), streams["figures"]).astype(dtype)
    return Experiment(
        name="mnist-fast",
        game=gan,
        play=iteration,
        iterations=config.iterations,
        streams=streams,
        figures=[
            Samples(
                G, shown, unit_to_images, every=config.sample_every, rows=SHEET[0], columns=SHEET[1],
                examples=images, prepare=lambda x: unit(x, dtype),
            ),
        ],
    )  # fmt: skip


RECIPE = Recipe(
    name="mnist-fast",
    about="N(0, 1)^64 to MNIST in minutes: R1, falling learning rates, an average of G",
    source="Mescheder et al. 2018",
    Config=Config,
    architecture=architecture,
    prior=prior,
    assemble=assemble,
    to_images=unit_to_images,
)
