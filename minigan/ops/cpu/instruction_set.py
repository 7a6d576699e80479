"""Whether numba's kernels have longer vectors than the kernels of NumPy's BLAS library.

OpenBLAS runs its AVX2 kernels on a processor with AVX-512 if it does not know the processor, or if OPENBLAS_CORETYPE
says so; numba compiles for the registers of 64 bytes there, and then a compiled product is twice as fast as BLAS's.  On
equal terms BLAS is as fast or faster, because it copies large factors into its own order.  So the instruction sets
decide, which are the same in every process on a machine: a measurement at run time would change the roundings of a run
from one start to the next.
"""

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

OPENBLAS_WITH_AVX512 = frozenset({"skylakex", "cooperlake", "sapphirerapids"})
"""OpenBLAS's names, in lower case, of the processors for which its kernels use AVX-512."""


@functools.cache
def compiles_for_avx512() -> bool:
    """Return whether numba is installed and compiles for vector registers of 64 bytes."""
    if importlib.util.find_spec("numba") is None:
        return False
    from minigan.ops.cpu.kernels.numba.matmul import TILE_VECTORS

    return TILE_VECTORS > 1


@functools.cache
def compiled_products_are_faster() -> bool:
    """Return whether numba compiles for AVX-512 while NumPy's BLAS library has shorter vectors.

    Returns
    -------
    bool
        False also if the library is none whose kernels are known.

    """
    return compiles_for_avx512() and blas_lacks_avx512(_blas_libraries())


@functools.cache
def blas_has_avx512() -> bool:
    """Return whether NumPy's BLAS library is not known to lack AVX-512 (`blas_lacks_avx512`)."""
    return not blas_lacks_avx512(_blas_libraries())


def blas_lacks_avx512(libraries: Sequence[Any]) -> bool:
    """Return whether all these libraries are OpenBLAS and run kernels without AVX-512.

    Parameters
    ----------
    libraries
        Library controllers of threadpoolctl.

    Returns
    -------
    bool
        False if there is none, or one whose kernels are unknown.

    """
    return bool(libraries) and all(
        library.internal_api == "openblas"
        and str(getattr(library, "architecture", None) or "skylakex").lower() not in OPENBLAS_WITH_AVX512
        for library in libraries
    )


def _blas_libraries() -> list[Any]:
    """Return the controllers of the BLAS library that NumPy brings, or else of all that are loaded."""
    from threadpoolctl import ThreadpoolController

    found = list(ThreadpoolController().select(user_api="blas").lib_controllers)
    folder = Path(np.__file__).resolve().parent
    own = (folder, folder.with_name("numpy.libs"))  # wheels for Linux and Windows have the second, those for macOS not
    return [library for library in found if any(Path(library.filepath).is_relative_to(path) for path in own)] or found
