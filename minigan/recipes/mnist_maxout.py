"""`mnist-maxout`: the MNIST model of the 2014 paper, which the tutorials S2 and S5 of README.md discuss.

The hyper-parameters are those of the published configuration (github.com/goodfeli/adversarial, mnist.yaml): prior
U(-sqrt 3, sqrt 3)^100; weights U(-0.05, 0.05) in G and U(-0.005, 0.005) in D; the output bias of G is the logit of the
mean image; dropout in D keeps 0.8 of the pixels and 0.5 of the hidden units, scaled by 1.25 and 2; one simultaneous
update of both players from the same samples; 50,000 training images.  G minimises the non-saturating loss.

Both players use gradient descent with momentum.  The learning rate of update t is 0.1 / 1.000004^(t - 1), but at least
1e-6.  The momentum rises linearly from 0.5 in epoch 1 to 0.7 in epoch 250.  The default run has 60 epochs: it ends with
the learning rate 0.0887 and the momentum 0.547.
"""

import math
from dataclasses import dataclass

import numpy as np

from minigan.data import EpochBatches
from minigan.gan import GAN, StepResults, simultaneous
from minigan.initializers import Uniform
from minigan.layers import Dense, Dropout, Maxout, ReLU, Sigmoid
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.optimizers import SGD
from minigan.recipes.base import Recipe
from minigan.recipes.figures import SHEET, Samples
from minigan.recipes.images import PIXELS, flat_to_images, training_pixels
from minigan.recipes.objectives import objective_of, penalties_of, require_objective, require_penalties
from minigan.recipes.options import RunOptions
from minigan.recipes.players import Architecture
from minigan.recipes.settings import require_at_least, require_within
from minigan.training.experiment import Experiment

MIN_PIXEL_MEAN = 1e-7
"""The smallest mean of a pixel, and of 1 minus a pixel, so that the logit of the mean image is finite."""


@dataclass(frozen=True)
class Config:
    """The hyper-parameters.

    Parameters
    ----------
    iterations : int
        The number of simultaneous updates of D and G; 30,000 are 60 epochs.
    batch_size : int
        The number of real images, and of fakes, in an update.
    latent : int
        The dimension of the noise z.
    lr : float
        The learning rate of the first update, for both players.
    lr_decay : float
        Each update divides the learning rate by this factor, >= 1.
    lr_min : float
        The smallest learning rate.
    momentum, momentum_final : float
        The momentum in epoch 1 and from epoch `momentum_epochs` on; it rises linearly between them.
    momentum_epochs : int
        The epoch that reaches `momentum_final`, at least 2.
    train_images : int
        The number of training images; 50,000 as in the paper, which kept the other 10,000 for validation.
    objective : str
        The costs of both players, a name in `minigan.losses.OBJECTIVES` other than "softmax" (docs/objectives.md).
    clip : float
        The bound of the absolute values of D's parameters, to which they are clipped after each update; 0, the default,
        for none.  "wasserstein" needs one.
    r1, r2 : float
        The weights of D's gradient penalties R1, on real images, and R2, on fakes (docs/second-order.md); 0, the
        default, for none.
    penalty_every : int
        The penalties are part of every `penalty_every`-th update of D, with `penalty_every` times their weight.
    data : str
        The data set, of images of 28x28 pixels: "mnist" or "fashion-mnist".
    sample_every : int
        The number of iterations between two grids of samples.
    ema : float
        The decay of the moving average of G's parameters in an iteration, in [0, 1), such as 0.999; samples are then
        drawn from the average (`minigan.training.AveragedNetwork`).  0, the default, means no average.

    """

    iterations: int = 30_000
    batch_size: int = 100
    latent: int = 100
    lr: float = 0.1
    lr_decay: float = 1.000004
    lr_min: float = 1e-6
    momentum: float = 0.5
    momentum_final: float = 0.7
    momentum_epochs: int = 250
    train_images: int = 50_000
    objective: str = "non-saturating"
    clip: float = 0.0
    r1: float = 0.0
    r2: float = 0.0
    penalty_every: int = 1
    data: str = "mnist"
    sample_every: int = 1000
    ema: float = 0.0

    def __post_init__(self) -> None:
        require_at_least(1, iterations=self.iterations, batch_size=self.batch_size, sample_every=self.sample_every)
        require_at_least(1, latent=self.latent, lr_decay=self.lr_decay, train_images=self.train_images)
        require_at_least(2, momentum_epochs=self.momentum_epochs)
        require_within("(0, inf)", lr=self.lr, lr_min=self.lr_min)
        require_within("[0, 1)", momentum=self.momentum, momentum_final=self.momentum_final, ema=self.ema)
        require_objective(self)
        require_penalties(self)


def architecture(config: Config) -> Architecture:
    """Return G, ReLU 100-1200-1200-784 and a sigmoid, and D, two maxout layers of 240 units with dropout."""
    g, d = Uniform(0.05), Uniform(0.005)
    return Architecture(
        G=[
            Dense(config.latent, 1200, weight_init=g), ReLU(),
            Dense(1200, 1200, weight_init=g), ReLU(),
            Dense(1200, PIXELS, weight_init=g), Sigmoid(),
        ],
        D=[
            Dropout(0.2), Maxout(PIXELS, 240, pieces=5, weight_init=d),
            Dropout(0.5), Maxout(240, 240, pieces=5, weight_init=d),
            Dropout(0.5), Dense(240, 1, weight_init=d),
        ],
        noise_shape=(config.latent,),
        data_shape=(PIXELS,),
    )  # fmt: skip


def prior(config: Config, n: int, rng: np.random.Generator) -> Array:
    """Draw z ~ U(-sqrt 3, sqrt 3)^latent, an array (n, latent)."""
    return rng.uniform(-math.sqrt(3), math.sqrt(3), (n, config.latent))


def assemble(
    config: Config, run_options: RunOptions, G: Network, D: Network, streams: dict[str, np.random.Generator]
) -> Experiment:
    """Build the experiment; an iteration is one simultaneous update of D and G."""
    dtype = G.dtype
    pixels = training_pixels(config.data, run_options, dtype, stop=config.train_images)
    real = EpochBatches(pixels, config.batch_size, streams["data"])
    mean = np.clip(pixels.mean(axis=0, dtype=float), MIN_PIXEL_MEAN, 1 - MIN_PIXEL_MEAN)
    output_bias = "4.b"  # of the dense layer before the sigmoid
    G.load_parameters({**G.parameters(), output_bias: np.log(mean) - np.log1p(-mean)})

    def lr(t: int) -> float:
        return max(config.lr * config.lr_decay ** (1 - t), config.lr_min)

    def momentum(t: int) -> float:
        epoch = 1 + (t - 1) // real.batches_per_epoch
        fraction = min((epoch - 1) / (config.momentum_epochs - 1), 1.0)
        return config.momentum + fraction * (config.momentum_final - config.momentum)

    gan = GAN(
        G,
        D,
        SGD(G, lr=lr, momentum=momentum),
        SGD(D, lr=lr, momentum=momentum, clip=config.clip or None),
        objective_of(config, d_scale=0.5),  # J_D averages the costs of real and fake images
        rng=streams["dropout"],
        penalties=penalties_of(config),
        penalty_every=config.penalty_every,
    )

    def noise() -> Array:
        return prior(config, config.batch_size, streams["noise"]).astype(dtype)

    def iteration() -> StepResults:
        return simultaneous(gan, real, noise)

    shown = prior(config, math.prod(SHEET), streams["figures"]).astype(dtype)
    return Experiment(
        name="mnist-maxout",
        game=gan,
        play=iteration,
        iterations=config.iterations,
        streams=streams,
        sources={"pixels": real},
        figures=[
            Samples(
                G, shown, flat_to_images, every=config.sample_every, rows=SHEET[0], columns=SHEET[1], examples=pixels
            ),
        ],
    )


RECIPE = Recipe(
    name="mnist-maxout",
    about="U(-sqrt 3, sqrt 3)^100 to MNIST: the 2014 paper's ReLU generator and maxout discriminator",
    source="the 2014 paper's code",
    Config=Config,
    architecture=architecture,
    prior=prior,
    assemble=assemble,
    to_images=flat_to_images,
    optimizer_vectors=1,
)
