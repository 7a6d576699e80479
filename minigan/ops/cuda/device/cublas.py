"""Call libcublas through ctypes: matrix products on any stream, with a fixed workspace.

CuPy's binding cannot be captured into a graph, because it refuses to set the stream.  This one can: the handle is
created once, the workspace is fixed, and the scalars are passed by value.

cuBLAS is column-major.  A row-major matrix (M, N) is a column-major one (N, M), so that out = a b is computed as
out^T = b^T a^T: the operands are exchanged, and the flags that transpose them stay the same.
"""

import ctypes
from typing import Any

import numpy as np

from minigan.ops.cuda.device.source import KernelError
from minigan.ops.errors import BackendUnavailable

WORKSPACE_BYTES = 32 << 20
"""Bytes of the workspace: what NVIDIA recommends for Hopper.  It is fixed, so that captures allocate nothing."""

NOT_TRANSPOSED, TRANSPOSED = 0, 1  # CUBLAS_OP_N, CUBLAS_OP_T
CUDA_TYPES = {np.dtype(np.float32): 0, np.dtype(np.float64): 1}  # CUDA_R_32F, CUDA_R_64F
COMPUTE_FLOAT64 = 70  # CUBLAS_COMPUTE_64F
COMPUTE_FLOAT32 = {"fp32": 68, "tf32": 77, "bf16": 75}  # CUBLAS_COMPUTE_32F, _32F_FAST_TF32, _32F_FAST_16BF
ALGORITHM = -1  # CUBLAS_GEMM_DEFAULT
STATUS_NAMES = {
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
        _pointer, _int, _int, _int, _int, _int, _pointer,  # handle, transpose a and b, m, n, k, alpha
        _pointer, _int, _int, _pointer, _int, _int, _pointer, _pointer, _int, _int,  # a, b, beta, c, types, strides
        _int, _int,  # compute type, algorithm
    ),
}  # fmt: skip
"""The functions and the types of their arguments; each returns a status."""


class CublasMissing(KernelError, BackendUnavailable):
    """Raised if libcublas is not installed."""


class Cublas:
    """A handle of the library.

    Parameters
    ----------
    library : ctypes.CDLL
        The library, from `find_library`.
    workspace : int
        The address of WORKSPACE_BYTES bytes on the device, which must stay allocated as long as the handle is used.

    """

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
        """Set out to alpha a b + beta out on a stream, for row-major matrices.

        Parameters
        ----------
        stream : int
            The address of the CUDA stream.
        dtype : numpy.dtype
            The dtype of the matrices, float32 or float64.
        sizes : tuple of int
            (M, N, K), each below 2^31.
        a, b, out : int
            The addresses of a (M, K), b (K, N) and out (M, N); a and b are (K, M) and (N, K) if they are transposed.
        transpose_a, transpose_b : bool
            Whether the operand is given as its transpose.
        alpha, beta : float
            The factors.
        precision : str
            The precision of float32 products: "fp32", "tf32" or "bf16".

        Raises
        ------
        KernelError
            If a size is too large or cuBLAS fails.

        """
        M, N, K = sizes
        if not (M and N):
            return
        if max(sizes) >= 2**31:
            raise KernelError(f"gemm of sizes {sizes}; expected less than 2^31 each")
        if stream != self._stream:  # setting the stream resets the workspace
            self._call("cublasSetStream_v2", self._handle, stream)
            self._call("cublasSetWorkspace_v2", self._handle, self._workspace, WORKSPACE_BYTES)
            self._stream = stream
        type_code = CUDA_TYPES[dtype]
        scalar = ctypes.c_double if type_code else ctypes.c_float
        self._call(
            "cublasGemmEx", self._handle, TRANSPOSED if transpose_b else NOT_TRANSPOSED,
            TRANSPOSED if transpose_a else NOT_TRANSPOSED, N, M, K,
            ctypes.addressof(first := scalar(alpha)),
            b, type_code, max(1, K if transpose_b else N),
            a, type_code, max(1, M if transpose_a else K),
            ctypes.addressof(second := scalar(beta)),
            out, type_code, N,
            COMPUTE_FLOAT64 if type_code else COMPUTE_FLOAT32[precision], ALGORITHM,
        )  # fmt: skip
        del first, second  # the addresses had to be valid until here

    def close(self) -> None:
        """Destroy the handle; the object cannot be used afterwards."""
        if self._handle:
            self._call("cublasDestroy_v2", self._handle)
            self._handle = ctypes.c_void_p()

    def _call(self, name: str, *args: Any) -> None:
        status = self._functions[name](*args)
        if status:
            raise KernelError(f"{name}: CUBLAS_STATUS_{STATUS_NAMES.get(status, status)}")


def find_library() -> ctypes.CDLL:
    """Load libcublas from the wheels that `minigan[gpu]` installs, or from a CUDA toolkit.

    Returns
    -------
    ctypes.CDLL
        The library.

    Raises
    ------
    CublasMissing
        If neither has it; the message says what was tried.

    """
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
