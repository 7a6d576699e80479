r"""Claims: errata E1 to E6, about the criterion and its optimal discriminator.

Each claim proves the right statement; its negative controls are the statements of the documents, which are wrong.
Integrands are pointwise: a = p_data(x), b = p_g(x), y = D(x).
"""

from fractions import Fraction
from math import lcm

import sympy as sp
from flint import arb

from verify.analysis import divergences
from verify.analysis.atoms import Vector
from verify.arithmetic.decide import require_exact
from verify.densities import Normal
from verify.engine.proof import Proof
from verify.engine.registry import GOODFELLOW, Source, claim
from verify.engine.symbolic import identity, positive
from verify.models.simplex import discriminator

A, B, Y, M, C = sp.symbols("a b y M c", positive=True)
OPTIMUM = A / (A + B)
RIGHT = A * sp.log(Y) + B * sp.log(1 - Y)
AS_WRITTEN = A * sp.log(Y) + B * (1 - sp.log(Y))
DATA, MODEL = Normal(4, 2), Normal(0, 1)


# E1: E[1 - log d(g(z))] for E[log(1 - d(g(z)))].


def _stationary(proof: Proof, integrand: sp.Expr) -> None:
    identity(proof, "d/dy integrand = 0 at y = a/(a + b)", sp.diff(integrand, Y).subs(Y, OPTIMUM))


@claim(
    "E1.integrand",
    "a log y + b log(1 - y) has its critical point at a/(a + b); with 1 - log y it has none and is unbounded for b > a",
    latex=r"a \log y + b \log(1 - y) \quad\text{not}\quad a \log y + b\,(1 - \log y)",
    source=Source(GOODFELLOW, "equation 1", "S1", "equation (2) and throughout"),
    rigor="symbolic",
    idea="The derivative; and with b = a + c the integrand as written is M + b at y = e^(-M/c), for every M.",
    controls={"1 - log d": lambda proof: _stationary(proof, AS_WRITTEN)},
)
def e1_integrand(proof: Proof) -> None:
    """The right integrand, and how the wrong one fails."""
    _stationary(proof, RIGHT)
    unbounded = AS_WRITTEN.subs(B, A + C).subs(Y, sp.exp(-M / C))
    identity(proof, "as written, b = a + c: M + b at y = e^(-M/c), so no maximum", unbounded - M - A - C)


def _equilibrium(proof: Proof, second: arb, value: arb) -> None:
    at_half = (arb(1) / 2).log() + second
    proof.zero("V at p_g = p_data, D = 1/2, minus its value", at_half - value)
    proof.zero("the same from C(p, p)", divergences.criterion(DATA, DATA, proof.digits + 1) - value)


@claim(
    "E1.equilibrium",
    "At p_g = p_data the criterion is log(1/2) + log(1 - 1/2) = -log 4; with 1 - log d it would be 1",
    latex=r"\log\tfrac12 + \log(1 - \tfrac12) = -\log 4 \ne \log\tfrac12 + 1 - \log\tfrac12 = 1",
    source=Source(GOODFELLOW, "Theorem 1", "S1", "Theorem 1"),
    rigor="ball",
    idea="Two logarithms; and C(p, p) for N(4, 2^2) as a certified integral.",
    controls={
        "1 - log d gives -log 4": lambda proof: _equilibrium(proof, 1 - (arb(1) / 2).log(), -arb(4).log()),
        "the value is 1": lambda proof: _equilibrium(proof, (arb(1) / 2).log(), arb(1)),
    },
)
def e1_equilibrium(proof: Proof) -> None:
    """The value at the equilibrium."""
    _equilibrium(proof, (1 - arb(1) / 2).log(), -arb(4).log())


# E2: "by log rules".


def _log_rules(proof: Proof, left: sp.Expr) -> None:
    identity(proof, "left = log(b/(a + b))", left - sp.log(B / (A + B)))
    square = sp.Rational(1, 4) - Y * (1 - Y) - (Y - sp.Rational(1, 2)) ** 2
    identity(proof, "y(1 - y) = 1/4 - (y - 1/2)^2: 1 - log y exceeds log(1 - y) by at least 1 + log 4", square)


@claim(
    "E2.log-rules",
    "log(1 - D*) = log(p_g/(p_data + p_g)); 1 - log D* is larger by 1 - log D*(1 - D*) >= 1 + log 4",
    latex=r"\log\left(1 - \frac{a}{a + b}\right) = \log\frac{b}{a + b}",
    source=Source(document="S1", place="proof of Theorem 1"),
    rigor="symbolic",
    idea="1 - a/(a + b) = b/(a + b).",
    controls={"1 - log D*": lambda proof: _log_rules(proof, 1 - sp.log(OPTIMUM))},
)
def e2_log_rules(proof: Proof) -> None:
    """The identity under the right bracket."""
    _log_rules(proof, sp.log(1 - OPTIMUM))


# E3: the arguments of KL.


def _direction(proof: Proof, swapped: bool) -> None:
    forward, backward = arb(19) / 2 - arb(2).log(), arb(13) / 8 + arb(2).log()
    value = divergences.kl(DATA, MODEL, proof.digits + 1)
    if value is None:
        proof.undecided("KL is bounded")
        return
    proof.enclose("integral p_data log(p_data/p_g)", value)
    proof.zero("minus the closed form", value - (backward if swapped else forward))


@claim(
    "E3.direction",
    "Sum p_data log(p_data/p_g) is KL(p_data || p_g), not KL(p_g || p_data): for S1's normals 8.807 against 2.318",
    latex=r"\sum_x p_d \log\frac{p_d}{p_g} = KL(p_d \| p_g) = \tfrac{19}{2} - \log 2",
    source=Source(document="S1", place="D_KL(p_g, p_d)"),
    rigor="ball",
    idea="A certified integral for N(4, 2^2) and N(0, 1) against the closed forms of both directions.",
    controls={"it is KL(p_g || p_data) = 13/8 + log 2": lambda proof: _direction(proof, swapped=True)},
)
def e3_direction(proof: Proof) -> None:
    """The integral against log(s_g/s_d) + (s_d^2 + d^2)/(2 s_g^2) - 1/2."""
    _direction(proof, swapped=False)


# E4: a "KL" against something of mass 2.


def _mass_two(proof: Proof, constant: arb, sign: int) -> None:
    c, jsd = (f(DATA, MODEL, proof.digits + 2) for f in (divergences.criterion, divergences.jsd))
    proof.enclose("the sum", c)
    proof.zero("sum - (constant + 2 JSD)", c - constant - 2 * jsd)
    proof.positive("minus the sum" if sign < 0 else "the sum", sign * c)


@claim(
    "E4.mass",
    "KL(p || p + q) + KL(q || p + q) is -log 4 + 2 JSD, negative here: p + q has mass 2, so neither is a divergence",
    latex=r"\int p \log\frac{p}{p + q} + q \log\frac{q}{p + q} = -\log 4 + 2\,JSD(p, q) < 0",
    source=Source(document="S1", place='"This is exactly the KL divergence"'),
    rigor="ball",
    idea="Both sides as certified integrals for N(4, 2^2) and N(0, 1).",
    controls={
        "it is the sum of two divergences: 2 JSD": lambda proof: _mass_two(proof, arb(0), -1),
        "it is not negative": lambda proof: _mass_two(proof, -arb(4).log(), 1),
    },
)
def e4_mass(proof: Proof) -> None:
    """The sum is C(G)."""
    _mass_two(proof, -arb(4).log(), -1)


# E5: where a/(a + b) is the maximum, and how unique it is.


def _domain(proof: Proof, sign: int) -> None:
    curvature = sp.diff(RIGHT, Y, 2).subs(Y, OPTIMUM).subs({A: sign * A, B: sign * B}, simultaneous=True)
    positive(proof, "-f''(a/(a + b)) > 0", sp.simplify(-curvature))
    at_a, at_b = (sp.diff(RIGHT.subs(gone, 0), Y) for gone in (A, B))
    at_a = at_a.subs(Y, 1 - C)
    identity(proof, "a = 0: f'(y) = -b/(1 - y)", at_a + B / C)
    positive(proof, "a = 0: -f'(y) > 0, so the maximum is y = 0 = a/(a + b)", -at_a)
    positive(proof, "b = 0: f'(y) = a/y > 0, so the maximum is y = 1 = a/(a + b)", at_b)
    proof.note("c", "1 - y")


@claim(
    "E5.domain",
    "a/(a + b) maximises a log y + b log(1 - y) for a, b >= 0, not both 0; for a, b < 0 it is a minimum",
    latex=r"a, b \ge 0,\ a + b > 0",
    source=Source(GOODFELLOW, "Proposition 1", "S1", "(a, b) in R \\ {0, 0}"),
    rigor="symbolic",
    idea="f'' = -(a + b)^3/(ab) at the critical point has the sign of -1/(a + b) where ab > 0.",
    controls={"all real a, b: (-a, -b)": lambda proof: _domain(proof, -1)},
)
def e5_domain(proof: Proof) -> None:
    """The sign of the second derivative."""
    _domain(proof, 1)


def _above_one(proof: Proof, sign: int) -> None:
    peak = Normal(0, "1/10").log_density()(arb(0), Fraction(0)).exp()
    proof.enclose("the density of N(0, 1/100) at 0", peak)
    proof.zero("peak - 10/sqrt(2 pi)", peak - 10 / (2 * arb.pi()).sqrt())
    proof.positive(f"{sign} (peak - 1)", sign * (peak - 1))


@claim(
    "E5.density",
    "Densities are not bounded by 1: that of N(0, 1/100) is 3.99 at 0, so a and b do not lie in (0, 1)",
    latex=r"p(0) = \frac{10}{\sqrt{2\pi}} > 1",
    source=Source(document="S5", place="when a, b in (0, 1)"),
    rigor="ball",
    idea="One value of one density.",
    controls={"p(0) < 1": lambda proof: _above_one(proof, -1)},
)
def e5_density(proof: Proof) -> None:
    """A narrow normal."""
    _above_one(proof, 1)


def _gain(p: Vector, q: Vector, d: Vector) -> Fraction:
    """Return e^(n V(D)) = product D^(n p) (1 - D)^(n q), n the common denominator: a rational that orders V."""
    n, total = lcm(*(x.denominator for x in p + q)), Fraction(1)
    for a, b, y in zip(p, q, d, strict=True):
        total *= y ** int(n * a) * (1 - y) ** int(n * b)
    return require_exact(total)


def _uniqueness(proof: Proof, everywhere: bool) -> None:
    p = (Fraction(1, 2), Fraction(1, 3), Fraction(1, 6), Fraction(0))
    q = (Fraction(1, 6), Fraction(1, 6), Fraction(2, 3), Fraction(0))
    best = (*discriminator(p[:3], q[:3]), Fraction(1, 2))
    values = [Fraction(k, 20) for k in range(1, 20)]
    moved = [(*best[:k], y, *best[k + 1 :]) for k in range(3) for y in values if y != best[k]]
    free = [(*best[:3], y) for y in values]
    proof.holds("V falls for every change of D on the support", all(_gain(p, q, d) < _gain(p, q, best) for d in moved))
    ties = sum(_gain(p, q, d) == _gain(p, q, best) for d in free)
    proof.holds("D on the fourth point, where p = q = 0, is " + ("unique" if everywhere else "arbitrary"),
                ties == (1 if everywhere else len(free)))  # fmt: skip


@claim(
    "E5.uniqueness",
    "D* is unique only almost everywhere on the joint support p_data + p_g > 0: outside it every D attains the maximum",
    latex=r"V(D) = V(D^*) \iff D = D^* \text{ almost everywhere on } \{p + q > 0\}",
    source=Source(GOODFELLOW, "Proposition 1", "S5", "optimal D is unique as well"),
    rigor="exact-rational",
    idea="V is compared through e^(nV), a rational number; four points, one of them without mass.",
    controls={"unique everywhere": lambda proof: _uniqueness(proof, everywhere=True)},
)
def e5_uniqueness(proof: Proof) -> None:
    """All D on a grid."""
    _uniqueness(proof, everywhere=False)


# E6: the second derivative.


def _curvature(proof: Proof, formula: sp.Expr, value: Fraction) -> None:
    at = formula.subs(Y, OPTIMUM)
    identity(proof, "f''(a/(a + b)) = formula", sp.diff(RIGHT, Y, 2).subs(Y, OPTIMUM) - at)
    identity(proof, "= -(a + b)^3/(ab)", at + (A + B) ** 3 / (A * B))
    identity(proof, f"= {value} at a = b = 1", at.subs({A: 1, B: 1}) - sp.Rational(value))


@claim(
    "E6.curvature",
    "f''(y) = -a/y^2 - b/(1 - y)^2, at the optimum -(a + b)^3/(ab): -8 at a = b = 1",
    latex=r"f''\left(\tfrac{a}{a + b}\right) = -\frac{(a + b)^3}{ab}",
    source=Source(document="S5", place="the second derivative test"),
    rigor="symbolic",
    idea="SymPy differentiates; the document's 1 - y^2 for (1 - y)^2 gives -16/3.",
    controls={
        "b/(1 - y^2)": lambda proof: _curvature(proof, -A / Y**2 - B / (1 - Y**2), Fraction(-16, 3)),
    },
)
def e6_curvature(proof: Proof) -> None:
    """The formula and its value."""
    _curvature(proof, -A / Y**2 - B / (1 - Y) ** 2, Fraction(-8))
