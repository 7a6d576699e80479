"""Direct sums in compiled code: blocks, parts, borders and both orders of products, against the reference."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minigan.ops import get_ops, reference
from minigan.ops.cpu.conv import blocks, convolution
from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.threads.pool import cores
from minigan.ops.geometry import Geometry, small_size

pytest.importorskip("numba")
from minigan.ops.cpu.kernels.numba import jit, runs
from minigan.ops.cpu.kernels.numba.transpose import transpose

SEEDS = st.integers(0, 2**32 - 1)
CHANNELS = st.one_of(st.integers(1, 5), st.sampled_from([8, 15, 16, 17, 31, 32, 33, 40]))
CPUS = [get_ops("cpu", threads=threads, compiled=True, accuracy="exact") for threads in (1, 2, 3)]


@st.composite
def geometries(draw):
    """Any kernel, stride, dilation and padding, also padding wider than the kernel reaches over."""
    axes = []
    for _ in range(2):
        k, stride, dilation = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
        padding = draw(st.tuples(st.integers(0, 5), st.integers(0, 5)))
        least = max(1, dilation * (k - 1) + 1 - sum(padding))
        size = draw(st.integers(least, least + 9))
        axes.append(
            (
                size,
                small_size(size, k=k, stride=stride, dilation=dilation, padding=padding),
                k,
                stride,
                dilation,
                padding,
            )
        )
    return Geometry(*zip(*axes, strict=True))


def poison():
    """Fill free memory with NaN, which appears in every result that reads more than was written."""
    for size in range(10, 18):
        np.full(1 << size, np.nan)  # what NumPy's allocator probably returns next
    for block in tuple(arrays.blocks._kept.values()):
        np.frombuffer(block[: len(block) // 8 * 8], float)[:] = np.nan


def check(geometry, N, C, O, seed, *, bias=True):
    """Compare with the reference in both dtypes, and the bits of 1, 2 and 3 threads."""
    rng = np.random.default_rng(seed)
    for dtype, rounding in (("float64", 1e-14), ("float32", 3e-6)):
        x, y, W, b, c = (
            rng.standard_normal(shape).astype(dtype)
            for shape in ((N, *geometry.large, C), (N, *geometry.small, O), (*geometry.kernel, C, O), (O,), (C,))
        )
        b, c = (b, c) if bias else (None, None)
        found = []
        for cpu in CPUS:
            poison()
            found.append(
                (
                    blocks.correlate(x, W, geometry, b, cpu),
                    blocks.correlate_adjoint(y, W, geometry, c, cpu),
                    blocks.correlate_weights(x, y, geometry, cpu),
                )
            )
        want = (
            reference.correlate(x, W, geometry, b),
            reference.correlate_adjoint(y, W, geometry, c),
            reference.correlate_weights(x, y, geometry),
        )
        for got, true in zip(found[0], want, strict=True):
            assert got.dtype == true.dtype == np.dtype(dtype)
            assert got.flags.c_contiguous
            np.testing.assert_allclose(got, true, rtol=0, atol=40 * rounding * max(1, np.abs(true).max()))
        for run in found[1:]:
            for one, again in zip(found[0], run, strict=True):
                np.testing.assert_array_equal(again, one)


DCGAN = Geometry((16, 16), (8, 8), (4, 4), (2, 2), (1, 1), ((1, 1), (1, 1)))
MNIST = Geometry((9, 9), (9, 9), (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))


@given(geometries(), st.integers(1, 5), CHANNELS, CHANNELS, st.booleans(), SEEDS)
@example(DCGAN, 3, 3, 16, False, 0)
@example(DCGAN, 5, 32, 64, False, 0)
@example(MNIST, 2, 1, 40, True, 0)
@example(MNIST, 2, 40, 1, True, 0)
def test_many_parts_and_blocks(geometry, N, C, O, bias, seed):
    """The limits are lowered, so that small arrays are cut into parts and parts into blocks."""
    for pixels in (1, 1 << 30):  # weight gradients cut by images, and by taps
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blocks, "MIN_MACS_PER_PART", 1 << 8)
            patch.setattr(blocks, "MAX_BLOCK_PIXELS", 12)
            patch.setattr(blocks, "MIN_BLOCK_PIXELS", 4)
            patch.setattr(blocks, "MIN_SUMMED_PIXELS", pixels)
            check(geometry, N, C, O, seed, bias=bias)


@pytest.mark.parametrize(("C", "O"), [(3, 16), (16, 32), (40, 1), (1, 40)])
@pytest.mark.parametrize("geometry", [DCGAN, MNIST], ids=["k4 s2", "k3 s1"])
@pytest.mark.parametrize("gathers", [True, False])
def test_both_orders_of_products(geometry, C, O, gathers, monkeypatch):
    """Gather and multiply, or multiply and scatter, whichever the costs favour."""
    monkeypatch.setattr(blocks, "_gathered", lambda *_: 1 - gathers)
    monkeypatch.setattr(blocks, "_scattered", lambda *_: int(gathers))
    check(geometry, 4, C, O, 0)


def test_a_correlation_with_one_output_channel_multiplies_first(monkeypatch):
    """Its patches would be read for one vector of columns of which one is used; at stride 2 there is no choice."""
    called = []
    monkeypatch.setattr(blocks, "_scatter", lambda *_: called.append("scatter"))
    monkeypatch.setattr(blocks, "_gather", lambda *_: called.append("gather"))
    for geometry, O in ((MNIST, 1), (MNIST, 64), (DCGAN, 1)):
        W = np.ones((*geometry.kernel, 64, O), "float32")
        blocks.correlate(np.ones((1, *geometry.large, 64), "float32"), W, geometry, None, CPUS[0])
    assert called == ["scatter", "gather", "gather"]


@pytest.mark.parametrize("compiled_is_faster", [True, False])
@pytest.mark.parametrize("large", [True, False])
def test_blas_computes_large_products_unless_its_vectors_are_shorter(compiled_is_faster, large, monkeypatch):
    monkeypatch.setattr(convolution, "compiled_products_are_faster", lambda: compiled_is_faster)
    monkeypatch.setattr(convolution, "MIN_BLAS_WEIGHTS", 4 * 4 * 3 * 5 + (not large))
    chosen = convolution._direct(CPUS[0], np.ones((1, 16, 16, 3)), (4, 4, 3, 5), DCGAN)
    assert (chosen is blocks) == (compiled_is_faster or not large)


def test_numbers_that_are_not_finite_reach_what_depends_on_them_and_nothing_else():
    """Runs are copied in whole vectors, so a neighbour's NaN is next to every patch."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((3, 16, 16, 3), "float32"), rng.standard_normal((3, 8, 8, 16), "float32")
    W = rng.standard_normal((4, 4, 3, 16), "float32")
    x[1, 5, 5, 2], x[2, 0, 0, 0], y[1, 3, 3, 1] = np.nan, np.inf, np.nan
    for got, true in (
        (blocks.correlate(x, W, DCGAN, None, CPUS[1]), reference.correlate(x, W, DCGAN)),
        (blocks.correlate_adjoint(y, W, DCGAN, None, CPUS[1]), reference.correlate_adjoint(y, W, DCGAN)),
        (blocks.correlate_weights(x, y, DCGAN, CPUS[1]), reference.correlate_weights(x, y, DCGAN)),
    ):
        np.testing.assert_array_equal(np.isfinite(got), np.isfinite(true))


@jit.kernel
def _run(kind, x, source, y, target, count):
    if kind == 0:
        runs.copy_run(x, source, y, target, count)
    elif kind == 1:
        runs.add_run(x, source, y, target, count)
    else:
        runs.zero_run(y, target, count)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [*range(36), 64, 65, 100])
def test_runs_touch_their_memory_only(count, dtype):
    x, y = np.arange(200, dtype=dtype), -np.arange(200, dtype=dtype) - 1
    for kind, new in enumerate((x[7 : 7 + count], y[11 : 11 + count] + x[7 : 7 + count], 0)):
        want, got = y.copy(), y.copy()
        want[11 : 11 + count] = new
        _run(kind, x, 7, got, 11, count)
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (16, 16), (48, 32), (50, 33), (7, 64), (64, 7)])
def test_the_transpose_of_a_matrix(rows, columns, dtype):
    a, b = np.arange(rows * columns, dtype=dtype), np.full((columns, rows + 3), -1, dtype)
    transpose(a, b.reshape(-1), rows, columns, rows + 3)
    np.testing.assert_array_equal(b[:, :rows], a.reshape(rows, columns).T)
    np.testing.assert_array_equal(b[:, rows:], -1)


def test_threads_that_do_not_poll_share_the_parts(monkeypatch):
    """With more threads than cores there is no team, and each thread of the pool has its own workspace."""
    monkeypatch.setattr(blocks, "MIN_MACS_PER_PART", 1 << 8)
    many = get_ops("cpu", threads=max(cores(), 2) + 1, compiled=True)
    assert not len(many.team())
    rng = np.random.default_rng(0)
    x, W = rng.standard_normal((9, 16, 16, 3)), rng.standard_normal((4, 4, 3, 16))
    np.testing.assert_array_equal(
        blocks.correlate(x, W, DCGAN, None, many), blocks.correlate(x, W, DCGAN, None, CPUS[0])
    )
