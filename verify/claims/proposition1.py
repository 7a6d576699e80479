"""Claims: Proposition 1, the optimal discriminator for any generator is D* = p / (p + q)."""

from fractions import Fraction
from functools import partial

import sympy as sp
from flint import arb

from verify.analysis.divergences import criterion
from verify.analysis.game_value import Discriminator, polynomial, squashed, suboptimality, value
from verify.arithmetic.balls import ball
from verify.densities import Density, Exponential, Laplace, Normal, StudentT, Uniform
from verify.engine.proof import Proof
from verify.engine.registry import GOODFELLOW, Source, claim
from verify.engine.symbolic import Point, identity

PROPOSITION = Source(GOODFELLOW, "Proposition 1, eq. 2")

a, b = sp.symbols("a b", positive=True)
y = sp.Symbol("y", positive=True)
u = sp.Symbol("u", positive=True)
Y = u / (1 + u)  # every y in (0, 1), by its odds: SymPy then knows that y and 1 - y are positive
t = a / (a + b)
f = a * sp.log(y) + b * sp.log(1 - y)
AT: Point = {"a": 2, "b": 3, "y": "1/7", "u": "1/6"}


def _critical(proof: Proof, point: sp.Expr = t) -> None:
    identity(proof, "f'(y*)", sp.diff(f, y).subs(y, point), AT)
    proof.holds("f' has one zero", sp.solve(sp.diff(f, y), y) == [point])


claim(
    "P1.pointwise.critical",
    "f(y) = a log y + b log(1 - y) has one critical point, y* = a / (a + b).",
    latex=r"\frac{\mathrm d}{\mathrm dy}\bigl(a\log y+b\log(1-y)\bigr)=0\iff y=\frac{a}{a+b}",
    assumptions=("a, b > 0", "0 < y < 1"),
    source=PROPOSITION,
    rigor="symbolic",
    idea="f'(y) = a/y - b/(1-y) = (a - (a + b) y) / (y (1 - y)), whose numerator is linear in y.",
    controls={
        "b / (a + b), the probability of fake": partial(_critical, point=b / (a + b)),
        "1/2, whatever a and b": partial(_critical, point=sp.Rational(1, 2)),
    },
)(_critical)


def _curvature(proof: Proof, at_optimum: sp.Expr = -((a + b) ** 3) / (a * b)) -> None:
    second = sp.diff(f, y, 2)
    identity(proof, "f''(y*)", second.subs(y, t) - at_optimum, AT)
    identity(proof, "f''(y)", second + a / y**2 + b / (1 - y) ** 2, AT)
    proof.holds("f'' < 0", sp.factor(second.subs(y, Y)).is_negative)


claim(
    "P1.pointwise.curvature",
    "f'' = -a/y^2 - b/(1-y)^2 < 0 everywhere, and f''(y*) = -(a + b)^3 / (a b): the critical point is the maximum.",
    latex=r"f''(y)=-\frac{a}{y^2}-\frac{b}{(1-y)^2}<0,\qquad f''(y^*)=-\frac{(a+b)^3}{ab}",
    assumptions=("a, b > 0", "0 < y < 1"),
    source=PROPOSITION,
    rigor="symbolic",
    idea="Differentiate twice; both terms are negative.",
    controls={
        "b / (1 - y^2) in place of b / (1 - y)^2": partial(_curvature, at_optimum=-a / t**2 - b / (1 - t**2)),
        "the sign of the second term": partial(_curvature, at_optimum=-a / t**2 + b / (1 - t) ** 2),
    },
)(_curvature)


def _bernoulli(s: sp.Expr, r: sp.Expr) -> sp.Expr:
    """Return KL(Bern(s) || Bern(r))."""
    return s * sp.log(s / r) + (1 - s) * sp.log((1 - s) / (1 - r))


SUBOPTIMALITY = (a + b) * _bernoulli(t, Y)


def _suboptimality(proof: Proof, claimed: sp.Expr = SUBOPTIMALITY) -> None:
    identity(proof, "f(y*) - f(y) - claimed", f.subs(y, t) - f.subs(y, Y) - claimed, AT)


claim(
    "P1.pointwise.gap",
    "f(y*) - f(y) = (a + b) KL(Bern(y*) || Bern(y)).",
    latex=r"f(y^*)-f(y)=(a+b)\,\mathrm{KL}\bigl(\mathrm{Bern}(y^*)\,\|\,\mathrm{Bern}(y)\bigr)",
    assumptions=("a, b > 0", "0 < y < 1"),
    source=PROPOSITION,
    rigor="symbolic",
    idea="a = (a + b) y* and b = (a + b)(1 - y*); collect the logarithms. KL >= 0, and = 0 only for y = y*.",
    controls={
        "the arguments of KL swapped": partial(_suboptimality, claimed=(a + b) * _bernoulli(Y, t)),
        "without the factor a + b": partial(_suboptimality, claimed=_bernoulli(t, Y)),
    },
)(_suboptimality)


def _boundary(proof: Proof, *, sign: int = 1) -> None:
    only_a, only_b = f.subs(b, 0), f.subs(a, 0)
    identity(proof, "b = 0: f' = a / y", sp.diff(only_a, y) - a / y, AT)
    identity(proof, "a = 0: f' = -b / (1 - y)", sp.diff(only_b, y) + sign * b / (1 - y), AT)
    identity(proof, "b = 0: f(1) = 0", only_a.subs(y, 1), AT)
    identity(proof, "a = 0: f(0) = 0", only_b.subs(y, 0), AT)


claim(
    "P1.pointwise.boundary",
    "Where only one density is positive the supremum is 0, at y* = 1 (b = 0) or y* = 0 (a = 0): a / (a + b) again.",
    latex=r"b=0\Rightarrow f'=\tfrac ay>0,\ f(1)=0;\qquad a=0\Rightarrow f'=-\tfrac b{1-y}<0,\ f(0)=0",
    assumptions=("a, b >= 0, not both 0",),
    source=Source(GOODFELLOW, "Proposition 1", "S5", "the interval of y"),
    rigor="symbolic",
    idea="f is monotone when one term is missing, so that its supremum is at an end of [0, 1].",
    controls={"f increases for a = 0": partial(_boundary, sign=-1)},
)(_boundary)


def _integrated(
    proof: Proof, p: Density, q: Density, D: Discriminator, *, factor: int = 1, shown: Discriminator | None = None
) -> None:
    best = criterion(p, q, proof.digits)
    reached = value(p, q, D, digits=proof.digits)
    lacking = suboptimality(p, q, shown or D, digits=proof.digits)
    proof.enclose(f"C({p}, {q})", best)
    proof.enclose("V(D)", reached)
    proof.enclose("integral (p + q) KL(D* || D)", lacking)
    proof.zero("V(D*) - V(D) - integral (p + q) KL(D* || D)", best - reached - factor * lacking)
    proof.positive("V(D*) - V(D)", best - reached)
    proof.lemma("tails: 0 <= p softplus(-s) + q softplus(s) <= (p + q)(log 2 + |s|)")


DISCRIMINATORS: dict[str, tuple[Density, Density, Discriminator]] = {
    "blind": (Normal(4, 2), Normal(0, 1), polynomial(0)),
    "linear": (Normal(0, 1), Normal(1, 1), polynomial("1/3", "-4/5")),
    "quadratic": (Normal(4, 2), Normal(0, 1), polynomial("-193/100", -1, "1/3")),
    "network": (Normal(4, 2), Normal(0, 1), squashed(3, 1, -2)),
    "kinked": (Laplace(0, 1), Laplace(1, 2), squashed(1, "1/2")),
    "heavy": (StudentT(3), Normal(0, 1), polynomial("-1/3")),
    "edges": (Exponential(1), Uniform(-1, 2), polynomial(1, "1/2")),
}

for _name, (_p, _q, _D) in DISCRIMINATORS.items():
    claim(
        f"P1.integrated.{_name}",
        f"V(D*) - V(D) = integral (p + q) KL(Bern(D*) || Bern(D)) > 0 for p = {_p}, q = {_q}, D = {_D.name}.",
        latex=r"V(D^*)-V(D)=\int(p+q)\,\mathrm{KL}\bigl(\mathrm{Bern}(D^*)\,\|\,\mathrm{Bern}(D)\bigr)\,\mathrm dx>0",
        assumptions=("V(D) is finite",),
        source=PROPOSITION,
        rigor="ball",
        idea="P1.pointwise.gap under the integral; V(D*), V(D) and the right side are three separate integrals.",
        controls={
            "half of the gap": partial(_integrated, p=_p, q=_q, D=_D, factor=2),
            "the gap of another D": partial(_integrated, p=_p, q=_q, D=_D, shown=polynomial("1/7")),
        },
    )(partial(_integrated, p=_p, q=_q, D=_D))


def _optimum(proof: Proof, *, slope: str = "-1", intercept: str = "1/2") -> None:
    p, q = Normal(0, 1), Normal(1, 1)
    D = polynomial(intercept, slope)
    proof.zero("V(D*) - V(D)", criterion(p, q, proof.digits) - value(p, q, D, digits=proof.digits))
    proof.zero("integral (p + q) KL(D* || D)", suboptimality(p, q, D, digits=proof.digits))


claim(
    "P1.optimum.linear",
    "For N(0, 1) against N(1, 1) the discriminator with the logit 1/2 - x is D*: V(D) = V(D*) = C.",
    latex=r"\log\frac{p}{q}=\tfrac12-x,\qquad V(\sigma(\tfrac12-x))=C(G)",
    source=PROPOSITION,
    rigor="ball",
    idea="log p - log q = ((x - 1)^2 - x^2) / 2; V(D) is integrated from the logit, C from the densities.",
    controls={
        "labels swapped: sigma(x - 1/2)": partial(_optimum, slope="1", intercept="-1/2"),
        "a slope off by 1e-12": partial(_optimum, slope="-1.000000000001"),
    },
)(_optimum)


def _random(proof: Proof, *, factor: Fraction = Fraction(1)) -> None:
    cases = proof.scale(quick=500, full=2000, deep=5000)
    gains = []
    for m, n, w in proof.rng.integers(1, 1000, size=(cases, 3)).tolist():
        best, other = arb(m) / (m + n), arb(w) / 1000
        if m * (1000 - w) != n * w:  # y is not the optimum itself
            at_best = m * best.log() + n * (1 - best).log()
            gains.append(at_best - ball(factor) * (m * other.log() + n * (1 - other).log()))
    smallest = min(gains, key=lambda gain: float(gain.lower()))
    proof.positive("the smallest gain", smallest)
    proof.holds("every gain is positive", all(gain > 0 for gain in gains))
    proof.note("random cases", len(gains))


claim(
    "P1.pointwise.random",
    "f(y*) > f(y) for every one of many random rational a, b, y with y != y*.",
    latex=r"f\!\left(\tfrac{a}{a+b}\right)>f(y)\quad\text{for all } y\neq\tfrac a{a+b}",
    assumptions=("a, b, y rational, drawn with a fixed seed",),
    source=PROPOSITION,
    rigor="ball",
    idea="Evaluate both sides in balls; none may be undecided.",
    controls={"half of f(y)": partial(_random, factor=Fraction(1, 2))},
)(_random)
