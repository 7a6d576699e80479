"""Bounds on tails, tested with cuts in the middle of the mass, against closed forms and mpmath.

At 30 digits the tails are below the last digit, so that no test would fail with a wrong bound on them.  Here the budget
of a cut is so large that much of the mass lies beyond it: an enclosure is right only if it includes both tails.
"""

import math
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from flint import arb
from scipy import integrate as quadrature

from verify.analysis import branch_bound, divergences, game_value, variation
from verify.arithmetic.balls import ball, precision
from verify.claims.unconscious_statistician import ABSOLUTE, RELU, SHIFTED, SQUARE
from verify.densities import (
    Beta,
    Cauchy,
    Exponential,
    Laplace,
    Logistic,
    Mixture,
    Normal,
    StudentT,
    Uniform,
)
from verify.densities.radial import Radial
from verify.densities.tails import Tail, power_moments
from verify.engine import independent
from verify.models import fgan, generator, unconscious_statistician
from verify.models.generator import NormalGame
from verify.models.unconscious_statistician import Generator

INNER = 20  # digits of the integrals between the cuts


def once(compute, digits, name):
    """Replace `enclose_to`: compute at a fixed precision, without requiring a narrow ball."""
    with precision(40):
        return compute(INNER)


@pytest.fixture(params=["1/10", "1/1000"])
def in_the_mass(request, monkeypatch):
    """Set the budget of every cut to this number."""
    budget = ball(Fraction(request.param))
    for module in (divergences, variation, game_value):
        monkeypatch.setattr(module, "power_of_ten", lambda exponent: budget)
    for module in (divergences, game_value):
        monkeypatch.setattr(module, "enclose_to", once)
    return budget


def holds(x, expected):
    """Return whether a ball contains a number that is known to 10^-13, and has a radius < 1."""
    near = arb(expected) + arb(0, 1e-13)
    return x.is_finite() and x.overlaps(near) and x.rad() < 1


def cauchy_jsd(m, g):
    r = math.hypot(m, 1 + g)
    return math.log(2 * r / (r + 2 * math.sqrt(g)))


PAIRS = [(1, 2), (0, 4), (-3, 1)]


@pytest.mark.parametrize(("m", "g"), PAIRS)
@pytest.mark.usefixtures("in_the_mass")
class TestCauchys:
    """p = Cauchy(0, 1), q = Cauchy(m, g): much of the mass is far out, and every divergence has a closed form."""

    def pair(self, m, g):
        return Cauchy(0, 1), Cauchy(m, g)

    def test_jsd(self, m, g):
        x = divergences.jsd.__wrapped__(*self.pair(m, g), INNER)
        assert holds(x, cauchy_jsd(m, g))
        assert x.rad() > 1e-6

    def test_c(self, m, g):
        x = divergences.criterion.__wrapped__(*self.pair(m, g), INNER)
        assert holds(x, 2 * cauchy_jsd(m, g) - math.log(4))
        assert x.rad() > 1e-6

    def test_kl(self, m, g):
        x = divergences._kl.__wrapped__(*self.pair(m, g), INNER)
        assert holds(x, math.log(((1 + g) ** 2 + m * m) / (4 * g)))

    def test_tv(self, m, g):
        x = divergences.tv.__wrapped__(*self.pair(m, g), INNER)
        cdf = lambda x: math.atan(x) / math.pi - math.atan((x - m) / g) / math.pi  # noqa: E731
        # g (1 + x^2) = g^2 + (x - m)^2
        roots = np.roots([g - 1, 2 * m, g - g * g - m * m]) if g != 1 else [m / 2]
        ends = [0.0, *(cdf(root) for root in sorted(roots)), 0.0]
        assert holds(x, sum(abs(b - a) for a, b in pairwise(ends)) / 2)


KL = [
    (Normal(0, 1), Normal(1, 2), math.log(2) + 2 / 8 - 1 / 2),
    (Normal(3, 1), Normal(0, "1/2"), math.log(1 / 2) + 10 * 2 - 1 / 2),
    (Laplace(0, 1), Laplace(2, 3), math.log(3) + (math.exp(-2) + 2) / 3 - 1),
    (Exponential(1), Exponential(3), 3 - 1 - math.log(3)),
    (Exponential(3), Exponential(1), math.log(3) + 1 / 3 - 1),
    (Normal(0, 1), Laplace(0, 1), math.log(2) + math.sqrt(2 / math.pi) - math.log(2 * math.pi * math.e) / 2),
    (Radial(3, 1), Radial(3, 2), 3 * (math.log(2) - 1 / 2 + 1 / 8)),
    (Beta("1/4", 1), Uniform(), math.log(1 / 4) + 3),
    (Beta(3, 1), Uniform(), math.log(3) - 2 / 3),
    (Uniform(), Beta("1/4", 1), -math.log(1 / 4) - 3 / 4),
    (Uniform(), Beta(3, 1), -math.log(3) + 2),
]


@pytest.mark.parametrize(("p", "q", "expected"), KL, ids=lambda x: repr(x) if not isinstance(x, float) else "")
@pytest.mark.usefixtures("in_the_mass")
def test_kl_with_its_tails(p, q, expected):
    assert holds(divergences._kl.__wrapped__(p, q, INNER), expected)


@pytest.mark.parametrize("nu", ["3/2", "5/2"])
def test_the_slowest_component_bounds_a_mixture(nu):
    """-log of a mixture grows as its heaviest tail does: KL is finite although the other component is normal."""
    p, q = StudentT(nu), Mixture(["1/2", "1/2"], [Normal(), Cauchy(0, 2)])
    with mpmath.workdps(20):
        n = mpmath.mpf(Fraction(nu).numerator) / Fraction(nu).denominator
        c = mpmath.gamma((n + 1) / 2) / (mpmath.gamma(n / 2) * mpmath.sqrt(n * mpmath.pi))

        def f(x):
            a = c * (1 + x * x / n) ** (-(n + 1) / 2)
            b = (mpmath.npdf(x) + 2 / (mpmath.pi * (4 + x * x))) / 2
            return a * mpmath.log(a / b)

        expected = 2 * mpmath.quad(f, [0, 1, 2, 4, 8, 16, 1000, mpmath.inf])
    x = divergences.kl(p, q, 6)
    assert x is not None
    assert abs(float(x) - float(expected)) < 2e-6


@pytest.mark.parametrize("end", ["low", "high"])
def test_the_cost_includes_both_tails_of_a_piece(end, monkeypatch):
    """Heavy tails on one side only: the exponentials have no mass on the other."""
    regions = []
    right = divergences.cut

    def spy(*args):
        regions.append(right(*args))
        return regions[-1]

    monkeypatch.setattr(divergences, "cut", spy)
    monkeypatch.setattr(divergences, "power_of_ten", lambda exponent: arb("0.05"))
    monkeypatch.setattr(divergences, "enclose_to", once)
    p, q = Cauchy(0, 1), Cauchy(4 if end == "high" else -4, 1)
    x = divergences.criterion.__wrapped__(p, q, INNER)
    low, high = float(regions[0].low), float(regions[0].high)
    beyond = [p.cdf(low) + q.cdf(low), 2 - p.cdf(high) - q.cdf(high)]
    assert min(beyond) > 1e-6
    assert float(regions[0].cost.upper()) >= sum(beyond) * (1 - 1e-12)
    assert holds(x, 2 * cauchy_jsd(4, 1) - math.log(4))


@pytest.mark.parametrize("budget", ["0.3", "0.001"])
def test_left_out_is_at_least_the_mass_beyond_the_cuts(budget, monkeypatch):
    regions, right = [], divergences.cut

    def spy(*args):
        regions.append(right(*args))
        return regions[-1]

    monkeypatch.setattr(divergences, "cut", spy)
    monkeypatch.setattr(divergences, "power_of_ten", lambda exponent: arb(budget))
    p, q = Cauchy(0, 1), Cauchy(1, 2)
    bound = divergences.left_out(p, q, 10)
    low, high = float(regions[0].low), float(regions[0].high)
    outside = sum(float(d.cdf(low)) + 1 - float(d.cdf(high)) for d in (p, q))
    assert 1e-5 < outside <= float(bound) * (1 + 1e-12)


# The densities' own bounds.

DENSITIES = [
    Normal("1/2", 2), Laplace(-1, "1/2"), Logistic("1/3", 2), Cauchy(1, 3), StudentT("5/2", -1, 2), StudentT(4),
    Exponential(3), Uniform(-1, 2), Beta("1/4", "7/2"), Beta(2, "1/3", -1, 3), Radial(1, 2), Radial(5, "1/2"),
    Radial(784, 1), Mixture(["1/3", "2/3"], [Normal(2), Logistic()]),
]  # fmt: skip


@pytest.mark.parametrize("p", DENSITIES, ids=repr)
def test_tails_on_both_sides_are_those_of_scipy(p):
    if isinstance(p, Mixture):
        quantiles = [-4, -1, "1/2", 2, 5]
    else:
        quantiles = [Fraction(float(p._scipy().ppf(u))) for u in (1e-6, 0.01, 0.3, 0.5, 0.8, 0.999)]
    with precision(30):
        for x in quantiles:
            x = Fraction(x)
            below, above = p.tail(ball(x), -1), p.tail(ball(x), +1)
            assert (below + above).overlaps(arb(1))
            assert float(below) == pytest.approx(float(p.cdf(float(x))), rel=1e-8, abs=1e-14)
            expected = 1 - float(p.cdf(float(x))) if isinstance(p, Mixture) else float(p._scipy().sf(float(x)))
            assert float(above) == pytest.approx(expected, rel=1e-8, abs=1e-14)


INFINITE = [p for p in DENSITIES if p.support()[1] is None or p.support()[0] is None]


def on_the_end(p, side, cut, weight):
    """The integral of p(x) weight(|x|) over side x > cut, by quadrature."""
    f = lambda y: float(p.pdf(side * y)) * weight(y)  # noqa: E731
    return quadrature.quad(f, cut, 4 * cut, limit=200)[0] + quadrature.quad(f, 4 * cut, math.inf, limit=200)[0]


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("p", INFINITE, ids=repr)
def test_bounds_beyond_a_cut_in_the_mass(p, side):
    """The moments and the bounds on +-log p at |x| = R, the least for which they must hold."""
    if side < 0 and p.support()[0] is not None:
        return
    cut = max(p.tail_start(), Fraction(1))
    with precision(30):
        tail = Tail(side, ball(cut), Fraction(side * cut))
        moments, neg_log_bound, log_bound = p.moments(tail), p.neg_log_bound(tail), p.log_bound(tail)
        for name, weight in (("mass", lambda y: 1), ("log", math.log), ("linear", abs), ("square", lambda y: y * y)):
            bound = getattr(moments, name)
            if bound.is_finite():
                with np.errstate(all="ignore"):
                    assert on_the_end(p, side, float(cut), weight) <= float(bound.upper()) * (1 + 1e-7), name
        for factor in (1, 1.5, 4, 30):
            y = float(cut) * factor
            log_p = float(p.logpdf(side * y))
            for growth, expected in ((neg_log_bound, -log_p), (log_bound, log_p)):
                bound = growth.const + growth.log * math.log(y) + growth.linear * y + growth.square * y * y
                assert expected <= float(bound.upper()) * (1 + 1e-9)


@pytest.mark.parametrize("exponent", ["1/10", "1/3", "1", "5/2"])
@pytest.mark.parametrize("width", ["1/2", "1/64"])
def test_power_moments_are_the_integrals(exponent, width):
    """integral u^(a-1) and u^(a-1) |log u| over (0, w), by mpmath."""
    a, w = Fraction(exponent), Fraction(width)
    with mpmath.workdps(25), precision(30):
        e, end = mpmath.mpf(a.numerator) / a.denominator, mpmath.mpf(w.numerator) / w.denominator
        # u = v^(1/a), so that du u^(a-1) = dv / a
        log = mpmath.quad(lambda v: -mpmath.log(v) / e**2, [0, end**e])
        moments = power_moments(arb(3), ball(a), ball(w))
        assert float(moments.mass) == pytest.approx(float(3 * end**e / e), rel=1e-12)
        assert float(moments.log) == pytest.approx(float(3 * log), rel=1e-8)


# Integrals that have bounds of their own.


@pytest.mark.usefixtures("in_the_mass")
class TestValue:
    def test_of_the_indifferent_discriminator(self):
        """D = 1/2: V(D) = -log 4 and V(D*) - V(D) = 2 JSD."""
        p, q, D = Cauchy(0, 1), Cauchy(1, 2), game_value.squashed(0, 1)
        x = game_value.value.__wrapped__(p, q, D)
        assert holds(x, -math.log(4))
        assert x.rad() > 1e-5
        x = game_value.suboptimality.__wrapped__(p, q, D)
        assert holds(x, 2 * cauchy_jsd(1, 2))
        assert x.rad() > 1e-5

    @pytest.mark.parametrize("swapped", [False, True])
    def test_the_cost_includes_the_tail_of_each_density(self, swapped):
        """Only one of them has heavy tails."""
        pair = (Cauchy(), Normal()) if swapped else (Normal(), Cauchy())
        assert holds(game_value.value.__wrapped__(*pair, game_value.squashed(0, 1)), -math.log(4))

    def test_of_a_bounded_logit(self):
        """p = q even: E softplus(-s) + softplus(s) for s = c tanh(x), where c decides in the tail."""
        p, D = Cauchy(0, 1), game_value.squashed(20, 1)
        f = lambda x: -2 * float(p.pdf(x)) * (np.logaddexp(0, -20 * math.tanh(x)) + np.logaddexp(0, 20 * math.tanh(x)))  # noqa: E731
        near, far = quadrature.quad(f, 0, 20, limit=200)[0], -40 * float(1 - p.cdf(20))
        x = game_value.value.__wrapped__(p, p, D)
        assert x.overlaps(arb((near + far) / 1) + arb(0, 1e-6))


@pytest.mark.parametrize("parameter", ["a", "b"])
def test_both_gradients_of_the_generator_with_a_visible_tail(parameter, monkeypatch):
    """Their sum has a closed form; cut at |z| = 5, the tail is larger than the last digit."""
    monkeypatch.setattr(generator, "power_of_ten", lambda exponent: arb(1) / 2)
    monkeypatch.setattr(generator, "enclose_to", once)
    game = NormalGame(Fraction(1), Fraction(2), Fraction(1), Fraction(0))
    total = sum((generator.pathwise.__wrapped__(game, parameter, sign, INNER) for sign in (1, -1)), arb(0))
    with precision(40):
        assert (total - ball(game.kl_gradient(parameter))).contains(0)
        step, score = generator.pathwise.__wrapped__, generator.jsd_gradient.__wrapped__
        assert step(game, parameter, 1, INNER).overlaps(2 * score(game, parameter, INNER))
    assert total.rad() > 1e-10


@pytest.mark.parametrize("game", [SQUARE, ABSOLUTE, SHIFTED, RELU], ids=lambda game: game.formula)
def test_expectations_cut_in_the_mass(game, monkeypatch):
    """Cut at 3 in place of 8 or more."""
    function = {
        SQUARE.formula: lambda z: z * z, ABSOLUTE.formula: abs, RELU.formula: lambda z: max(z, 0),
        SHIFTED.formula: lambda z: z if z > 0 else z + 2,
    }[game.formula]  # fmt: skip
    f = lambda z: -np.logaddexp(0, 1 - function(z)) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    expected = sum(quadrature.quad(f, *ends, epsabs=1e-13)[0] for ends in ((-30, 0), (0, 30)))
    monkeypatch.setattr(unconscious_statistician, "_cut", lambda cost, digits: arb(3))
    monkeypatch.setattr(unconscious_statistician, "enclose_to", once)
    for way in (unconscious_statistician.by_noise, unconscious_statistician.by_law):
        x = way(game, INNER)
        assert x.overlaps(arb(expected) + arb(0, 1e-10)), way.__name__
        assert x.rad() > 1e-4


def test_the_left_tail_of_a_law_decides_against_a_closed_form(monkeypatch):
    """G(z) = -4 for z < -2, else 1: cut at 3, the atom at -4 lies in the left tail, and nothing in the right one."""
    atom = unconscious_statistician.normal_upper_tail(arb(2))  # P(Z < -2)
    step = Generator(
        "a step", "two atoms", [(None, -2, lambda z: 0 * z - 4), (-2, None, lambda z: 0 * z + 1)],
        above=lambda x, analytic, at: 0 * x + (1 - atom if at < 1 else 0),
        below=lambda x, analytic, at: 0 * x + atom, breaks=(1,),
    )  # fmt: skip
    monkeypatch.setattr(unconscious_statistician, "_cut", lambda cost, digits: arb(3))
    monkeypatch.setattr(unconscious_statistician, "enclose_to", once)
    with precision(40):
        f = lambda x: -(1 + arb(1 - x).exp()).log()  # noqa: E731
        expected = atom * f(-4) + (1 - atom) * f(1)
        beyond = atom * (f(-3) - f(-4))  # the integral of f' P(X < x) over x < -3
        x = unconscious_statistician.by_law(step, INNER)
        assert (x - expected).contains(0)
        assert beyond > arb("0.02")
        law, left = unconscious_statistician.law_tail(arb(3)), unconscious_statistician.left_tail(arb(3))
        near = arb(0, 1e-8)  # a radius has 30 bits
        assert (x.upper() - (expected + beyond + law)).overlaps(near)
        assert (x.lower() - (expected + beyond - left)).overlaps(near)


def test_an_expectation_by_a_density_cut_in_the_mass(monkeypatch):
    """x = |z|: the density is 2 phi(x) on x > 0; the cut R^2 is 2."""
    f = lambda x: -2 * np.logaddexp(0, 1 - x) * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    expected = quadrature.quad(f, 0, 30, epsabs=1e-13)[0]
    monkeypatch.setattr(unconscious_statistician, "_cut", lambda cost, digits: arb(2).sqrt())
    monkeypatch.setattr(unconscious_statistician, "enclose_to", once)
    x = unconscious_statistician.by_density(lambda x, analytic: 2 * unconscious_statistician.phi(x), arb(0), INNER)
    assert x.overlaps(arb(expected) + arb(0, 1e-10))
    assert x.rad() > 1e-3


@pytest.mark.parametrize("name", fgan.FAMILY)
def test_the_bound_of_an_f_divergence_cut_in_the_mass(name, monkeypatch):
    """x > X = ceil(log 10) in place of X = 2.3 digits; equality with the closed form holds at power 1."""
    right = fgan.integral
    monkeypatch.setattr(fgan, "integral", lambda f, low, high, digits: right(f, low, high, INNER))

    def short(compute, digits, name):
        with precision(40):
            return compute(-1)

    monkeypatch.setattr(fgan, "enclose_to", short)
    x = fgan.bound.__wrapped__(name, 20)
    assert x.contains(fgan.FAMILY[name].closed(20).mid())
    assert x.rad() < 1


def c_of_normal(mu, t):
    """C of N(0, 1) against N(mu, e^2t), by mpmath."""
    sigma = mpmath.exp(t)

    def f(x):
        a, b = -x * x / 2, -(((x - mu) / sigma) ** 2) / 2 - t
        total = mpmath.log(mpmath.exp(a) + mpmath.exp(b))
        return (mpmath.exp(a) * (a - total) + mpmath.exp(b) * (b - total)) / mpmath.sqrt(2 * mpmath.pi)

    return mpmath.quad(f, [-14, -6, -2, 0, 2, 6, 14])


MU, T = "1/2", "1/4"


def difference(order):
    """d^n C at (MU, T) by differences at 40 digits; order = (in mu, in t)."""
    with mpmath.workdps(30):
        mu, t, h = mpmath.mpf(1) / 2, mpmath.mpf(1) / 4, mpmath.mpf(10) ** -6
        i, j = order
        steps = {0: [(0, 1)], 1: [(1, 1 / (2 * h)), (-1, -1 / (2 * h))], 2: [(1, h**-2), (0, -2 / h**2), (-1, h**-2)]}
        terms = [v * w * c_of_normal(mu + a * h, t + b * h) for a, v in steps[i] for b, w in steps[j]]
        return float(sum(terms))


@pytest.mark.parametrize("cut", [2, 8])
@pytest.mark.parametrize("i", [0, 1])
def test_the_gradient_over_a_box(i, cut, monkeypatch):
    monkeypatch.setattr(branch_bound, "CUT", cut)
    expected = difference((1 - i, i))
    x = branch_bound.gradient(ball(Fraction(MU)), ball(Fraction(T)), i)
    assert x.overlaps(arb(expected) + arb(0, 1e-9))
    assert (x.rad() > 1e-3) is (cut == 2)


@pytest.mark.parametrize("cut", [2, 8])
@pytest.mark.parametrize(("i", "j"), [(0, 0), (0, 1), (1, 1)])
def test_the_hessian_over_a_box(i, j, cut, monkeypatch):
    monkeypatch.setattr(branch_bound, "CUT", cut)
    expected = difference((2 - i - j, i + j))
    x = branch_bound.hessian(ball(Fraction(MU)), ball(Fraction(T)), i, j)
    assert x.overlaps(arb(expected) + arb(0, 1e-9))
    assert (x.rad() > 1e-3) is (cut == 2)


@pytest.mark.parametrize(("power", "expected"), [(2, 1), (4, 3), (6, 15)])
def test_the_moments_of_the_noise_beyond_a_cut(power, expected, monkeypatch):
    """f = z^k: E f = (k - 1)!!, and the bound beyond |z| = 1 is its exact tail."""
    monkeypatch.setattr(branch_bound, "CUT", 1)
    x = branch_bound._expect(lambda z, analytic: z**power, arb(1), power)
    f = lambda z: z**power * math.exp(-z * z / 2) * math.sqrt(2 / math.pi)  # noqa: E731
    assert x.contains(expected)
    assert float(x.rad()) == pytest.approx(quadrature.quad(f, 1, 40)[0], abs=1e-4)


@pytest.mark.parametrize("kind", ["C", "JSD"])
def test_the_independent_checker_bounds_what_it_leaves_out(kind):
    """Two digits of Cauchys: 4e-4 of the mass is beyond e^8."""
    jsd = cauchy_jsd(1, 2)
    x = independent.enclose(f"{kind}(Cauchy(mu=0, gamma=1), Cauchy(mu=1, gamma=2))", 2)
    assert holds(x, jsd if kind == "JSD" else 2 * jsd - math.log(4))
    assert x.rad() < 1e-2


@pytest.mark.parametrize("digits", [10, 30])
def test_the_independent_checker_comes_as_near_to_an_edge_as_its_digits(digits):
    x = independent.enclose("C(Normal(mu=0, sigma=1), Normal(mu=1, sigma=2))", digits)
    assert x.rad() < arb(10) ** -digits
