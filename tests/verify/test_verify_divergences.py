"""Enclosures against scipy and mpmath, their radii, and random mixtures."""

import math
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest

pytest.importorskip("flint", reason="python-flint is not installed: pip install 'minigan[verify]'")

from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate as quadrature

import verify
import verify.analysis.game_value as module_of_value
from minigan.data import Gaussian
from minigan.metrics import divergences as floats
from verify import Verdict, certify, prove_positive, prove_zero
from verify.analysis import divergences
from verify.analysis.divergences import criterion, jsd, kl, tv
from verify.analysis.game_value import polynomial, squashed, suboptimality, value
from verify.analysis.integrate import Region, integral
from verify.analysis.variation import _inside, total_variation
from verify.arithmetic.balls import ball, between, power_of_ten, precision
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
    StudentT,
    Uniform,
)

PAIRS = {
    "normal": (Normal(4, 2), Normal(0, 1)),
    "laplace-logistic": (Laplace(0, 1), Logistic(1, "3/2")),
    "student": (StudentT(4), StudentT(3, 1, 2)),
    "mixture": (Mixture(["3/10", "7/10"], [Normal(-2, "1/2"), Normal(1, 1)]), Normal(0, 2)),
    "kinks": (Mixture(["1/2", "1/2"], [Laplace(-1, "1/2"), Laplace(1, "1/2")]), Laplace(0, 2)),
    "exponential-normal": (Exponential(1), Normal(0, 1)),
    "uniform-normal": (Uniform(-1, 2), Normal(0, 1)),
    "uniform-exponential": (Uniform(-1, 2), Exponential(1)),
    "beta": (Beta(3, "5/2"), Beta(2, 2)),
}
EVERY = pytest.mark.parametrize(("p", "q"), PAIRS.values(), ids=PAIRS)


INFINITE = {  # KL(p || q), KL(q || p)
    "exponential-normal": (False, True), "uniform-normal": (False, True), "uniform-exponential": (True, True)
}  # fmt: skip


def by_quadrature(p, q, f):
    """Integrate f(p, q, log p, log q) with scipy.integrate.fixed_quad on panels that shrink towards all edges."""
    ends = [e for d in (p, q) for e in d.support()]
    low = -120.0 if None in ends[::2] else float(min(ends[::2]))
    high = 140.0 if None in ends[1::2] else float(max(ends[1::2]))
    edges = {low, high, *(float(e) for d in (p, q) for e in d.edges())}
    near = {e + side * 2.0**-k for e in edges for k in range(-2, 30) for side in (-1, 1)}
    points = sorted(x for x in edges | near | set(np.linspace(low, high, 200)) if low <= x <= high)

    def integrand(x):
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = p.logpdf(x), q.logpdf(x)
            return f(np.exp(a), np.exp(b), a, b)

    return math.fsum(quadrature.fixed_quad(integrand, u, v, n=24)[0] for u, v in pairwise(points))


def c_integrand(x, y, a, b):
    m = np.logaddexp(a, b)
    return np.where(x > 0, x * (a - m), 0) + np.where(y > 0, y * (b - m), 0)


@pytest.mark.parametrize("name", PAIRS)
def test_against_scipy(name):
    p, q = PAIRS[name]
    if name == "student":
        return  # heavy tails: below, with mpmath
    found = certify(p, q, digits=20)
    assert float(found.c) == pytest.approx(by_quadrature(p, q, c_integrand), abs=1e-10)
    want = by_quadrature(p, q, lambda x, y, a, b: (c_integrand(x, y, a, b) + (x + y) * math.log(2)) / 2)
    assert float(found.jsd) == pytest.approx(want, abs=1e-10)
    want = by_quadrature(p, q, lambda x, y, a, b: abs(x - y) / 2)  # float: the kinks cost digits
    assert float(found.tv) == pytest.approx(want, abs=1e-4)
    infinite = INFINITE.get(name, (False, False))
    for one, (u, v), none in zip((found.kl, found.kl_reverse), ((p, q), (q, p)), infinite, strict=True):
        assert (one is None) == none
        if one is not None:
            want = by_quadrature(u, v, lambda x, y, a, b: np.where(x > 0, x * (a - b), 0))
            assert float(one) == pytest.approx(want, abs=1e-10)


def test_heavy_tails_against_mpmath():
    """Student-t with 4 and 3 degrees of freedom, densities written in mpmath."""

    def density(nu, mu, s):
        k = mpmath.gamma((nu + 1) / 2) / mpmath.gamma(nu / 2) / mpmath.sqrt(nu * mpmath.pi) / s
        return lambda x: k * (1 + ((x - mu) / s) ** 2 / nu) ** (-(nu + 1) / 2)

    with mpmath.workdps(25):
        p, q = density(mpmath.mpf(4), 0, 1), density(mpmath.mpf(3), 1, 2)

        def c_of(x):
            return p(x) * mpmath.log(p(x) / (p(x) + q(x))) + q(x) * mpmath.log(q(x) / (p(x) + q(x)))

        ends = [-mpmath.inf, -100, -10, 0, 1, 10, 100, mpmath.inf]
        want_c = float(mpmath.quad(c_of, ends))
        want_kl = float(mpmath.quad(lambda x: p(x) * mpmath.log(p(x) / q(x)), ends))
        crossings = [mpmath.findroot(lambda x: mpmath.log(p(x) / q(x)), guess) for guess in (-2, 1)]
        want_tv = float(mpmath.quad(lambda x: abs(p(x) - q(x)) / 2, sorted(ends + crossings)))
    found = certify(StudentT(4), StudentT(3, 1, 2), digits=20)
    assert float(found.c) == pytest.approx(want_c, abs=1e-10)
    assert float(found.kl) == pytest.approx(want_kl, abs=1e-10)
    assert float(found.tv) == pytest.approx(want_tv, abs=1e-10)


def test_against_the_floats_of_the_library():
    p, q = Gaussian(4, 2), Gaussian(0, 1)
    found = certify(Normal(4, 2), Normal(0, 1))
    assert float(found.jsd) == pytest.approx(floats.jsd(p, q), abs=1e-12)
    assert float(found.kl) == pytest.approx(floats.kl(p, q), abs=1e-11)
    logit = lambda x: 1.5 * np.tanh(0.5 * x - 1)  # noqa: E731
    D = squashed("3/2", "1/2", -1)
    assert float(value(Normal(4, 2), Normal(0, 1), D)) == pytest.approx(floats.value(p, q, logit), abs=1e-12)


def test_784_dimensions():
    """JSD of N(0, I) and N(0, 1.1^2 I): a number that was computed independently to 1.7e-26."""
    x = jsd(IsotropicNormal(784), IsotropicNormal(784, "11/10"), 30)
    with precision(40):
        assert abs(x - arb("0.6153334412775387579661040")) < arb("2e-26")


@pytest.mark.parametrize("digits", [30, 50])
@EVERY
def test_tight_and_consistent(p, q, digits):
    found, wider = certify(p, q, digits=digits), certify(p, q, digits=12)
    for name in ("c", "jsd", "kl", "kl_reverse", "tv"):
        x, y = getattr(found, name), getattr(wider, name)
        assert (x is None) == (y is None)
        if x is not None:
            assert x.is_finite()
            assert x.rad() <= power_of_ten(-digits)
            assert x.overlaps(y)
    back = certify(q, p, digits=digits)
    for name, other in (("c", "c"), ("jsd", "jsd"), ("tv", "tv"), ("kl", "kl_reverse")):
        x, y = getattr(found, name), getattr(back, other)
        assert (x is None and y is None) or x.overlaps(y)


@pytest.mark.parametrize(
    ("p", "q"), [(Cauchy(), Cauchy(1, 2)), (StudentT(3), Normal()), (Beta("1/2", 2), Beta(2, 3)), *PAIRS.values()]
)  # fmt: skip
def test_tails_that_are_cut_off_are_bounded(p, q, monkeypatch):
    """Cut off much (to 0 ... 3 digits) and integrate the rest to 20: without tail bounds these balls would be wrong."""
    fine = certify(p, q, digits=25)
    parts = {"c": divergences._criterion_line, "jsd": divergences._jsd_line, "tv": total_variation}
    if fine.kl is not None:
        parts["kl"] = divergences._kl_line
    monkeypatch.setattr(divergences, "integral", lambda f, low, high, digits: integral(f, low, high, 20))
    with precision(40):
        for name, enclose in parts.items():
            for digits in (0, 2):
                x, y = enclose(p, q, digits), getattr(fine, name)
                assert x.contains(y) or abs(x.mid() - y) <= x.rad() + y.rad(), (name, digits)


def test_an_edge_that_is_a_ball():
    """TV over [x, 1] for x anywhere in a ball: the masses of p and q are those of every such interval."""
    p, q = Normal(0, 1), Normal(3, 1)
    budget = power_of_ten(-20)
    found = _inside(p, q, Region(between(0, ball(Fraction(1, 1000))), arb(1), Fraction(1, 2), arb(0), ()), budget)
    for x in (arb(0), ball(Fraction(1, 1000))):
        assert found.contains((p.mass(x, arb(1)) - q.mass(x, arb(1))) / 2)


def test_tails_that_are_cut_off_are_bounded_for_a_discriminator(monkeypatch):
    p, q, D = Laplace(), Normal(1), polynomial(0, "1/2")
    fine = {"value": value(p, q, D, digits=25), "suboptimality": suboptimality(p, q, D, digits=25)}
    monkeypatch.setattr(module_of_value, "integral", lambda f, low, high, digits: integral(f, low, high, 20))
    monkeypatch.setattr(module_of_value, "enclose_to", lambda compute, digits, name: compute(digits - 1))
    for name, function in (("value", value), ("suboptimality", suboptimality)):
        for digits in (1, 2, 3):
            with precision(40):
                x = function.__wrapped__(p, q, D, digits=digits)
                assert abs(x.mid() - fine[name]) <= x.rad() + fine[name].rad()


def test_a_hundred_digits():
    for p, q in (
        (Normal(0, 1), Normal(1, 1)),
        (Laplace(), Normal()),
        (Exponential(1), Exponential(2)),
        (Uniform(), Beta(2, 3)),
    ):
        found = certify(p, q, digits=100)
        with precision(120):
            residual = found.c + arb(4).log() - 2 * found.jsd
            assert prove_zero(residual, power_of_ten(-99)) is Verdict.PROVED
            assert max(float(x.rad()) for x in (found.c, found.jsd, found.tv)) <= 1e-100


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (Beta("1/2", "1/2", 1, 2), Uniform(1, 2)),  # edges that are not 0: 1 + u needs the digits of u
        (Normal(0, 1), Normal(10**12, 1)),  # KL = 5e23
    ],
)
def test_more_precision_where_it_takes_more(p, q):
    assert kl(p, q, 30).rad() <= power_of_ten(-30)


class TestCertify:
    def test_the_callers_precision_neither_matters_nor_changes(self):
        before = ctx.prec
        divergences._kl.cache_clear()
        with precision(5):
            rough = certify(Normal(), Normal(1), digits=30).kl
            assert ctx.dps == 5
        assert ctx.prec == before
        assert rough.rad() <= power_of_ten(-30)

    @pytest.mark.parametrize("digits", [-3, 0, 1.5, "30", None, True, 10**6])
    def test_digits(self, digits):
        with pytest.raises(ValueError, match=r"digits is .*; expected a whole number from 1 to"):
            certify(Normal(), Normal(1), digits=digits)

    @pytest.mark.parametrize("p", [None, 3, "Normal(0, 1)", Gaussian(0, 1), Normal])
    def test_foreign_densities(self, p):
        with pytest.raises(ValueError, match=r"p is .*; expected a density of verify.densities"):
            certify(p, Normal())
        with pytest.raises(ValueError, match="q is "):
            certify(Normal(), p)

    @pytest.mark.parametrize(
        ("p", "q"),
        [
            (IsotropicNormal(3), IsotropicNormal(4)),
            (IsotropicNormal(3), Normal()),
            (Discrete([1]), IsotropicNormal(2)),
        ],
    )
    def test_dimensions(self, p, q):
        with pytest.raises(ValueError, match=r"dimensions; expected the same|expected both in"):
            certify(p, q)

    @pytest.mark.parametrize(
        "p", [Normal(4, 2), Cauchy(), Beta("1/2", 2), Discrete(["1/3", "2/3"]), IsotropicNormal(9)]
    )
    def test_equal_densities(self, p):
        found = certify(p, p)
        with precision(40):
            assert prove_zero(found.c + arb(4).log(), power_of_ten(-29)) is Verdict.PROVED
            for x in (found.jsd, found.kl, found.kl_reverse, found.tv):
                assert prove_zero(x, power_of_ten(-29)) is Verdict.PROVED

    def test_equal_in_disguise(self):
        p = Mixture(["1/2", "1/2"], [StudentT(1), Cauchy()])
        assert certify(p, Cauchy()).tv == 0

    def test_equal_on_a_piece(self):
        """q is p/2 + normal/2, so that log q - log p is 0 to 50 digits far out: only the Taylor model decides it."""
        p, q = Laplace(), Mixture(["1/2", "1/2"], [Exponential(), Normal(-1)])
        assert tv(p, q, 50).rad() <= power_of_ten(-50)

    def test_atoms_against_a_density(self):
        found = certify(Discrete(["1/2", "1/2"]), Normal())
        assert (found.c, found.tv, found.kl, found.kl_reverse) == (0, 1, None, None)

    def test_discrete_is_the_sum(self):
        p, q = Discrete(["1/2", "1/2", 0]), Discrete(["1/3", "1/3", "1/3"])
        found = certify(p, q)
        assert float(found.kl) == pytest.approx(math.log(1.5))
        assert found.kl_reverse is None
        with precision(40):
            assert prove_zero(found.tv - arb(1) / 3, power_of_ten(-30)) is Verdict.PROVED

    @pytest.mark.parametrize(
        ("p", "q"),
        [(Cauchy(), Normal()), (StudentT(2), Normal()), (Cauchy(), Laplace()), (Normal(), Exponential()),
         (Uniform(0, 2), Uniform(0, 1)), (Normal(), Beta(2, 2)),
         (Uniform(0, 3), Mixture(["1/2", "1/2"], [Uniform(0, 1), Uniform(2, 3)]))],
    )  # fmt: skip
    def test_infinite(self, p, q):
        assert certify(p, q, digits=15).kl is None

    @pytest.mark.parametrize(
        ("p", "q"),
        [
            (StudentT("5/2"), Normal()),
            (StudentT(2), Laplace()),
            (Cauchy(), StudentT("1/2")),
            (Beta(2, 2), Normal()),
        ],
    )
    def test_finite(self, p, q):
        x = certify(p, q, digits=15).kl
        assert x.rad() <= power_of_ten(-15)
        assert x > 0

    def test_a_scale_off_by_1e_12_is_seen(self):
        found = certify(Normal(), Normal(0, "1.000000000001"))
        for x in (found.jsd, found.kl, found.kl_reverse, found.tv):
            assert prove_positive(x) is Verdict.PROVED
        with precision(40):
            assert prove_positive(found.c + arb(4).log()) is Verdict.PROVED


class TestPlantedErrors:
    """Wrong statements are refuted, not undecided."""

    P, Q = Normal(4, 2), Normal(0, 1)

    @pytest.mark.parametrize("digits", [30, 50])
    @pytest.mark.parametrize(
        "wrong",
        [
            lambda c, j: c + arb(2).log() - 2 * j,
            lambda c, j: c + arb(4).log() - j,
            lambda c, j: c - arb(4).log() - 2 * j,
            lambda c, j: c + arb(4).log() - 2 * j + power_of_ten(-25),
        ],
    )
    def test_identity(self, wrong, digits):
        with precision(digits + 15):
            x = wrong(criterion(self.P, self.Q, digits), jsd(self.P, self.Q, digits))
            assert prove_zero(x, power_of_ten(-digits)) is Verdict.REFUTED

    def test_swapped_arguments(self):
        with precision(45):
            x = kl(self.P, self.Q, 30) - kl(self.Q, self.P, 30)
            assert prove_zero(x, power_of_ten(-30)) is Verdict.REFUTED

    @pytest.mark.parametrize(
        ("p", "q", "off"),
        [
            (P, Q, Normal(0, "1.000000000001")), (Cauchy(), Cauchy(1, 2), Cauchy(1, "2.000000000001")),
            (Laplace(), Normal(), Normal(0, "0.999999999999")),
        ],
    )  # fmt: skip
    def test_scale(self, p, q, off):
        with precision(45):
            x = criterion(p, q, 30) + arb(4).log() - 2 * jsd(p, off, 30)
            assert prove_zero(x, power_of_ten(-30)) is Verdict.REFUTED


# Random mixtures, at 12 digits (40 bits).

RATIONALS = st.fractions(-4, 4, max_denominator=64)
SCALES = st.fractions("1/4", 3, max_denominator=64)
COMPONENTS = st.one_of(
    st.builds(Normal, RATIONALS, SCALES),
    st.builds(Laplace, RATIONALS, SCALES),
    st.builds(Logistic, RATIONALS, SCALES),
    st.builds(Uniform, st.fractions(-4, 0, max_denominator=8), st.fractions("1/8", 4, max_denominator=8)),
    st.builds(Exponential, SCALES),
)


@st.composite
def mixtures(draw):
    parts = draw(st.lists(COMPONENTS, min_size=1, max_size=3))
    weights = draw(st.lists(st.integers(1, 9), min_size=len(parts), max_size=len(parts)))
    return Mixture([Fraction(w, sum(weights)) for w in weights], parts)


@settings(max_examples=25)
@given(mixtures(), mixtures())
def test_theorem_1_for_random_mixtures(p, q):
    digits = 12
    with precision(digits + 15):
        best, divergence, distance = criterion(p, q, digits), jsd(p, q, digits), tv(p, q, digits)
        log2 = arb(2).log()
        assert prove_zero(best + 2 * log2 - 2 * divergence, power_of_ten(1 - digits)) is Verdict.PROVED
        for x in (divergence, log2 - divergence, divergence - distance**2 / 2, distance * log2 - divergence, -best):
            assert not x < -power_of_ten(-digits)
        if p.canonical() == q.canonical():
            assert prove_zero(divergence, power_of_ten(-digits)) is Verdict.PROVED
        for one, u, v in ((kl(p, q, digits), p, q), (kl(q, p, digits), q, p)):
            if one is not None:
                assert not one < 2 * distance**2 - power_of_ten(-digits)  # Pinsker
                assert not one < -power_of_ten(-digits), (u, v)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 9), min_size=4, max_size=4), st.lists(st.integers(0, 9), min_size=4, max_size=4))
def test_theorem_1_on_the_simplex(m, n):
    if not sum(m) or not sum(n):
        return
    p, q = (Discrete([Fraction(w, sum(x)) for w in x]) for x in (m, n))
    with precision(45):
        residual = criterion(p, q, 30) + arb(4).log() - 2 * jsd(p, q, 30)
        assert prove_zero(residual, power_of_ten(-30)) is Verdict.PROVED
        assert (prove_positive(jsd(p, q, 30)) is Verdict.PROVED) == (p != q)


# V(D) of any D.


@settings(max_examples=10)
@given(RATIONALS, st.fractions(-2, 2, max_denominator=16), st.fractions(-1, 1, max_denominator=16))
def test_what_a_discriminator_lacks(a, b, d):
    p, q, D = Normal(1, 2), Laplace(0, 1), polynomial(a, b, d)
    with precision(30):
        lacking = suboptimality(p, q, D, digits=12)
        residual = criterion(p, q, 12) - value(p, q, D, digits=12) - lacking
        assert prove_zero(residual, power_of_ten(-11)) is Verdict.PROVED
        assert prove_positive(lacking) is Verdict.PROVED


def test_value_against_scipy():
    p, q, D = Exponential(1), Uniform(-1, 2), polynomial(1, "-1/2")
    s = lambda x: 1 - x / 2  # noqa: E731
    inner = quadrature.quad(lambda x: -math.exp(-x) * np.logaddexp(0, -s(x)), 0, 60, epsabs=1e-13)[0]
    inner += quadrature.quad(lambda x: -np.logaddexp(0, s(x)) / 3, -1, 2, epsabs=1e-13)[0]
    assert float(value(p, q, D)) == pytest.approx(inner, abs=1e-10)


def test_a_discriminator_whose_value_is_infinite():
    with pytest.raises(verify.arithmetic.decide.Undecided):
        value(Cauchy(), Normal(), polynomial(0, 1), digits=12)


def test_coefficients():
    with pytest.raises(ValueError, match="coefficients are 4; expected 1 to 3"):
        polynomial(1, 2, 3, 4)


@pytest.mark.parametrize("mu", [10**3, 10**4, 10**6])
def test_jsd_of_normals_far_apart(mu):
    """The supports are disjoint: JSD = log 2, and C = 0."""
    found = certify(Normal(0, 1), Normal(mu, 1))
    assert abs(found.jsd - arb(2).log()) < power_of_ten(-15)  # log 2 at the precision of the test
    assert found.jsd.rad() <= power_of_ten(-30)
    assert abs(found.c) < power_of_ten(-30)


def test_a_singular_right_edge_is_the_mirror_image_of_a_left_one():
    """Near 1 the number 1 - 2^-k needs k bits; near 0 the number 2^-k needs one."""
    for name in ("criterion", "jsd", "tv", "kl"):
        f = getattr(divergences, name)
        left, right = f(Beta("1/10", 1), Uniform(), 30), f(Beta(1, "1/10"), Uniform(), 30)
        with precision(60):
            assert abs(left - right) < power_of_ten(-29)
        assert right.rad() <= power_of_ten(-30)


def test_two_singular_edges():
    """KL(U || Beta(a, a)) = log B(a, a) + 2 (a - 1), since the mean of log u is -1, negated."""
    p = Beta("1/10", "1/10", 1, 3)
    with precision(60):
        a = arb(1) / 10
        exact = 2 * a.lgamma() - (2 * a).lgamma() + 2 * (a - 1)
        assert abs(divergences.kl(Uniform(1, 3), p, 30) - exact) < power_of_ten(-29)
    c = divergences.criterion(p, Uniform(1, 3), 30)
    assert c.rad() <= power_of_ten(-30)
    assert -arb(4).log() < c < 0


def test_a_singularity_out_of_reach_is_named():
    with pytest.raises(verify.Undecided, match="30 digits: a density has too strong a singularity at an edge"):
        divergences.tv(Beta(1, "1/100"), Uniform(), 30)
