r"""Claims: errata E7 to E11 and E13, about what is trained, on which loss, and what is optimal.

Each claim proves the right statement; its negative controls are the statements of the documents, which are wrong.
"""

from fractions import Fraction
from itertools import product

import sympy as sp
from flint import arb

from verify.analysis.atoms import Vector, criterion, jsd, kl
from verify.analysis.divergences import jsd_integrand
from verify.analysis.integrate import enclose_to, integral
from verify.arithmetic.balls import ball, between
from verify.arithmetic.decide import require_exact
from verify.engine.proof import Proof
from verify.engine.registry import GOODFELLOW, Source, claim
from verify.engine.symbolic import identity
from verify.models.generator import NormalGame, pathwise
from verify.models.simplex import minimum

A, B, Y = sp.symbols("a b y", positive=True)
OPTIMUM = A / (A + B)
V = A * sp.log(Y) + B * sp.log(1 - Y)


# E7: N(4, 2) with variance 2 in the text and standard deviation 2 in the code.


def centred_jsd(ratio: arb, digits: int) -> arb:
    """Enclose JSD(N(0, ratio), N(0, 1)), where ratio > 1 is a variance; a tail costs log 2 / 2 times its mass."""

    def compute(d: int) -> arb:
        c = (2 * arb.pi()).log() / 2
        f = jsd_integrand(
            lambda x, at, analytic: -(x * x) / (2 * ratio) - ratio.log() / 2 - c,
            lambda x, at, analytic: -(x * x) / 2 - c,
            Fraction(0),
        )
        cut = (2 * ratio * (d + 2) * arb(10).log()).sqrt() + 1
        mass = 2 * (cut / (2 * ratio).sqrt()).erfc()  # both tails of both, the wider one twice
        return integral(f, -cut, cut, d) + between(0, (mass * arb(2).log() / 2).upper())

    return enclose_to(compute, digits, "JSD")


def _two_readings(proof: Proof, ratio: int) -> None:
    text, code = Fraction(2), Fraction(2) ** 2
    proof.holds("G(z) = sqrt(2) z + 4 has variance 2, normal(4, 2) has 4", code == ratio * text)
    between_readings = proof.enclose("JSD between the readings", centred_jsd(arb(ratio), proof.digits))
    proof.positive("JSD - 0.0274", between_readings - ball(Fraction("0.0274")))
    proof.positive("0.0276 - JSD", ball(Fraction("0.0276")) - between_readings)


@claim(
    "E7.variance",
    "N(4, 2) with g = sqrt(2) x + 4 has variance 2, normal(4, 2) has standard deviation 2: JSD 0.0275 between them",
    latex=r"JSD(N(4, 2), N(4, 4)) = 0.0275\ldots, \quad a = \pm 2 \text{ (code)},\ \pm\sqrt2 \text{ (text)}",
    source=Source(document="S1", place="Transforming N(0, 1) to N(4, 2)"),
    rigor="ball",
    idea="Shift and scale leave JSD alone: it is that of variances 2 and 1; a certified integral.",
    controls={"both are the same": lambda proof: _two_readings(proof, 1)},
)
def e7_variance(proof: Proof) -> None:
    """The ratio of the variances is 2."""
    _two_readings(proof, 2)


# E8: labels real 0, fake 1.


def _labels(proof: Proof, cost: sp.Expr, flipped_optimum: sp.Expr) -> None:
    identity(proof, "cross-entropy with labels real 1, fake 0, plus V", cost + V)
    flipped = -(A * sp.log(1 - Y) + B * sp.log(Y))
    identity(proof, "real 0, fake 1: d/dy = 0 at its optimum", sp.diff(flipped, Y).subs(Y, flipped_optimum))


@claim(
    "E8.labels",
    "Cross-entropy is -V already with labels real 1; with labels real 0, fake 1 its minimiser is P(fake) = 1 - D*",
    latex=r"J = -V; \qquad \text{flipped: } D = \frac{b}{a + b} = 1 - D^*",
    source=Source(document="S1", place='"flip labels since we min instead of max"'),
    rigor="symbolic",
    idea="The pointwise cross-entropy and its derivative.",
    controls={
        "without the flip V is minimised": lambda proof: _labels(proof, V, 1 - OPTIMUM),
        "flipped, D is still D*": lambda proof: _labels(proof, -V, OPTIMUM),
    },
)
def e8_labels(proof: Proof) -> None:
    """Both labellings."""
    _labels(proof, -V, 1 - OPTIMUM)


# E9: minimax derived, non-saturating trained.


def _two_losses(proof: Proof, equal: bool) -> None:
    matched = NormalGame(Fraction(4), Fraction(2), Fraction(2), Fraction(4))
    start = NormalGame(Fraction(4), Fraction(2), Fraction(1), Fraction(0))
    for name in ("a", "b"):
        minimax, alternative = (pathwise(matched, name, sign, proof.digits) for sign in (1, -1))
        proof.zero(f"at p_g = p_data: minimax, d/d{name}", minimax)
        proof.zero(f"at p_g = p_data: non-saturating, d/d{name}", alternative)
        minimax, alternative = (pathwise(start, name, sign, proof.digits) for sign in (1, -1))
        proof.enclose(f"at N(0, 1): non-saturating - minimax, d/d{name}", alternative - minimax)
        if equal:
            proof.zero(f"at N(0, 1): difference, d/d{name}", alternative - minimax)
        else:
            proof.positive(f"at N(0, 1): |difference|, d/d{name}", abs(alternative - minimax))


@claim(
    "E9.losses",
    "Minimax and non-saturating losses share the fixed point p_g = p_data but not their gradients: N(4, 2^2), G(z) = z",
    latex=r"\nabla \mathbb E \log(1 - D^*) \ne \nabla \mathbb E (-\log D^*) \text{ unless } p_g = p_{data}",
    source=Source(GOODFELLOW, "section 3", "S1, S3, S4, S5", "code of the generator step"),
    rigor="ball",
    idea="The pathwise gradients of both, as certified integrals, at the fixed point and at the start.",
    controls={"the gradients are equal": lambda proof: _two_losses(proof, equal=True)},
)
def e9_losses(proof: Proof) -> None:
    """At the fixed point and at N(0, 1)."""
    _two_losses(proof, equal=False)


# E10: a KL, or the JSD.

TARGET: Vector = (Fraction(9, 10), Fraction(1, 10))
SHARP: Vector = (Fraction(9999, 10000), Fraction(1, 10000))
BROAD: Vector = (Fraction(1, 2), Fraction(1, 2))


def _preferences(proof: Proof, same: bool) -> None:
    by_jsd, by_kl = jsd(TARGET, BROAD) - jsd(TARGET, SHARP), kl(TARGET, SHARP) - kl(TARGET, BROAD)
    proof.positive("JSD(p, broad) - JSD(p, sharp)", proof.enclose("JSD prefers the sharp model by", by_jsd))
    proof.positive("KL prefers " + ("the same" if same else "the other"), -by_kl if same else by_kl)
    proof.zero("C(sharp) - (-log 4 + 2 JSD)", criterion(TARGET, SHARP) + arb(4).log() - 2 * jsd(TARGET, SHARP))


@claim(
    "E10.criterion",
    "GAN training minimises a variant of (1), with JSD for KL, and they disagree: JSD prefers a model that KL rejects",
    latex=r"JSD(p, q_1) < JSD(p, q_2), \qquad KL(p \| q_1) > KL(p \| q_2)",
    source=Source(document="S1", place='"approximately minimizes a variant of (2)"'),
    rigor="ball",
    idea="p = (0.9, 0.1) against (0.9999, 0.0001), which drops a mode, and against (0.5, 0.5).",
    controls={"both prefer the same model": lambda proof: _preferences(proof, same=True)},
)
def e10_criterion(proof: Proof) -> None:
    """Two models, two criteria."""
    _preferences(proof, same=False)


# E11: 1/(N - 1) and the MLE.


def _score(proof: Proof, shift: int) -> None:
    """d/dv of -N/2 log v - S/(2v) at v = S/(N - shift) is (S/v - N)/(2v) = -shift/(2v)."""
    exact = True
    for n in (2, 5, 20, 100):
        x = [Fraction(int(k), 16) for k in proof.rng.integers(-99, 100, n - 1)]
        x.append(x[0] + 1)  # not all equal
        mean = sum(x, Fraction(0)) / n
        total = sum(((one - mean) ** 2 for one in x), Fraction(0))
        v = total / (n - shift)
        exact &= require_exact((total / v - n) / (2 * v)) == 0
    proof.holds(f"the likelihood is stationary at S/(N - {shift}), exactly", exact)


@claim(
    "E11.mle",
    "The likelihood of a normal sample is stationary at S/N, not at S/(N - 1), exactly",
    latex=r"\partial_v \left(-\tfrac N2 \log v - \tfrac{S}{2v}\right) = 0 \iff v = S/N",
    source=Source(document="S1", place="Example 1"),
    rigor="exact-rational",
    idea="The derivative by the variance, in rationals, on samples of 2 to 100.",
    controls={"S/(N - 1)": lambda proof: _score(proof, 1)},
)
def e11_mle(proof: Proof) -> None:
    """The score equation."""
    _score(proof, 0)


# E13: the optimal generator is not unique.


def _optimal_maps(proof: Proof, expected: int) -> None:
    """Noise uniform on 4 points, data uniform on 4 points: of all 4^4 maps, which have p_g = p_data?"""
    uniform: Vector = tuple(Fraction(1, 4) for _ in range(4))
    optimal, worse = 0, []
    for g in product(range(4), repeat=4):
        law = tuple(Fraction(g.count(k), 4) for k in range(4))
        if require_exact(law) == uniform:
            optimal += 1
        else:
            worse.append(tuple(sorted(law)))
    smallest = minimum(criterion(uniform, law) + arb(4).log() for law in set(worse))
    proof.zero("C + log 4 at p_g = p_data", criterion(uniform, uniform) + arb(4).log())
    proof.positive("C + log 4 at every other p_g, at least", smallest)
    proof.holds(f"{expected} of 256 generators are optimal", optimal == expected)
    mirrored = {a: sorted(a * z for z in (-3, -1, 1, 3)) for a in (2, -2)}
    proof.holds(
        "symmetric noise: a z + b and -a z + b have one law", require_exact(mirrored[2]) == require_exact(mirrored[-2])
    )


@claim(
    "E13.generator",
    "The optimal p_g is unique, the optimal G is not: 24 of 256 maps of four points are optimal, and -a with a",
    latex=r"p_{G} = p_{G'} \text{ does not imply } G = G'",
    source=Source(document="S1, S5", place="uniqueness of the optimal generator"),
    rigor="exact-rational",
    idea="All maps are enumerated, their laws in rationals; only the law enters C, which is in balls.",
    controls={"one generator is optimal": lambda proof: _optimal_maps(proof, 1)},
)
def e13_generator(proof: Proof) -> None:
    """All maps."""
    _optimal_maps(proof, 24)
