"""Modes, high-quality share and reverse KL: known answers, invariances, and the coverage of the intervals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.data import GaussianMixture2D, grid25, ring8
from minigan.metrics import ModeCounts, mixture_modes, mode_counts, mode_report, modes, reverse_kl

seeds = st.integers(0, 2**32 - 1)
INSIDE = 1 - math.exp(-4.5)  # P(|x| <= 3 sigma) in the plane


def by_loops(x, centres, radius):
    nearest, high = [0] * len(centres), [0] * len(centres)
    for point in x:
        distances = [math.dist(point, c) for c in centres]
        k = distances.index(min(distances))
        nearest[k] += 1
        high[k] += distances[k] <= radius
    return nearest, high


@given(seeds, st.integers(1, 30), st.integers(1, 6), st.integers(1, 3))
def test_counts_agree_with_loops(seed, n, k, f):
    """With small whole numbers, many points are on the boundary of a ball or between two centres."""
    rng = np.random.default_rng(seed)
    x, centres = rng.integers(-2, 3, (n, f)), rng.permutation(20)[: k * f].reshape(-1, f) % 7 - 3
    counts = mode_counts(x, centres, radius=1)
    assert (counts.nearest.tolist(), counts.high_quality.tolist()) == by_loops(x.tolist(), centres.tolist(), 1)


@pytest.mark.parametrize("mixture", [ring8(), grid25()])
def test_the_data_themselves_have_every_mode(mixture):
    x = mixture.sample(2500, np.random.default_rng(0))
    assert x.shape == (2500, 2)
    report = mixture_modes(x, mixture.centres, sigma=mixture.sigma)
    assert report.modes == (len(mixture.centres),) * 3
    assert report.high_quality.low < INSIDE < report.high_quality.high
    assert report.reverse_kl.low == 0
    assert report.reverse_kl.value == pytest.approx((len(mixture.centres) - 1) / 5000, rel=1)
    assert sum(report.counts) == report.n == 2500


@given(seeds, st.integers(1, 8))
def test_a_generator_that_knows_m_of_eight_modes(seed, m):
    """Equal shares of m modes: KL = log(8 / m)."""
    data = ring8()
    x = np.repeat(np.asarray(data.centres)[np.random.default_rng(seed).permutation(8)[:m]], 50, axis=0)
    report = mixture_modes(x, data.centres, sigma=data.sigma)
    assert report.modes.value == m
    assert report.high_quality.value == 1
    assert report.reverse_kl.value == pytest.approx(math.log(8 / m), abs=1e-12)


def test_noise_has_no_mode():
    report = mixture_modes(np.zeros((10, 2)), ring8().centres, sigma=0.01)
    assert report.modes == (0, 0, 0)
    assert report.high_quality == pytest.approx((0, 0, 0.2775), abs=1e-4)


def test_the_radius_is_three_sigma():
    x = [[1 + 0.0299, 0], [1 + 0.0301, 0]]
    assert mixture_modes(x, ring8().centres, sigma=0.01).high_quality.value == 0.5


@given(seeds, st.integers(1, 60))
def test_the_order_of_samples_and_of_centres_does_not_matter(seed, n):
    rng = np.random.default_rng(seed)
    data = GaussianMixture2D(((0, 0), (1, 0.3), (-1, 2)), 0.2)
    x, order = data.sample(n, rng), rng.permutation(3)
    report = mixture_modes(x, data.centres, sigma=0.2)
    assert mixture_modes(rng.permutation(x), data.centres, sigma=0.2) == report
    other = mixture_modes(x, np.asarray(data.centres)[order], sigma=0.2)
    assert other.counts == tuple(np.asarray(report.counts)[order])
    assert other.reverse_kl.value == pytest.approx(report.reverse_kl.value, rel=1e-12, abs=1e-15)


def test_blocks_change_nothing(monkeypatch):
    x = grid25().sample(301, np.random.default_rng(0))
    want = mixture_modes(x, grid25().centres, sigma=0.05)
    monkeypatch.setattr(modes, "NUMBERS_PER_BLOCK", 350)
    assert mixture_modes(x, grid25().centres, sigma=0.05) == want


class TestReverseKL:
    def test_direction(self):
        """KL(q || p) with q the samples: q = (1/2, 1/2), p = (1/4, 3/4)."""
        assert reverse_kl([5, 5], [1, 3]) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
        assert reverse_kl([1, 3], [5, 5]) == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))

    def test_a_mode_that_the_data_lack_costs_infinity_and_a_missing_one_does_not(self):
        assert reverse_kl([1, 1], [1, 0]) == math.inf
        assert reverse_kl([2, 0], [1, 1]) == pytest.approx(math.log(2))
        report = mode_report(ModeCounts(np.array([1, 1]), np.array([1, 1])), expected=[1, 0])
        assert report.reverse_kl == (math.inf,) * 3

    @given(st.lists(st.integers(0, 50), min_size=1, max_size=12).filter(any))
    def test_range(self, counts):
        assert 0 <= reverse_kl(counts) <= math.log(len(counts)) + 1e-12
        assert reverse_kl(counts, counts) == 0


@pytest.mark.parametrize("q", [[0.125] * 8, [0.3, 0.3, 0.1, 0.1, 0.1, 0.05, 0.05, 0], [0.96, 0.04, 0, 0, 0, 0, 0, 0]])
def test_the_intervals_cover_the_truth(q):
    """Of 300 sets of 500 samples, at least 91 % (95 % less three standard errors) have the truth in the interval."""
    rng, good = np.random.default_rng(1), 0.9
    truth = math.log(8) + sum(a * math.log(a) for a in q if a)
    covered_kl = covered_share = 0
    for _ in range(300):
        counts = rng.multinomial(500, q)
        report = mode_report(ModeCounts(counts, rng.binomial(counts, good)), resamples=400)
        covered_kl += report.reverse_kl.low <= truth <= report.reverse_kl.high
        covered_share += report.high_quality.low <= good <= report.high_quality.high
    assert covered_share >= 0.91 * 300
    assert covered_kl >= 0.91 * 300


def test_the_report_as_json():
    report = mode_report(ModeCounts(np.array([3, 1]), np.array([2, 0])))
    found = report.as_dict()
    assert (found["modes"], found["modes_of"], found["high_quality"], found["counts"]) == (1, 2, 0.5, [3, 1])
    assert set(found["intervals"]) == {"modes", "high_quality", "reverse_kl"}
    assert str(report).startswith("1 of 2 modes, 50.0% high quality [15.0%, 85.0%], reverse KL 0.1308 [")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mode_counts(np.zeros(3), [[0, 0]], radius=1), r"x has shape \(3,\); expected \(N, F\)"),
        (lambda: mode_counts(np.zeros((0, 2)), [[0, 0]], radius=1), r"x has shape \(0, 2\)"),
        (lambda: mode_counts([[0, math.nan]], [[0, 0]], radius=1), "x has values that are not finite"),
        (lambda: mode_counts([[0]], [[0, 0]], radius=1), "x has 1 features, centres 2; expected the same number"),
        (lambda: mode_counts([[0]], [[0]], radius=0), "radius must be > 0 and finite, got 0"),
        (lambda: mixture_modes([[0]], [[0]], sigma=math.inf), "sigma must be > 0 and finite, got inf"),
        (lambda: reverse_kl([0, 0]), "counts are .*; expected"),
        (lambda: reverse_kl([1, 1], [1]), "expected has 1 weights; counts have 2 modes"),
        (lambda: mode_report(ModeCounts(np.array([1]), np.array([2]))), "high_quality must be"),
        (lambda: mode_report(ModeCounts(np.array([1]), np.array([1])), resamples=0), "resamples must be an int >= 1"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
