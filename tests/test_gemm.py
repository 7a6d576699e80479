"""Matrix products split into blocks: results of the reference, equal bits for any number of threads, small products."""

import threading
import time
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

from minigan.ops import get_ops, reference
from minigan.ops.cpu import matmul
from minigan.ops.cpu.threads.pool import cores

SIZES = st.one_of(st.integers(1, 20), st.sampled_from([64, 130, 1000, 4500]))
BODIES = {
    compiled: [get_ops("cpu", threads=threads, compiled=compiled) for threads in (1, 2, 3)]
    for compiled in (False, *([True] if find_spec("numba") else []))
}
CPUS = [cpu for cpus in BODIES.values() for cpu in cpus]


def rounded(dtype, K):
    return 20 * np.finfo(dtype).eps * K


def added(ops, x, y):
    """Return 2 + x^T y."""
    out = np.full((x.shape[1], y.shape[1]), 2, np.result_type(x, y))
    ops.add_product(x, y, out)
    return out


@pytest.mark.parametrize("compiled", BODIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(SIZES, st.one_of(st.integers(1, 20), st.just(700)), SIZES, st.booleans(), st.integers(0, 2**32 - 1))
def test_products_of_all_sizes(compiled, dtype, n, middle, o, bias, seed):
    """The thresholds are lowered, so that small products are split too."""
    cpus = BODIES[compiled]
    rng = np.random.default_rng(seed)
    x, W, b = (rng.uniform(-1, 1, shape).astype(dtype) for shape in ((n, middle), (middle, o), (o,)))
    y = rng.uniform(-1, 1, (n, o)).astype(dtype)
    b = b if bias else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matmul, "MIN_PARALLEL_FLOP", 1e3)
        patch.setattr(matmul, "MIN_COMPILED_FLOP", 1)
        forwards = [cpu.affine(x, W, b) for cpu in cpus]
        backwards = [cpu.affine(y, W.T) for cpu in cpus]  # as in Dense's pullback
        weights = [added(cpu, x, y) for cpu in cpus]
    for runs, want, K in (
        (forwards, reference.affine(x, W, b), middle),
        (backwards, reference.affine(y, W.T), o),
        (weights, added(reference, x, y), n),
    ):
        assert runs[0].dtype == np.dtype(dtype)
        np.testing.assert_allclose(runs[0], want, rtol=0, atol=rounded(dtype, K + 1))
        for run in runs[1:]:
            np.testing.assert_array_equal(run, runs[0])


def test_a_wide_layer_is_cut(monkeypatch):
    """mnist-dcgan's first layer: 100 -> 100352, in slices of at most 4096 columns."""
    jobs = []

    class Executor:
        accuracy, compiled = "balanced", False

        def parallel_for(self, job, n):
            jobs.append(n)
            for i in reversed(range(n)):  # in any order
                job(i)

    rng = np.random.default_rng(0)
    x, W, b = (rng.standard_normal(shape, dtype="float32") for shape in ((32, 100), (100, 100_352), (100_352,)))
    y = matmul.affine(x, W, b, Executor())
    assert jobs == [25]
    np.testing.assert_allclose(y, x @ W + b, rtol=0, atol=1e-4)
    dW = np.zeros((100, 100_352), "float32")
    matmul.add_product(x, y, dW, Executor())
    assert jobs == [25, 25]
    np.testing.assert_allclose(dW, x.T @ y, rtol=0, atol=1e-2)
    matmul.affine(x[:, :10], W[:10, :50], None, Executor())
    assert jobs == [25, 25]  # too small


@pytest.mark.parametrize(
    "shape", [(1, 300, 7, 5), (9, 450, 64, 48), (36, 20, 16, 300), (4, 1, 1, 1), (16, 200, 8, 1000)]
)
@pytest.mark.parametrize("worth", [1e3, 6e6])
def test_batches_of_products(shape, worth, monkeypatch):
    monkeypatch.setattr(matmul, "MIN_PARALLEL_FLOP", worth)
    F, T, K, O = shape
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((F, T, K)), rng.standard_normal((F, K, O))
    for left in (a, np.ascontiguousarray(a.swapaxes(1, 2)).swapaxes(1, 2)):
        for cpus in BODIES.values():
            runs = [np.full((F, T, O), np.nan) for _ in cpus]
            for cpu, run in zip(cpus, runs, strict=True):
                matmul.batched(left, b, run, cpu)
                matmul.batched(left, b, run, cpu, add=True)
                np.testing.assert_array_equal(run, runs[0])
            np.testing.assert_allclose(runs[0], 2 * (a @ b), rtol=0, atol=1e-12 * K)


def test_complex_and_mixed_types_as_the_reference():
    x, W = np.ones((600, 200), "float32"), np.ones((200, 300))
    for a, b in ((x, W), (x.astype(complex), W)):
        for cpu in CPUS:
            assert cpu.affine(a, b).dtype == np.result_type(a, b)
            np.testing.assert_array_equal(added(cpu, a, np.ones((600, 2))), 602)


@pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(
    T=st.integers(0, 40), N=st.integers(1, 70), K=st.one_of(st.integers(1, 9), st.sampled_from([256, 257, 600])),
    gaps=st.tuples(*[st.integers(0, 3)] * 4), turned=st.booleans(), add=st.booleans(), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_products_from_registers(dtype, T, N, K, gaps, turned, add, seed):
    """Rows may lie anywhere in memory; nothing outside them is read or written."""
    from minigan.ops.cpu.kernels.numba.matmul import multiply

    rng = np.random.default_rng(seed)
    first, of_a, of_b, of_c = gaps
    a, b, c = (np.full(200_000, np.nan, dtype) for _ in range(3))
    rows, columns = (1, T + of_a) if turned else (K + of_a, 1)
    A = as_strided(a[first:], (T, K), (a.itemsize * rows, a.itemsize * columns))
    B = as_strided(b[first:], (K, N), (b.itemsize * (N + of_b), b.itemsize))
    C = as_strided(c[first:], (T, N), (c.itemsize * (N + of_c), c.itemsize))
    A[...], B[...] = rng.uniform(-1, 1, A.shape), rng.uniform(-1, 1, B.shape)
    if add:
        C[...] = rng.uniform(-1, 1, C.shape)
    want = A.astype(float) @ B.astype(float) + (C if add else 0)
    multiply(a, (first, rows, columns), b, (first, N + of_b), c, (first, N + of_c), (T, N, K), add)
    np.testing.assert_allclose(C, want, rtol=0, atol=rounded(dtype, K + 1))
    C[...] = np.nan
    assert np.isnan(c).all()


@pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
@pytest.mark.skipif(cores() < 2, reason="threads that share a core sleep at once")
@pytest.mark.parametrize("callers", [1, 3])
def test_products_are_shared_with_a_thread_that_listens(callers, monkeypatch):
    """The bits equal those of one thread, also with concurrent callers, and some products are shared."""
    from minigan.ops.cpu.kernels.numba.matmul import multiply
    from minigan.ops.cpu.kernels.numba.shared_matmul import multiply_together
    from minigan.ops.cpu.threads import spin_wait
    from minigan.ops.cpu.threads.team import listening

    monkeypatch.setattr(spin_wait, "MAX_SPINS", 30_000_000)  # long enough on a busy machine

    cpu, shared, wrong = get_ops("cpu", threads=2, compiled=True), [], []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(300):
            dtype = rng.choice(["float32", "float64"])
            T, N, K = (int(n) for n in rng.integers(1, 200, 3))
            a, b = (rng.standard_normal(n).astype(dtype) for n in (T * K, K * N))
            c = rng.standard_normal(T * N).astype(dtype)
            add = bool(rng.integers(2))
            want = c.copy()
            product = (a, (0, K, 1), b, (0, N)), ((0, N), (T, N, K), add)
            multiply(*product[0], want, *product[1])
            team = cpu.team()  # wakes the worker, which listens
            time.sleep(1e-4)  # if it gets the interpreter's lock
            shared.append(listening(team))
            multiply_together(team, *product[0], c, *product[1])
            if c.tobytes() != want.tobytes():
                wrong.append((T, N, K, dtype, add))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(shared) > 10
    assert not wrong


@pytest.mark.parametrize("compiled", BODIES)
def test_products_are_added_to_what_is_there_however_the_factors_lie(compiled):
    rng = np.random.default_rng(0)
    x, y, out = (rng.standard_normal(shape) for shape in ((70, 130), (70, 90), (130, 90)))
    for a in (x, np.asfortranarray(x), np.repeat(x, 2, 1)[:, ::2]):
        for b in (y, np.asfortranarray(y), np.repeat(y, 2, 1)[:, ::2]):
            got = out.copy()
            BODIES[compiled][0].add_product(a, b, got)
            np.testing.assert_allclose(got, out + x.T @ y, rtol=0, atol=1e-12)


@pytest.mark.parametrize("compiled", BODIES)
def test_factors_that_do_not_fit_are_refused(compiled):
    """They raise an error before a compiled kernel reads outside an array."""
    cpu, ones = BODIES[compiled][0], lambda *shape: np.ones(shape, "float32")
    with pytest.raises(ValueError):  # noqa: PT011  (NumPy's words or ours)
        cpu.affine(ones(70, 130), ones(100, 90))
    for x, y, out in (
        (ones(70, 130), ones(60, 90), ones(130, 90)), (ones(70, 130), ones(70, 90), ones(130, 80)),
        (ones(70, 130), ones(70, 90), ones(90, 130)), (ones(70, 40), ones(70, 90), ones(130, 90)),
    ):  # fmt: skip
        with pytest.raises(ValueError):  # noqa: PT011
            cpu.add_product(x, y, out)
        assert (out == 1).all()
    out = ones(130, 90)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        cpu.add_product(ones(70, 130), ones(70, 90), out)
    assert (out == 1).all()


def test_nothing_is_shared_within_a_part_or_by_one_thread():
    found = []
    two, one = get_ops("cpu", threads=2), get_ops("cpu", threads=1)
    two.parallel_for(lambda i: found.append(len(two.team())), 2)
    assert found == [0, 0]
    assert len(one.team()) == 0
