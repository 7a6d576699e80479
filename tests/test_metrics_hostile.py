"""Metrics on inputs for which a naive formula fails: bytes, huge features, compact supports, near ties; ranges."""

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from minigan import plots
from minigan.classifier import Config, untrained
from minigan.data import Gaussian, Laplace
from minigan.evaluation import to_classifier_size
from minigan.metrics import (
    classifier_score,
    frechet_distance,
    integrate,
    jsd,
    kl,
    mean_confidence,
    nearest,
    optimal_discriminator,
    precision_recall,
    total_variation,
    value,
)
from minigan.training import RunError

LOG_2 = math.log(2)
seeds = st.integers(0, 2**32 - 1)


@dataclass
class Uniform:
    """A density of compact support: log p = -inf outside."""

    low: float
    high: float

    def logpdf(self, x):
        x = np.asarray(x, dtype=float)
        return np.where((x >= self.low) & (x <= self.high), -math.log(self.high - self.low), -np.inf)

    def pdf(self, x):
        return np.exp(self.logpdf(x))

    def breakpoints(self):
        return [self.low, self.high]


class TestBytes:
    EX = np.array([[200, 0], [0, 16], [100, 100]], np.uint8)

    @pytest.mark.parametrize("query", ["uint8", "float32", "float64", "int64", "int8", "uint16", "float16"])
    @pytest.mark.parametrize("stored", ["uint8", "uint16", "int64", "float32", "float16"])
    def test_copies_are_at_distance_zero_whatever_the_dtypes(self, query, stored):
        x = (self.EX // 2).astype(query)
        index, distance = nearest(x, (self.EX // 2).astype(stored))
        assert (index.tolist(), distance.tolist()) == ([0, 1, 2], [0, 0, 0])
        assert distance.dtype == np.float64

    @given(seeds, st.integers(1, 30), st.integers(1, 30))
    def test_bytes_have_the_distances_of_their_numbers(self, seed, n, m):
        rng = np.random.default_rng(seed)
        x, e = (rng.integers(0, 256, (k, 5), dtype=np.uint8) for k in (n, m))
        want = np.square(x[:, None].astype(int) - e.astype(int)).sum(axis=2)
        index, distance = nearest(x, e, block=7)
        np.testing.assert_array_equal(index, want.argmin(axis=1))
        np.testing.assert_array_equal(distance, np.sqrt(want.min(axis=1)))

    def test_what_is_no_real_number_is_refused(self):
        with pytest.raises(TypeError, match="x has dtype complex128; expected real numbers"):
            nearest(np.ones((1, 2), complex), self.EX)
        with pytest.raises(ValueError, match="examples has values that are not finite or above"):
            nearest(np.ones((1, 2)), np.array([[1.0, np.nan]]))
        with pytest.raises(ValueError, match="x has values that are not finite or above 1e"):
            nearest(np.array([[1e155, 0]]), self.EX)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_a_sheet_of_bytes_is_those_bytes(self, channels):
        images = np.random.default_rng(0).integers(0, 256, (2, 4, 5, channels), dtype=np.uint8)
        sheet = np.asarray(plots.image_grid(images, rows=1, columns=2, gap=0, enlarge=1))
        np.testing.assert_array_equal(sheet.reshape(4, 10, channels), np.concatenate(list(images), axis=1))
        np.testing.assert_array_equal(sheet, plots.image_grid(images / 255, rows=1, columns=2, gap=0, enlarge=1))
        beside = plots.neighbour_grid(images, images[:1], rows=1, columns=2)
        np.testing.assert_array_equal(beside, plots.neighbour_grid(images / 255, images[:1], rows=1, columns=2))

    def test_other_whole_numbers_are_refused_by_a_sheet(self):
        with pytest.raises(TypeError, match="images are int64; expected uint8, or floating"):
            plots.image_grid(np.ones((1, 2, 2, 1), np.int64), rows=1, columns=1)

    def test_the_classifier_and_the_evaluation_see_bytes_as_shares_of_255(self):
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (3, 28, 28, 1), dtype=np.uint8)
        net = untrained(Config(), rng)
        for got, want in zip(net.predict(images), net.predict(images.astype("f4") / 255), strict=True):
            np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(to_classifier_size(images, (28, 28, 1)), images.astype("f4") / 255)
        colours = np.full((1, 56, 56, 3), 255, np.uint8)
        np.testing.assert_allclose(to_classifier_size(colours, (28, 28, 1)), 1, rtol=1e-6)
        for refused in (
            lambda: net.predict(images.astype(int)),
            lambda: to_classifier_size(images.astype(int), (28, 28, 1)),
        ):
            with pytest.raises(TypeError, match="images are int64; expected uint8, or floating"):
                refused()


class TestNoGoodValueFromNaN:
    def test_a_classifier_whose_outputs_are_nan_has_no_accuracy(self):
        net = untrained(Config(), np.random.default_rng(0))
        net.head.theta[:] = np.nan
        with pytest.raises(RunError, match="outputs are not finite"):
            net.accuracy_on(np.zeros((3, 28, 28, 1)), np.zeros(3))

    @pytest.mark.parametrize("size", [1e-170, 1e-160, 1.0, 1e150])
    def test_frechet_is_right_at_any_size(self, size):
        x = np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 3.0]])
        want = frechet_distance(x, x[::-1] * 2 + 1)
        got = frechet_distance(size * x, size * (x[::-1] * 2 + 1))
        assert got == pytest.approx(float(np.float64(size) * size * want), rel=1e-12)

    def test_frechet_above_the_largest_float_is_inf(self):
        rng = np.random.default_rng(0)
        x, y = 1e155 * rng.standard_normal((2, 20, 4))
        assert frechet_distance(x, y) == math.inf
        assert frechet_distance(x, x) in (0.0, math.inf) or frechet_distance(x, x) > 1e290  # rounding, not a result
        assert frechet_distance(1e307 * np.eye(4), -1e307 * np.eye(4)) == math.inf

    @pytest.mark.parametrize("size", [1e-200, 1e-160, 1e155, 1e300])
    def test_precision_and_recall_do_not_depend_on_the_unit(self, size):
        rng = np.random.default_rng(0)
        real, fake = rng.standard_normal((30, 3)), 2 * rng.standard_normal((30, 3))
        got, want = precision_recall(size * real, size * fake), precision_recall(real, fake)
        assert 0 < want.precision < 1
        assert got == pytest.approx(want, abs=0.04)  # the products are rounded


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("width", [0.0, 1e-6, 3.0])
def test_frechet_of_sets_on_two_lines_against_sixty_digits(width, offset):
    """x_n = s_n u and y_n = offset + t_n v: rank 1, or 0 if t is constant; the root has trace |u.v| sd(s) sd(t)."""
    rng = np.random.default_rng(0)
    u, v = rng.integers(-8, 9, (2, 6)) / 8
    s, t = rng.integers(-99, 100, 20) / 16, width * rng.integers(-99, 100, 30) / 16
    x, y = offset + s[:, None] * u, offset + t[:, None] * v
    with localcontext(prec=60):
        X, Y = ([[Decimal(float(a)) for a in row] for row in rows] for rows in (x, y))
        means = [[sum(column) / len(rows) for column in zip(*rows, strict=True)] for rows in (X, Y)]
        traces = [
            sum((a - m) ** 2 for row in rows for a, m in zip(row, mean, strict=True)) / (len(rows) - 1)
            for rows, mean in zip((X, Y), means, strict=True)
        ]
        U, V = ([Decimal(float(a)) for a in w] for w in (u, v))
        cosine = sum(a * b for a, b in zip(U, V, strict=True)) ** 2
        cosine = (cosine / sum(a * a for a in U) / sum(b * b for b in V)).sqrt()
        between = 2 * (traces[0] * traces[1]).sqrt() * cosine
        want = sum((a - b) ** 2 for a, b in zip(*means, strict=True)) + sum(traces) - between
    assert frechet_distance(x, y) == pytest.approx(float(want), rel=1e-8 if offset else 1e-12)


class TestCompactSupport:
    def test_the_closed_forms(self):
        assert jsd(Uniform(0, 1), Uniform(0.5, 1.5)) == pytest.approx(LOG_2 / 2, rel=1e-13)
        assert kl(Uniform(0, 1), Uniform(0, 2)) == pytest.approx(LOG_2, rel=1e-13)
        assert kl(Uniform(0, 2), Uniform(0, 1)) == math.inf
        assert jsd(Uniform(0, 1), Uniform(2, 3)) == pytest.approx(LOG_2, rel=1e-13)
        assert kl(Gaussian(0, 1), Uniform(-1, 1)) == math.inf
        assert kl(Uniform(0, 1), Gaussian(0, 1)) == pytest.approx(math.log(2 * math.pi) / 2 + 1 / 6, rel=1e-12)

    def test_the_value_of_the_optimal_discriminator(self):
        p, q = Uniform(0, 1), Uniform(0.5, 1.5)

        def best(x):
            with np.errstate(invalid="ignore"):
                return p.logpdf(x) - q.logpdf(x)

        assert value(p, q, best) == pytest.approx(-math.log(4) + LOG_2, rel=1e-12)
        apart = optimal_discriminator(p, q, [0.25, 0.75, 1.25, 9.0])
        np.testing.assert_array_equal(apart, [1, 0.5, 0, np.nan])

    def test_nan_of_a_density_stays_nan(self):
        class Broken(Gaussian):
            def logpdf(self, x):
                return np.full(np.shape(x), np.nan)

        assert math.isnan(jsd(Broken(), Gaussian()))
        assert math.isnan(kl(Broken(), Gaussian()))
        assert math.isnan(kl(Gaussian(), Broken()))


class TestIntegrate:
    @pytest.mark.parametrize("points", [[], [0], [1, 1], [np.inf], [0, np.nan]])
    def test_two_breakpoints_are_needed(self, points):
        with pytest.raises(ValueError, match=r"breakpoints are \[.*\]; expected two different numbers or more"):
            integrate(np.exp, points)

    @pytest.mark.parametrize(
        ("f", "points", "want"),
        [
            (lambda x: np.exp(-x), [0, np.inf], 1),
            (lambda x: np.exp(-x), [0, 1, np.inf], 1),
            (np.exp, [-np.inf, 0], 1),
            (Gaussian(4, 2).pdf, [-np.inf, np.inf], 1),
            (Gaussian(4, 2).pdf, [-np.inf, 4, np.inf], 1),
            (Gaussian(1e6, 1e4).pdf, [-np.inf, 1e6, np.inf], 1),
            (Gaussian(0, 1e-9).pdf, [0, np.inf], 0.5),
            (Laplace(3, 0.1).pdf, [np.inf, 3, -np.inf], 1),
            (lambda x: 1 / (1 + x * x), [-np.inf, np.inf], math.pi),
            (lambda x: x**-1.5, [1, np.inf], 2),
        ],
    )
    def test_infinite_ends(self, f, points, want):
        assert integrate(f, points) == pytest.approx(want, rel=1e-12)

    @pytest.mark.parametrize("f", [np.ones_like, lambda x: 1 / x])
    def test_an_integral_that_diverges_is_refused(self, f):
        with pytest.raises(ValueError, match="f decays too slowly towards inf"):
            integrate(f, [1, np.inf])


class TestRanges:
    def test_jsd_of_nearly_equal_and_of_far_apart_normals(self):
        rng = np.random.default_rng(0)
        for _ in range(300):
            mu, sigma, change = rng.normal(0, 5), rng.uniform(0.1, 5), 10 ** rng.uniform(-12, -6)
            p = Gaussian(mu, sigma)
            assert 0 <= jsd(p, Gaussian(mu + change * sigma, sigma * (1 + change))) < 1e-10
            assert kl(p, Gaussian(mu + change * sigma, sigma * (1 + change))) >= 0
            assert LOG_2 - 1e-12 < jsd(p, Gaussian(mu + rng.uniform(20, 60) * sigma, sigma)) <= LOG_2

    def test_what_is_no_density_is_not_moved_into_the_range(self):
        class Twice(Gaussian):
            def logpdf(self, x):
                return super().logpdf(x) + LOG_2

        with pytest.raises(ValueError, match=r"JSD\(p, q\) comes out as .*, outside \[0, 0.693147\]"):
            jsd(Twice(), Gaussian(40, 1))
        with pytest.raises(ValueError, match=r"KL\(p \|\| q\) comes out as -0.6"):
            kl(Gaussian(), Twice())

    @given(seeds, st.integers(1, 40), st.integers(1, 12))
    def test_of_classes(self, seed, n, k):
        rng = np.random.default_rng(seed)
        for p in (rng.dirichlet(np.full(k, 0.05), n), np.full((n, k), 1 / k), np.eye(k)[rng.integers(0, k, n)]):
            p = p * (1 + rng.uniform(-9e-7, 9e-7, (n, 1)))  # sums that differ from 1 by the accepted tolerance
            assert 1 <= classifier_score(p) <= k
            assert 1 / k <= mean_confidence(p) <= 1
        for counts in (rng.integers(0, 9, k) + np.eye(k, dtype=int)[0], np.eye(k)[0]):
            assert 0 <= total_variation(counts) <= 1 - 1 / k


def exact_precision_recall(real, fake, k=3):
    """Precision and recall from the differences of all pairs."""

    def inside(points, centres):
        own = np.square(centres[:, None] - centres).sum(axis=2)
        np.fill_diagonal(own, np.inf)
        radius = np.sort(own, axis=1)[:, k - 1]
        return float((np.square(points[:, None] - centres).sum(axis=2) <= radius).any(axis=1).mean())

    return inside(fake, real), inside(real, fake)


class TestNearTies:
    def test_points_that_occur_five_times(self):
        for seed in range(60):
            rng = np.random.default_rng(seed)
            points = np.repeat(rng.standard_normal((25, 100)), 5, axis=0)
            assert precision_recall(rng.permutation(points), rng.permutation(points)) == (1, 1)

    def test_a_generator_collapsed_onto_an_image_that_occurs_four_times(self):
        for seed in range(30):
            rng = np.random.default_rng(seed)
            real = rng.standard_normal((23, 300))
            real[[3, 9, 14]] = real[20]
            assert precision_recall(real, np.tile(real[20], (23, 1))) == (1, 4 / 23)

    def test_two_clusters_far_apart(self):
        rng = np.random.default_rng(0)
        sides = 1e8 * np.repeat([[1.0], [-1.0]], 50, axis=0)
        real, fake = sides + rng.standard_normal((100, 3)), sides + 1.5 * rng.standard_normal((100, 3))
        want = exact_precision_recall(real, fake)
        assert 0 < want[0] < 1
        assert precision_recall(real, fake) == want

    @given(seeds, st.integers(5, 30), st.integers(5, 30), st.sampled_from([0.0, 1e3, 1e8]))
    def test_precision_and_recall_are_those_of_the_differences(self, seed, n, m, offset):
        rng = np.random.default_rng(seed)
        real, fake = (offset + rng.integers(0, 3, (k, 4)) / 7 for k in (n, m))
        assert precision_recall(real, fake) == exact_precision_recall(real, fake)

    def test_images_one_grey_level_apart(self):
        rng = np.random.default_rng(0)
        image = rng.random(28 * 28).astype("f4")
        images = np.tile(image, (200, 1))
        images[np.arange(200), rng.permutation(784)[:200]] += np.float32(1 / 255)
        index, distance = nearest(images, images, block=64)
        np.testing.assert_array_equal(index, np.arange(200))
        np.testing.assert_array_equal(distance, 0)

    @given(seeds, st.integers(1, 20), st.integers(1, 40), st.sampled_from(["f4", "f8"]), st.integers(1, 12))
    def test_the_nearest_is_that_of_the_differences(self, seed, n, m, dtype, block):
        rng = np.random.default_rng(seed)
        x, e = (1000 + rng.integers(0, 3, (k, 6)).astype(dtype) / 128 for k in (n, m))
        want = cdist(x.astype(float), e.astype(float), "sqeuclidean")  # exact: the numbers have few bits
        index, distance = nearest(x, e, block=block)
        np.testing.assert_array_equal(index, want.argmin(axis=1))
        np.testing.assert_array_equal(distance, np.sqrt(want.min(axis=1)))
