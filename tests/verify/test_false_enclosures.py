"""Enclosures against closed forms where the parameters are many times the scale: a wrong ball is a wrong proof."""

from fractions import Fraction as F

import pytest

pytest.importorskip("flint", reason="python-flint is not installed: pip install 'minigan[verify]'")

from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from verify.analysis import variation
from verify.analysis.divergences import criterion, jsd, kl, tv
from verify.arithmetic.balls import ball, power_of_ten, precision
from verify.arithmetic.decide import Undecided
from verify.densities import Beta, Cauchy, Exponential, Laplace, Logistic, Mixture, Normal, Radial, StudentT, Uniform
from verify.densities.base import Density
from verify.densities.standardize import standardize
from verify.engine import independent

PAIRS = [
    ("0.001", "2.2e-45", "1e-20"),
    (10**18, "0.4e-27", 1),
    ("0.00991026", "2.444e-45", "1e-45"),
    ("0.1", "1e-21", "1e-20"),
    (F(1, 3), "3e-31", "1e-16"),
    (-(10**17), "1/7", "1/3"),
    ("1e30", "-1e-3", "2"),
]


def shifted(mu, d, sigma):
    """Return N(mu, sigma^2), N(mu + d, sigma^2) and erf(|d| / (2 sqrt 2 sigma)), their total variation."""
    mu, d, sigma = F(mu), F(d), F(sigma)
    with precision(120):
        truth = (ball(abs(d) / sigma) / (2 * arb(2).sqrt())).erf()
    return Normal(mu, sigma), Normal(mu + d, sigma), truth


def plainly(p: Density, q: Density, digits: int) -> arb | None:
    """Return the enclosure without the change of variable that `tv` makes first, or None if it stays undecided."""
    with precision(digits + 15):
        try:
            return variation.total_variation(p, q, digits + 5)
        except Undecided:
            return None


@pytest.mark.parametrize(("mu", "d", "sigma"), PAIRS)
def test_the_variation_of_two_shifted_normals(mu, d, sigma):
    p, q, truth = shifted(mu, d, sigma)
    found = tv(p, q, 30)
    assert found.rad() <= power_of_ten(-30)
    assert found.overlaps(truth)


@pytest.mark.parametrize(("mu", "d", "sigma"), PAIRS)
@pytest.mark.parametrize("digits", [30, 32])
def test_where_the_ends_decide_no_sign_no_mass_is_lost(mu, d, sigma, digits):
    p, q, truth = shifted(mu, d, sigma)
    found = plainly(p, q, digits)
    assert found is None or not found.is_finite() or found.overlaps(truth)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    location=st.integers(-(10**9), 10**9), far=st.integers(15, 46), beside=st.integers(-1, 1),
    offset=st.integers(1, 10**6), sigma=st.integers(1, 99), swap=st.booleans(),
)  # fmt: skip
def test_many_such_pairs(location, far, beside, offset, sigma, swap):
    """The locations are 10^far scales, and the distance is about the smallest that 45 digits resolve there."""
    scale = F(sigma, 10)
    p, q, truth = shifted(location * F(10) ** (far - 9) * scale, offset * F(10) ** (far - 51 + beside) * scale, scale)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(variation, "MAX_INTERVALS", 300)  # a false ball was found in fewer
        found = plainly(*((q, p) if swap else (p, q)), 30)
    assert found is None or not found.is_finite() or found.overlaps(truth)


def test_a_part_whose_sign_is_not_known_costs_its_mass():
    """An interval without a sign and without a bound has no finite enclosure, so that its mass is not lost."""
    assert not variation.SignInterval(arb(0), arb(1), 0).bound.is_finite()


@pytest.mark.parametrize("rising", [True, False])
def test_a_crossing_whose_ends_are_undecided(rising):
    """The slope gives the signs of the outer parts, whether or not the balls decide the signs at the ends."""
    way = 1 if rising else -1

    def ratio(x):
        return arb(0, 1) if x <= -1 or x >= 1 else way * x

    p, q = Normal(0, "1/4"), Normal("1/8", "1/4")
    with precision(40):
        parts = list(variation._crossing(ratio, way, p, q, arb(-1), arb(1), power_of_ten(-20)))
    for one in parts:
        assert one.sign == 0 or one.sign == (way if one.low >= 0 else -way)
    assert [one.sign for one in parts] == [-way, 0, way]


MOVED = [
    (Normal(0, 1), Normal(1, 2), 10**20, 1),
    (Laplace(0, 1), Laplace("1/9", 1), "1/7", "9e-17"),
    (StudentT(3, 0, 1), Mixture(["1/3", "2/3"], [Cauchy(0, 2), Logistic(1, 1)]), -(10**9), "1e5"),
    (Uniform(0, 2), Beta(2, 1, 1, 3), "1e12", "1e-3"),
    (Exponential(1), Mixture(["1/2", "1/2"], [Exponential(3), Uniform(0, 1)]), 0, "1e-30"),
    (Radial(3, 1), Radial(3, 2), 0, "1e40"),
    (Normal(0, 1), Normal(0, 2), "1e400", 1),
    (Normal(0, 1), Normal(0, 2), 0, "1e-400"),
]


def transformed(p: Density, m, s):
    """Return the density of s x + m, built from its parameters."""
    m, s = F(m), F(s)
    match p:
        case Mixture():
            return Mixture(p.weights, [transformed(part, m, s) for part in p.components])
        case StudentT():
            return StudentT(p.nu, s * p.mu + m, s * p.scale)
        case Uniform():
            return Uniform(s * p.low + m, s * p.high + m)
        case Beta():
            return Beta(p.a, p.b, s * p.low + m, s * p.high + m)
        case Exponential():
            return Exponential(p.rate / s)
        case Radial():
            return Radial(p.d, s * p.sigma)
        case Normal() | Cauchy() | Laplace() | Logistic():
            return type(p)(s * p.centre + m, s * p.spread)
    raise AssertionError(p)


@pytest.mark.parametrize(("p", "q", "m", "s"), MOVED)
@pytest.mark.parametrize("divergence", [criterion, jsd, kl, tv])
def test_a_change_of_variable_changes_no_divergence(divergence, p, q, m, s):
    found, want = divergence(transformed(p, m, s), transformed(q, m, s), 25), divergence(p, q, 25)
    if want is None:
        assert found is None
    else:
        assert found.rad() <= power_of_ten(-25)
        assert found.overlaps(want)


def test_near_pairs_stay_where_they_are():
    """Pairs near the origin are returned unchanged, so their balls keep every bit."""
    for p, q, _, _ in MOVED:
        assert standardize(p, q) == (p, q)


def test_a_class_from_elsewhere_is_not_moved():
    class Own(Normal):
        pass

    pair = Own(10**9, 1), Normal(10**9, 1)
    assert standardize(*pair) == pair


def test_far_from_each_other_beyond_the_floats():
    p, q = Normal(0, 1), Normal("1e400", 1)
    assert tv(p, q, 20).overlaps(arb(1))
    for divergence in (criterion, jsd, kl):
        try:
            found = divergence(p, q, 20)
        except Undecided:
            continue
        assert found.is_finite()


@pytest.mark.parametrize("nu", ["11/10", "1/3", 3, "7/5", 40])
@pytest.mark.parametrize("t", ["0", "1e-35", "1e-25", "1/4", "2"])
def test_the_tail_of_student_near_its_centre(nu, t):
    """P(T > t) = 1/2 - p(0) t + O(t^3) beside the centre: a ball around nu / (nu + t^2) may pass 1."""
    p = StudentT(nu)
    with precision(120):
        fine = p.upper(ball(F(t)))
    with precision(30):
        x, peak = ball(F(t)), p._log_peak().exp()
        found = p.upper(x)
        assert found.rad() <= power_of_ten(-24)
        assert found.overlaps(fine)
        assert p.upper(x.union(-x)).contains(arb(1) / 2)
        if F(t) <= F("1e-25"):
            assert abs(found - (arb(1) / 2 - peak * x)) <= power_of_ten(-25)


def test_student_with_an_edge_at_its_centre():
    """TV = integral over x > 0 of (q - p)^+ or (p - q)^+, and half of p is left of the edge."""
    p, q = StudentT("11/10"), Exponential(1)
    for divergence in (criterion, jsd, tv):
        assert divergence(p, q, 30).rad() <= power_of_ten(-30)
    assert independent.enclose(f"JSD({p!r}, {q!r})", 12).overlaps(jsd(p, q, 30))
