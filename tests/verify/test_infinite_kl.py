"""A KL that is not enclosed says why: infinite by support, infinite by a moment, or no bound found."""

import math

import pytest

pytest.importorskip("flint", reason="python-flint is not installed: pip install 'minigan[verify]'")

from flint import arb

from verify import certify
from verify.analysis import divergences, integrate
from verify.analysis.divergences import kl, kl_is_infinite, kl_reason
from verify.analysis.infinite import why_infinite
from verify.arithmetic.balls import power_of_ten, precision
from verify.arithmetic.decide import Undecided, Verdict
from verify.claims import theorem1
from verify.densities import (
    Beta,
    Cauchy,
    Discrete,
    Exponential,
    IsotropicNormal,
    Laplace,
    Logistic,
    Mixture,
    Normal,
    Radial,
    StudentT,
    Uniform,
)
from verify.engine.proof import PROFILES, Proof

BY_SUPPORT = [
    (Normal(), Exponential()),
    (Uniform(0, 2), Uniform(0, 1)),
    (Normal(), Beta(2, 2)),
    (Uniform(0, 3), Mixture(["1/2", "1/2"], [Uniform(0, 1), Uniform(2, 3)])),
    (Uniform(0, 2), Mixture([1, 0], [Uniform(0, 1), Normal()])),
    (Discrete(["1/2", "1/2"]), Discrete([1])),
    (Discrete([1]), Normal()),
    (Normal(), Discrete([1])),
    (Cauchy(10**9, 1), Exponential(1)),
]
BY_MOMENT = [
    (Cauchy(), Normal(), 2),
    (StudentT(2), Normal(), 2),
    (StudentT("1.9999999"), Normal(0, 10**9), 2),
    (Cauchy(), Laplace(), 1),
    (StudentT("1/1000"), Logistic(), 1),
    (Mixture(["1/1000000", "999999/1000000"], [Cauchy(), Normal()]), Normal(), 2),
    (Mixture(["1/2", "1/2"], [StudentT(3), Cauchy()]), Mixture(["1/2", "1/2"], [Normal(), Laplace()]), 1),
    (Mixture(["1/2", "1/2"], [Normal(), Cauchy()]), Mixture(["1/2", "1/2"], [Exponential(), Normal()]), 2),
    (Cauchy(0, "1e-30"), Normal(0, "1e-30"), 2),
]
FINITE = [
    (StudentT("5/2"), Normal()),
    (StudentT("1.01"), Laplace()),
    (Cauchy(), StudentT(40)),
    (StudentT("3/2"), Mixture(["1/1000", "999/1000"], [Laplace(), Normal()])),
    (Normal(), Cauchy()),
    (Exponential(), Normal()),
    (Radial(3), Radial(3, 2)),
    (Beta("1/2", "1/2"), Beta(20, 30)),
    (IsotropicNormal(5), IsotropicNormal(5, 2)),
]


@pytest.mark.parametrize(("p", "q"), BY_SUPPORT)
def test_infinite_by_support(p, q):
    assert kl(p, q, 20) is None
    assert kl_reason(p, q, 20) == "infinite by support: p puts mass where q has none"
    assert kl_is_infinite(p, q, 20) is True


@pytest.mark.parametrize(("p", "q", "order"), BY_MOMENT)
def test_infinite_by_a_moment(p, q, order):
    assert kl(p, q, 20) is None
    assert kl_reason(p, q, 20).startswith(f"infinite by a moment: p has no moment of order {order} ")
    assert kl_is_infinite(p, q, 20) is True


@pytest.mark.parametrize(("p", "q", "order"), BY_MOMENT[:5])
def test_its_integral_grows_without_bound(p, q, order):
    """The integral of p log(p / q) up to R, in floats: its last decades do not decrease."""
    xs = [10.0**k for k in range(12, 24)]
    terms = [x * math.exp(p.logpdf(x)) * (p.logpdf(x) - order_term(q, x)) for x in xs]
    assert min(terms[-3:]) > 0.5 * max(terms[:3])


def order_term(q, x):
    """Return log q up to a constant, from its formula: scipy underflows."""
    return -((x / float(q.spread)) ** 2) / 2 if isinstance(q, Normal) else -x / float(q.spread)


@pytest.mark.parametrize(("p", "q"), FINITE)
def test_finite(p, q):
    assert kl(p, q, 12).rad() <= power_of_ten(-12)
    assert kl_reason(p, q, 12) is None
    assert kl_is_infinite(p, q, 12) is False


def test_just_enough_moments():
    assert why_infinite(StudentT("2.000001"), Normal()) is None
    assert why_infinite(StudentT("1.000001"), Laplace()) is None


@pytest.mark.parametrize(
    ("p", "q"), [(StudentT("1/1000"), StudentT("1/1000", 1)), (StudentT("1/1000"), StudentT("1/500"))]
)
def test_no_bound_found_is_not_infinite(p, q):
    assert kl(p, q, 30) is None
    assert kl_reason(p, q, 30) == "no bound found: no cut of a tail is cheap enough for KL to 30 digits"
    assert kl_is_infinite(p, q, 30) is None


class Own(Normal):
    """A class that the proofs do not know, with a bound on -log q for which Cauchy has no finite moment."""


def test_a_class_defined_elsewhere_is_not_said_to_be_infinite():
    assert why_infinite(Cauchy(), Own()) is None
    assert why_infinite(Cauchy(), Mixture(["1/2", "1/2"], [Normal(), Own()])) is None
    assert kl(Cauchy(), Own(), 20) is None
    assert kl_reason(Cauchy(), Own(), 20) == "no bound found: a tail has no finite bound"
    assert kl_is_infinite(Cauchy(), Own(), 20) is None


@pytest.mark.parametrize("a", ["1/100", "1/40", "1/2"])
def test_a_strong_singularity(a):
    """KL(Beta(a, 1) || U(0, 1)) = log a + (a - 1) E log u = log a + (1 - a) / a, with E log u = -1 / a."""
    p, found = Beta(a, 1), kl(Beta(a, 1), Uniform(), 30)
    with precision(50):
        x = arb(p.a.numerator) / p.a.denominator
        assert found.overlaps(x.log() + (1 - x) / x)
    assert found.rad() <= power_of_ten(-30)


def test_certify_says_the_reasons():
    found = certify(Cauchy(), Normal(), digits=15)
    assert found.kl is None
    assert found.kl_reason.startswith("infinite by a moment")
    assert found.kl_reverse is not None
    assert found.kl_reverse_reason is None


@pytest.mark.parametrize(
    ("answer", "verdict"), [(True, Verdict.PROVED), (None, Verdict.UNDECIDED), (False, Verdict.REFUTED)]
)
def test_the_claim_needs_a_proof(answer, verdict, monkeypatch):
    """That no ball was found proves nothing."""
    monkeypatch.setattr(theorem1, "kl_is_infinite", lambda *_: answer)
    proof = Proof("T1.bounds.disjoint", PROFILES["quick"])
    with precision(45):
        theorem1._disjoint(proof)
    assert {check.verdict for check in proof.checks if "infinite" in check.name} == {verdict}


def test_a_cut_that_is_never_cheap_is_not_an_infinite_cost():
    """C of StudentT(1/1000) is finite; that it cannot be enclosed is reported at once."""
    with pytest.raises(Undecided, match="no cut of a tail is cheap enough for C to 30 digits"):
        divergences.criterion(StudentT("1/1000"), Normal(), 30)
    assert issubclass(integrate.Exhausted, Undecided)
