"""`gaussian`: N(0, 1) -> N(4, 2^2) with an affine generator and ten hidden units in D (S1 in README.md).

The notebook draws its data with ``normal(4, 2)``: the standard deviation is 2.  Its 200 iterations make 2000 updates
of G, each of which moves b by about 0.001: too few to reach a mean of 4.  The recipe runs 1000 iterations.

The conventions are Keras's: Glorot-uniform weights, Adam with eps 1e-7, J_D the mean over real and fake examples
(``d_scale=1/2``).  D ends in a logit; the notebook's sigmoid is part of the objective.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.data.toy import Gaussian
from minigan.gan import GAN, StepResults, combined, eval_fakes, same_batch
from minigan.layers import Dense, ReLU
from minigan.losses import Minimax, NonSaturating
from minigan.metrics import jsd, value, value_at_point
from minigan.network import Network
from minigan.ops import reference
from minigan.ops.protocol import Array
from minigan.recipes.adam import adam
from minigan.recipes.base import Recipe
from minigan.recipes.objectives import objective_of, penalties_of, require_objective, require_penalties
from minigan.recipes.options import RunOptions
from minigan.recipes.players import Architecture
from minigan.recipes.settings import require_at_least, require_within
from minigan.training.callbacks import EarlyStop, Evaluate
from minigan.training.experiment import Callback, Experiment, Run


@dataclass(frozen=True)
class Config:
    """The hyper-parameters.

    Parameters
    ----------
    iterations : int
        The number of iterations, each of which draws a batch.
    batch_size : int
        The number of real examples, and of noise values, in an iteration.
    d_updates, g_updates : int
        The updates of D on an iteration's batch, and then of G on its noise.
    hidden : int
        The number of hidden units of D.
    mu, sigma : float
        The mean and the standard deviation of the data.
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
    r1, r2 : float
        The weights of D's gradient penalties R1, on real examples, and R2, on fakes (docs/second-order.md); 0, the
        default, for none.
    penalty_every : int
        The penalties are part of every `penalty_every`-th update of D, with `penalty_every` times their weight.
    frames : int
        The number of frames of the animation.
    evaluate_every : int
        The number of iterations between two evaluations of JSD(p_data, p_g) and V(D).
    patience : int
        The run stops after so many evaluations without a smaller JSD; 0, the default, means never.
    ema : float
        The decay of the moving average of G's parameters in an iteration, in [0, 1), such as 0.999; samples are then
        drawn from the average (`minigan.training.AveragedNetwork`).  0, the default, means no average.

    """

    iterations: int = 1000
    batch_size: int = 1000
    d_updates: int = 10
    g_updates: int = 10
    hidden: int = 10
    mu: float = 4.0
    sigma: float = 2.0
    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-7
    objective: str = "non-saturating"
    clip: float = 0.0
    r1: float = 0.0
    r2: float = 0.0
    penalty_every: int = 1
    frames: int = 50
    evaluate_every: int = 50
    patience: int = 0
    ema: float = 0.0

    def __post_init__(self) -> None:
        require_at_least(1, iterations=self.iterations, batch_size=self.batch_size, frames=self.frames)
        require_at_least(1, d_updates=self.d_updates, g_updates=self.g_updates, hidden=self.hidden)
        require_at_least(1, evaluate_every=self.evaluate_every)
        require_at_least(0, patience=self.patience)
        require_within("(0, inf)", sigma=self.sigma, lr=self.lr, eps=self.eps)
        require_within("[0, 1)", beta1=self.beta1, beta2=self.beta2, ema=self.ema)
        require_objective(self)
        require_penalties(self)


def architecture(config: Config) -> Architecture:
    """Return G, x = a z + b, and D, one hidden layer of ReLU units."""
    return Architecture(
        G=[Dense(1, 1)],
        D=[Dense(1, config.hidden), ReLU(), Dense(config.hidden, 1)],
        noise_shape=(1,),
        data_shape=(1,),
    )


def prior(config: Config, n: int, rng: np.random.Generator) -> Array:
    """Draw z ~ N(0, 1), an array (n, 1)."""
    return rng.standard_normal((n, 1))


def assemble(
    config: Config, run_options: RunOptions, G: Network, D: Network, streams: dict[str, np.random.Generator]
) -> Experiment:
    """Build the experiment; an iteration draws a batch, updates D on it `d_updates` times, then G on its noise."""
    data, n, dtype = Gaussian(config.mu, config.sigma), config.batch_size, G.dtype

    gan = GAN(
        G,
        D,
        adam(G, config),
        adam(D, config, clip=config.clip or None),
        objective_of(config, d_scale=0.5),  # J_D averages the costs of real and fake examples
        rng=streams["dropout"],
        d_batching=combined,
        fake_mode=eval_fakes,
        penalties=penalties_of(config),
        penalty_every=config.penalty_every,
    )

    def real() -> Array:
        return data.sample(n, streams["data"]).astype(dtype)[:, None]

    def noise() -> Array:
        return prior(config, n, streams["noise"]).astype(dtype)

    def iteration() -> StepResults:
        return same_batch(gan, real, noise, d_updates=config.d_updates, g_updates=config.g_updates)

    callbacks: list[Callback] = [Evaluate(lambda: distances(gan, data), every=config.evaluate_every)]
    if config.patience:
        callbacks.append(EarlyStop("jsd", patience=config.patience))
    return Experiment(
        name="gaussian",
        game=gan,
        play=iteration,
        iterations=config.iterations,
        streams=streams,
        callbacks=callbacks,
        figures=[Figures(gan, data, config, streams["figures"])],
        evaluate=lambda: evaluate(gan, data, streams["evaluation"]),
    )


def affine(G: Network) -> tuple[float, float]:
    """Return a and b of the generator G(z) = a z + b."""
    p = G.parameters()
    return float(p["0.W"][0, 0]), float(p["0.b"][0])


def logit(D: Network) -> Any:
    """Return D's logit s(x) as a function of a float64 array of any shape."""
    return lambda x: D(np.asarray(x, dtype=float).reshape(-1, 1)).astype(float).reshape(np.shape(x))


def distances(gan: GAN, data: Gaussian) -> dict[str, float]:
    """Return JSD(p_data, p_g) and V(D), computed by quadrature with p_g = N(b, a^2).

    For a = 0, p_g is a point mass: JSD = log 2, and V(D) = E_p log D(x) + log(1 - D(b)).  V(D) is left out for the
    objectives whose D is trained for another value than V.
    """
    a, b = affine(gan.G)
    has_value = isinstance(gan.objective, Minimax | NonSaturating)
    if a == 0:
        return {"jsd": math.log(2), **({"value": value_at_point(data, b, logit(gan.D))} if has_value else {})}
    generator = Gaussian(b, abs(a))
    found = {"jsd": jsd(data, generator)}
    return {**found, "value": value(data, generator, logit(gan.D))} if has_value else found


def evaluate(gan: GAN, data: Gaussian, rng: np.random.Generator, *, samples: int = 100_000) -> dict[str, Any]:
    """Return the mean and std of samples of G, JSD(p_data, p_g), V(D) and C(G) = V(D*) = -log 4 + 2 JSD.

    `distances` says which objectives have no V(D).
    """
    x = gan.G(rng.standard_normal((samples, 1))).astype(float)
    a, b = affine(gan.G)
    found = distances(gan, data)
    return {
        "generator": {"mean": float(x.mean()), "std": float(x.std()), "a": a, "b": b, "samples": samples},
        "target": {"mean": data.mu, "std": data.sigma},
        **found,
        "value_optimal": -math.log(4) + 2 * found["jsd"],
        "minus_log_4": -math.log(4),
    }


CHANGING_FIELDS = ("iteration", "of", "a", "b", "fake", "d")
"""The fields of a Snapshot that change; the others are constant in a run."""


class Figures(Callback):
    """Write gaussian.gif and gaussian.png (the notebook's figure), figure_1.png (the 2014 paper's) and losses.png.

    Parameters
    ----------
    gan : GAN
        The game.
    data : Gaussian
        The distribution of the data.
    config : Config
        The hyper-parameters, with the number of frames.
    rng : numpy.random.Generator
        The stream of the noise and of the examples that are shown.

    """

    def __init__(self, gan: GAN, data: Gaussian, config: Config, rng: np.random.Generator) -> None:
        self.gan, self.data, self.frame_count = gan, data, config.frames
        self.z = rng.standard_normal((1000, 1))
        self.real = data.sample(1000, rng)

    def state(self) -> dict[str, Any]:
        """Return the changing fields of all frames, as one array per field."""
        return {name: np.array([getattr(frame, name) for frame in self.frames]) for name in CHANGING_FIELDS}

    def restore(self, run: Run, state: dict[str, Any]) -> None:
        """Restore the frames."""
        from minigan.plots.gaussian import Snapshot

        rows = zip(*(state[name] for name in CHANGING_FIELDS), strict=True)
        self.frames = [
            Snapshot(int(iteration), int(of), float(a), float(b), self.data, fake, self.real, d)
            for iteration, of, a, b, fake, d in rows
        ]

    def on_start(self, run: Run) -> None:
        """Record the first frame."""
        from minigan.plots.gaussian import Axis, Snapshot

        self._Snapshot, self.axis = Snapshot, Axis.of(self.data)
        self.every = max(1, run.iterations // self.frame_count)
        if not run.resumed:
            self.frames = [self._snapshot(run)]

    def on_iteration(self, run: Run) -> None:
        """Record a frame if it is due."""
        if run.iteration % self.every == 0 or run.is_last_iteration:
            self.frames.append(self._snapshot(run))

    def on_end(self, run: Run) -> None:
        """Write the figures."""
        from minigan import plots
        from minigan.plots.write import rasterise

        if run.folder is None:
            return
        if self.frames[-1].iteration != run.iteration:
            self.frames.append(self._snapshot(run))
        last = len(self.frames) - 1
        plots.save(plots.training_frame(self.frames[-1]), run.folder / "gaussian.png")
        chosen = sorted({0, round(last / 4), round(last / 2), last})
        plots.save(plots.figure_1([self.frames[k] for k in chosen]), run.folder / "figure_1.png")
        pictures = (rasterise(plots.training_frame(frame)) for frame in self.frames)
        plots.save_gif(pictures, run.folder / "gaussian.gif")
        if run.history:
            plots.save(plots.loss_curves(run.history), run.folder / "losses.png")

    def _snapshot(self, run: Run) -> Any:
        a, b = affine(self.gan.G)
        fake = self.gan.G(self.z).astype(float)[:, 0]
        d = self.gan.objective.probability(logit(self.gan.D)(self.axis.xs), ops=reference)
        return self._Snapshot(run.iteration, run.iterations, a, b, self.data, fake, self.real, d)


RECIPE = Recipe(
    name="gaussian",
    about="N(0, 1) to N(4, 2^2): an affine G, ten hidden units in D",
    source="S1: notebook on GANs",
    Config=Config,
    architecture=architecture,
    prior=prior,
    assemble=assemble,
    ensembles={"cuda": "minigan.ensembles"},
    normal_data=lambda config: (config.mu, config.sigma),
)
