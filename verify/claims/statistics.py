r"""Claims: samples of `minigan.data`, generators, dropout and initial weights have their distributions; V by sampling.

The library draws the samples; the distributions are those of SciPy, or balls.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import special, stats

import minigan as mg
from minigan import data, initializers
from minigan.network import Network
from verify.analysis.divergences import criterion
from verify.densities import Laplace
from verify.engine.proof import Proof
from verify.engine.registry import GOODFELLOW, Source, claim
from verify.engine.statistics import ALPHA_PER_ASSERTION, Floats, check_distance, check_distribution, check_mean

Cdf = Callable[[Floats], Any]
SIZES = {"quick": 200_000, "full": 1_000_000, "deep": 4_000_000}

MIXTURE = ((0.2, -3.0, 0.5), (0.5, 0.0, 1.0), (0.3, 4.0, 2.0))  # weight, mu, sigma


def normal_mixture(x: Floats, parts: tuple[tuple[float, float, float], ...]) -> Any:
    """Return the distribution function of a mixture of normals at x (n,)."""
    return sum(w * special.ndtr((x - mu) / sigma) for w, mu, sigma in parts)


def _mixture() -> data.Mixture:
    return data.Mixture([data.Gaussian(mu, s) for _, mu, s in MIXTURE], [w for w, _, _ in MIXTURE])


# sampler of minigan.data -> name -> (draw, distribution function)
Draw = Callable[[int, np.random.Generator], Floats]
SAMPLERS: dict[str, dict[str, tuple[Draw, Cdf]]] = {
    "Gaussian": {"N(4, 2^2)": (lambda n, rng: data.Gaussian(4, 2).sample(n, rng), stats.norm(4, 2).cdf)},
    "Laplace": {"mu 1, b 1/2": (lambda n, rng: data.Laplace(1, 0.5).sample(n, rng), stats.laplace(1, 0.5).cdf)},
    "Mixture": {"three normals": (lambda n, rng: _mixture().sample(n, rng), partial(normal_mixture, parts=MIXTURE))},
    "GaussianMixture2D": {},  # in the plane: projections, below
}


def _projections(name: str, modes: data.GaussianMixture2D, centres: Any) -> None:
    """Add projections of a mixture of isotropic normals: mixtures of normals with means u.c_k and the same sigma."""
    for angle in (0.0, 1.0, 2.5):
        u = np.array([np.cos(angle), np.sin(angle)])
        parts = tuple((1 / len(centres), float(u @ centre), modes.sigma) for centre in centres)

        def draw(n: int, rng: np.random.Generator, u: Floats = u) -> Floats:
            return modes.sample(n, rng) @ u

        SAMPLERS["GaussianMixture2D"][f"{name}, projected at {angle} rad"] = (
            draw,
            partial(normal_mixture, parts=parts),
        )


_projections("ring", data.ring(8, sigma=0.1), [np.array([np.cos(t), np.sin(t)]) for t in np.arange(8) * np.pi / 4])
_projections("grid", data.grid(), [np.array([a, b]) for a in (-4, -2, 0, 2, 4) for b in (-4, -2, 0, 2, 4)])


def size(proof: Proof) -> int:
    """Return how many draws an assertion takes."""
    return proof.scale(**SIZES)


def samplers(proof: Proof, *, stretch: float = 1.0, shift: float = 0.0) -> None:
    """Compare each sampler with its law."""
    for named in SAMPLERS.values():
        for name, (draw, cdf) in named.items():
            x = draw(size(proof), proof.rng)
            check_distribution(proof, name, x * stretch + shift * float(x.std()), cdf)


claim(
    "Stat.samplers",
    "The samplers of minigan.data draw from their densities: normal, Laplace, mixtures, ring and grid.",
    latex=r"\sup_x |F_n(x) - F(x)| \le \varepsilon,\quad 2 e^{-2 n \varepsilon^2} = \alpha",
    source=Source("Massart 1990", "the DKW inequality", "minigan", "data.toy"),
    rigor="statistical",
    idea="The DKW inequality bounds the distance of the empirical distribution function at every n.",
    controls={
        "the samples stretched by 5 %": partial(samplers, stretch=1.05),
        "the samples shifted by 0.05 standard deviations": partial(samplers, shift=0.05),
    },
    assumptions=("numpy's PCG64 streams are independent uniform bits",),
)(samplers)


# Batches.


def batches(proof: Proof, *, forget: int = 0, share: float = 0.4) -> None:
    """Check that EpochBatches shows every example once, RandomBatches distinct ones, each with probability 4/10."""
    N, n, draws = 10, 4, size(proof) // 10
    epoch = data.EpochBatches(np.arange(N), 5, proof.rng)
    shown = [np.concatenate([epoch(), epoch()])[forget:] for _ in range(100)]
    proof.holds("each epoch is a permutation", all(sorted(one.tolist()) == list(range(N)) for one in shown))
    random = data.RandomBatches(np.arange(N), n, proof.rng)
    drawn = np.sort(np.stack([random() for _ in range(draws)]), axis=1)
    proof.holds("the examples of a batch are distinct", bool((np.diff(drawn, axis=1) > 0).all()))
    for j in range(N):
        seen = (drawn == j).any(axis=1).astype(float)
        check_mean(proof, f"example {j} is in the batch", seen, share, alpha=ALPHA_PER_ASSERTION / N)


claim(
    "Stat.batches",
    "An epoch shows every example once; random batches hold distinct examples, each with the same probability.",
    latex=r"P(j \in B) = n / N",
    source=Source("Hoeffding 1963", "Theorem 2", "minigan", "data.batches"),
    rigor="statistical",
    idea="Permutations are checked exactly, inclusion by Hoeffding's inequality (one share for the ten examples).",
    controls={"an epoch without its first example": partial(batches, forget=1), "P = 1/2": partial(batches, share=0.5)},
)(batches)


# Generators.

A, B = -1.5, 0.5  # u = A z + B


def _below(u: Any) -> Any:
    """Return P(A z + B <= u)."""
    return special.ndtr((u - B) / abs(A))


GENERATORS: dict[str, tuple[list[mg.Layer], Cdf]] = {
    "affine": ([], _below),
    "leaky relu": ([mg.LeakyReLU(0.25)], lambda t: _below(np.where(t > 0, t, 4 * t))),
    "sigmoid": ([mg.Sigmoid()], lambda t: _below(special.logit(t))),
    "softplus": ([mg.Softplus()], lambda t: _below(np.log(np.expm1(t)))),
    "tanh": ([mg.Tanh()], lambda t: _below(np.arctanh(t))),
}


def generators(proof: Proof, *, b: float = B) -> None:
    """Compare samples of G(z) = f(A z + B) with the law of f(u), f increasing: P(x <= t) = P(u <= f^-1(t))."""
    for name, (layers, cdf) in GENERATORS.items():
        G = Network([mg.Dense(1, 1), *layers], rng=proof.rng, dtype="float64")
        G.theta = np.array([A, b])
        check_distribution(proof, name, G(proof.rng.standard_normal((size(proof), 1)))[:, 0], cdf)
    G = Network([mg.Dense(1, 1), mg.ReLU()], rng=proof.rng, dtype="float64")
    G.theta = np.array([A, b])
    atom = (G(proof.rng.standard_normal((size(proof), 1))) == 0).astype(float)
    check_mean(proof, "relu: the atom at 0", atom, float(_below(0.0)))


claim(
    "Stat.generators",
    "The samples of G(z), z ~ N(0, 1), have the density that the change of variables gives, and the atom of a ReLU.",
    latex=r"P(G(z) \le t) = P(u \le f^{-1}(t)),\quad u = a z + b",
    source=Source("Goodfellow et al. 2014", "section 3: p_g is the distribution of G(z)", "minigan", "network.Network"),
    rigor="statistical",
    idea="f is increasing, so the law of f(u) is that of the normal u at f^-1(t); DKW, and Hoeffding for the atom.",
    controls={"b off by 0.1": partial(generators, b=B + 0.1)},
)(generators)


# Dropout and initial weights.


def dropout(proof: Proof, *, error: float = 0.0) -> None:
    """Check that a unit is dropped with probability `rate`, pairs independently, and else is 1 / (1 - rate)."""
    for rate in (0.2, 0.5, 0.9):
        drawn = rate + error
        net = Network([mg.Dropout(drawn)], rng=proof.rng, dtype="float64")
        y, _ = net.forward(np.ones((size(proof) // 10, 10)), train=True, rng=proof.rng)
        dropped = (y == 0).astype(float).ravel()
        exact = np.ceil(rate * 2**24) / 2**24  # uniform float32 numbers are multiples of 2^-24
        check_mean(proof, f"rate {rate}: dropped", dropped, exact)
        check_mean(proof, f"rate {rate}: both of two neighbours", dropped[::2] * dropped[1::2], exact**2)
        proof.holds(f"rate {rate}: the rest is 1 / (1 - rate)", set(np.unique(y).tolist()) == {0.0, 1 / (1 - drawn)})


claim(
    "Stat.dropout",
    "Dropout drops a unit with probability `rate`, neighbours independently, and scales the rest by 1 / (1 - rate).",
    latex=r"P(m = 0) = r,\quad P(m = 1/(1-r)) = 1 - r",
    source=Source("Srivastava et al. 2014", "section 4", "minigan", "layers.Dropout"),
    rigor="statistical",
    idea="Hoeffding's inequality on the share of zeros, and of pairs of zeros.",
    controls={"a rate off by 0.02": partial(dropout, error=0.02)},
)(dropout)

FANS = (300, 200)
LAWS: dict[str, tuple[initializers.Initializer, Cdf]] = {  # class -> (initializer, law of a weight)
    "GlorotNormal": (
        initializers.GlorotNormal(),
        stats.truncnorm(-2, 2, scale=np.sqrt(2 / 500) / stats.truncnorm(-2, 2).std()).cdf,
    ),
    "GlorotUniform": (initializers.GlorotUniform(), stats.uniform(-np.sqrt(6 / 500), 2 * np.sqrt(6 / 500)).cdf),
    "HeNormal": (initializers.HeNormal(), stats.norm(0, np.sqrt(2 / 300)).cdf),
    "HeUniform": (initializers.HeUniform(), stats.uniform(-np.sqrt(6 / 300), 2 * np.sqrt(6 / 300)).cdf),
    "Normal": (initializers.Normal(0.02, mean=1), stats.norm(1, 0.02).cdf),
    "Uniform": (initializers.Uniform(0.005), stats.uniform(-0.005, 0.01).cdf),
}
CONSTANTS = {"Constant": (initializers.Constant(1.5), 1.5), "Zeros": (initializers.Zeros(), 0.0)}


def weights(proof: Proof, *, stretch: float = 1.0) -> None:
    """Compare the weights of Dense(300, 200) with the law of each initializer."""
    for name, (init, cdf) in LAWS.items():
        layer = mg.Dense(*FANS, bias=False, weight_init=init)
        nets = [Network([layer], rng=proof.rng, dtype="float64") for _ in range(max(1, size(proof) // 60_000))]
        x = np.concatenate([net.theta for net in nets])
        centre = float(x.mean())
        check_distribution(proof, name, centre + stretch * (x - centre) if stretch != 1 else x, cdf)
    for name, (init, value) in CONSTANTS.items():
        theta = Network([mg.Dense(*FANS, bias=False, weight_init=init)], rng=proof.rng, dtype="float64").theta
        proof.holds(f"{name}: every weight is {value}", bool((theta == value).all()))


claim(
    "Stat.initializers",
    "Initial weights have the laws of their initializers: Glorot, He, normal, uniform.",
    latex=r"w \sim U\bigl(\pm\sqrt{6/(n_{in} + n_{out})}\bigr),\ \mathcal N(0, 2/n_{in}),\ \dots",
    source=Source("Glorot and Bengio 2010, He et al. 2015", "eq. 16; eq. 10", "minigan", "initializers"),
    rigor="statistical",
    idea="DKW against the laws as SciPy has them; the truncated normal keeps the variance of Glorot and Bengio.",
    controls={"weights stretched by 10 %": partial(weights, stretch=1.1)},
)(weights)


# The value of the game.


def monte_carlo(proof: Proof, *, scale: float = 1.0, constant: float = 0.0) -> None:
    """Compare the mean of log D*(x) + log(1 - D*(G)) over samples, by the library's objective, with V(D*) in balls."""
    p, q, n = Laplace(0, 1), Laplace(1, 1), 4 * size(proof)
    x, y = data.Laplace(0, scale).sample(n, proof.rng), data.Laplace(1, 1).sample(n, proof.rng)
    cost, _, _ = mg.Minimax().discriminator(*(np.abs(s - 1) - np.abs(s) for s in (x, y)))
    best = proof.enclose("V(D*)", criterion(p, q, proof.digits))
    proof.lemma("|s*| = ||x - 1| - |x|| <= 1, so log D* and log(1 - D*) lie in an interval of width 1.")
    proof.lemma(
        "Two independent means of n values of width 1: Hoeffding with squared widths 2 n / n^2, eps times sqrt 2."
    )
    distance = abs(constant - float(cost) - float(best))
    check_distance(proof, "|V by Monte Carlo - V(D*)|", distance, n, width=np.sqrt(2))


claim(
    "Stat.value.monte-carlo",
    "V(D*) of Laplace(0, 1) against Laplace(1, 1), estimated from samples by the objective, is the enclosed one.",
    latex=r"\tfrac1n\sum_i \log D^*(x_i) + \log(1 - D^*(y_i)) \to V(D^*)",
    source=Source(GOODFELLOW, "eq. 1 and Algorithm 1", "minigan", "losses.Minimax"),
    rigor="statistical",
    idea="The density ratio lies in [1/e, e], so Hoeffding's inequality applies: log D* is bounded.",
    controls={
        "data with the scale 1.1": partial(monte_carlo, scale=1.1),
        "V off by 0.02": partial(monte_carlo, constant=0.02),
    },
)(monte_carlo)
