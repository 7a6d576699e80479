"""Each rule that decides, tested on both sides of its limit: just within, just beyond."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp
from flint import acb, arb, arb_mat

from verify.analysis import atoms, divergences, integrate
from verify.analysis.branch_bound import cover
from verify.analysis.integrate import cut, enclose_to, pieces
from verify.arithmetic.balls import Enclosure, ball, between, precision
from verify.arithmetic.decide import (
    Unbounded,
    Undecided,
    Verdict,
    conjunction,
    prove_nonnegative,
    prove_positive,
    prove_zero,
)
from verify.arithmetic.dual import Dual, sign, varies
from verify.densities import Cauchy, Discrete, Exponential, Logistic, Normal, StudentT, Uniform
from verify.densities.functions import log, log_sum_exp, softplus
from verify.densities.tails import Tail
from verify.engine import independent, statistics, symbolic
from verify.engine.float_checks import check_error
from verify.engine.proof import PROFILES, Check, Proof, decide, first_tolerance, widest
from verify.library.differentiable import Differentiable, check_direction, check_tensors, relative, worst_difference
from verify.models import dirac, simplex

PROVED, REFUTED, UNDECIDED = Verdict.PROVED, Verdict.REFUTED, Verdict.UNDECIDED
NAN, HAIR = arb("nan"), arb(2) ** -60
RADIUS = arb(2) ** -20


def exactly(mid, rad, exponent):
    """[mid - rad, mid + rad] 2^exponent, without rounding."""
    return arb((mid, exponent), (rad, exponent))


def a_proof():
    return Proof("edges.test", PROFILES["quick"])


@pytest.mark.parametrize(
    ("x", "verdict"),
    [
        (exactly(0, 1, -20), PROVED),
        (exactly(0, 2**20 + 1, -40), UNDECIDED),
        (exactly(1, 1, -21), PROVED),
        (exactly(2**20 + 1, 2**20, -41), REFUTED),
        (exactly(-(2**20) - 1, 2**20, -41), REFUTED),
        (arb(0), PROVED),
        (arb(0, 1), UNDECIDED),
        (NAN, UNDECIDED),
        (arb("inf"), UNDECIDED),
    ],
)
def test_zero(x, verdict):
    assert prove_zero(x, RADIUS) is verdict
    assert decide("= 0", x, "1/1048576") is verdict
    assert prove_zero(x, NAN) is UNDECIDED


@pytest.mark.parametrize(
    ("x", "positive", "nonnegative"),
    [
        (HAIR, PROVED, PROVED),
        (arb(0), REFUTED, PROVED),
        (-HAIR, REFUTED, REFUTED),
        (exactly(1, 1, 0), UNDECIDED, PROVED),
        (exactly(-1, 1, 0), REFUTED, UNDECIDED),
        (arb(0, 1), UNDECIDED, UNDECIDED),
        (NAN, UNDECIDED, UNDECIDED),
        (arb("inf"), UNDECIDED, UNDECIDED),
    ],
)
def test_signs(x, positive, nonnegative):
    assert prove_positive(x) is positive
    assert prove_nonnegative(x) is nonnegative
    assert decide("> 0", x) is positive
    assert decide(">= 0", x) is nonnegative


@pytest.mark.parametrize(
    ("x", "verdict"),
    [(arb(1) / 4, PROVED), (exactly(2**30 + 1, 0, -32), REFUTED), (between(0, 1), UNDECIDED), (NAN, UNDECIDED)],
)
def test_at_most(x, verdict):
    assert a_proof().at_most("x", x, "0.25") is verdict


def test_the_conjunction():
    assert conjunction([PROVED, PROVED]) is PROVED
    assert conjunction([PROVED, UNDECIDED]) is UNDECIDED
    assert conjunction([UNDECIDED, REFUTED, PROVED]) is REFUTED
    assert conjunction([]) is UNDECIDED
    assert conjunction([UNDECIDED]) is UNDECIDED


def test_what_a_proof_keeps():
    proof = a_proof()
    assert proof.verdict is UNDECIDED
    assert proof.zero("narrow", arb(0, 1e-40)) is PROVED
    assert proof.zero("wide", arb(0, 1e-29)) is UNDECIDED
    assert [proof.holds("fact", fact) for fact in (True, False, None)] == [PROVED, REFUTED, UNDECIDED]
    assert float(proof.radius.arb()) == pytest.approx(1e-29)
    assert first_tolerance(proof.checks) == "1e-30"
    proof.tail(arb(2))
    proof.tail(arb(1))
    assert proof.tail_bound.arb() == 2
    proof.tail(arb(3))
    assert proof.tail_bound.arb() == 3
    proof = a_proof()
    proof.enclose("infinite", NAN)
    assert proof.verdict is UNDECIDED


def test_a_stored_check_is_decided_from_its_ball():
    stored = Enclosure.of(arb(-1))
    assert Check("x", "> 0", PROVED, stored).redecide() is REFUTED
    assert Check("x", "> 0", PROVED, None).redecide() is UNDECIDED
    assert Check("x", "holds", REFUTED, None).redecide() is REFUTED
    narrow, wide = (Check("x", "= 0", PROVED, Enclosure.of(arb(0, r)), "1") for r in (1e-9, 1e-3))
    assert widest([wide, narrow]).arb() == wide.ball.arb().rad()
    assert widest([Check("x", "> 0", PROVED, stored)]) is None


@pytest.mark.parametrize(
    ("error", "verdict"), [(0.2499999, PROVED), (np.nextafter(0.25, 1), REFUTED), (math.nan, UNDECIDED)]
)
def test_a_measured_error_at_its_tolerance(error, verdict):
    assert check_error(a_proof(), "error", error, "0.25") is verdict


# Enclosures are as narrow as they were asked to be.


@pytest.mark.parametrize(("wide", "passes"), [(1, True), (Fraction(101, 100), False)])
def test_tight_wants_all_digits(wide, passes):
    compute = lambda digits: arb(1, ball(Fraction(wide) * Fraction(999999, 1000000) / 10**12))  # noqa: E731
    if passes:
        assert enclose_to(compute, 12, "x").rad() <= arb(10) ** -12
    else:
        with pytest.raises(Undecided, match="could not be enclosed to 12 digits"):
            enclose_to(compute, 12, "x")


def test_tight_goes_on_after_a_ball_that_is_too_wide():
    found = []

    def compute(digits):
        found.append(digits)
        return arb(1, "1e-13" if len(found) == 3 else "1e-6")

    assert enclose_to(compute, 12, "x").rad() <= arb(10) ** -12
    assert found == [12 + integrate.SLACK_DIGITS] * 3


def test_a_cut_costs_at_most_its_budget_and_no_cut_is_said():
    piece, p = pieces((Cauchy(),))[0], Cauchy()
    cost = lambda tail: integrate.outside(p, tail)  # noqa: E731
    for budget in (arb(1) / 8, arb(1) / 1000):
        region = cut(piece, (p,), cost, budget)
        assert len(region.tails) == 2
        assert all(cost(tail) <= budget for tail in region.tails)
        half = [Tail(tail.side, tail.cut / 2, tail.at) for tail in region.tails]
        assert all(cost(tail) > budget or tail.cut < p.tail_start() for tail in half)
        assert region.low == -region.tails[0].cut
        assert region.high == region.tails[1].cut
    with pytest.raises(Unbounded, match="no finite bound"):
        cut(piece, (p,), lambda tail: arb("inf"), arb(1))
    with pytest.raises(Undecided, match="at this precision"):
        cut(piece, (p,), lambda tail: NAN, arb(1))


def test_the_integrals_of_c_and_jsd_are_their_own(monkeypatch):
    """C = -log 4 + 2 JSD can fail only if neither is computed from the other."""
    p, q = Normal(0, 1), Normal(1, 1)
    right = {"criterion": divergences.criterion(p, q, 10), "jsd": divergences.jsd(p, q, 10)}
    for one, other in (("criterion", "jsd"), ("jsd", "criterion")):
        with monkeypatch.context() as patch:
            patch.setattr(divergences, f"{one}_integrand", lambda *args: lambda x, analytic: 0 * x)
            assert not getattr(divergences, one).__wrapped__(p, q, 10).overlaps(right[one])
            assert getattr(divergences, other).__wrapped__(p, q, 10).overlaps(right[other])
        with monkeypatch.context() as patch:
            patch.setattr(divergences, one, lambda *args: NAN)
            assert getattr(divergences, other).__wrapped__(p, q, 10).overlaps(right[other])


@pytest.mark.parametrize(
    ("p", "q", "finite"),
    [
        (Exponential(1), Normal(0, 1), True),
        (Normal(0, 1), Exponential(1), False),
        (Cauchy(), Normal(0, 1), False),
        (Normal(0, 1), Cauchy(), True),
        (Uniform(0, 1), Uniform(0, 2), True),
        (Uniform(0, 2), Uniform(0, 1), False),
        (Discrete([1], [0]), Discrete(["1/2", "1/2"], [0, 1]), True),
        (Discrete(["1/2", "1/2"], [0, 1]), Discrete([1], [0]), False),
    ],
    ids=repr,
)
def test_where_kl_is_finite(p, q, finite):
    found = divergences.kl(p, q, 8)
    assert (isinstance(found, arb) and bool(found.is_finite())) is finite


# Integrands say where they are not analytic.

ACROSS = acb(arb(-1), arb(0, 1))  # meets the cut of the logarithm
AT_A_POLE = acb(arb(0, "0.01"), arb.pi() + arb(0, "0.01"))  # e^s = -1 in it


def test_functions_refuse_a_branch_cut_where_they_must_be_analytic():
    assert not log(ACROSS, True).is_finite()
    assert log(ACROSS, False).is_finite()
    assert log(acb(2, 1), True).is_finite()
    for f in (lambda s, analytic: softplus(s, analytic), lambda s, analytic: log_sum_exp([acb(0), s], analytic)):
        assert not f(AT_A_POLE, True).is_finite()
        assert f(acb(1, 1), True).is_finite()
    minus_one = [acb(0), acb(0, arb.pi()), acb(0, arb.pi())]  # 1 - 1 - 1
    assert not log_sum_exp(minus_one, True).is_finite()
    log_p = Logistic().log_density()
    assert not log_p(AT_A_POLE, Fraction(0), True).is_finite()


@pytest.mark.parametrize("x", ["-50", "-1", "0", "1", "50"])
def test_softplus_on_both_sides_of_its_branch(x):
    with precision(40), mpmath.workdps(40):
        expected = mpmath.log1p(mpmath.exp(mpmath.mpf(x)))
        for f in (softplus, lambda s: log_sum_exp([arb(0), s])):
            found = f(arb(x))
            assert found.rad() < arb(10) ** -35 * (1 + abs(found))
            assert found.overlaps(arb(mpmath.nstr(expected, 35)) + arb(0, arb(10) ** -33))


# Branches of dual numbers.


def test_the_sign_of_a_dual_is_never_guessed():
    one = Dual(arb(1), arb(5))
    assert sign(one, 0) == 1
    assert sign(one, 2) == -1
    assert sign(Dual(HAIR, arb(0)), 0) == 1
    assert sign(Dual(arb(0), arb(0)), 0) == 0
    assert one > 0
    assert not one < 0
    assert not Dual(arb(0), arb(0)) > 0
    assert Dual(arb(0), arb(0)) >= 0
    assert Dual(arb(0), arb(0)) <= 0
    for tie in (Dual(arb(0), arb(1)), Dual(arb(0, HAIR), arb(0)), Dual(arb(0), arb_mat(1, 2, [0, 1])), arb(0, 1)):
        with pytest.raises(Undecided, match="a branch depends on the sign"):
            sign(tie, 0)
    assert not varies(arb_mat(1, 2, [0, 0]))
    assert varies(arb_mat(1, 2, [0, 1]))
    assert varies(Dual(arb(0), arb(1)))
    assert varies(arb(0, 1))


@pytest.mark.parametrize(
    ("f", "g"),
    [
        (lambda x: x.exp() * x, lambda x: x.exp() * (1 + x)),
        (lambda x: x.log1p() / (1 + x), lambda x: (1 - x.log1p()) / ((1 + x) * (1 + x))),
        (lambda x: x.tanh() - 3 / x, lambda x: 1 - x.tanh() * x.tanh() + 3 / (x * x)),
        (lambda x: 2 - x.sqrt() / 7, lambda x: -1 / (14 * x.sqrt())),
        (lambda x: -(x * x) + x / x, lambda x: -2 * x),
    ],
)
def test_the_slope_of_a_dual_is_the_derivative(f, g):
    x = arb(1) / 3
    assert f(Dual(x, arb(5))).slope.overlaps(5 * g(x))
    second = f(Dual(Dual(x, arb(1)), Dual(arb(1), arb(0)))).slope.slope
    assert second.overlaps(g(Dual(x, arb(1))).slope)


# Gradients against their tolerances.

CUBE = Differentiable(
    np.array([0.5, 2.0, -1.5]), {"w": slice(0, 2), "b": slice(2, 3)}, lambda t: (t**3).sum(), lambda t: 3 * t**2
)


@pytest.mark.parametrize("tensor", ["w", "b"])
@pytest.mark.parametrize(("error", "verdict"), [(5e-14, PROVED), (3e-13, REFUTED), (1e-9, REFUTED)])
def test_the_tolerance_of_a_tensor(tensor, error, verdict):
    proof = a_proof()
    check_tensors(proof, "cube", CUBE.with_fault(tensor, relative(1 + error)))
    assert proof.verdict is verdict


@pytest.mark.parametrize(("error", "verdict"), [(0, PROVED), (4e-15, REFUTED), (1e-12, REFUTED)])
def test_the_tolerance_of_a_direction(error, verdict):
    proof = a_proof()
    f = CUBE.with_fault("w", relative(1 + error)).with_fault("b", relative(1 + error))
    check_direction(proof, "cube", f, CUBE.gradient(CUBE.point))
    assert proof.verdict is verdict


def test_the_worst_difference_decides():
    assert worst_difference([arb(0, 1e-3), arb(1), arb(-2, 1)]) == 1
    assert worst_difference([arb(0, 1e-3), arb(0, 1e-2)]).rad() > arb("0.009")
    assert not worst_difference([arb(1), NAN]).is_finite()


# Failure probabilities.


@pytest.mark.parametrize("n", [100, 10**4])
@pytest.mark.parametrize("width", [1, 3])
def test_the_failure_probability_is_exactly_the_share(n, width):
    """2 exp(-2 n eps^2 / width^2), by mpmath."""
    for alpha in (statistics.ALPHA_PER_ASSERTION, 1e-3):
        eps = mpmath.mpf(statistics.epsilon(n, width=width, alpha=alpha))
        assert float(2 * mpmath.exp(-2 * n * eps**2 / width**2)) == pytest.approx(alpha, rel=1e-10)
    assert pytest.approx(statistics.ALPHA) == statistics.ALPHA_PER_ASSERTION * statistics.MAX_ASSERTIONS
    assert statistics.ALPHA <= 1e-9


@pytest.mark.parametrize(("shift", "verdict"), [(0.999, PROVED), (1.001, REFUTED), (-0.999, PROVED), (-1.001, REFUTED)])
def test_a_mean_and_a_distribution_at_their_distance(shift, verdict):
    n = 1000
    eps = math.sqrt(math.log(2 / statistics.ALPHA_PER_ASSERTION) / (2 * n))
    x = np.full(n, 0.5)
    assert statistics.check_mean(a_proof(), "x", x, 0.5 + shift * eps) is verdict
    # F = (k - 1/2) / n + c at the k-th value: the distance is |c| + 1 / (2 n)
    c = math.copysign(abs(shift) * eps - 1 / (2 * n), shift)
    uniform = (np.arange(n) + 0.5) / n
    assert statistics.check_distribution(a_proof(), "F", uniform, lambda x: x + c) is verdict


# Boxes, symbols, the simplex, the Dirac-GAN.


def test_a_cover_is_refuted_by_one_box_and_undecided_at_its_limit():
    box = ((0.0, 1.0), (0.0, 1.0))
    assert cover(box, lambda b: PROVED, limit=1).verdict is PROVED
    assert cover(box, lambda b: UNDECIDED, limit=50).verdict is UNDECIDED
    assert cover(box, lambda b: REFUTED if b[0][0] > 0.7 else UNDECIDED, limit=500).verdict is REFUTED
    seen = []

    def small(b):
        if all(high - low <= 0.25 for low, high in b):
            seen.append(b)
            return PROVED
        return UNDECIDED

    assert cover(box, small, limit=100).boxes == 16
    assert sum((b[0][1] - b[0][0]) * (b[1][1] - b[1][0]) for b in seen) == 1


@pytest.mark.parametrize(("factor", "verdict"), [(1, PROVED), (1 + sp.Rational(1, 10**25), REFUTED)])
def test_a_symbolic_identity(factor, verdict):
    x = sp.Symbol("x", positive=True)
    assert symbolic.identity(a_proof(), "x", sp.expand((x + 1) ** 2) - factor * (x**2 + 2 * x + 1)) is verdict


def test_the_simplex_by_floats():
    p, q = (
        (Fraction(1, 2), Fraction(1, 3), Fraction(1, 6), Fraction(0)),
        (Fraction(1, 4), Fraction(0), Fraction(1, 2), Fraction(1, 4)),
    )
    a, b = np.array(p, float), np.array(q, float)
    m = (a + b) / 2
    jsd = sum(u * math.log(u / v) for s in (a, b) for u, v in zip(s, m, strict=True) if u) / 2
    assert float(atoms.jsd(p, q)) == pytest.approx(jsd, rel=1e-13)
    assert float(atoms.criterion(p, q)) == pytest.approx(2 * jsd - math.log(4), rel=1e-13)
    assert float(atoms.tv(p, q)) == pytest.approx(np.abs(a - b).sum() / 2, rel=1e-13)
    r = (Fraction(1, 8),) * 2 + (Fraction(1, 4), Fraction(1, 2))
    assert float(atoms.kl(p, r)) == pytest.approx(
        sum(u * math.log(u / v) for u, v in zip(a, np.array(r, float), strict=True) if u)
    )
    assert float(simplex.minimum([arb(3), arb(-1), arb(2)])) == -1


@pytest.mark.parametrize("gamma", ["0", "1/2"])
def test_the_jacobian_of_the_dirac_step_by_mpmath(gamma):
    g, h = Fraction(gamma), Fraction(1, 10)
    at = (Fraction(1, 3), Fraction(-1, 5))

    def step(theta, psi):
        s = 1 / (1 + mpmath.exp(-psi * theta))
        h_, g_ = mpmath.mpf(1) / 10, mpmath.mpf(g.numerator) / g.denominator
        return theta + h_ * psi * s, psi - h_ * theta * s - h_ * g_ * psi

    with mpmath.workdps(30):
        point = [mpmath.mpf(x.numerator) / x.denominator for x in at]
        J = dirac.jacobian(*(ball(x) for x in (*at, h, g)))
        for i in range(2):
            for j in range(2):
                order = (1, 0) if j == 0 else (0, 1)
                expected = mpmath.diff(lambda *z: step(*z)[i], tuple(point), order)  # noqa: B023
                assert float(J[i][j]) == pytest.approx(float(expected), abs=1e-10)
    assert float(dirac.squared_distance((arb(3), arb(-4)))) == 25


@pytest.mark.parametrize(
    "text", ["C(Normal(mu=0, sigma=1), Normal(mu=0, sigma=1))", "JSD(Uniform(low=0, high=1), Uniform(low=1, high=2))"]
)
def test_the_independent_checker_at_the_ends_of_the_range(text):
    expected = -arb(4).log() if text.startswith("C") else arb(2).log()
    x = independent.enclose(text, 12)
    assert x.overlaps(expected)
    assert x.rad() < arb(10) ** -12


@pytest.mark.parametrize(
    "p", [Logistic("1/3", 2), Normal("1/2", 2), Cauchy(1, 3), StudentT("5/2", -1, 2), Exponential(3)], ids=repr
)
def test_a_log_density_has_mass_one(p):
    """Its integral between two points is the difference of its own closed-form tails, to 20 digits."""
    low, high = Fraction(1, 10), Fraction(7, 3)
    with precision(40):
        log_p = p.log_density()
        inside = integrate.integral(lambda x, a: log_p(x, Fraction(1), a).exp(), ball(low), ball(high), 25)
        assert (inside - p.mass(ball(low), ball(high))).contains(0)
        assert inside.rad() < arb(10) ** -20
