"""The rule that chooses between numba's products and BLAS's by their instruction sets."""

from types import SimpleNamespace

import numpy as np
import pytest

from minigan.ops import get_ops
from minigan.ops.cpu import instruction_set, matmul


def libraries(*architectures, api="openblas"):
    return [SimpleNamespace(internal_api=api, architecture=name, filepath="/x") for name in architectures]


@pytest.mark.parametrize(
    ("found", "lacks"),
    [
        (libraries("Haswell"), True),
        (libraries("Zen"), True),
        (libraries("Zen", "SkylakeX"), False),
        (libraries("SkylakeX"), False),
        (libraries("Cooperlake"), False),
        (libraries("SapphireRapids"), False),
        (libraries(None), False),
        (libraries("Haswell", api="mkl"), False),
        ([SimpleNamespace(internal_api="openblas", filepath="/x")], False),
        ([], False),
    ],
)
def test_only_a_library_that_is_known_to_lack_avx512_lacks_it(found, lacks):
    assert instruction_set.blas_lacks_avx512(found) is lacks


def test_the_library_of_numpy_is_found():
    pytest.importorskip("threadpoolctl")
    assert instruction_set._blas_libraries() or not np.__config__.CONFIG["Build Dependencies"]["blas"]["found"]


@pytest.mark.parametrize("shape", [(1, 300, 7, 5), (9, 450, 64, 48), (4, 1, 1, 1), (2, 800, 300, 40), (3, 30, 90, 500)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_batches_have_the_products_of_numpy(shape, dtype, monkeypatch):
    """Whatever BLAS is installed here, with every layout of the factors, and equal bits for every number of threads."""
    pytest.importorskip("numba")
    monkeypatch.setattr(matmul, "compiled_products_are_faster", lambda: True)
    monkeypatch.setattr(matmul, "MIN_PARALLEL_FLOP", 1e4)
    F, T, K, O = shape
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, (F, T, K)).astype(dtype), rng.uniform(-1, 1, (F, K, O)).astype(dtype)
    padded = np.full((F, K, O + 16), np.nan, dtype)
    padded[..., :O] = b
    for left in (a, np.ascontiguousarray(a.swapaxes(1, 2)).swapaxes(1, 2)):
        for right in (b, padded[..., :O], np.ascontiguousarray(b.swapaxes(1, 2)).swapaxes(1, 2)):
            runs = []
            for threads in (1, 2, 3):
                cpu = get_ops("cpu", threads=threads, compiled=True)
                out = np.full((F, T, O), np.nan, dtype)
                matmul.batched(left, right, out, cpu)
                matmul.batched(left, right, out, cpu, add=True)
                runs.append(out)
                np.testing.assert_array_equal(out, runs[0])
            np.testing.assert_allclose(runs[0], 2 * (a @ b), rtol=0, atol=20 * np.finfo(dtype).eps * K)


def test_a_library_with_avx512_multiplies_the_batches(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(matmul, "compiled_products_are_faster", lambda: False)
    a, b = np.ones((1, 4, 5), "float32"), np.ones((1, 5, 6), "float32")
    assert matmul._compiled_batch(a, b, np.empty((1, 4, 6), "float32"), add=False) is None


@pytest.mark.parametrize(("T", "K"), [(0, 5), (4, 0)])
def test_empty_batches(T, K, monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(matmul, "compiled_products_are_faster", lambda: True)
    out = np.full((2, T, 6), np.nan)
    matmul.batched(np.ones((2, T, K)), np.ones((2, K, 6)), out, get_ops("cpu", threads=2, compiled=True))
    np.testing.assert_array_equal(out, np.zeros((2, T, 6)))
