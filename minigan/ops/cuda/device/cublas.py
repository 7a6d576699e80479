"""libcublas through ctypes: the one function that is needed, on any stream, with a workspace of our own.

CuPy's binding cannot be captured into a graph (it refuses to set the stream); this one can: the handle is made once,
the workspace is fixed, and the scalars are passed by value.

cuBLAS is column-major.  A row-major matrix (M, N) is a column-major one (N, M), so that out = a b is asked for as
out^T = b^T a^T: the operands are exchanged, and each is transposed as often as before.
"""

import ctypes
from typing import Any

import numpy as np

from minigan.ops.cuda.device.source import KernelError
from minigan.ops.errors import BackendUnavailable

WORKSPACE_BYTES = 32 << 20
"""Bytes, as NVIDIA recommends for Hopper; a workspace that is given once is what makes captures possible."""

N, T = 0, 1  # CUBLAS_OP_N, CUBLAS_OP_T
REALS = {np.dtype(np.float32): 0, np.dtype(np.float64): 1}  # CUDA_R_32F, CUDA_R_64F
DOUBLE = 70  # CUBLAS_COMPUTE_64F
COMPUTE = {"fp32": 68, "tf32": 77, "bf16": 75}  # CUBLAS_COMPUTE_32F, _32F_FAST_TF32, _32F_FAST_16BF
ALGORITHM = -1  # CUBLAS_GEMM_DEFAULT
STATUS = {
    1: "NOT_INITIALIZED", 3: "ALLOC_FAILED", 7: "INVALID_VALUE", 8: "ARCH_MISMATCH", 11: "MAPPING_ERROR",
    13: "EXECUTION_FAILED", 14: "INTERNAL_ERROR", 15: "NOT_SUPPORTED", 16: "LICENSE_ERROR",
}  # fmt: skip

_pointer, _int = ctypes.c_void_p, ctypes.c_int
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cublasCreate_v2": (ctypes.POINTER(_pointer),),
    "cublasDestroy_v2": (_pointer,),
    "cublasSetStream_v2": (_pointer, _pointer),
    "cublasSetWorkspace_v2": (_pointer, _pointer, ctypes.c_size_t),
    "cublasGemmEx": (
        _pointer, _int, _int, _int, _int, _int, _pointer,  # handle, op a, op b, m, n, k, alpha
        _pointer, _int, _int, _pointer, _int, _int, _pointer, _pointer, _int, _int,  # a, b, beta, c: type and stride
        _int, _int,  # of computation, algorithm
    ),
}  # fmt: skip
"""The functions and the types of their arguments; each returns a status."""


class CublasMissing(KernelError, BackendUnavailable):
    """No libcublas."""


class Cublas:
    """One handle of the library; `workspace` is the address of WORKSPACE_BYTES bytes on the device."""

    def __init__(self, library: Any, workspace: int) -> None:
        self._functions = {}
        for name, types in FUNCTIONS.items():
            function = getattr(library, name)
            function.argtypes, function.restype = types, ctypes.c_int
            self._functions[name] = function
        self._workspace, self._stream = workspace, -1
        self._handle = ctypes.c_void_p()
        self._call("cublasCreate_v2", ctypes.byref(self._handle))

    def gemm(
        self,
        stream: int,
        dtype: np.dtype,
        sizes: tuple[int, int, int],
        a: int,
        b: int,
        out: int,
        *,
        transpose_a: bool,
        transpose_b: bool,
        alpha: float,
        beta: float,
        precision: str,
    ) -> None:
        """Out <- alpha a b + beta out on the stream; a, b, out are addresses of row-major matrices.

        sizes (M, N, K): a (M, K), transposed (K, M);  b (K, N), transposed (N, K);  out (M, N)
        """
        M, N_, K = sizes
        if not (M and N_):
            return
        if max(sizes) >= 2**31:
            raise KernelError(f"gemm of sizes {sizes}; expected less than 2^31 each")
        if stream != self._stream:  # which takes the workspace away: it must be given again
            self._call("cublasSetStream_v2", self._handle, stream)
            self._call("cublasSetWorkspace_v2", self._handle, self._workspace, WORKSPACE_BYTES)
            self._stream = stream
        real = REALS[dtype]
        scalar = ctypes.c_double if real else ctypes.c_float
        self._call(
            "cublasGemmEx", self._handle, T if transpose_b else N, T if transpose_a else N, N_, M, K,
            ctypes.addressof(first := scalar(alpha)),
            b, real, max(1, K if transpose_b else N_),
            a, real, max(1, M if transpose_a else K),
            ctypes.addressof(second := scalar(beta)),
            out, real, N_,
            DOUBLE if real else COMPUTE[precision], ALGORITHM,
        )  # fmt: skip
        del first, second  # they were to live until here

    def close(self) -> None:
        """Give the handle back."""
        if self._handle:
            self._call("cublasDestroy_v2", self._handle)
            self._handle = ctypes.c_void_p()

    def _call(self, name: str, *args: Any) -> None:
        status = self._functions[name](*args)
        if status:
            raise KernelError(f"{name}: CUBLAS_STATUS_{STATUS.get(status, status)}")


def find_library() -> ctypes.CDLL:
    """Load libcublas: of the wheels that `minigan[gpu]` installs, or of a CUDA toolkit that the system finds."""
    tried = []
    try:
        from cuda import pathfinder

        return ctypes.CDLL(pathfinder.load_nvidia_dynamic_lib("cublas").abs_path)
    except ImportError:
        tried.append("cuda-pathfinder is not installed")
    except (OSError, RuntimeError) as error:
        tried.append(str(error).partition("\n")[0])
    for name in ("libcublas.so.13", "libcublas.so.12", "libcublas.so"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            tried.append(f"no {name}")
    raise CublasMissing(f"no libcublas ({'; '.join(tried)}); to install it: pip install 'minigan[gpu]'")
