"""Pooling, padding and upsampling against scipy and NumPy, and exactly: ties, gaps, adjoints."""

from fractions import Fraction

import numpy as np
import pytest
from cases import ON_EACH_BACKEND, everything, network
from hypothesis import given
from hypothesis import strategies as st
from images import explicit, pools, resizings
from scipy import ndimage

import minigan as mg

SEEDS = st.integers(0, 2**32 - 1)


def fractions(rng, shape):
    return np.array([Fraction(int(v), 7) for v in rng.integers(-9, 10, shape).ravel()], object).reshape(shape)


def row(layer, x, dy=None):
    """y for one row of pixels, and dx if dy is given."""
    x = np.array(x, float).reshape(1, 1, -1, 1)
    y, backward = network(layer).forward(x, train=True)
    return y.ravel().tolist() if dy is None else backward(np.array(dy, float).reshape(y.shape)).ravel().tolist()


@ON_EACH_BACKEND
@given(pools(), st.integers(1, 3), SEEDS)
def test_pooling_against_scipy(ops, layer_and_shape, n, seed):
    """scipy's filters centre a window at every pixel; compare those whose windows lie inside the image."""
    layer, shape = layer_and_shape
    x = np.random.default_rng(seed).standard_normal((n, *shape))
    (kh, kw), (sh, sw) = layer.pool_size, layer.stride
    of = ndimage.maximum_filter if isinstance(layer, mg.MaxPool2D) else ndimage.uniform_filter
    inside = of(x, size=(1, kh, kw, 1))[:, kh // 2 :, kw // 2 :][:, : shape[0] - kh + 1, : shape[1] - kw + 1]
    y = network(layer, ops=ops)(x)
    assert y.shape == (n, (shape[0] - kh) // sh + 1, (shape[1] - kw) // sw + 1, shape[2])
    np.testing.assert_allclose(y, inside[:, ::sh, ::sw], rtol=1e-13, atol=1e-13)


@ON_EACH_BACKEND
@given(pools(), SEEDS, st.integers(1, 3))
def test_pooling_against_its_definition(ops, layer_and_shape, seed, values):
    """Loops over windows, on fractions with ties, give exactly equal y and dx."""
    layer, shape = layer_and_shape
    rng, net = np.random.default_rng(seed), network(layer, ops=ops).astype(object, Fraction)
    x = np.array([Fraction(int(v), 3) for v in rng.integers(0, values, shape).ravel()], object).reshape(1, *shape)
    size = layer.output_shape(shape)
    dy = fractions(rng, (1, *size))
    y, dx, _ = everything(net, x, dy)
    (kh, kw), (sh, sw) = layer.pool_size, layer.stride
    want = np.full(x.shape, Fraction(0))
    for p, q, c in np.ndindex(size):
        pixels = [(0, sh * p + i, sw * q + j, c) for i in range(kh) for j in range(kw)]
        if isinstance(layer, mg.MaxPool2D):
            winner = max(pixels, key=lambda at: x[at])  # the first of equal pixels
            assert y[0, p, q, c] == x[winner]
            want[winner] += dy[0, p, q, c]
        else:
            assert y[0, p, q, c] == sum(x[at] for at in pixels) / len(pixels)
            for at in pixels:
                want[at] += dy[0, p, q, c] / len(pixels)
    np.testing.assert_array_equal(dx, want)
    assert {type(v) for a in (y, dx) for v in a.ravel()} == {Fraction}


def test_the_first_of_equal_pixels_is_taken():
    """In reading order, in each window."""
    assert row(mg.MaxPool2D((1, 3), stride=2), [5, 5, 5, 1, 5, 5, 5], [1, 10, 100]) == [1, 0, 10, 0, 100, 0, 0]
    y, dx, _ = everything(network(mg.MaxPool2D(2)), np.zeros((1, 2, 2, 1)), np.full((1, 1, 1, 1), 3.0))
    assert (y.item(), dx.ravel().tolist()) == (0, [3, 0, 0, 0])


def test_windows_that_overlap_leave_gaps_or_do_not_fill_the_image():
    x = [1, 7, 2, 8, 3, 9, 4]
    assert row(mg.MaxPool2D((1, 2)), x) == [7, 8, 9]
    assert row(mg.MaxPool2D((1, 2)), x, [1, 2, 3]) == [0, 1, 0, 2, 0, 3, 0]
    assert row(mg.MaxPool2D((1, 3), stride=(1, 1)), x, [1, 2, 3, 4, 5]) == [0, 1, 0, 5, 0, 9, 0]
    assert row(mg.MaxPool2D((1, 1), stride=(1, 3)), x, [1, 2, 3]) == [1, 0, 0, 2, 0, 0, 3]
    assert row(mg.AvgPool2D((1, 2), stride=(1, 3)), x) == [4, 5.5]
    assert row(mg.AvgPool2D((1, 2), stride=(1, 3)), x, [2, 4]) == [1, 1, 0, 2, 2, 0, 0]
    assert row(mg.AvgPool2D((1, 3), stride=(1, 2)), x, [3, 6, 9]) == [1, 1, 3, 2, 5, 3, 3]


@ON_EACH_BACKEND
def test_pooling_hides_no_nan(ops):
    x = np.array([[1.0, np.nan, 3.0, 4.0]]).reshape(1, 1, 4, 1)
    for layer in (mg.MaxPool2D((1, 2)), mg.AvgPool2D((1, 2))):
        assert np.isnan(network(layer, ops=ops)(x)).ravel().tolist() == [True, False]


def test_complex_pixels_are_compared_by_their_real_part():
    x = np.array([1 + 9j, 2 - 1j, 2 + 5j, -3 + 99j]).reshape(1, 2, 2, 1)
    y, dx, _ = everything(network(mg.MaxPool2D(2), dtype="complex128"), x, np.full((1, 1, 1, 1), 1j))
    assert (y.item(), dx.ravel().tolist()) == (2 - 1j, [0, 1j, 0, 0])


@ON_EACH_BACKEND
@given(resizings(), st.integers(1, 3), SEEDS)
def test_padding_and_upsampling_against_numpy(ops, layer_and_shape, n, seed):
    layer, shape = layer_and_shape
    x = np.random.default_rng(seed).standard_normal((n, *shape))
    y, backward = network(layer, ops=ops).forward(x, train=True)
    if isinstance(layer, mg.ZeroPad2D):
        want = np.pad(x, ((0, 0), *explicit(layer.padding), (0, 0)))
    else:
        want = np.kron(x, np.ones((1, *layer.factor, 1)))
    np.testing.assert_array_equal(y, want)
    repeats = 1 if isinstance(layer, mg.ZeroPad2D) else np.prod(layer.factor)
    np.testing.assert_allclose(backward(y), repeats * x, rtol=1e-14)  # A^T A x


@ON_EACH_BACKEND
@pytest.mark.parametrize("exact", [False, True], ids=["float64", "fractions"])
@given(st.one_of(pools(), resizings()), st.integers(1, 3), SEEDS)
def test_adjoint_is_exact(exact, ops, layer_and_shape, n, seed):
    """<A x, dy> = <x, A^T dy>; the maximum is linear while the positions of the maxima do not change."""
    layer, shape = layer_and_shape
    rng, net = np.random.default_rng(seed), network(layer, ops=ops)
    x, dy = rng.integers(-9, 10, (n, *shape)), rng.integers(-9, 10, (n, *layer.output_shape(shape)))
    if exact:
        net, x, dy = net.astype(object, Fraction), *(np.vectorize(Fraction, otypes=[object])(a) for a in (x, dy))
    else:  # whole numbers after the division, too
        x, dy = x.astype(float), dy * (36.0 if isinstance(layer, mg.AvgPool2D) else 1.0)
        x *= 36 if isinstance(layer, mg.AvgPool2D) else 1
    y, dx, _ = everything(net, x, dy)
    assert (y * dy).sum() == (x * dx).sum()


def test_keras_padding_of_the_bottom_and_the_right():
    """ZeroPadding2D(((0, 1), (0, 1))): 7 x 7 becomes 8 x 8, the zeros below and to the right."""
    layer, x = mg.ZeroPad2D(((0, 1), (0, 1))), np.arange(1.0, 50).reshape(1, 7, 7, 1)
    y, dx, _ = everything(network(layer), x, np.arange(64.0).reshape(1, 8, 8, 1))
    assert layer.output_shape((7, 7, 1)) == (8, 8, 1) == y.shape[1:]
    np.testing.assert_array_equal(y[0, :7, :7], x[0])
    assert not y[0, 7].any()
    assert not y[0, :, 7].any()
    np.testing.assert_array_equal(dx[0, :, :, 0], np.arange(64).reshape(8, 8)[:7, :7])


@pytest.mark.parametrize(
    "layer", [mg.ZeroPad2D(0), mg.ZeroPad2D(1), mg.UpSample2D(1), mg.AvgPool2D(1), mg.MaxPool2D(1)]
)
def test_results_are_fresh_arrays(layer):
    """Even if the layer changes nothing, writing into y or dx does not change x or dy."""
    x = np.ones((1, 2, 3, 1))
    y, backward = network(layer).forward(x, train=True)
    dy = np.ones_like(y)
    dx = backward(dy)
    assert not np.shares_memory(y, x)
    assert not np.shares_memory(dx, dy)
