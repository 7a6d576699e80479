"""Stacked digits: batches, modes and the classifier's reading of them."""

import numpy as np
import pytest

from minigan.classifier import Classifier, Config, read_modes, stacked_modes, untrained
from minigan.data import EpochBatches, Images, Transformed, ring8, stack_digits
from minigan.layers import ShapeError


@pytest.fixture
def shades():
    """Ten grey images: the image of class k has the value 25 k everywhere."""
    labels = np.arange(10).astype(np.uint8)
    return Images("shades", (25 * labels)[:, None, None, None] * np.ones((1, 28, 28, 1), np.uint8), labels)


class Shade(Classifier):
    """Reads the class from the mean of an image."""

    def predict(self, images):
        shade = np.rint(images.mean(axis=(1, 2, 3)) * 255 / 25).astype(int)
        return np.zeros((len(images), 128)), np.eye(10)[shade]


@pytest.fixture
def reader():
    net = untrained(Config(), np.random.default_rng(0))
    return Shade(net.body, net.head, net.config)


def test_the_channels_are_three_independent_digits(shades):
    stacked = stack_digits(shades, rng=np.random.default_rng(0), n=30_000)
    x = stacked.images(stacked.index[:100])
    assert x.shape == (100, 28, 28, 3)
    assert x.dtype == np.uint8
    assert x.flags.c_contiguous
    np.testing.assert_array_equal(x[:, 5, 7], 25 * stacked.labels[stacked.index[:100]])
    counts = np.bincount(stacked.modes(), minlength=1000)
    assert counts.min() > 0
    assert np.square(counts - 30).sum() / 30 < 999 + 5 * np.sqrt(2 * 999)  # chi squared: all modes equally frequent
    np.testing.assert_array_equal(stacked.modes(stacked.index[:3]), stacked.modes()[:3])


def test_a_seed_determines_the_stacks_and_batches_train(shades):
    a, b = (stack_digits(shades, rng=np.random.default_rng(3), n=50) for _ in range(2))
    np.testing.assert_array_equal(a.index, b.index)
    assert len(a) == 50
    draw = Transformed(EpochBatches(a.index, 8, np.random.default_rng(1)), a.images)
    assert draw().shape == (8, 28, 28, 3)
    assert len(stack_digits(shades, rng=np.random.default_rng(0))) == 128_000


def test_the_classifier_reads_channel_by_channel(shades, reader):
    stacked = stack_digits(shades, rng=np.random.default_rng(0), n=1201)
    x = stacked.images(stacked.index)
    np.testing.assert_array_equal(read_modes(reader, x), stacked.modes())
    np.testing.assert_array_equal(read_modes(reader, x.astype(np.float32) / 255), stacked.modes())
    report = stacked_modes(reader, x)
    assert report.modes.value == len(np.unique(stacked.modes()))
    assert report.n == 1201
    assert stacked_modes(reader, x, expected=np.bincount(stacked.modes(), minlength=1000)).reverse_kl.value == 0
    same = stacked_modes(reader, np.repeat(x[:1], 10, axis=0))
    assert same.modes.value == 1
    assert same.reverse_kl.value == pytest.approx(np.log(1000))


def test_errors(shades, reader):
    with pytest.raises(ShapeError, match=r"images have shape \(2, 28, 28, 1\)"):
        read_modes(reader, np.zeros((2, 28, 28, 1), np.uint8))
    with pytest.raises(ShapeError, match=r"images have shape \(0, 28, 28, 3\)"):
        read_modes(reader, np.zeros((0, 28, 28, 3), np.uint8))
    colours = untrained(Config(colours=3), np.random.default_rng(0))
    with pytest.raises(ShapeError, match="a classifier of one channel"):
        read_modes(colours, np.zeros((2, 28, 28, 3), np.uint8))
    with pytest.raises(ValueError, match=r"digits have shape .*; expected grey images"):
        stack_digits(Images("x", np.zeros((2, 4, 4, 3), np.uint8), np.zeros(2, np.uint8)), rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="n must be an int >= 1, got 0"):
        stack_digits(shades, rng=np.random.default_rng(0), n=0)


def test_samples_of_the_ring_are_points_in_the_plane():
    assert ring8().sample(10, np.random.default_rng(0)).shape == (10, 2)
