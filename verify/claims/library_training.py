r"""Claims: 200 iterations of Algorithm 1 in float64 stay close to the same iterations in balls.

The library's own steps (gan, objectives, optimizers) run twice from the same weights on the same batches: in float64,
and in balls, where every number of all 200 iterations is enclosed.  The distance between the two is the rounding error
that the whole training has accumulated.  The float64 side updates by the formulas of the papers, written out here: an
error in the library's optimizers affects one side only.

Every branch (ReLU, maxout) is decided by balls: the numbers of the ball run are duals of slope 0, whose comparisons
raise Undecided if the balls overlap.  Balls grow with every step, by tens of orders of magnitude in all; the precision
is raised until they are small enough at the end.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from flint import arb

import minigan as mg
from minigan.data import Gaussian
from minigan.gan import GAN, DBatching, FakeMode, combined, eval_fakes, separate, train_fakes
from minigan.layers.base import Layer
from minigan.losses import Objective
from minigan.network import Network
from minigan.optimizers import Optimizer
from verify.arithmetic.balls import precision
from verify.arithmetic.decide import Undecided
from verify.arithmetic.dual import Array, Dual, each, primal
from verify.engine.float_checks import check_error
from verify.engine.proof import Proof
from verify.engine.registry import Source, claim

GATE = "1e-12"
ITERATIONS = 200
GUARD_DIGITS = (90, 240, 960)  # tried in turn: working digits beyond the result's, until the result is narrow enough


class PaperAdam(mg.Adam):
    """Kingma and Ba 2015, Algorithm 1, with the constants as given here."""

    def __init__(self, net: Network, rate: float, eps: float) -> None:
        super().__init__(net, lr=rate, eps=eps)
        self.constants = rate, 0.9, 0.999, eps

    def _update(self, theta: Array, g: Array, t: int) -> None:
        rate, beta1, beta2, eps = self.constants
        m, v = self.state["m"], self.state["v"]
        m[...] = beta1 * m + (1 - beta1) * g
        v[...] = beta2 * v + (1 - beta2) * g * g
        theta -= rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)


class PaperSGD(mg.SGD):
    """Gradient descent with the momentum of Polyak 1964, with the constants as given here."""

    def __init__(self, net: Network, rate: float, momentum: float = 0.0) -> None:
        super().__init__(net, lr=rate, momentum=momentum)
        self.constants = rate, momentum

    def _update(self, theta: Array, g: Array, t: int) -> None:
        rate, momentum = self.constants
        u = self.state["u"]
        u[...] = momentum * u - rate * g
        theta += u


@dataclass(frozen=True)
class Training:
    """Networks, objective, optimizer, schedule and batch size; the data are N(4, 2^2)."""

    G: tuple[Layer, ...]
    D: tuple[Layer, ...]
    objective: Objective
    optimizer: Callable[[Network], Optimizer]
    transcribed: Callable[
        [Network, float], Optimizer
    ]  # the optimizer as its paper states it, with the rate times a factor
    d_batching: DBatching = separate
    fake_mode: FakeMode = train_fakes
    n: int = 8


TRAININGS = {
    "gaussian": Training(  # the networks and conventions of the recipe
        (mg.Dense(1, 1),), (mg.Dense(1, 10), mg.ReLU(), mg.Dense(10, 1)), mg.NonSaturating(d_scale=0.5),
        lambda net: mg.Adam(net, lr=1e-2, eps=1e-7),
        lambda net, factor: PaperAdam(net, 1e-2 * factor, 1e-7), combined, eval_fakes,
    ),
    "tanh": Training(
        (mg.Dense(1, 1),), (mg.Dense(1, 4), mg.Tanh(), mg.Dense(4, 1)), mg.NonSaturating(),
        lambda net: mg.SGD(net, lr=0.1, momentum=0.5), lambda net, factor: PaperSGD(net, 0.1 * factor, 0.5),
    ),
    "batch-norm": Training(
        (mg.Dense(1, 3, bias=False), mg.BatchNorm(3), mg.LeakyReLU(0.2), mg.Dense(3, 1)),
        (mg.Maxout(1, 3, pieces=2), mg.Dropout(0.25), mg.Dense(3, 3), mg.Softplus(), mg.Dense(3, 1)), mg.Minimax(),
        lambda net: mg.SGD(net, lr=0.01), lambda net, factor: PaperSGD(net, 0.01 * factor),
    ),
}  # fmt: skip


def train(training: Training, seed: int, convert: Callable[[Array], Array], dtype: str) -> Array:
    """Return theta_G and theta_D after 200 iterations of one D step and one G step, in the arithmetic of `convert`."""
    streams = [np.random.default_rng([seed, k]) for k in range(4)]
    G, D = (
        Network(layers, rng=streams[0], dtype="float64").astype(dtype, None if dtype != "object" else decided)
        for layers in (training.G, training.D)
    )
    gan = GAN(
        G, D, training.optimizer(G), training.optimizer(D), training.objective,
        rng=streams[1], d_batching=training.d_batching, fake_mode=training.fake_mode,
    )  # fmt: skip
    data = Gaussian(4, 2)

    def real() -> Array:
        return convert(data.sample(training.n, streams[2])[:, None])

    def noise() -> Array:
        return convert(streams[3].standard_normal((training.n, 1)))

    for _ in range(ITERATIONS):
        mg.gan.alternating(gan, real, noise, k=1)
    return np.concatenate([gan.G.theta, gan.D.theta])


def decided(x: float) -> Dual:
    """Return a ball whose comparisons either are decided or raise Undecided."""
    return Dual(arb(x), 0)


@cache
def in_balls(name: str, seed: int, digits: int) -> tuple[arb, ...]:
    """Return enclosures of the trained parameters, of radius at most 10^-digits."""
    training = TRAININGS[name]
    for guard in GUARD_DIGITS:
        with precision(digits + guard):
            try:
                theta = tuple(primal(v) for v in train(training, seed, lambda x: each(decided, x), "object"))
            except Undecided:
                continue
            except SystemError as error:  # NumPy's argmax reports an exception in a comparison this way
                if isinstance(error.__cause__, Undecided):
                    continue
                raise
            if all(v.is_finite() and v.rad() <= arb(10) ** -digits for v in theta):
                return theta
    raise Undecided(f"the balls grew too wide for {digits} digits")


def drift(proof: Proof, name: str, dtype: str = "float64", lr_factor: float = 1.0) -> None:
    """Check the distance of training in floats from the enclosure."""
    training = TRAININGS[name]
    exact = in_balls(name, proof.seed, proof.digits)
    perturbed = replace(training, optimizer=lambda net: training.transcribed(net, lr_factor))
    rounded = train(perturbed, proof.seed, lambda x: x.astype(dtype), dtype)
    distances = [abs(a - arb(float(b))) for a, b in zip(exact, rounded, strict=True)]
    size = len(Network(training.G, rng=np.random.default_rng(0)).theta)
    for player, part in (("G", distances[:size]), ("D", distances[size:])):
        worst = max((d.upper() for d in part), key=float)
        check_error(proof, f"largest drift of theta_{player}", worst, GATE)
        proof.note(f"largest drift of theta_{player}", worst.str(3, radius=False))
    widest = max((a.rad() for a in exact), key=float)
    check_error(proof, "radius of the balls after training", widest, f"1e-{proof.digits}")
    for k, a in enumerate(exact[:size]):
        proof.enclose(f"theta_G[{k}]", a)
    proof.note("updates", 2 * ITERATIONS)


def _register() -> None:
    for name, training in TRAININGS.items():
        optimizer = type(training.optimizer(Network([mg.Dense(1, 1)], rng=np.random.default_rng(0)))).__name__
        check = partial(drift, name=name)
        claim(
            f"Lib.training.{name}",
            f"{ITERATIONS} alternating steps of GAN training ({name}, {optimizer}) in float64 stay within {GATE} of "
            "the exact ones, which are enclosed.",
            latex=rf"\max_i |\mathrm{{fl}}(\theta_i) - \theta_i| \le 10^{{-12}},\quad t = {ITERATIONS}",
            source=Source("Goodfellow et al. 2014", "Algorithm 1", "minigan", "gan.alternating"),
            rigor="ball",
            idea="The library trains on balls at a precision that outlasts their growth; float64 runs beside it, "
            "with the optimizers written out from their papers.",
            controls={
                "the learning rate times 1 + 1e-9": partial(check, lr_factor=1 + 1e-9),
                "training in float32": partial(check, dtype="float32"),
            },
            assumptions=("one seed; the constants of the optimizer are their float64 values",),
        )(check)


_register()
