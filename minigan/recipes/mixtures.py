"""What `ring8` and `grid25` share: mixtures of Gaussians in the plane, on which a GAN of 2014 loses modes.

The data are those of VEEGAN (Srivastava et al. 2017, section 5.1) and PacGAN (Lin et al. 2018, section 4.1), drawn
afresh in every iteration, and so are the measures: modes that 2500 samples reach, the share of these samples within
3 sigma of a centre, and the reverse KL over modes.

networks=small        the defaults: LeakyReLU networks, which a CPU trains in a minute
networks=published    those of PacGAN's code (github.com/fjxmlzn/PacGAN, synthetic_data_experiments): G 4 x 400 with
                      batch norm and ReLU, D 3 x 200 of 5 maxout pieces, weights N(0, 0.02^2); `PUBLISHED` has the
                      settings of its GAN
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from minigan._names import ConfigError, unknown
from minigan.data.toy_plane import GaussianMixture2D
from minigan.gan import GAN, StepResults, alternating, combined, separate, simultaneous
from minigan.initializers import Normal, Uniform
from minigan.layers import BatchNorm, Dense, LeakyReLU, Maxout, ReLU, Tanh
from minigan.layers.base import Layer
from minigan.metrics.modes import SIGMAS, mixture_modes, mode_counts
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.recipes.adam import adam
from minigan.recipes.mixture_figures import MixtureFigures
from minigan.recipes.objectives import objective_of, penalties_of, require_objective, require_penalties
from minigan.recipes.players import Architecture
from minigan.recipes.settings import require_at_least, require_within
from minigan.training.callbacks import Evaluate
from minigan.training.experiment import Experiment

SAMPLES = 2500
"""The number of samples in the published protocols."""
SLOPE = 0.2
"""The slope of LeakyReLU for negative numbers."""
GAIN_D = 2.0
"""The standard deviation of D's first weights, in units of 1 / radius of the data: finer than GlorotUniform's."""
NETWORKS = ("small", "published")
UPDATES = ("alternating", "simultaneous")

PUBLISHED: Mapping[str, Any] = {
    "networks": "published", "objective": "non-saturating", "updates": "simultaneous", "pack": 1, "r1": 0.0, "r2": 0.0,
    "penalty_every": 1, "ema": 0.0, "batch_size": 100, "latent": 2, "lr": 1e-4, "decay": 0.0, "beta1": 0.8,
    "beta2": 0.999, "eps": 1e-8, "iterations": 400_000,
}  # fmt: skip
"""The settings of the GAN in PacGAN's code, for ``recipe.configure``: 400 epochs of 100,000 examples."""


@dataclass(frozen=True)
class Config:
    """The hyper-parameters; the defaults are those of `ring8`.

    Parameters
    ----------
    iterations : int
        The number of iterations, each of which updates D and then G once, or both at once.
    batch_size : int
        The number of examples, and of noise vectors, in an update; a multiple of `pack`.
    latent : int
        The dimension of the noise z; 2, as published.
    networks : str
        "small": `layers` hidden layers of `hidden` units in both networks.  "published": those of PacGAN's code.
    hidden, layers : int
        The units of a hidden layer, and the number of hidden layers, of the small networks.
    objective : str
        The costs of both players, a name in `minigan.losses.OBJECTIVES` other than "softmax" (docs/objectives.md);
        "minimax" and "non-saturating" are those of 2014.
    clip : float
        The bound of the absolute values of D's parameters, to which they are clipped after each update; 0, the default,
        for none.  "wasserstein" needs one.
    pack : int
        The number of examples that D sees at a time (`minigan.gan.packing`); 1, the default: one example.
    r1, r2 : float
        The weights of D's gradient penalties R1, on real examples, and R2, on fakes (docs/second-order.md); 0 for none.
    penalty_every : int
        The penalties are part of every `penalty_every`-th update of D, with `penalty_every` times their weight.
    updates : str
        "alternating": D, then G on new noise (Algorithm 1).  "simultaneous": both from the same samples.
    lr : float
        The learning rate of Adam, for both players.
    decay : float
        The fraction of the run, at its end, in which the learning rate falls linearly towards 0, in [0, 1].
    beta1, beta2 : float
        The weights of Adam's old moments, in [0, 1).
    eps : float
        Adam's eps, > 0.
    ema : float
        The decay of the moving average of G's parameters in an iteration, in [0, 1), such as 0.999; samples are then
        drawn from the average, and modes counted in them (`minigan.training.AveragedNetwork`).  0 means no average.
    evaluate_every : int
        The number of iterations between two counts of the modes.
    frames : int
        The number of frames of the animation.

    """

    iterations: int = 12_000
    batch_size: int = 128
    latent: int = 2
    networks: str = "small"
    hidden: int = 64
    layers: int = 4
    objective: str = "relativistic"
    clip: float = 0.0
    pack: int = 1
    r1: float = 0.001
    r2: float = 0.001
    penalty_every: int = 4
    updates: str = "alternating"
    lr: float = 2e-3
    decay: float = 0.5
    beta1: float = 0.0
    beta2: float = 0.99
    eps: float = 1e-8
    ema: float = 0.999
    evaluate_every: int = 100
    frames: int = 50

    def __post_init__(self) -> None:
        require_at_least(1, iterations=self.iterations, batch_size=self.batch_size, latent=self.latent)
        require_at_least(1, hidden=self.hidden, layers=self.layers, pack=self.pack)
        require_at_least(1, evaluate_every=self.evaluate_every, frames=self.frames)
        require_within("(0, inf)", lr=self.lr, eps=self.eps)
        require_within("[0, 1)", beta1=self.beta1, beta2=self.beta2, ema=self.ema)
        require_within("[0, 1]", decay=self.decay)
        for name, given, known in (("networks", self.networks, NETWORKS), ("updates", self.updates, UPDATES)):
            if given not in known:
                raise ConfigError(unknown(name, given, known))
        if self.batch_size % self.pack:
            raise ConfigError(f"batch_size must be a multiple of pack={self.pack}, got {self.batch_size}")
        if self.pack > 1 and self.updates == "simultaneous":
            raise ConfigError(f"updates=simultaneous shows D one example at a time, got pack={self.pack}")
        require_objective(self)
        require_penalties(self)


def architecture(config: Config, *, radius: float) -> Architecture:
    """Return G and D, for data within `radius` of the origin."""
    layers = _published if config.networks == "published" else _small
    G, D = layers(config, radius)
    return Architecture(G=G, D=D, noise_shape=(config.latent,), data_shape=(2 * config.pack,))


def _small(config: Config, radius: float) -> tuple[list[Layer], list[Layer]]:
    """Dense networks; the last hidden layer of G has tanh units, which step from one mode to the next and saturate."""

    def network(inputs: int, outputs: int, gain: float, scale: float, last: Layer) -> list[Layer]:
        """The first layer's units change sign at any place within about twice the scale of x."""
        h = config.hidden
        denses = [Dense(inputs, h, weight_init=Normal(gain / scale), bias_init=Uniform(2 * gain))]
        denses += [Dense(h, h) for _ in range(config.layers - 1)]
        activations: list[Layer] = [LeakyReLU(SLOPE)] * (config.layers - 1) + [last]
        return [*chain.from_iterable(zip(denses, activations, strict=True)), Dense(h, outputs)]

    G = network(config.latent, 2, 1.0, 1.0, Tanh())
    return G, network(2 * config.pack, 1, GAIN_D, radius, LeakyReLU(SLOPE))


def _published(config: Config, _radius: float) -> tuple[list[Layer], list[Layer]]:
    init = Normal(0.02)
    G: list[Layer] = []
    D: list[Layer] = []
    for inputs in (config.latent, 400, 400, 400):
        norm = BatchNorm(400, eps=1e-4, momentum=0.05, unbiased=False)  # the defaults of Blocks, its framework
        G += [Dense(inputs, 400, bias=False, weight_init=init), norm, ReLU()]
    for inputs in (2 * config.pack, 200, 200):
        D += [Maxout(inputs, 200, pieces=5, weight_init=init)]
    return [*G, Dense(400, 2, weight_init=init)], [*D, Dense(200, 1, weight_init=init)]


def prior(config: Config, n: int, rng: np.random.Generator) -> Array:
    """Draw z ~ N(0, I), an array (n, latent)."""
    return rng.standard_normal((n, config.latent))


def learning_rate(config: Config) -> Callable[[int], float] | float:
    """Return the learning rate, a schedule if it decays: lr min(1, steps left / steps of the decay), never 0."""
    if not config.decay:
        return config.lr
    steps = config.decay * config.iterations

    def lr(t: int) -> float:
        return config.lr * min(1.0, max(1, config.iterations - t + 1) / steps)

    return lr


class SampleModes(Evaluate):
    """Count the modes that samples of G reach: metrics during training, and a report at the end.

    Parameters
    ----------
    G : Network
        The generator; `minigan.recipes.generators.average_generator` replaces it by its average.
    data : GaussianMixture2D
        The data.
    z : array (N, latent)
        The noise of the measurements during training, always the same.
    every : int
        The number of iterations between two measurements.

    """

    def __init__(self, G: Network, data: GaussianMixture2D, z: Array, *, every: int) -> None:
        super().__init__(self.metrics, every=every)
        self.G, self.trained, self.data, self.z = G, G, data, z

    def metrics(self) -> dict[str, float]:
        """Return "modes" and "high_quality" of G(z); both are NaN if a sample is not finite."""
        return metrics_of(self.G(self.z), self.data)

    def report(self, z: Array) -> dict[str, Any]:
        """Return `minigan.metrics.mixture_modes` of G(z) for the summary, and which weights of G made the samples."""
        weights = {"weights": "generator.npz" if self.G is self.trained else "generator-ema.npz"}
        x = self.G(z)
        if not np.isfinite(x).all():
            return {"modes": math.nan, "high_quality": math.nan, "reverse_kl": math.nan, **weights}
        return {**mixture_modes(x, self.data.centres, sigma=self.data.sigma).as_dict(), **weights}


def metrics_of(x: Array, data: GaussianMixture2D) -> dict[str, float]:
    """Return the number of modes that the samples x (N, 2) reach, and the share of high quality; NaN if x has some."""
    if not np.isfinite(x).all():
        return {"modes": math.nan, "high_quality": math.nan}
    good = mode_counts(x, data.centres, radius=SIGMAS * data.sigma).high_quality
    return {"modes": float((good > 0).sum()), "high_quality": float(good.sum() / len(x))}


def assemble(
    name: str,
    data: GaussianMixture2D,
    config: Config,
    G: Network,
    D: Network,
    streams: dict[str, np.random.Generator],
) -> Experiment:
    """Build the experiment of the recipe `name`; an iteration updates D and G once, on new data and noise."""
    n, dtype, rate = config.batch_size, G.dtype, learning_rate(config)
    one_pass = config.updates == "alternating"
    gan = GAN(
        G,
        D,
        adam(G, config, lr=rate),
        adam(D, config, lr=rate, clip=config.clip or None),
        objective_of(config),
        rng=streams["dropout"],
        d_batching=combined if one_pass else separate,  # the same function of the parameters, in one pass of D
        pack=config.pack,
        penalties=penalties_of(config),
        penalty_every=config.penalty_every,
    )
    schedule = alternating if config.updates == "alternating" else simultaneous

    def real() -> Array:
        return data.sample(n, streams["data"]).astype(dtype)

    def noise() -> Array:
        return prior(config, n, streams["noise"]).astype(dtype)

    def iteration() -> StepResults:
        return schedule(gan, real, noise)

    z = prior(config, SAMPLES, streams["figures"]).astype(dtype)
    modes = SampleModes(G, data, z, every=config.evaluate_every)

    def evaluate() -> dict[str, Any]:
        return modes.report(prior(config, SAMPLES, streams["evaluation"]).astype(dtype))

    return Experiment(
        name=name,
        game=gan,
        play=iteration,
        iterations=config.iterations,
        streams=streams,
        callbacks=[modes],
        figures=[MixtureFigures(gan, data, z, count=config.frames, measure=metrics_of, rng=streams["figures"])],
        evaluate=evaluate,
    )
