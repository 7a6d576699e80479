r"""Claims: the density ratio from D (document S5), and the maximum-likelihood estimate of a Gaussian (S1, Example 1).

D* / (1 - D*) = p / p_g                                    the optimal discriminator gives the density ratio
mu^ = mean x,  v^ = S / N,  S = sum (x - mean)^2           maximum likelihood: 1/N
E[S / (N - 1)] = sigma^2,  E[S / N] = (N - 1)/N sigma^2    S / (N - 1) is unbiased, which is another criterion
"""

from fractions import Fraction
from itertools import product

import sympy as sp

from verify.arithmetic.balls import ball
from verify.arithmetic.decide import require_exact
from verify.engine.proof import Proof
from verify.engine.registry import GOODFELLOW, Source, claim
from verify.engine.symbolic import identity
from verify.models.simplex import discriminator, minimum, random_distinct

P, Q, D = sp.symbols("p q D", positive=True)
N, S, V = sp.symbols("N S v", positive=True)

RATIO = Source(GOODFELLOW, "Proposition 1", "S5", "the optimal D")
MLE = Source(document="S1", place="Example 1")


def _ratio(proof: Proof, ratio: sp.Expr) -> None:
    """Check that `ratio`, an expression in D, is p/q at D = D*, and that E_q[ratio h] = E_p[h]."""
    identity(proof, "ratio(D*) = p/q", ratio.subs(D, P / (P + Q)) - P / Q)
    exact, reweighed = True, True
    formula = sp.lambdify(D, ratio, modules=[])
    for _ in range(proof.scale(quick=200, full=400, deep=800)):
        p, q = random_distinct(proof.rng, 6, 2)
        h = [Fraction(int(k), 7) for k in proof.rng.integers(-20, 21, 6)]
        weights = [formula(d) for d in discriminator(p, q)]
        exact &= require_exact(weights) == [a / b for a, b in zip(p, q, strict=True)]
        by_q = sum((w * b * x for w, b, x in zip(weights, q, h, strict=True)), Fraction(0))
        reweighed &= require_exact(by_q) == sum((a * x for a, x in zip(p, h, strict=True)), Fraction(0))
    proof.holds("on random rationals, exactly", exact)
    proof.holds("E_q[ratio h] = E_p[h] for random h, exactly", reweighed)


@claim(
    "Ratio.discriminator",
    "D*/(1 - D*) is the density ratio p_data/p_g; weighting samples of p_g by it gives expectations under p_data",
    formerly=(
        "D*/(1 - D*) is the density ratio p_data/p_g, and weights samples of p_g into expectations under p_data",
    ),
    latex=r"\frac{D^*}{1 - D^*} = \frac{p}{p_g}, \; \mathbb E_{p_g}\left[\tfrac{D^*}{1 - D^*} h\right] = \mathbb E_p h",
    source=RATIO,
    rigor="exact-rational",
    idea="D* = p/(p + q) solved for p/q; exact on random rational distributions.",
    controls={
        "D* itself": lambda proof: _ratio(proof, D + 0),
        "(1 - D*)/D*": lambda proof: _ratio(proof, (1 - D) / D),
    },
    assumptions=("p_g > 0 where p_data > 0",),
)
def ratio(proof: Proof) -> None:
    """Check the identity symbolically and on 200 to 800 random pairs."""
    _ratio(proof, D / (1 - D))


def _mle(proof: Proof, divisor: sp.Expr) -> None:
    """Check that v = S/divisor maximizes the profile log-likelihood l(v) = -N/2 log v - S/(2 v) + const."""
    likelihood = -N / 2 * sp.log(V) - S / (2 * V)
    best = S / divisor
    identity(proof, "d/dv = 0 at v^", sp.diff(likelihood, V).subs(V, best), {"N": 10, "S": 3})
    r = best / V
    excess = likelihood.subs(V, best) - likelihood - N / 2 * (r - 1 - sp.log(r))
    identity(proof, "l(v^) - l(v) = N/2 (r - 1 - log r), r = v^/v, >= 0 with equality at r = 1",
             excess, {"N": 10, "S": 3, "v": "1/2"})  # fmt: skip


def _better(proof: Proof) -> None:
    """Check that the log-likelihood at S/N is above that at S/(N - 1), on random samples in rationals."""
    gains = []
    for n in (2, 3, 10, 100, 1000):
        x = [Fraction(int(k), 64) for k in proof.rng.integers(-300, 301, n)]
        mean = sum(x, Fraction(0)) / n
        total = sum(((one - mean) ** 2 for one in x), Fraction(0))
        value = [-ball(Fraction(n, 2)) * ball(v).log() - ball(total / (2 * v)) for v in (total / n, total / (n - 1))]
        gains.append(value[0] - value[1])
    proof.positive("l(S/N) - l(S/(N - 1)), the smallest", minimum(gains))


@claim(
    "Mle.gaussian",
    "The Gaussian maximum-likelihood variance divides by N: l(S/N) - l(v) = N/2 (r - 1 - log r) with r = S/(N v)",
    latex=r"\hat\sigma^2 = \frac1N \sum_i (x_i - \bar x)^2",
    source=MLE,
    rigor="symbolic",
    idea="The profile likelihood has one critical point, and r - 1 - log r > 0 for r != 1; samples in balls.",
    controls={"1/(N - 1)": lambda proof: _mle(proof, N - 1)},
    assumptions=("S > 0: not all samples are equal",),
)
def gaussian(proof: Proof) -> None:
    """Check the maximum symbolically, then the gain over S/(N - 1) on random samples."""
    _mle(proof, N)
    _better(proof)


def _bias(proof: Proof, shift: int, label: str) -> None:
    """Check E[S/(N - shift)] = sigma^2 and E[S/N] = (N - 1)/N sigma^2 on all N-tuples from a distribution on 3 points.

    Both are one check, named by its first half: a replay compares the checks of older certificates by name.
    """
    exact = True
    for n in (2, 3, 4, 5):
        weights, atoms = (Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)), (Fraction(-1), Fraction(2), Fraction(5))
        mean = sum((w * a for w, a in zip(weights, atoms, strict=True)), Fraction(0))
        variance = sum((w * (a - mean) ** 2 for w, a in zip(weights, atoms, strict=True)), Fraction(0))
        expected = Fraction(0)
        for draw in product(range(3), repeat=n):
            x = [atoms[k] for k in draw]
            centre = sum(x, Fraction(0)) / n
            weight = Fraction(1)
            for k in draw:
                weight *= weights[k]
            expected += weight * sum(((one - centre) ** 2 for one in x), Fraction(0))
        exact &= require_exact(expected / (n - shift)) == variance
        exact &= require_exact(expected / n) == Fraction(n - 1, n) * variance
    proof.holds(f"E[{label}] = sigma^2 for N = 2 ... 5, exactly", exact)


@claim(
    "Mle.unbiased",
    "S/(N - 1) is unbiased: E[S/(N - 1)] = sigma^2 for a distribution on three points and N = 2 ... 5; hence "
    "E[S/N] = (N - 1)/N sigma^2",
    formerly=(
        "S/(N - 1) is what is unbiased: E[S/(N - 1)] = sigma^2 for a distribution on three points and N = 2 ... 5, "
        "while the maximum-likelihood estimate is too small by 1/N",
        "S/(N - 1) is what is unbiased: E[S/(N - 1)] = sigma^2, "
        "while the maximum-likelihood estimate is too small by 1/N",
    ),
    latex=r"\mathbb E\left[\frac{1}{N - 1} \sum_i (x_i - \bar x)^2\right] = \sigma^2",
    source=MLE,
    rigor="exact-rational",
    idea="All samples of size 2 to 5 from a distribution on three points, enumerated in rationals.",
    controls={"S/N is unbiased": lambda proof: _bias(proof, 0, "S/N")},
)
def unbiased(proof: Proof) -> None:
    """Enumerate the samples."""
    _bias(proof, 1, "S/(N - 1)")
