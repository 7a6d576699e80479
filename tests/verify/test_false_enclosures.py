"""Enclosures against closed forms where the parameters are many times the scale: a ball that excludes the truth is a false proof."""

from fractions import Fraction as F

import pytest

pytest.importorskip("flint", reason="python-flint is not installed: pip install 'minigan[verify]'")

from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from verify import variation
from verify.balls import ball, power_of_ten, precision
from verify.decide import Undecided
from verify.densities import Exponential, Laplace, Normal, StudentT
from verify.densities.base import Density
from verify.divergences import c, jsd, kl, tv

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
    """The locations are 10^far scales, and the distance is about what 45 digits tell apart there."""
    scale = F(sigma, 10)
    p, q, truth = shifted(location * F(10) ** (far - 9) * scale, offset * F(10) ** (far - 51 + beside) * scale, scale)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(variation, "MAX_INTERVALS", 300)  # a false ball was found in fewer
        found = plainly(*((q, p) if swap else (p, q)), 30)
    assert found is None or not found.is_finite() or found.overlaps(truth)


def test_a_part_whose_sign_is_not_known_costs_its_mass():
    """An interval without a sign and without a bound would lose its mass; it has no finite enclosure."""
    assert not variation.Signed(arb(0), arb(1), 0).bound.is_finite()


@pytest.mark.parametrize("rising", [True, False])
def test_a_crossing_whose_ends_are_undecided(rising):
    """The labels of the outer parts come from the slope, whichever ends the balls decide."""
    way = 1 if rising else -1

    def ratio(x):
        return arb(0, 1) if x <= -1 or x >= 1 else way * x

    p, q = Normal(0, "1/4"), Normal("1/8", "1/4")
    with precision(40):
        parts = list(variation._crossing(ratio, way, p, q, arb(-1), arb(1), power_of_ten(-20)))
    for one in parts:
        assert one.sign == 0 or one.sign == (way if one.low >= 0 else -way)
    assert [one.sign for one in parts] == [-way, 0, way]
