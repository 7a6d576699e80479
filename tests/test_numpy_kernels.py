"""NumPy's kernels of the CPU backend, where they differ from the reference: masks, slopes, pieces."""

import itertools
import math

import numpy as np
import pytest

import minigan as mg
from minigan.ops import get_ops, reference
from minigan.ops.cpu import matmul, vector
from minigan.ops.cpu.kernels.numpy import norm_act as kernels
from minigan.ops.norm_act import IDENTITY_MASK, ActivationMask


@pytest.fixture
def cpu():
    return get_ops("cpu", threads=2, compiled=False)


@pytest.fixture(autouse=True)
def no_masks():
    """Forget all masks before and after a test."""
    for kept in (kernels._kept, kernels._kept_keys):
        kept.clear()
    yield
    for kept in (kernels._kept, kernels._kept_keys):
        kept.clear()


def apply(cpu, x, mask):
    y = np.empty_like(x)
    cpu.norm_act.apply(x, y, IDENTITY_MASK, None, mask)
    return y


def backward(cpu, x, dy, mask):
    dx = np.empty_like(x)
    cpu.norm_act.backward(x, dy, dx, IDENTITY_MASK, None, mask)
    return dx


@pytest.mark.parametrize("size", [1, 7, 1024, 70_001, 600_003])
def test_a_kept_mask_is_the_mask_of_its_key(cpu, size):
    """Keys that differ in one word, rates and dtypes alternate, so that a mask that is read for another one is seen."""
    rng = np.random.default_rng(size)
    keys = [5, 6, 5 + (1 << 32), (1 << 63) + 5]
    for _ in range(2):  # the second time all masks are kept
        for key in keys:
            for rate in (0.25, 0.5):
                for dtype in (np.float32, np.float64):
                    x = rng.standard_normal(size).astype(dtype)
                    want = reference.dropout(x, dtype(rate), key)
                    np.testing.assert_array_equal(cpu.dropout(x, rate, key), want)
                    np.testing.assert_array_equal(backward(cpu, x, x, ActivationMask(rate=rate, key=key)), want)


def test_few_masks_are_kept(cpu, monkeypatch):
    monkeypatch.setattr(kernels, "MAX_KEPT_MASKS", 3)
    x = np.ones(100, "float32")
    for key in range(10):
        np.testing.assert_array_equal(cpu.dropout(x, 0.5, key), reference.dropout(x, np.float32(0.5), key))
    assert len(kernels._kept) == len(kernels._kept_keys) == 3
    assert {key[0] for key in kernels._kept} == {7, 8, 9}
    assert sum(bits.nbytes for bits in kernels._kept.values()) == 3 * 13  # eight to a byte


def test_a_large_part_keeps_no_mask(cpu, monkeypatch):
    monkeypatch.setattr(kernels, "MAX_KEPT_MASK_SIZE", 99)
    x = np.ones(100, "float32")
    np.testing.assert_array_equal(cpu.dropout(x, 0.5, 3), reference.dropout(x, np.float32(0.5), 3))
    assert not kernels._kept


SPECIAL = np.array([-np.inf, -2, -0.0, 0.0, 3, np.inf, np.nan, -1e-40, 1e-40])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("slope", [0.2, 0.3, 1e-9, 2.5, 0.0, -0.5])
def test_leaky_relu(cpu, slope, dtype):
    """Any slope: the maximum of v and slope v is the activation for 0 < slope < 1 only."""
    x = np.repeat(SPECIAL, len(SPECIAL)).astype(dtype)
    dy = np.tile(SPECIAL, len(SPECIAL)).astype(dtype)
    s, mask = x.dtype.type(slope), ActivationMask(slope=slope)
    with np.errstate(invalid="ignore", under="ignore"):
        np.testing.assert_array_equal(apply(cpu, x, mask), np.where(x > 0, x, s * x))
        np.testing.assert_array_equal(backward(cpu, x, dy, mask), np.where(x > 0, dy, s * dy))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_relu(cpu, dtype):
    x = np.repeat(SPECIAL, len(SPECIAL)).astype(dtype)
    dy = np.tile(SPECIAL, len(SPECIAL)).astype(dtype)
    np.testing.assert_array_equal(apply(cpu, x, ActivationMask(relu=True)), reference.relu(x))
    np.testing.assert_array_equal(backward(cpu, x, dy, ActivationMask(relu=True)), reference.relu_backward(dy, x))


def test_a_stage_never_returns_its_input(cpu):
    """Functions that have nothing to do return their input; the stage writes a result of its own."""
    x = np.arange(6.0).reshape(3, 2)
    for mask in (IDENTITY_MASK, ActivationMask(slope=0.5), ActivationMask(rate=0.5, key=1)):
        y, dx = apply(cpu, x, mask), backward(cpu, x, x, mask)
        assert not np.shares_memory(x, y)
        assert not np.shares_memory(x, dx)
    np.testing.assert_array_equal(x, np.arange(6.0).reshape(3, 2))
    np.testing.assert_array_equal(apply(cpu, x, IDENTITY_MASK), x)
    np.testing.assert_array_equal(backward(cpu, x, x, IDENTITY_MASK), x)


def maxout(x, pieces):
    """A Maxout whose affine maps are the identity: its input has its pieces."""
    net = mg.Network(
        [mg.Maxout(x.shape[1], x.shape[1] // pieces, pieces=pieces)],
        rng=np.random.default_rng(0), dtype=x.dtype, ops=get_ops("cpu", compiled=False),
    )  # fmt: skip
    parameters = net.parameters()
    parameters["0.W"][...] = np.eye(x.shape[1])
    net.mark_modified()
    return net.forward(x, train=True)


@pytest.mark.parametrize("pieces", [1, 2, 5, 64, 65])
def test_the_first_of_equal_pieces_wins(pieces):
    a = np.random.default_rng(pieces).integers(0, 3, (50, 4, pieces)).astype("float32")
    y, back = maxout(a.reshape(50, -1), pieces)
    np.testing.assert_array_equal(y, a.max(axis=2))
    dy = np.random.default_rng(0).standard_normal((50, 4)).astype("float32")
    want = np.zeros_like(a)
    np.put_along_axis(want, a.argmax(axis=2)[:, :, None], dy[:, :, None], axis=2)
    np.testing.assert_array_equal(back(dy), want.reshape(50, -1))


def test_the_first_nan_wins():
    net = mg.Network([mg.Maxout(1, 1, pieces=4)], rng=np.random.default_rng(0), ops=get_ops("cpu", compiled=False))
    net.parameters()["0.W"][...] = 0
    net.parameters()["0.b"][...] = [5, np.nan, 7, np.nan]
    net.mark_modified()
    y, back = net.forward(np.ones((1, 1), "float32"), train=True)
    assert math.isnan(y[0, 0])
    g = net.zeros_like_theta()
    back(np.array([[3.0]], "float32"), g)
    np.testing.assert_array_equal(net.views(g)["0.b"], [0, 3, 0, 0])


def test_losing_pieces_have_no_gradient_even_if_it_is_infinite():
    net = mg.Network([mg.Maxout(1, 1, pieces=2)], rng=np.random.default_rng(0), ops=get_ops("cpu", compiled=False))
    net.parameters()["0.b"][...] = [1, 2]
    net.parameters()["0.W"][...] = 0
    net.mark_modified()
    g = net.zeros_like_theta()
    _, back = net.forward(np.ones((1, 1), "float32"), train=True)
    back(np.array([[np.inf]], "float32"), g, need_dx=False)
    np.testing.assert_array_equal(net.views(g)["0.b"], [0, np.inf])


SIZES = [(64, 784, 512), (32, 256, 784), (32, 784, 512), (700, 90, 101), (101, 90, 700), (40, 400, 390)]


@pytest.mark.parametrize(("N", "I", "O"), SIZES)
def test_unequal_pieces_cover_a_product(cpu, N, I, O, monkeypatch):
    """Two pieces, the first one larger; whole numbers, so that every product is exact."""
    rng, pieces = np.random.default_rng(N), []
    x, W, dy = (rng.integers(-3, 4, shape).astype("float32") for shape in ((N, I), (I, O), (N, O)))
    cut = matmul.slices
    monkeypatch.setattr(matmul, "slices", lambda n, size: pieces.append(cut(n, size)) or pieces[-1])
    b, dW = rng.integers(-3, 4, O).astype("float32"), np.ones((I, O), "float32")
    np.testing.assert_array_equal(cpu.affine(x, W, b), x @ W + b)
    np.testing.assert_array_equal(cpu.affine(dy, W.T), dy @ W.T)
    cpu.add_product(x, dy, dW)
    np.testing.assert_array_equal(dW, 1 + x.T @ dy)
    least = matmul.NUMPY_MIN_PARALLEL_FLOP_AVX512 if matmul.blas_has_avx512() else matmul.NUMPY_MIN_PARALLEL_FLOP
    assert len(pieces) == (3 if least <= 2 * N * I * O else 0)
    for first, second in pieces:
        assert first.stop - first.start >= second.stop - second.start


def test_saturated_sigmoid(cpu):
    """1 and the exponential's full relative accuracy at the ends, and NaN stays NaN."""
    x = np.array([-np.inf, -100, -80, -1, 0, 1, 80, np.inf, np.nan], "float32")
    with np.errstate(under="ignore"):
        want = 1 / (1 + np.exp(-x.astype(float)))
        got = cpu.sigmoid(x)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=3e-7, atol=1e-44)


@pytest.mark.parametrize("size", [1 << 17, (1 << 18) + 1, 535_041, (1 << 20) + 7])
def test_blocks_of_a_vector(cpu, size):
    """Two threads have nearly equal shares of an even number of blocks, which cover the vector.

    Of two blocks, the calling thread's is larger, because a worker starts later.
    """
    blocks = cpu.flat._blocks(size)
    assert len(blocks) % 2 == 0
    assert blocks[0].start == 0
    assert blocks[-1].stop == size
    assert all(a.stop == b.start for a, b in itertools.pairwise(blocks))
    lengths = [block.stop - block.start for block in blocks]
    if size <= vector.NUMPY_MAX_UNEQUAL_NUMBERS:
        first, second = lengths
        assert 0 <= first - second - vector.NUMPY_LEAD_NUMBERS <= 1
        return
    assert max(lengths) <= vector.NUMPY_BLOCK_NUMBERS
    assert max(lengths) - min(lengths) < len(blocks)
