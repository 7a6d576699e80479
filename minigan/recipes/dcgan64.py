"""`dcgan64`: N(0, 1)^100 -> 64x64 colour images with the DCGAN of Radford et al. 2016 (S4 in README.md).

The conventions are PyTorch's: batch norm with eps 1e-5, momentum 0.1 (the weight of the batch's statistics) and an
unbiased running variance; linear layers initialised by U(-1/sqrt(fan_in), 1/sqrt(fan_in)); Adam with eps 1e-8.
Convolutions are initialised by N(0, 0.02^2), batch norm's gamma by N(1, 0.02^2) (the notebook's N(0, 0.02^2) is an
error).  D runs on real and fake batches separately, and its cost is the sum of both; the fakes for D come from G in
training mode; G's step draws new noise and updates D's running statistics.  As in the notebook, there is no batch norm
after the projection.

Choices that the notebook leaves open: images are enlarged to 64x64 (bilinear, half-pixel centres), grey images are
repeated in three channels, and the batch size of 128 is that of the DCGAN paper.  `width` divides every number of
channels; 1 is the notebook's network.
"""

import math
from dataclasses import dataclass

import numpy as np

from minigan._names import ConfigError
from minigan.data import EpochBatches, Transformed, resize
from minigan.gan import GAN, StepResults, alternating, separate, train_fakes, train_mode_tracking
from minigan.initializers import Normal, Uniform
from minigan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dense, Flatten, Layer, LeakyReLU, ReLU, Reshape, Tanh
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.recipes.adam import adam
from minigan.recipes.base import Recipe
from minigan.recipes.figures import image_figures
from minigan.recipes.images import signed, signed_to_images, training_images
from minigan.recipes.objectives import objective_of, require_objective
from minigan.recipes.options import RunOptions
from minigan.recipes.players import Architecture
from minigan.recipes.settings import require_at_least, require_within
from minigan.training.experiment import Experiment

CHANNELS = (128, 256, 512, 1024)
"""The numbers of channels of D's convolutions, and of G's in reverse order."""
COLOURS = 3
SIZE = 64
"""The side of the images, in pixels."""


@dataclass(frozen=True)
class Config:
    """The hyper-parameters.

    Parameters
    ----------
    iterations : int
        The number of iterations, one update of D and one of G each; 93,600 are about 200 epochs of 60,000 images.
    batch_size : int
        The number of real images, and of fakes, in an update.
    latent : int
        The dimension of the noise z.
    width : int
        Every number of channels is divided by `width`, a divisor of 128; 1 is the full network.
    slope : float
        The slope of LeakyReLU for negative inputs, >= 0.
    init_std : float
        The standard deviation of the initial convolutions and of batch norm's initial gamma.
    lr : float
        The learning rate of Adam, for both players.
    beta1, beta2 : float
        The weights of Adam's old moments, in [0, 1).
    eps : float
        Adam's eps, > 0; 1e-8 as in PyTorch.
    objective : str
        The costs of both players, a name in `minigan.losses.OBJECTIVES` other than "softmax" (docs/objectives.md).
    clip : float
        The bound of the absolute values of D's parameters, to which they are clipped after each update; 0, the default,
        for none.  "wasserstein" needs one.
    data : {"mnist", "fashion-mnist", "cifar10"}
        The data set.
    sample_every : int
        The number of iterations between two grids of samples.
    ema : float
        The decay of the moving average of G's parameters in an iteration, in [0, 1), such as 0.999; samples are then
        drawn from the average (`minigan.training.AveragedNetwork`).  0, the default, means no average.

    """

    iterations: int = 93_600
    batch_size: int = 128
    latent: int = 100
    width: int = 1
    slope: float = 0.2
    init_std: float = 0.02
    lr: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    eps: float = 1e-8
    objective: str = "non-saturating"
    clip: float = 0.0
    data: str = "mnist"
    sample_every: int = 100
    ema: float = 0.0

    def __post_init__(self) -> None:
        require_at_least(1, iterations=self.iterations, batch_size=self.batch_size, sample_every=self.sample_every)
        require_at_least(1, latent=self.latent, width=self.width)
        require_within("(0, inf)", lr=self.lr, eps=self.eps, init_std=self.init_std)
        require_within("[0, 1)", beta1=self.beta1, beta2=self.beta2, ema=self.ema)
        require_within("[0, inf)", slope=self.slope)
        require_objective(self)
        if CHANNELS[0] % self.width:
            raise ConfigError(f"width must divide {CHANNELS[0]}, got {self.width!r}")


def architecture(config: Config) -> Architecture:
    """Return G, a dense layer to 4x4x1024 and four transposed convolutions to 64x64x3, and D, its mirror image."""
    w = Normal(config.init_std)
    c = [n // config.width for n in CHANNELS]

    def norm(channels: int) -> BatchNorm:
        return BatchNorm(channels, gamma_init=Normal(config.init_std, mean=1.0))

    def linear(n_in: int, n_out: int) -> Dense:
        limit = Uniform(1 / math.sqrt(n_in))
        return Dense(n_in, n_out, weight_init=limit, bias_init=limit)

    def down(c_in: int, c_out: int) -> Conv2D:
        return Conv2D(c_in, c_out, 4, stride=2, padding=1, bias=False, weight_init=w)

    def up(c_in: int, c_out: int) -> ConvTranspose2D:
        return ConvTranspose2D(c_in, c_out, 4, stride=2, padding=1, bias=False, weight_init=w)

    G: list[Layer] = [linear(config.latent, 16 * c[3]), Reshape((4, 4, c[3]))]
    for c_in, c_out in ((c[3], c[2]), (c[2], c[1]), (c[1], c[0])):
        G += [up(c_in, c_out), norm(c_out), ReLU()]
    D: list[Layer] = [down(COLOURS, c[0]), LeakyReLU(config.slope)]
    for c_in, c_out in ((c[0], c[1]), (c[1], c[2]), (c[2], c[3])):
        D += [down(c_in, c_out), norm(c_out), LeakyReLU(config.slope)]
    return Architecture(
        G=[*G, up(c[0], COLOURS), Tanh()],
        D=[*D, Flatten(), linear(16 * c[3], 1)],
        noise_shape=(config.latent,),
        data_shape=(SIZE, SIZE, COLOURS),
    )


def prior(config: Config, n: int, rng: np.random.Generator) -> Array:
    """Draw z ~ N(0, 1)^latent, an array (n, latent)."""
    return rng.standard_normal((n, config.latent))


def assemble(
    config: Config, run_options: RunOptions, G: Network, D: Network, streams: dict[str, np.random.Generator]
) -> Experiment:
    """Build the experiment; an iteration updates D on a batch of real and one of fake images, then G on new noise."""
    dtype = G.dtype

    gan = GAN(
        G,
        D,
        adam(G, config),
        adam(D, config, clip=config.clip or None),
        objective_of(config),
        d_batching=separate,
        fake_mode=train_fakes,
        frozen_d_mode=train_mode_tracking,
    )
    data = training_images(config.data, run_options)
    images = data.images
    _, height, width, colours = images.shape
    if height != width or height > SIZE or colours not in (1, COLOURS):
        raise ConfigError(
            f"images: got shape {images.shape}; expected (N, H, H, C) with H <= {SIZE} (they are enlarged to {SIZE}) "
            f"and C = 1 (grey) or {COLOURS} (red, green, blue), the channels last"
        )
    batches = EpochBatches(images, config.batch_size, streams["data"])

    def enlarged(x: Array) -> Array:
        return resize(x.astype(dtype), SIZE)  # not rounded to bytes

    def coloured(x: Array) -> Array:
        x = signed(x, dtype)
        return x if x.shape[3] == COLOURS else x.repeat(COLOURS, axis=3)

    def prepare(x: Array) -> Array:
        return coloured(enlarged(x))

    real = Transformed(lambda: enlarged(batches()), coloured)

    def noise() -> Array:
        return prior(config, config.batch_size, streams["noise"]).astype(dtype)

    def iteration() -> StepResults:
        return alternating(gan, real, noise)

    def figure_noise(n: int) -> Array:
        return prior(config, n, streams["figures"]).astype(dtype)

    return Experiment(
        name="dcgan64",
        game=gan,
        play=iteration,
        iterations=config.iterations,
        streams=streams,
        sources={"images": batches},
        note=f"{data.name}: {data.note}" if data.note else "",
        figures=image_figures(  # 20 fixed noise vectors, as in the notebook
            gan,
            figure_noise,
            images,
            prepare,
            signed_to_images,
            every=config.sample_every,
            rows=2,
            columns=10,
            sheet=(2, 10),
            histogram_examples=200,
        ),
    )


RECIPE = Recipe(
    name="dcgan64",
    about="N(0, 1)^100 to 64x64 colour images: the DCGAN of Radford et al. 2016",
    source="S4: PyTorch notebook",
    Config=Config,
    architecture=architecture,
    prior=prior,
    assemble=assemble,
    to_images=signed_to_images,
)
