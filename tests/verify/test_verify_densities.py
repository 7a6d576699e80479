"""Floats and balls agree, tails and bounds hold, bad arguments are named.  Oracles: scipy.stats, scipy.integrate."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("flint", reason="python-flint is not installed: pip install 'minigan[verify]'")

from flint import acb, arb, arb_series
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate as quadrature
from scipy import stats

from verify.analysis.integrate import pieces
from verify.arithmetic.balls import precision
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
from verify.densities.base import Density
from verify.densities.functions import log_sum_exp, softplus, tanh
from verify.densities.tails import Growth, Moments, Tail, expectation

DENSITIES = {
    "normal": Normal("-1/2", "3/2"),
    "laplace": Laplace(1, "1/3"),
    "logistic": Logistic("-1/4", 2),
    "cauchy": Cauchy(2, "1/2"),
    "student": StudentT("5/2", 1, "2/3"),
    "student-heavy": StudentT("3/4"),
    "exponential": Exponential("3/2"),
    "uniform": Uniform(-1, "5/2"),
    "beta": Beta("1/2", 3, -1, 2),
    "radial": Radial(5, "3/2"),
    "mixture": Mixture(["1/4", "1/4", "1/2"], [Normal(-2, "1/2"), Laplace(1, 2), Uniform(0, 3)]),
}
EVERY = pytest.mark.parametrize("p", DENSITIES.values(), ids=DENSITIES)


def piece_of(p, x):
    """Return a rational point of the piece that contains x."""
    for piece in pieces([p]):
        if (piece.low is None or x > piece.low) and (piece.high is None or x < piece.high):
            return piece.at
    raise AssertionError(x)


def points(p):
    low, high = p.support()
    low, high = (-6.0 if low is None else float(low)), (7.0 if high is None else float(high))
    return [low + (high - low) * k / 14.0 + 1e-3 for k in range(14)]


@EVERY
def test_log_density_is_that_of_scipy(p):
    with precision(30):
        log_p = p.log_density()
        for x in points(p):
            at = piece_of(p, x)
            assert p.positive_at(at)
            want = float(p.logpdf(x))
            assert float(log_p(arb(x), at)) == pytest.approx(want, rel=1e-12, abs=1e-12)
            assert float(log_p(acb(x), at, True).real) == pytest.approx(want, rel=1e-12, abs=1e-12)
            assert float(log_p(arb_series([arb(x), 1], 3), at)[0]) == pytest.approx(want, rel=1e-12, abs=1e-12)


@EVERY
def test_tails_are_those_of_scipy(p):
    with precision(30):
        for x in points(p):
            above, below = p.tail(arb(x), +1), p.tail(arb(x), -1)
            assert float(below) == pytest.approx(float(p.cdf(x)), rel=1e-10, abs=1e-14)
            assert (above + below - 1).contains(0)


@EVERY
def test_mass_is_the_integral_of_the_density(p):
    """The closed-form tails against the formula of the density, in balls."""
    with precision(20):
        log_p = p.log_density()
        xs = [x for x in points(p) if p.positive_at(piece_of(p, x))]
        for a, b in pairwise(xs):
            at = piece_of(p, a)
            if at == piece_of(p, b):
                mass = acb.integral(lambda x, analytic, at=at: log_p(x, at, analytic).exp(), arb(a), arb(b)).real
                assert mass.rad() < 1e-15
                assert (mass - p.mass(arb(a), arb(b))).contains(0)


@EVERY
def test_no_mass_beyond_the_support(p):
    low, high = p.support()
    with precision(20):
        if low is not None:
            assert p.tail(arb(float(low)) - 1, -1) == 0
            assert not p.positive_at(low - 1)
        if high is not None:
            assert p.tail(arb(float(high)) + 1, +1) == 0
            assert not p.positive_at(high + 1)


@EVERY
@pytest.mark.parametrize("side", [-1, 1])
def test_bounds_at_infinity(p, side):
    """The bounds on -log p, log p and the moments, against scipy, just beyond `tail_start` and far out."""
    if p.support()[0 if side < 0 else 1] is not None:
        return
    for factor in (1, 8):
        cut = float(p.tail_start()) * factor
        with precision(30):
            tail = Tail(side, arb(cut), piece_of(p, side * cut * 1.5))
            neg_log_bound, log_bound, moments = p.neg_log_bound(tail), p.log_bound(tail), p.moments(tail)
        terms = {
            "mass": lambda y: 1.0, "log": lambda y: abs(np.log(y)), "linear": lambda y: y, "square": lambda y: y * y
        }  # fmt: skip
        for y in cut * np.array([1.0, 1.001, 1.7, 5.0, 40.0]):
            logp = float(p.logpdf(side * y))
            assert -logp <= value(neg_log_bound, y) * (1 + 1e-12) + 1e-12
            assert logp <= value(log_bound, y) * (1 + 1e-12) + 1e-12
        for name, term in terms.items():
            bound = getattr(moments, name)
            if bound.is_finite():
                inner, _ = quadrature.quad(lambda y, term=term: p.pdf(side * y) * term(y), cut, 50 * cut, limit=400)
                assert inner <= float(bound) * (1 + 1e-9)


def value(growth, y):
    return float(growth.const + growth.log * abs(np.log(y)) + growth.linear * y + growth.square * y * y)


def test_infinite_moments_are_infinite():
    with precision(30):
        tail = Tail(1, arb(10), Fraction(1))
        assert [m.is_finite() for m in vars(Cauchy().moments(tail)).values()] == [True, True, False, False]
        assert [m.is_finite() for m in vars(StudentT(3).moments(tail)).values()] == [True, True, True, True]
        assert [m.is_finite() for m in vars(StudentT(2).moments(tail)).values()] == [True, True, True, False]
        assert not expectation(Growth(arb(1), square=arb(1)), Cauchy().moments(tail)).is_finite()
        assert expectation(Growth(arb(1), log=arb(1)), Moments(arb(1), arb(2))) >= 3


@pytest.mark.parametrize(
    ("p", "edge", "side"),
    [
        (Beta("1/2", 3, -1, 2), -1, -1), (Beta("1/2", 3, -1, 2), 2, 1), (Beta(2, "1/3"), 1, 1), (Radial(5), 0, -1),
        (Uniform(0, 1), 0, -1), (Normal(), 1, 1), (Mixture(["1/2", "1/2"], [Beta("1/2", 1), Normal()]), 0, -1),
    ],
)  # fmt: skip
def test_bounds_at_edges(p, edge, side):
    for width in (0.25, 2.0**-8):
        at = Fraction(edge) - side * Fraction(1, 8)
        with precision(30):
            tail = Tail(side, arb(edge) - side * arb(width), at, Fraction(edge), arb(width))
            neg_log_bound, log_bound, moments = p.neg_log_bound(tail), p.log_bound(tail), p.moments(tail)
        for u in width * np.array([0.999, 0.3, 1e-3]):
            logp = float(p.logpdf(edge - side * u))
            assert -logp <= value(neg_log_bound, u) + 1e-12
            assert logp <= value(log_bound, u) + 1e-12
        for name, term in {"mass": lambda u: 1.0, "log": lambda u: abs(np.log(u))}.items():

            def weighed(v, term=term, width=width):
                u = width * np.exp(-v)  # takes the singularity away
                return p.pdf(edge - side * u) * term(u) * u

            inner, _ = quadrature.quad(weighed, 0, 20, epsabs=0, limit=200)
            assert inner <= float(getattr(moments, name)) * (1 + 1e-6)


@EVERY
def test_samples_follow_the_density(p):
    """Kolmogorov-Smirnov by the Dvoretzky-Kiefer-Wolfowitz bound: fails with probability 1e-9."""
    n = 20_000
    x = p.sample(n, np.random.default_rng(0))
    distance = stats.ks_1samp(x, p.cdf).statistic
    assert x.shape == (n,)
    assert distance < np.sqrt(np.log(2 / 1e-9) / (2 * n))


class TestIsotropic:
    def test_logpdf_and_radius(self):
        p = IsotropicNormal(3, "3/2")
        x = p.sample(5, np.random.default_rng(0))
        want = stats.multivariate_normal(np.zeros(3), 2.25 * np.eye(3)).logpdf(x)
        assert p.logpdf(x) == pytest.approx(want, rel=1e-13)
        assert p.radial == Radial(3, "3/2")
        assert IsotropicNormal(1, 2).radial == Normal(0, 2)
        assert repr(p) == "IsotropicNormal(d=3, sigma=3/2)"


class TestDiscrete:
    def test_masses(self):
        p = Discrete(["1/2", "1/3", "1/6"], [0, "1/2", 3])
        assert p.probability(Fraction(1, 2)) == Fraction(1, 3)
        assert p.probability(Fraction(9)) == 0
        with pytest.warns(DeprecationWarning, match=r"Discrete\.at is now called Discrete\.probability"):
            assert p.at(Fraction(1, 2)) == Fraction(1, 3)
        assert p.pmf([0, 0.5, 1, 3]) == pytest.approx([1 / 2, 1 / 3, 0, 1 / 6])
        counts = np.unique(p.sample(60_000, np.random.default_rng(0)), return_counts=True)[1]
        assert counts / 60_000 == pytest.approx([1 / 2, 1 / 3, 1 / 6], abs=0.02)


class TestCanonical:
    @pytest.mark.parametrize(
        ("p", "q"),
        [
            (StudentT(1, 2, 3), Cauchy(2, 3)),
            (Beta(1, 1, -1, 2), Uniform(-1, 2)),
            (Mixture([1, 0], [Normal(), Cauchy()]), Normal()),
            (Mixture(["1/3", "2/3"], [Normal(), Normal()]), Normal()),
            (Mixture(["1/2", "1/2"], [Laplace(), Mixture(["1/2", "1/2"], [Normal(), Laplace()])]),
             Mixture(["1/4", "3/4"], [Normal(), Laplace()])),
        ],
    )  # fmt: skip
    def test_equal_functions_are_equal(self, p, q):
        assert p.canonical() == q.canonical()
        with precision(20):
            x, at = arb("0.3"), piece_of(p, 0.3)
            assert (p.log_density()(x, at) - q.log_density()(x, at)).contains(0)


NONSENSE = {
    "Normal(0, -1)": (lambda: Normal(0, -1), "sigma is -1; expected a number > 0"),
    "Normal(0, 0)": (lambda: Normal(0, 0), "sigma is 0"),
    "Normal('x', 1)": (lambda: Normal("x", 1), "mu is 'x'; expected a rational number"),
    "Normal(0.1, 1)": (lambda: Normal(0.1, 1), r"mu is 0.1; expected .*text such as '1/2' or '0.1'; Fraction\(0.1\)"),
    "Laplace": (lambda: Laplace(0, "-1/2"), "b is -1/2"),
    "Cauchy": (lambda: Cauchy(float("nan"), 1), "mu is nan"),
    "StudentT": (lambda: StudentT(0), "nu is 0"),
    "Exponential": (lambda: Exponential(-2), "rate is -2"),
    "Uniform": (lambda: Uniform(1, 1), "low, high are 1, 1; expected low < high"),
    "Beta": (lambda: Beta(1, -1), "b is -1"),
    "Beta ends": (lambda: Beta(1, 1, 2, 1), "low < high"),
    "Radial": (lambda: Radial(0), "d is 0; expected a whole number >= 1"),
    "Isotropic": (lambda: IsotropicNormal(2.5), "d is 2.5"),
    "weights": (lambda: Mixture(["1/2", "1/3"], [Normal(), Normal(1)]), "with sum 5/6; expected .* sum 1 exactly"),
    "float weights": (
        lambda: Mixture([0.1, 0.9], [Normal(), Normal(1)]),
        "weights is 0.1; expected a rational number",
    ),
    "negative weight": (lambda: Mixture(["3/2", "-1/2"], [Normal(), Normal(1)]), "expected numbers >= 0"),
    "lengths": (lambda: Mixture([1], [Normal(), Normal(1)]), "weights has length 1, components 2"),
    "component": (lambda: Mixture([1], [Discrete([1])]), "expected densities on the line"),
    "a number of weights": (lambda: Mixture(5, [Normal()]), "weights is 5; expected a list of rational numbers"),
    "one component": (
        lambda: Mixture([1], Normal()),
        r"components is Normal\(mu=0, sigma=1\); expected a list of densities",
    ),
    "a number of masses": (lambda: Discrete(5), "weights is 5; expected a list of rational numbers"),
    "a text of masses": (lambda: Discrete("1"), "weights is '1'; expected a list of rational numbers"),
    "a text of atoms": (lambda: Discrete([1], "1"), "atoms is '1'; expected a list of rational numbers"),
    "atoms": (lambda: Discrete(["1/2", "1/2"], [1, 1]), "one distinct atom for each weight"),
    "discrete weights": (lambda: Discrete(["1/2", "1/4"]), "with sum 3/4"),
}


@pytest.mark.parametrize("make", NONSENSE)
def test_nonsense_is_a_clear_error(make):
    build, message = NONSENSE[make]
    with pytest.raises(ValueError, match=message):
        build()


@given(st.floats(-700, 700), st.floats(-700, 700))
def test_softplus_and_log_sum_exp(a, b):
    with precision(30):
        want = float(np.logaddexp(a, b))
        for one, two in ((arb(a), arb(b)), (acb(a), acb(b))):
            x = log_sum_exp([one, two], True) if isinstance(one, acb) else log_sum_exp([one, two])
            assert float(x.real) == pytest.approx(want, rel=1e-14, abs=1e-24)
        assert float(softplus(arb(a))) == pytest.approx(float(np.logaddexp(0, a)), rel=1e-13, abs=1e-24)


@given(st.floats(-700, 700), st.floats(-1, 1))
def test_tanh(a, b):
    with precision(30):
        for x in (acb(a, b), arb(a)):
            assert tanh(x).overlaps(x.tanh())
        series = tanh(arb_series([a, 1], 3))
        assert series[0].overlaps(arb(a).tanh())
        assert series[1].overlaps(1 - arb(a).tanh() ** 2)
        for sign in (-1, 1):  # of wide balls far from 0: within 1e-8 of +-1
            wide = tanh(acb(arb(sign * 20, 10), arb(0, 100)))
            assert wide.overlaps(acb(sign * 15, 50).tanh())
            assert abs(wide - sign).abs_upper() < 1e-8
        assert not tanh(acb(0, arb.pi() / 2)).is_finite()


def test_logarithms_say_where_they_are_not_analytic():
    """On a ball that meets the branch cut; otherwise `acb.integral` returns finite but wrong enclosures."""
    across = acb(arb(-4, 1), arb(0, 1))
    with precision(15):
        assert not StudentT(3).log_density()(acb(0, arb(2, 1)), Fraction(0), True).is_finite()
        assert not softplus(acb(0, arb.pi() + arb(0, 1)), True).is_finite()
        assert not Beta(2, 2).log_density()(across, Fraction(1, 2), True).is_finite()
        assert not Radial(4).log_density()(across, Fraction(1), True).is_finite()
        assert not Logistic().log_density()(acb(0, arb.pi() + arb(0, 1)), Fraction(1), True).is_finite()
        two = Mixture(["1/2", "1/2"], [Normal(-1), Normal(1)])
        assert not two.log_density()(acb(arb(0, 1), arb.pi() / 2 + arb(0, 1)), Fraction(0), True).is_finite()


class Triangle(Density):
    """A density that a user defines, without bounds at infinity."""

    def log_density(self):
        return lambda x, at, analytic=False: -abs(x)

    def tail(self, x, side):
        return arb(1)

    def _scipy(self):
        raise NotImplementedError


def test_a_class_without_bounds_at_infinity_is_told_so():
    """The bounds of the base class hold only at an edge."""
    tail = Tail(+1, arb(8), Fraction(9))
    for name in ("neg_log_bound", "moments"):
        with pytest.raises(NotImplementedError, match=f"Triangle.{name} was asked for a bound at infinity; expected"):
            getattr(Triangle(), name)(tail)
    assert Triangle().log_bound(tail).const >= -8
