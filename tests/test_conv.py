"""Conv2D and ConvTranspose2D against scipy, against loops, and exactly: adjoints on integers and on fractions."""

from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from cases import ON_EACH_BACKEND, everything, network
from hypothesis import given
from hypothesis import strategies as st
from images import convolutions, explicit, reach, transposes
from scipy import signal

import minigan as mg

SEEDS = st.integers(0, 2**32 - 1)
correlate, convolve = partial(signal.correlate, method="direct"), partial(signal.convolve, method="direct")
RTOL = 1e-13


def assert_close(got, want):
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=RTOL, atol=RTOL * max(1.0, np.abs(want).max()))


def both_ways(net, x, dy):
    """Return y, dx, and the gradients of W and b by name."""
    y, dx, g = everything(net, x, dy)
    return y, dx, net.views(g)


def spread(a, step, axes):
    """`a` with step - 1 zeros between its entries along two axes."""
    shape = list(a.shape)
    for axis, s in zip(axes, step, strict=True):
        shape[axis] = s * (shape[axis] - 1) + 1
    out, at = np.zeros(shape), [slice(None)] * a.ndim
    for axis, s in zip(axes, step, strict=True):
        at[axis] = slice(None, None, s)
    out[tuple(at)] = a
    return out


class Scipy:
    """The three maps between a large padded image and a small one, for one pair of channels at a time."""

    def __init__(self, layer):
        self.k, self.s, self.d = layer.kernel_size, layer.stride, layer.dilation

    def gather(self, X, W):
        """X (N, H, W, C) -> y (N, h, w, O)."""
        K, (sh, sw) = spread(W, self.d, (0, 1)), self.s
        maps = [
            [sum(correlate(x[:, :, c], K[:, :, c, o], "valid") for c in range(K.shape[2])) for o in range(K.shape[3])]
            for x in X
        ]
        return np.moveaxis(np.array(maps), 1, 3)[:, ::sh, ::sw]

    def scatter(self, y, W):
        """y (N, h, w, O) -> X (N, s (h - 1) + reach, ..., C)."""
        K, Y = spread(W, self.d, (0, 1)), spread(y, self.s, (1, 2))
        maps = [
            [sum(convolve(v[:, :, o], K[:, :, c, o]) for o in range(K.shape[3])) for c in range(K.shape[2])] for v in Y
        ]
        return np.moveaxis(np.array(maps), 1, 3)

    def taps(self, X, y):
        """dW (kh, kw, C, O)."""
        (kh, kw), (dh, dw), Y = self.k, self.d, spread(y, self.s, (1, 2))
        (N, C), O = X.shape[::3], Y.shape[3]
        maps = [
            [sum(correlate(X[n, :, :, c], Y[n, :, :, o], "valid") for n in range(N)) for o in range(O)]
            for c in range(C)
        ]
        return np.array(maps).transpose(2, 3, 0, 1)[::dh, ::dw][:kh, :kw]


def tensorflow_sides(n, k, s, d):
    """The padding of "same" on one axis, from TensorFlow's documentation: ceil(n / s) outputs, the odd pixel after."""
    total = max((-(-n // s) - 1) * s + reach(k, d) - n, 0)
    return total // 2, total - total // 2


def sides_of(layer, large):
    if layer.padding != "same":
        return explicit(layer.padding)
    axes = zip(large[:2], layer.kernel_size, layer.stride, layer.dilation, strict=True)
    return tuple(tensorflow_sides(*axis) for axis in axes)


def pad(x, sides):
    return np.pad(x, ((0, 0), *sides, (0, 0)))


def cut(X, sides, size):
    """The `size` pixels after the padding; zeros beyond the end of X."""
    (top, _), (left, _) = sides
    rows, columns = max(0, top + size[0] - X.shape[1]), max(0, left + size[1] - X.shape[2])
    return pad(X, ((0, rows), (0, columns)))[:, top : top + size[0], left : left + size[1]]


def large_size(layer, size):
    """The output of the transposed convolution, from its documentation."""
    large = []
    for axis, n in enumerate(size):
        s, r = layer.stride[axis], reach(layer.kernel_size[axis], layer.dilation[axis])
        if isinstance(layer.padding, str):
            large.append(n * s + (0 if layer.padding == "same" else max(r - s, 0)))
        else:
            large.append((n - 1) * s + r - sum(layer.padding[axis]) + layer.output_padding[axis])
    return large


def bias(net):
    return net.parameters().get("0.b", 0)


@ON_EACH_BACKEND
@given(convolutions(), st.integers(1, 3), SEEDS)
def test_convolution_against_scipy(ops, layer_and_shape, n, seed):
    layer, shape = layer_and_shape
    rng, net, oracle = np.random.default_rng(seed), network(layer, ops=ops, seed=seed), Scipy(layer)
    x, W = rng.standard_normal((n, *shape)), net.parameters()["0.W"]
    sides = sides_of(layer, shape)
    want = oracle.gather(pad(x, sides), W) + bias(net)
    dy = rng.standard_normal(want.shape)
    y, dx, g = both_ways(net, x, dy)
    assert_close(y, want)
    assert_close(dx, cut(oracle.scatter(dy, W), sides, shape))
    assert_close(g["0.W"], oracle.taps(pad(x, sides), dy))
    if layer.bias:
        assert_close(g["0.b"], dy.sum((0, 1, 2)))


@ON_EACH_BACKEND
@given(transposes(), st.integers(1, 3), SEEDS)
def test_transposed_convolution_against_scipy(ops, layer_and_shape, n, seed):
    layer, shape = layer_and_shape
    rng, net, oracle = np.random.default_rng(seed), network(layer, ops=ops, seed=seed), Scipy(layer)
    x, W = rng.standard_normal((n, *shape)), net.parameters()["0.W"]
    size = large_size(layer, shape[:2])
    sides = sides_of(layer, size)
    want = cut(oracle.scatter(x, W), sides, size) + bias(net)
    dy = rng.standard_normal(want.shape)
    y, dx, g = both_ways(net, x, dy)
    assert_close(y, want)
    assert_close(dx, oracle.gather(pad(dy, sides), W)[:, : shape[0], : shape[1]])
    assert_close(g["0.W"], oracle.taps(pad(dy, sides), x))
    if layer.bias:
        assert_close(g["0.b"], dy.sum((0, 1, 2)))


# --- exactly ----------------------------------------------------------------------------------------


def integers(rng, shape, dtype):
    a = rng.integers(-9, 10, shape).astype(float)
    return a if dtype != "fractions" else np.array([Fraction(int(v), 7) for v in a.ravel()], object).reshape(shape)


def exact_network(layer, ops, rng, dtype):
    net = network(layer, ops=ops)
    net = net.astype(object, Fraction) if dtype == "fractions" else net.astype(dtype)
    net.theta = integers(rng, net.theta.shape, dtype)
    return net


@pytest.mark.parametrize("dtype", ["float32", "float64", "fractions"])
@ON_EACH_BACKEND
@given(st.one_of(convolutions(), transposes()), st.integers(1, 3), SEEDS)
def test_both_adjoints_are_exact_on_integers(ops, dtype, layer_and_shape, n, seed):
    """<A x + b, dy> = <x, A^T dy> + <b, db> = <W, dW> + <b, db>, because y is linear in x and in W."""
    layer, shape = layer_and_shape
    rng = np.random.default_rng(seed)
    net, x = exact_network(layer, ops, rng, dtype), integers(rng, (n, *shape), dtype)
    dy = integers(rng, (n, *layer.output_shape(shape)), dtype)
    y, dx, g = both_ways(net, x, dy)
    p = net.parameters()
    of_bias = (p["0.b"] * g["0.b"]).sum() if layer.bias else 0
    assert (y * dy).sum() == (x * dx).sum() + of_bias == (p["0.W"] * g["0.W"]).sum() + of_bias
    if dtype == "fractions":
        assert {type(v) for a in (y, dx, *g.values()) for v in a.ravel()} == {Fraction}


@ON_EACH_BACKEND
@given(convolutions(paddings=st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2)), SEEDS)
def test_the_transposed_layer_with_the_same_weights_is_the_adjoint(ops, layer_and_shape, seed):
    """ConvTranspose2D(O, C) forward is Conv2D(C, O) backward, and vice versa; so are the gradients of W."""
    conv, shape = layer_and_shape
    small, rng = conv.output_shape(shape), np.random.default_rng(seed)
    axes = zip(shape[:2], small[:2], conv.kernel_size, conv.stride, conv.dilation, conv.padding, strict=True)
    extra = tuple(H - ((h - 1) * s + reach(k, d) - sum(p)) for H, h, k, s, d, p in axes)
    back = mg.ConvTranspose2D(
        conv.c_out, conv.c_in, conv.kernel_size, stride=conv.stride, padding=conv.padding, dilation=conv.dilation,
        bias=False, output_padding=extra,
    )  # fmt: skip
    assert back.output_shape(small) == shape
    A, B = exact_network(conv, ops, rng, "float64"), exact_network(back, ops, rng, "float64")
    if conv.bias:
        A.parameters()["0.b"][...] = 0
    B.parameters()["0.W"][...] = A.parameters()["0.W"]
    x, dy = integers(rng, (2, *shape), "float64"), integers(rng, (2, *small), "float64")
    y, dx, g = both_ways(A, x, dy)
    y_back, dx_back, g_back = both_ways(B, dy, x)
    assert (y * dy).sum() == (x * y_back).sum()
    for got, want in ((y_back, dx), (dx_back, y), (g_back["0.W"], g["0.W"])):
        np.testing.assert_array_equal(got, want)


@ON_EACH_BACKEND
@given(convolutions(kernel=3, channels=2, more=2), SEEDS)
def test_convolution_against_its_definition(ops, layer_and_shape, seed):
    """Loops over every output pixel and tap, on fractions, give exactly equal results."""
    layer, shape = layer_and_shape
    rng = np.random.default_rng(seed)
    net, x = exact_network(layer, ops, rng, "fractions"), integers(rng, (1, *shape), "fractions")
    W, ((top, _), (left, _)) = net.parameters()["0.W"], sides_of(layer, shape)
    (sh, sw), (dh, dw), y = layer.stride, layer.dilation, net(x)
    for _, p, q, o in np.ndindex(y.shape):
        want = bias(net)[o] if layer.bias else 0
        for i, j, c in np.ndindex(W.shape[:3]):
            row, column = sh * p + dh * i - top, sw * q + dw * j - left
            if 0 <= row < shape[0] and 0 <= column < shape[1]:
                want += x[0, row, column, c] * W[i, j, c, o]
        assert y[0, p, q, o] == want


# --- TensorFlow's "same" and "valid" ----------------------------------------------------------------

SAME = {  # (n, kernel, stride, dilation): (before, after)
    (28, 5, 2, 1): (1, 2), (28, 3, 2, 1): (0, 1), (14, 3, 2, 1): (0, 1), (14, 5, 2, 1): (1, 2), (7, 3, 2, 1): (1, 1),
    (7, 5, 1, 1): (2, 2), (8, 2, 1, 1): (0, 1), (64, 4, 2, 1): (1, 1), (64, 5, 2, 1): (1, 2), (9, 1, 2, 1): (0, 0),
    (10, 3, 1, 2): (2, 2), (10, 2, 5, 1): (0, 0), (11, 4, 3, 1): (1, 1),
}  # fmt: skip


@pytest.mark.parametrize(("n", "k", "s", "d"), SAME)
def test_same_pads_the_odd_pixel_after(n, k, s, d):
    before, after = SAME[n, k, s, d]
    same = mg.Conv2D(1, 1, (k, 1), stride=(s, 1), dilation=(d, 1), padding="same")
    by_hand = mg.Conv2D(1, 1, (k, 1), stride=(s, 1), dilation=(d, 1), padding=((before, after), (0, 0)))
    assert same.geometry((n, 3)) == by_hand.geometry((n, 3))
    assert same.output_shape((n, 3, 1)) == (-(-n // s), 3, 1)
    x = np.random.default_rng(0).standard_normal((2, n, 3, 1))
    np.testing.assert_array_equal(network(same)(x), network(by_hand)(x))


def one_row(layer, taps, x):
    """The outputs for one row of pixels and a kernel of one row."""
    net = mg.Network([layer], rng=np.random.default_rng(0), dtype="float64")
    net.theta = np.array(taps, float)
    return net(np.array(x, float).reshape(1, 1, -1, 1)).ravel().tolist()


def test_same_and_valid_on_a_row_of_pixels():
    """Computed by hand: PyTorch's padding=1 would give [3, 9], not [6, 7]."""
    for padding, want in (("same", [6, 7]), (((0, 0), (1, 1)), [3, 9]), ("valid", [6])):
        layer = mg.Conv2D(1, 1, (1, 3), stride=(1, 2), padding=padding, bias=False)
        assert one_row(layer, [1, 1, 1], [1, 2, 3, 4]) == want
    assert one_row(mg.Conv2D(1, 1, (1, 2), padding="same", bias=False), [1, 10], [1, 2, 3]) == [21, 32, 3]


def test_transposed_same_and_valid_on_a_row_of_pixels():
    """Each pixel adds its kernel at a stride of 2; "same" removes the odd column at the right."""
    row = [1, 10, 102, 20, 203, 30, 300]
    for padding, want in (("valid", row), ("same", row[:-1]), (0, row)):
        layer = mg.ConvTranspose2D(1, 1, (1, 3), stride=(1, 2), padding=padding, bias=False)
        assert one_row(layer, [1, 10, 100], [1, 2, 3]) == want
    gaps = mg.ConvTranspose2D(1, 1, (1, 1), stride=(1, 3), padding="valid", bias=False)
    assert one_row(gaps, [5], [1, 2]) == [5, 0, 0, 10, 0, 0]


@given(st.integers(1, 9), st.integers(1, 7), st.integers(1, 4), st.integers(1, 3))
def test_sizes_of_same_and_valid(n, k, s, d):
    r = reach(k, d)
    options = {"stride": (1, s), "dilation": (1, d)}

    def width(kind, padding):
        return kind(1, 2, (1, k), padding=padding, **options).output_shape((1, n, 1))[1]

    assert width(mg.Conv2D, "same") == -(-n // s)
    assert width(mg.ConvTranspose2D, "same") == n * s
    assert width(mg.ConvTranspose2D, "valid") == n * s + max(r - s, 0)
    if n >= r:
        assert width(mg.Conv2D, "valid") == width(mg.Conv2D, 0) == (n - r) // s + 1
    for padding in ("same", "valid"):  # the transposed convolution's output shape is the convolution's input shape
        assert mg.Conv2D(1, 2, (1, k), padding=padding, **options).output_shape(
            (1, width(mg.ConvTranspose2D, padding), 1)
        ) == (1, n, 2)
