"""Claims: Theorem 1, C(G) = -log 4 + 2 JSD(p, q), with the minimum -log 4 exactly where p = q."""

from dataclasses import dataclass
from functools import lru_cache, partial

from flint import arb

from verify.analysis.divergences import Distribution, criterion, jsd, kl, kl_is_infinite, left_out, tv
from verify.arithmetic.balls import Exact, power_of_ten
from verify.densities import (
    Beta,
    Cauchy,
    Density,
    Discrete,
    Exponential,
    IsotropicNormal,
    Laplace,
    Logistic,
    Mixture,
    Normal,
    StudentT,
    Uniform,
)
from verify.engine import independent
from verify.engine.proof import Proof
from verify.engine.registry import GOODFELLOW, Source, claim

THEOREM = Source(GOODFELLOW, "Theorem 1, eq. 6")
LIN = Source("Lin 1991, Divergence measures based on the Shannon entropy", "bounds by the variational distance")
OFF = "1.000000000001"  # a scale off by 1e-12


@dataclass(frozen=True)
class Pair:
    """Data p, model q, and q with its scale off by 1e-12."""

    p: Distribution
    q: Distribution
    off: Distribution


def _mixture(scale: Exact) -> Mixture:
    return Mixture(["3/10", "7/10"], [Normal(-2, "1/2"), Normal(1, scale)])


PAIRS = {
    "normal-normal": Pair(Normal(0, 1), Normal(1, 1), Normal(1, OFF)),
    "normal-wider": Pair(Normal(4, 2), Normal(0, 1), Normal(0, OFF)),
    "laplace-laplace": Pair(Laplace(0, 1), Laplace(1, 2), Laplace(1, "2.000000000002")),
    "logistic-logistic": Pair(Logistic(0, 1), Logistic(2, 1), Logistic(2, OFF)),
    "normal-laplace": Pair(Normal(0, 1), Laplace(0, 1), Laplace(0, OFF)),
    "normal-mixture": Pair(Normal(0, 2), _mixture(1), _mixture(OFF)),
    "cauchy-cauchy": Pair(Cauchy(1, 2), Cauchy(0, 1), Cauchy(0, OFF)),
    "student-normal": Pair(StudentT(3), Normal(0, 1), Normal(0, OFF)),
    "student-cauchy": Pair(StudentT("5/2"), Cauchy(1, 1), Cauchy(1, OFF)),
    "exponential-exponential": Pair(Exponential(1), Exponential(2), Exponential("2.000000000002")),
    "exponential-normal": Pair(Exponential(1), Normal(0, 1), Normal(0, OFF)),
    "uniform-uniform": Pair(Uniform(0, 1), Uniform("1/4", "5/4"), Uniform("1/4", "1.250000000001")),
    "beta-beta": Pair(Beta(2, 3), Beta("1/2", 2), Beta("1/2", "2.000000000002")),
    "discrete-discrete": Pair(
        Discrete(["1/2", "1/3", "1/6"]),
        Discrete(["1/5", "1/5", "3/5"]),
        Discrete(["200000000001/1000000000000", "1/5", "599999999999/1000000000000"]),
    ),
    "normal-784": Pair(IsotropicNormal(784, 1), IsotropicNormal(784, "11/10"), IsotropicNormal(784, "1.1000000000011")),
}


def _log(n: int) -> arb:
    return arb(n).log()


def _tails(proof: Proof, p: Distribution, q: Distribution) -> None:
    proof.tail(_log(2) * left_out(p, q, proof.digits))
    proof.lemma("tails: the integrand of C lies in [-(p + q) log 2, 0], that of JSD in [0, (p + q) log 2 / 2]")


ANCHOR_DIGITS = 20  # to which the independent checker must agree


@lru_cache(maxsize=256)
def _independently(name: str) -> arb:
    return independent.enclose(name, ANCHOR_DIGITS)


def _anchored(proof: Proof, name: str, x: arb) -> None:
    """Store a ball, and refute the claim if the independent checker finds another number.

    C and JSD share their densities, so that the identity between the two would hold for a wrong density too.
    """
    expected = _independently(name)
    if not x.overlaps(expected):
        proof.holds(f"{name} is the number that the independent checker finds", False)
    elif not expected.rad() <= power_of_ten(4 - ANCHOR_DIGITS):
        proof.undecided(f"{name} is the number that the independent checker finds")
    proof.enclose(name, x)


def _identity(
    proof: Proof, p: Distribution, q: Distribution, *, log_of: int = 4, copies: int = 2, off: Distribution | None = None
) -> None:
    """Check C + log 4 - 2 JSD = 0; the wrong statements have another logarithm, one JSD, or JSD of another q."""
    best, divergence = criterion(p, q, proof.digits), jsd(p, off or q, proof.digits)
    _anchored(proof, f"C({p}, {q})", best)
    _anchored(proof, f"JSD({p}, {off or q})", divergence)
    proof.zero(f"C + log {log_of} - {copies} JSD", best + _log(log_of) - copies * divergence)
    _tails(proof, p, q)


for _name, _pair in PAIRS.items():
    claim(
        f"T1.identity.{_name}",
        f"C(G) = -log 4 + 2 JSD(p, q) for p = {_pair.p}, q = {_pair.q}.",
        latex=r"C(G)=\int p\log\frac{p}{p+q}+q\log\frac{q}{p+q}\,\mathrm dx=-\log4+2\,\mathrm{JSD}(p,q)",
        source=THEOREM,
        rigor="ball",
        idea="C and JSD are two integrals of two formulas, each enclosed with its tails; their combination holds 0, "
        "and the independent checker finds the same two numbers from densities of its own.",
        controls={
            "log 2 in place of log 4": partial(_identity, p=_pair.p, q=_pair.q, log_of=2),
            "one JSD in place of two": partial(_identity, p=_pair.p, q=_pair.q, copies=1),
            "a parameter of q off by 1e-12 in JSD": partial(_identity, p=_pair.p, q=_pair.q, off=_pair.off),
        },
    )(partial(_identity, p=_pair.p, q=_pair.q))


def _kl_form(proof: Proof, p: Distribution, q: Distribution, *, swapped: bool = False, halves: int = 1) -> None:
    m = Mixture(["1/2", "1/2"], [x for x in (p, q) if isinstance(x, Density)])  # both are densities, or Mixture raises

    def to_mean(x: Distribution) -> arb:
        left, right = (m, x) if swapped else (x, m)
        divergence = kl(left, right, proof.digits)
        return proof.enclose(f"KL({left}, {right})", arb("nan") if divergence is None else divergence)

    total = to_mean(p) + to_mean(q)
    proof.zero("C + log 4 - KL(p || m) - KL(q || m)", criterion(p, q, proof.digits) + _log(4) - halves * total)
    proof.lemma("tails of KL: -Q <= integral p log(p/q) <= integral p (log p)^+ + integral p (-log q)^+")


for _name in ("normal-normal", "laplace-laplace", "student-normal", "exponential-exponential"):
    _pair = PAIRS[_name]
    claim(
        f"T1.kl-form.{_name}",
        f"C(G) = -log 4 + KL(p || m) + KL(q || m), m = (p + q) / 2, for p = {_pair.p}, q = {_pair.q}.",
        latex=r"C(G)=-\log4+\mathrm{KL}\Bigl(p\,\Big\|\,\frac{p+q}2\Bigr)+\mathrm{KL}\Bigl(q\,\Big\|\,\frac{p+q}2\Bigr)",
        source=Source(GOODFELLOW, "Theorem 1, eq. 5"),
        rigor="ball",
        idea="The two KL are integrated against the mixture as a density of its own, with the tail bound of KL.",
        controls={
            "the arguments of KL swapped": partial(_kl_form, p=_pair.p, q=_pair.q, swapped=True),
            "the mean of the two KL": partial(_kl_form, p=_pair.p, q=_pair.q, halves=2),
        },
    )(partial(_kl_form, p=_pair.p, q=_pair.q))


def _equality(proof: Proof, p: Distribution, q: Distribution) -> None:
    proof.zero("C + log 4", proof.enclose(f"C({p}, {q})", criterion(p, q, proof.digits)) + _log(4))
    proof.zero("JSD", proof.enclose(f"JSD({p}, {q})", jsd(p, q, proof.digits)))
    _tails(proof, p, q)


for _name, _p, _off in (
    ("normal", Normal(4, 2), Normal("4.000000000001", 2)),
    ("laplace", Laplace(0, 1), Laplace("1e-12", 1)),
    ("cauchy", Cauchy(0, 1), Cauchy("1e-12", 1)),
    ("mixture", _mixture(1), _mixture(OFF)),
):
    claim(
        f"T1.equality.{_name}",
        f"Where p = q = {_p!r}, C(G) = -log 4 and JSD = 0.",
        latex=r"p=q\implies C(G)=-\log4,\quad\mathrm{JSD}(p,q)=0",
        source=Source(GOODFELLOW, "Theorem 1"),
        rigor="ball",
        idea="The integrals are evaluated as for any other pair; nothing uses that the two are equal.",
        controls={
            "another density": partial(_equality, p=_p, q=Normal(1, 1)),
            "JSD log 2 for equal densities": partial(
                lambda proof, p: proof.zero("JSD - log 2", jsd(p, p, proof.digits) - _log(2)), p=_p
            ),
        },
    )(partial(_equality, p=_p, q=_p))


def _strict(proof: Proof, *, above: str = "0") -> None:
    for name, pair in PAIRS.items():
        proof.positive(f"C + log 4 for {name}", criterion(pair.p, pair.q, proof.digits) + _log(4) - arb(above))
    near = Normal(0, OFF)
    proof.positive(
        "C + log 4 for N(0, 1) and a scale off by 1e-12",
        criterion(Normal(0, 1), near, proof.digits) + _log(4) - arb(above),
    )


claim(
    "T1.strict.pairs",
    "C(G) > -log 4 for every pair of the catalogue, and for two normals whose scales differ by 1e-12.",
    latex=r"p\neq q\implies C(G)>-\log4",
    source=Source(GOODFELLOW, "Theorem 1"),
    rigor="ball",
    idea="The ball of C + log 4 lies right of 0; for scales that differ by 1e-12 it is 5e-25 +- 1e-33.",
    controls={"the minimum is 0, not -log 4": partial(_strict, above="1.3862943611198906")},
)(_strict)


def _upper(proof: Proof, *, bound: str = "1") -> None:
    for name, pair in PAIRS.items():
        proof.positive(f"log 2 - JSD for {name}", arb(bound) * _log(2) - jsd(pair.p, pair.q, proof.digits))


claim(
    "T1.bounds.upper",
    "JSD(p, q) < log 2 for every pair of the catalogue (their supports overlap).",
    latex=r"\mathrm{JSD}(p,q)<\log2",
    source=LIN,
    rigor="ball",
    idea="Balls; JSD = log 2 needs disjoint supports (T1.bounds.disjoint).",
    controls={"JSD < log 2 / 2": partial(_upper, bound="0.5")},
)(_upper)

DISJOINT: dict[str, tuple[Distribution, Distribution]] = {
    "uniforms": (Uniform(0, 1), Uniform(1, 3)),
    "betas": (Beta("1/2", 2), Beta(2, 3, -2, -1)),
    "atoms": (Discrete(["1/2", "1/2"]), Discrete([1], [7])),
    "atoms against a normal": (Discrete(["1/3", "2/3"]), Normal(0, 1)),
}


def _disjoint(proof: Proof, *, p_overlapping: Distribution | None = None) -> None:
    for name, (p, q) in DISJOINT.items():
        p = p_overlapping or p
        proof.zero(f"JSD - log 2 for {name}", jsd(p, q, proof.digits) - _log(2))
        proof.zero(f"C for {name}", criterion(p, q, proof.digits))
        proof.zero(f"TV - 1 for {name}", tv(p, q, proof.digits) - 1)
        proof.holds(f"KL is infinite for {name}", kl_is_infinite(p, q, proof.digits))


claim(
    "T1.bounds.disjoint",
    "For disjoint supports JSD = log 2, C(G) = 0, TV = 1 and KL is infinite.",
    latex=r"\operatorname{supp}p\cap\operatorname{supp}q=\emptyset\implies\mathrm{JSD}=\log2,\ C(G)=0,\ \mathrm{TV}=1",
    source=LIN,
    rigor="ball",
    idea="On each piece one density vanishes: D* is 0 or 1, and m is half of the other.",
    controls={"supports that overlap in [1, 1 + 1e-9]": partial(_disjoint, p_overlapping=Uniform(0, "1.000000001"))},
)(_disjoint)


def _tv_bounds(proof: Proof, *, lower: str = "0.5", upper: str | None = None) -> None:
    factor = _log(2) if upper is None else arb(upper)
    for name, pair in PAIRS.items():
        divergence, distance = jsd(pair.p, pair.q, proof.digits), tv(pair.p, pair.q, proof.digits)
        proof.enclose(f"TV({pair.p}, {pair.q})", distance)
        proof.positive(f"JSD - TV^2 / 2 for {name}", divergence - arb(lower) * distance**2)
        slack = factor * distance - divergence
        if name == "uniform-uniform":  # where p != q, one of them vanishes: equality
            proof.zero(f"TV log 2 - JSD for {name}", slack)
        else:
            proof.positive(f"TV log 2 - JSD for {name}", slack)
    proof.lemma("TV from the sign of p - q by Taylor models and closed-form masses, without an integral")


claim(
    "T1.bounds.total-variation",
    "TV^2 / 2 < JSD <= TV log 2 for every pair of the catalogue, with equality on the right for shifted uniforms.",
    latex=r"\tfrac12\mathrm{TV}(p,q)^2\le\mathrm{JSD}(p,q)\le\mathrm{TV}(p,q)\log2",
    source=LIN,
    rigor="ball",
    idea="Pinsker's inequality for p and q against m gives the left side; f(t) <= |t - 1| log 2 / 2 the right.",
    controls={
        "TV^2 < JSD": partial(_tv_bounds, lower="1"),
        "JSD < TV / 2": partial(_tv_bounds, upper="0.5"),
    },
)(_tv_bounds)
