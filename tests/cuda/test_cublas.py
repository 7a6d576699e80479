"""The binding of cuBLAS, with a stand-in that multiplies column-major matrices in host memory."""

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.ops.cuda.device import cublas
from minigan.ops.cuda.device.cublas import FUNCTIONS, WORKSPACE_BYTES, Cublas
from minigan.ops.cuda.device.source import KernelError


class ColumnMajor:
    """cublasGemmEx as in its manual: C <- alpha op(A) op(B) + beta C, where column j of C starts at C + j ldc."""

    def __init__(self, status=0):
        self.calls, self.status = [], status
        functions = {name: ctypes.CFUNCTYPE(ctypes.c_int, *types) for name, types in FUNCTIONS.items()}
        self.library = SimpleNamespace(**{name: kind(self._note(name)) for name, kind in functions.items()})

    def _note(self, name):
        def called(*args):
            self.calls.append((name, args))
            if name == "cublasCreate_v2":
                args[0][0] = 4242
            if name == "cublasGemmEx":
                assert args[0] == 4242
                self._gemm(*args[1:])
            return self.status

        return called

    @staticmethod
    def _gemm(op_a, op_b, m, n, k, alpha, A, a_type, lda, B, b_type, ldb, beta, C, c_type, ldc, compute, algorithm):
        assert a_type == b_type == c_type
        assert compute in ((70,) if c_type else (68, 75, 77))
        assert algorithm == -1
        real = ctypes.c_double if c_type else ctypes.c_float

        def matrix(address, rows, columns, ld):
            assert ld >= max(1, rows)
            flat = np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(real)), (columns * ld,))
            return flat.reshape(columns, ld).T[:rows]

        a = matrix(A, *((k, m) if op_a else (m, k)), lda)
        b = matrix(B, *((n, k) if op_b else (k, n)), ldb)
        c = matrix(C, m, n, ldc)
        scale, keep = (real.from_address(address).value for address in (alpha, beta))
        product = scale * (a.T if op_a else a) @ (b.T if op_b else b)
        c[...] = product if keep == 0 else product + keep * c


@given(
    sizes=st.tuples(*[st.integers(1, 6)] * 3),
    transposes=st.tuples(st.booleans(), st.booleans()),
    scales=st.sampled_from([(1.0, 0.0), (2.0, 0.0), (1.0, 1.0), (-0.5, 3.0)]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_row_major_products(sizes, transposes, scales, dtype):
    (M, N, K), rng = sizes, np.random.default_rng(sum(sizes))
    a, b, out = (rng.integers(-9, 9, shape).astype(dtype) for shape in ((M, K), (K, N), (M, N)))
    expected = scales[0] * a @ b + scales[1] * out
    fake = ColumnMajor()
    stored = [np.ascontiguousarray(x.T if t else x) for x, t in zip((a, b), transposes, strict=True)]
    Cublas(fake.library, 1).gemm(
        7, out.dtype, (M, N, K), stored[0].ctypes.data, stored[1].ctypes.data, out.ctypes.data,
        transpose_a=transposes[0], transpose_b=transposes[1], alpha=scales[0], beta=scales[1], precision="fp32",
    )  # fmt: skip
    np.testing.assert_array_equal(out, expected)


def product(blas, *, stream=7, sizes=(2, 2, 2), dtype="float32", precision="fp32"):
    a, b, out = (np.ones((2, 2), dtype) for _ in range(3))
    blas.gemm(
        stream, out.dtype, sizes, a.ctypes.data, b.ctypes.data, out.ctypes.data,
        transpose_a=False, transpose_b=False, alpha=1.0, beta=0.0, precision=precision,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("dtype", "precision", "compute"),
    [("float32", "fp32", 68), ("float32", "tf32", 77), ("float32", "bf16", 75), ("float64", "bf16", 70)],
)
def test_the_precision_selects_the_compute_type(dtype, precision, compute):
    fake = ColumnMajor()
    product(Cublas(fake.library, 1), dtype=dtype, precision=precision)
    assert fake.calls[-1][1][-2] == compute


def test_the_workspace_is_set_again_after_the_stream():
    fake = ColumnMajor()
    blas = Cublas(fake.library, 1234)
    for stream in (7, 7, 8, 0):
        product(blas, stream=stream)
    blas.close()
    blas.close()
    names = [name for name, _ in fake.calls]
    streams = [("cublasSetStream_v2", (4242, s or None)) for s in (7, 8, 0)]
    assert [call for call in fake.calls if "Stream" in call[0]] == streams
    assert [args for name, args in fake.calls if "Workspace" in name] == [(4242, 1234, WORKSPACE_BYTES)] * 3
    assert names.index("cublasSetWorkspace_v2") == names.index("cublasSetStream_v2") + 1
    assert (names[0], names.count("cublasDestroy_v2")) == ("cublasCreate_v2", 1)


def test_empty_products_are_not_computed():
    fake = ColumnMajor()
    product(Cublas(fake.library, 1), sizes=(0, 2, 2))
    assert len(fake.calls) == 1


def test_errors_name_the_status():
    with pytest.raises(KernelError, match="cublasCreate_v2: CUBLAS_STATUS_NOT_INITIALIZED"):
        Cublas(ColumnMajor(status=1).library, 1)
    fake = ColumnMajor()
    blas = Cublas(fake.library, 1)
    fake.status = 13
    with pytest.raises(KernelError, match="cublasSetStream_v2: CUBLAS_STATUS_EXECUTION_FAILED"):
        product(blas)
    with pytest.raises(KernelError, match=r"sizes \(2147483648, 1, 1\); expected less than 2\^31"):
        product(blas, sizes=(2**31, 1, 1))


def test_a_missing_library_is_an_error_that_says_what_to_install(monkeypatch):
    def nothing(name, *_, **__):
        raise OSError(name)

    monkeypatch.setattr(cublas.ctypes, "CDLL", nothing)
    with pytest.raises(
        cublas.CublasMissing, match=r"no libcublas \(.*no libcublas.so.13.*pip install 'minigan\[gpu\]'"
    ):
        cublas.find_library()
