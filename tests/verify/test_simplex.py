"""Divergences and steps on random rational distributions: theorems that are not registered claims."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st

from verify.analysis.atoms import criterion, jsd, kl, tv
from verify.arithmetic.balls import ball, precision
from verify.claims.prop2 import mirror_step, suboptimality, unit_step
from verify.claims.prop2_literal import best_response, shrinking_orbit
from verify.models.simplex import apply, discriminator, minimum, mix, random_channel, random_simplex, value


def normalised(counts):
    return tuple(Fraction(k, sum(counts)) for k in counts)


@st.composite
def pairs(draw, how_many=2, low=1):
    n = draw(st.integers(2, 6))
    counts = st.lists(st.integers(low, 10**6), min_size=n, max_size=n).filter(any)
    return tuple(normalised(draw(counts)) for _ in range(how_many))


@given(pairs(low=0))
def test_theorem_1_between_atoms(pq):
    p, q = pq
    with precision(40):
        difference = criterion(p, q) + arb(4).log() - 2 * jsd(p, q)
        assert difference.contains(0)
        assert difference.rad() < 1e-35
        assert not jsd(p, q) < 0
        assert not jsd(p, q) > arb(2).log()


@given(pairs(low=0))
def test_jsd_lies_between_its_bounds_in_total_variation(pq):
    p, q = pq
    with precision(40):
        distance = ball(tv(p, q))
        assert not jsd(p, q) < distance**2 / 2
        assert not jsd(p, q) > distance * arb(2).log()


@given(
    pairs(), st.lists(st.fractions(Fraction(1, 100), Fraction(99, 100), max_denominator=100), min_size=6, max_size=6)
)
def test_no_discriminator_beats_the_optimal_one(pq, d):
    p, q = pq
    with precision(40):
        best = value(p, q, discriminator(p, q))
        assert (best - criterion(p, q)).contains(0)
        assert not value(p, q, tuple(d[: len(p)])) > best


@given(pairs())
def test_the_unit_step_is_the_average_and_halves_total_variation(pq):
    p, q = pq
    following = unit_step(p, q)
    assert following == mix(p, q)
    assert 2 * tv(p, following) == tv(p, q)


@given(pairs(), st.fractions(Fraction(1, 10), Fraction(1)))
def test_a_mirror_step_descends(pq, eta):
    p, q = pq
    with precision(60):
        target, model = [ball(x) for x in p], [ball(x) for x in q]
        after = mirror_step(target, model, ball(eta))
        assert sum(after, arb(0)).overlaps(arb(1))
        assert p == q or suboptimality(target, after) < suboptimality(target, model)


def test_mirror_step_with_unit_step_is_the_average():
    p, q = normalised([1, 2, 3]), normalised([5, 1, 1])
    with precision(40):
        after = mirror_step([ball(x) for x in p], [ball(x) for x in q], arb(1))
        assert all(x.contains(ball(m)) or x.overlaps(ball(m)) for x, m in zip(after, mix(p, q), strict=True))


@given(pairs(how_many=3))
def test_the_square_root_of_jsd_is_a_metric(pqr):
    p, q, r = pqr
    with precision(40):
        legs = [jsd(x, y).sqrt() if x != y else arb(0) for x, y in ((p, q), (q, r), (p, r))]
        assert not legs[0] + legs[1] < legs[2]


@given(pairs(), st.integers(0, 2**32 - 1))
def test_channels_lose_information(pq, seed):
    p, q = pq
    channel = random_channel(np.random.default_rng(seed), len(p), 3)
    after = apply(channel, p), apply(channel, q)
    assert sum(after[0]) == 1
    assert tv(*after) <= tv(p, q)
    with precision(40):
        assert not jsd(*after) > jsd(p, q)
        assert not kl(*after) > kl(p, q)


@given(pairs(low=0))
def test_agreement_with_floats(pq):
    p, q = pq
    expected = sum(float(x) * math.log(x / (a + b)) for a, b in zip(p, q, strict=True) for x in (a, b) if x)
    assert float(criterion(p, q)) == pytest.approx(expected, abs=1e-12)


def test_kl_is_infinite_where_mass_is_missing():
    full, half = normalised([1, 1]), normalised([1, 0])
    assert not kl(full, half).is_finite()
    assert kl(half, full).is_finite()


def test_the_best_response_is_a_vertex():
    assert best_response((Fraction(1, 3), Fraction(1, 2), Fraction(1, 5))) == (0, 1, 0)


def test_shrinking_steps_stop_half_way():
    *orbit, limit = shrinking_orbit(50)
    assert limit == (Fraction(3, 4), Fraction(1, 4))
    assert all(tv(a, b) == Fraction(1, 2 ** (t + 3)) for t, (a, b) in enumerate(pairwise(orbit)))


def test_the_least_of_a_ball_that_is_not_finite_is_not_finite():
    assert not minimum([arb(1), arb("nan"), arb(2)]).is_finite()


def test_random_points_lie_on_the_simplex():
    p = random_simplex(np.random.default_rng(0), 7)
    assert sum(p) == 1
    assert min(p) > 0
