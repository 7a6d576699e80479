"""Parzen log-likelihood, sliced Wasserstein, MMD and KID, density and coverage: closed forms, loops, invariances."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import logsumexp

from minigan.metrics import (
    PolynomialKernel,
    RBFMixture,
    _balls,
    _intervals,
    density_coverage,
    kid,
    log_likelihood,
    median_bandwidths,
    mmd,
    mmd_squared,
    parzen,
    parzen_log_density,
    sliced,
    sliced_wasserstein,
)

seeds = st.integers(0, 2**32 - 1)


def two_sets(seed, n, m, f):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, f)), 0.5 + 2 * rng.standard_normal((m, f))


class TestParzen:
    @given(seeds, st.integers(1, 20), st.integers(1, 20), st.integers(1, 5), st.floats(-30, 30))
    def test_agrees_with_the_definition(self, seed, n, m, f, shift):
        x, y = two_sets(seed, n, m, f)
        x, y = x + shift, y + shift
        sigmas = [0.1, 0.7, 3.0]
        got = parzen_log_density(x, y, sigmas)
        for row, sigma in zip(got, sigmas, strict=True):
            each = stats.norm(y, sigma).logpdf(x[:, None]).sum(axis=2)
            np.testing.assert_allclose(row, logsumexp(each, axis=1) - math.log(m), rtol=1e-9, atol=1e-7)

    def test_a_gaussian_convolved_with_the_kernel(self):
        """E over samples of N(0, 1): the density tends to N(0, 1 + sigma^2)."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal((300, 1))
        got = parzen_log_density(x, rng.standard_normal((200_000, 1)), [0.5])[0]
        assert got.mean() == pytest.approx(stats.norm(0, math.sqrt(1.25)).logpdf(x).mean(), abs=0.01)

    def test_far_points_do_not_underflow(self):
        assert parzen_log_density([[100.0]], [[0.0]], [0.1])[0, 0] == pytest.approx(-0.5e6 + 1.3836, abs=1e-3)

    def test_the_bandwidth_is_chosen_on_the_validation_points_alone(self):
        rng = np.random.default_rng(0)
        samples, test = rng.standard_normal((500, 2)), rng.standard_normal((200, 2))
        exact, far = samples.copy(), samples + 3.0
        assert parzen(samples, exact, test).sigma == 0.1
        assert parzen(samples, far, test).sigma == 1.0
        found = parzen(samples, far, test)
        log_p = parzen_log_density(test, samples, [1.0])[0]
        assert found.log_likelihood.value == pytest.approx(log_p.mean())
        assert found.standard_error == pytest.approx(log_p.std(ddof=1) / math.sqrt(200))
        assert found.log_likelihood.high - found.log_likelihood.value == pytest.approx(
            1.972 * found.standard_error, 1e-3
        )

    @given(seeds)
    def test_the_order_does_not_matter(self, seed):
        rng = np.random.default_rng(seed)
        sets = [rng.random((n, 2, 3)) for n in (20, 10, 12)]
        a, b = parzen(*sets), parzen(*(rng.permutation(s) for s in sets))
        assert a.sigma == b.sigma
        assert a.log_likelihood == pytest.approx(b.log_likelihood, rel=1e-9)

    def test_blocks_change_nothing(self, monkeypatch):
        x, y = two_sets(0, 50, 40, 3)
        want = parzen_log_density(x, y, [0.3])
        monkeypatch.setattr(log_likelihood, "NUMBERS_PER_BLOCK", 7 * 40)
        np.testing.assert_allclose(parzen_log_density(x, y, [0.3]), want, rtol=1e-12)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: parzen_log_density([1.0], [[1.0]], [1]), r"x has shape \(1,\); expected \(N, ...\)"),
            (lambda: parzen_log_density([[1.0]], [[1.0, 2.0]], [1]), "x has 1 numbers per point, samples 2"),
            (lambda: parzen_log_density([[math.nan]], [[1.0]], [1]), "x has values that are not finite"),
            (lambda: parzen_log_density([[1.0]], [[math.inf]], [1]), "samples has values that are not finite"),
            (lambda: parzen_log_density([[1.0]], [[1.0]], [0]), "sigmas must be at least one number > 0"),
            (lambda: parzen_log_density([[1.0]], [[1.0]], []), "sigmas must be at least one number > 0"),
            (lambda: parzen([[1.0]], [[1.0]], [[1.0]]), "test has 1 point; expected at least 2"),
        ],
    )
    def test_errors(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()


def wasserstein_on_the_line(u, v, p):
    """Repeat both sets to the same size, and match the sorted values."""
    a, b = np.sort(np.repeat(u, len(v))), np.sort(np.repeat(v, len(u)))
    return (np.abs(a - b) ** p).mean()


class TestSlicedWasserstein:
    @given(seeds, st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.sampled_from([1, 2]))
    def test_agrees_with_the_definition_for_any_numbers_of_points(self, seed, n, m, f, p):
        x, y = two_sets(seed, n, m, f)
        got = sliced_wasserstein(x, y, rng=np.random.default_rng(5), projections=7, p=p)
        directions = np.random.default_rng(5).standard_normal((7, f))
        directions /= np.linalg.norm(directions, axis=1)[:, None]
        costs = [wasserstein_on_the_line(x @ d, y @ d, p) for d in directions]
        assert got.value == pytest.approx(np.mean(costs) ** (1 / p), rel=1e-12)
        half = stats.t(6).ppf(0.975) * np.std(costs, ddof=1) / math.sqrt(7)
        assert got.high == pytest.approx((np.mean(costs) + half) ** (1 / p), rel=1e-9)
        assert got.low == pytest.approx(max(0, np.mean(costs) - half) ** (1 / p), rel=1e-7, abs=1e-7)

    @given(seeds, st.integers(1, 30), st.integers(1, 5))
    def test_a_shift_has_a_closed_form(self, seed, n, f):
        """E (theta.d)^2 = |d|^2 / F: SW_2 = |d| / sqrt F."""
        rng = np.random.default_rng(seed)
        x, d = rng.standard_normal((n, f)), rng.standard_normal(f)
        got = sliced_wasserstein(x, rng.permutation(x) + d, rng=rng, projections=4000)
        assert got.value == pytest.approx(np.linalg.norm(d) / math.sqrt(f), rel=0.1)
        assert sliced_wasserstein(x, rng.permutation(x), rng=rng, projections=2).value == pytest.approx(0, abs=1e-7)

    def test_the_interval_covers_the_mean_over_directions(self):
        x, y = np.zeros((1, 4)), np.array([[1.0, 2.0, 0.0, 0.0]])  # SW_2^2 = 5 / 4
        found = [sliced_wasserstein(x, y, rng=np.random.default_rng(k), projections=200) for k in range(200)]
        covered = sum(e.low <= math.sqrt(5) / 2 <= e.high for e in found)
        assert 0.9 * 200 <= covered < 200

    def test_blocks_change_no_direction(self, monkeypatch):
        x, y = two_sets(0, 20, 30, 3)
        want = sliced_wasserstein(x, y, rng=np.random.default_rng(0))
        monkeypatch.setattr(sliced, "NUMBERS_PER_BLOCK", 700)
        assert sliced_wasserstein(x, y, rng=np.random.default_rng(0)) == pytest.approx(want, rel=1e-12)

    def test_no_square_overflows(self):
        x = np.zeros((2, 1))
        assert sliced_wasserstein(x, x + 1e300, rng=np.random.default_rng(0)).value == pytest.approx(1e300)

    @pytest.mark.parametrize(
        ("more", "message"), [({"projections": 1}, "projections must be an int >= 2"), ({"p": 3}, "p must be 1 or 2")]
    )
    def test_errors(self, more, message):
        with pytest.raises(ValueError, match=message):
            sliced_wasserstein([[0.0]], [[0.0]], rng=np.random.default_rng(0), **more)


class TestMMD:
    @given(seeds, st.integers(3, 8), st.integers(3, 8), st.integers(1, 3))
    def test_agrees_with_loops_and_the_jackknife_by_removal(self, seed, n, m, f):
        x, y = two_sets(seed, n, m, f)
        kernel = RBFMixture([0.5, 2.0])

        def k(a, b):
            return sum(math.exp(-(math.dist(a, b) ** 2) / (2 * s * s)) for s in (0.5, 2.0)) / 2

        def by_loops(x, y):
            own = sum(
                sum(k(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j) / (len(z) * (len(z) - 1))
                for z in (x, y)
            )
            return own - 2 * sum(k(a, b) for a in x for b in y) / (len(x) * len(y))

        got = mmd_squared(x, y, kernel=kernel)
        assert got.value == pytest.approx(by_loops(x, y), rel=1e-9, abs=1e-12)
        without_x = [by_loops(np.delete(x, i, axis=0), y) for i in range(n)]
        without_y = [by_loops(x, np.delete(y, i, axis=0)) for i in range(m)]
        variance = (n - 1) * np.var(without_x) + (m - 1) * np.var(without_y)
        assert got.high - got.value == pytest.approx(1.959964 * math.sqrt(variance), rel=1e-5, abs=1e-9)

    def test_two_gaussians_have_a_closed_form_and_the_interval_covers_it(self):
        """N(0, 1), N(1, 1), bandwidth 1: E k = sqrt(1/3) exp(-d^2 / 6) with d the distance of the means."""
        truth = 2 * math.sqrt(1 / 3) * (1 - math.exp(-1 / 6))
        rng, covered, values = np.random.default_rng(0), 0, []
        for _ in range(200):
            x, y = rng.standard_normal((60, 1)), 1 + rng.standard_normal((90, 1))
            found = mmd_squared(x, y, kernel=RBFMixture([1.0]))
            covered += found.low <= truth <= found.high
            values.append(found.value)
        assert covered >= 0.9 * 200
        assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values) / math.sqrt(200))

    def test_equal_distributions_have_mean_0_and_the_interval_covers_it(self):
        rng, values, covered = np.random.default_rng(0), [], 0
        for _ in range(200):
            found = kid(rng.standard_normal((40, 3)), rng.standard_normal((50, 3)))
            values.append(found.value)
            covered += found.low <= 0 <= found.high
        assert abs(np.mean(values)) <= 4 * np.std(values) / math.sqrt(200)
        assert min(values) < 0 < max(values)
        assert covered >= 0.9 * 200

    def test_a_linear_kernel_gives_the_distance_of_the_means(self):
        """k = x.y + 1: E = |mu_x - mu_y|^2, estimated without bias."""
        x, y = two_sets(0, 2000, 3000, 1)
        got = mmd_squared(x, y, kernel=PolynomialKernel(1))
        unbiased = (x.mean() - y.mean()) ** 2 - x.var(ddof=1) / 2000 - y.var(ddof=1) / 3000
        assert got.value == pytest.approx(unbiased, rel=1e-9)

    @given(seeds, st.integers(3, 20), st.integers(3, 20))
    def test_symmetric_and_independent_of_the_order(self, seed, n, m):
        x, y = two_sets(seed, n, m, 2)
        rng, kernel = np.random.default_rng(seed), RBFMixture([1.0])
        want = pytest.approx(mmd_squared(x, y, kernel=kernel), rel=1e-9, abs=1e-12)
        assert mmd_squared(y, x, kernel=kernel) == want
        assert mmd_squared(rng.permutation(x), rng.permutation(y), kernel=kernel) == want

    def test_disjoint_sets(self):
        """Points far apart: k(x, y) = 0, so that MMD^2 is the sum of the mean kernels within the sets, here 1 + 1."""
        assert mmd_squared(np.zeros((5, 2)), np.full((4, 2), 1e6), kernel=RBFMixture([1.0])).value == pytest.approx(2)

    def test_the_bandwidths_are_around_the_median_distance(self):
        assert median_bandwidths([[0.0], [0.0]], [[6.0], [6.0]]) == pytest.approx([1.5, 3, 6, 12, 24])
        assert median_bandwidths([[1.0]], [[1.0]]) == (0.25, 0.5, 1, 2, 4)

    def test_blocks_change_nothing(self, monkeypatch):
        x, y = two_sets(0, 33, 41, 2)
        want = mmd_squared(x, y)
        monkeypatch.setattr(mmd, "ROWS_PER_BLOCK", 7)
        assert mmd_squared(x, y) == pytest.approx(want, rel=1e-9)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: mmd_squared(np.zeros((2, 1)), np.zeros((3, 1))), r"x has shape \(2, 1\); .*N >= 3"),
            (lambda: kid(np.full((3, 1), 1e200), np.zeros((3, 1))), "overflows"),
            (lambda: RBFMixture([]), "bandwidths must be at least one number > 0"),
            (lambda: RBFMixture([-1.0]), "bandwidths must be at least one number > 0"),
            (lambda: PolynomialKernel(0), "degree must be an int >= 1, got 0"),
        ],
    )
    def test_errors(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()


class TestDensityCoverage:
    @given(seeds, st.integers(1, 4), st.integers(0, 12), st.integers(1, 15), st.booleans())
    def test_agrees_with_loops(self, seed, k, more, m, whole):
        """With small whole numbers, many points are exactly on the boundary of a ball."""
        rng = np.random.default_rng(seed)
        real, fake = two_sets(seed, k + 1 + more, m, 2)
        if whole:
            real, fake = rng.integers(0, 4, real.shape) + 0.0, rng.integers(0, 4, fake.shape) + 0.0
        squares = [[((a - b) ** 2).sum() for b in real] for a in real]
        radius = [sorted(row[:i] + row[i + 1 :])[k - 1] for i, row in enumerate(squares)]
        inside = np.array([[((y - x) ** 2).sum() <= r for x, r in zip(real, radius, strict=True)] for y in fake])
        got = density_coverage(real, fake, k=k)
        assert got.density.value == pytest.approx(inside.sum() / (k * m))
        assert got.coverage.value == inside.any(axis=0).mean()

    def test_equal_distributions_have_the_expected_values(self):
        rng, found = np.random.default_rng(0), []
        for _ in range(60):
            found.append(density_coverage(rng.standard_normal((50, 2)), rng.standard_normal((40, 2)), k=5))
        n, m = 50, 40
        want = 1 - math.prod((n - i) / (m + n - i) for i in range(1, 6))
        density, coverage = ([getattr(f, name).value for f in found] for name in ("density", "coverage"))
        assert np.mean(density) == pytest.approx(1, abs=4 * np.std(density) / math.sqrt(60))
        assert np.mean(coverage) == pytest.approx(want, abs=4 * np.std(coverage) / math.sqrt(60))

    @given(seeds, st.integers(6, 20))
    def test_identical_and_disjoint_sets(self, seed, n):
        x = np.random.default_rng(seed).standard_normal((n, 3))
        assert density_coverage(x, x).coverage.value == 1
        assert density_coverage(x, x).density.value == pytest.approx(6 / 5)  # each ball: its centre and k others
        apart = density_coverage(x, x + 1e6)
        assert (apart.density.value, apart.coverage.value) == (0, 0)
        assert apart.coverage.high == pytest.approx(_intervals.proportion(0, n).high)

    def test_a_collapsed_generator_and_an_outlier(self):
        """One fake far away does not cover the real points, as it does in recall; a collapsed one covers few."""
        rng = np.random.default_rng(0)
        real = rng.standard_normal((500, 2))
        narrow = density_coverage(real, 1e-3 * rng.standard_normal((500, 2)))
        assert narrow.density.value > 0.5
        assert narrow.coverage.value < 0.05
        assert density_coverage(real, np.full((5, 2), 50.0)).coverage.value == 0

    @given(seeds, st.integers(6, 20), st.integers(1, 20))
    def test_the_order_does_not_matter(self, seed, n, m):
        real, fake = two_sets(seed, n, m, 2)
        rng = np.random.default_rng(seed)
        got, want = density_coverage(rng.permutation(real), rng.permutation(fake)), density_coverage(real, fake)
        assert got.coverage == want.coverage
        assert got.density.value == pytest.approx(want.density.value)

    def test_blocks_change_nothing(self, monkeypatch):
        real, fake = two_sets(5, 23, 31, 4)
        want = density_coverage(real, fake)
        monkeypatch.setattr(_balls, "POINTS_PER_BLOCK", 7)
        assert density_coverage(real, fake) == want

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: density_coverage(np.zeros((5, 1)), np.zeros((3, 1))), r"real has shape \(5, 1\); .*N >= 6"),
            (lambda: density_coverage(np.zeros((9, 1)), np.zeros((3, 1)), k=0), "k must be an int >= 1, got 0"),
            (lambda: density_coverage(np.zeros((9, 1)), np.zeros((0, 1))), r"fake has shape \(0, 1\)"),
        ],
    )
    def test_errors(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()


class TestIntervals:
    @pytest.mark.parametrize("p", [0.0, 0.01, 0.3, 0.97])
    @pytest.mark.parametrize("n", [20, 300])
    def test_wilson_against_scipy_and_its_coverage(self, p, n):
        for hits in range(0, n + 1, 7):
            want = stats.binomtest(hits, n).proportion_ci(method="wilson")
            assert _intervals.proportion(hits, n)[1:] == pytest.approx((want.low, want.high), abs=1e-12)
        hits = np.random.default_rng(0).binomial(n, p, 1000)
        covered = [_intervals.proportion(int(h), n)[1] <= p <= _intervals.proportion(int(h), n)[2] for h in hits]
        assert np.mean(covered) >= 0.9

    def test_a_mean(self):
        values = np.random.default_rng(0).standard_normal(7)
        want = stats.t(6, values.mean(), values.std(ddof=1) / math.sqrt(7)).interval(0.95)
        assert _intervals.mean(values) == pytest.approx((values.mean(), *want))
        assert math.isnan(_intervals.mean([1.0]).low)
