"""The controls of the Parzen protocol: a clipped Gaussian, a mean image, centres of k-means, real training images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan._names import ConfigError
from minigan.data import Images, load
from minigan.evaluation import clipped_gaussian, k_means_centres, mnist_parzen, parzen_controls

RNG = np.random.default_rng


class TestClippedGaussian:
    def test_mean_and_covariance_are_those_of_the_images(self):
        """Far from 0 and 1 nothing is clipped."""
        rng = RNG(1)
        images = 0.5 + 0.05 * rng.standard_normal((400, 3, 2)) @ np.array([[1.0, 0.7], [0, 0.2]])
        x = clipped_gaussian(images, 200_000, rng=rng)
        flat = images.reshape(400, 6)
        np.testing.assert_allclose(x.mean(0), flat.mean(0), atol=5 * 0.06 / 200_000**0.5)
        np.testing.assert_allclose(np.cov(x.T), np.cov(flat.T, bias=True), atol=5e-5)

    @given(seed=st.integers(0, 2**32 - 1))
    def test_points_are_in_the_unit_cube_and_constant_pixels_stay_constant(self, seed):
        images = RNG(seed).integers(0, 2, (20, 4)).astype(float)
        images[:, 1] = 0.25
        x = clipped_gaussian(images, 50, rng=RNG(seed))
        assert x.shape == (50, 4)
        assert x.min() >= 0
        assert x.max() <= 1
        np.testing.assert_allclose(x[:, 1], 0.25, atol=1e-7)

    def test_one_number_an_image(self):
        assert clipped_gaussian([[0.4], [0.6]], 3, rng=RNG(0)).shape == (3, 1)


def total_distance(x, centres):
    return np.square(x[:, None] - centres).sum(-1).min(1).sum()


class TestKMeans:
    @given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 12), rounds=st.integers(0, 5))
    def test_the_distances_never_grow(self, seed, n, rounds):
        x = RNG(seed).random((30, 2, 2))
        flat = x.reshape(30, 4)
        before, after = (k_means_centres(x, n, rng=RNG(seed), rounds=r) for r in (rounds, rounds + 1))
        assert before.shape == (n, 4)
        assert total_distance(flat, after) <= total_distance(flat, before) * (1 + 1e-6)

    def test_it_agrees_with_scikit_learn(self):
        """Lloyd's algorithm from the same centres, until nothing changes."""
        cluster = pytest.importorskip("sklearn.cluster")
        x = RNG(0).random((200, 5))
        start = k_means_centres(x, 7, rng=RNG(3), rounds=0)
        want = cluster.KMeans(7, init=start, n_init=1, algorithm="lloyd", tol=0).fit(x).cluster_centers_
        np.testing.assert_allclose(k_means_centres(x, 7, rng=RNG(3), rounds=100), want, rtol=1e-6)

    def test_a_centre_without_images_stays(self):
        """Of two centres at the same place, the first takes all images."""
        found = k_means_centres([[0.0], [0.0]], 2, rng=RNG(0), rounds=3)
        np.testing.assert_array_equal(found, [[0.0], [0.0]])

    def test_as_many_centres_as_images_are_the_images(self):
        x = RNG(0).random((9, 3)).astype("float32").astype(float)
        found = k_means_centres(x, 9, rng=RNG(1))
        np.testing.assert_array_equal(found[np.lexsort(found.T)], x[np.lexsort(x.T)])


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (lambda: clipped_gaussian([[0.5]], 1, rng=RNG(0)), r"images has shape \(1, 1\); expected .* N >= 2"),
        (lambda: clipped_gaussian([0.5, 1.0], 1, rng=RNG(0)), r"images has shape \(2,\); expected \(N, ...\)"),
        (lambda: clipped_gaussian([[0.5], [1.0]], 0, rng=RNG(0)), "n must be an int >= 1, got 0"),
        (lambda: k_means_centres([[0.5], [1.0]], 3, rng=RNG(0)), r"n must be an int in 1 ... 2, the number of images"),
        (lambda: k_means_centres([[0.5]], True, rng=RNG(0)), "n must be an int in 1 ... 1"),
        (lambda: k_means_centres([[0.5]], 1, rng=RNG(0), rounds=-1), "rounds must be an int >= 0, got -1"),
    ],
)
def test_wrong_arguments(job, message):
    with pytest.raises(ConfigError, match=message):
        job()


def noise_images(n):
    x = np.zeros((n, 28, 28, 1), np.uint8)
    x[:, 9:19, 9:19] = RNG(n).integers(0, 256, (n, 10, 10, 1))
    return Images("mnist", x, np.zeros(n, np.uint8))


def test_the_controls_are_parzen_windows_on_those_sets():
    train, test = noise_images(51_000), noise_images(20)
    found = parzen_controls(train=train, test=test)
    assert list(found) == ["real training images", "clipped Gaussian", "mean image"]
    pixels = train.images[:50_000].reshape(50_000, 784) / 255
    sets = (
        pixels[:10_000],
        clipped_gaussian(pixels.astype("float32"), 10_000, rng=RNG(0)),
        np.broadcast_to(pixels.mean(0), (10_000, 784)),
    )
    for (name, got), images in zip(found.items(), sets, strict=True):
        want = mnist_parzen(images, train=train, test=test)
        assert got.sigma == want.sigma, name
        assert got.log_likelihood == pytest.approx(want.log_likelihood, rel=1e-5), name
    with pytest.raises(ConfigError, match="train has 20 images; expected at least 51000"):
        parzen_controls(train=test, test=test)


def test_the_published_figures(data_dir):
    """Goodfellow et al.'s protocol: about 242 nats for real training images, 66 and -59 for the two others."""
    train, test = (load("mnist", split, data_dir=data_dir) for split in ("train", "test"))
    found = parzen_controls(train=train, test=test)
    for name, value, error in (("real training images", 242, 3), ("clipped Gaussian", 66, 3), ("mean image", -59, 1)):
        assert found[name].log_likelihood.value == pytest.approx(value, abs=error), name
