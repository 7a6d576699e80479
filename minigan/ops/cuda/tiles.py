"""Split a matrix (M, C) into blocks for the kernels that work along its rows (`columns.cuh`).

The split depends on the sizes only, not on the device, so that sums are added in the same order everywhere.
"""

from dataclasses import dataclass
from typing import Any

from minigan.ops.cuda.vector import REALS
from minigan.ops.protocol import Array

THREADS = 256
MAX_SUM_BLOCKS = 528
"""Most blocks of a pass with sums: four per multiprocessor of an H200 (132).  A pass without sums has twice as many."""
MIN_ROWS_PER_THREAD = 16
"""Fewest rows that a thread adds up in the first pass, unless the matrix has fewer."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """A grid over a matrix (M, C).

    Attributes
    ----------
    M, C : int
        Rows and columns of the matrix.
    width : int
        Columns that one thread loads at a time.

    """

    M: int
    C: int
    width: int

    @property
    def log_lanes(self) -> int:
        """Logarithm (base 2) of the threads side by side: enough for the columns, at most 32 threads."""
        return min(5, (self.C // self.width - 1).bit_length())

    @property
    def threads_per_column(self) -> int:
        """Threads of a block that share a column, each for other rows."""
        return THREADS >> self.log_lanes

    @property
    def blocks_across(self) -> int:
        """Blocks side by side, enough for all columns."""
        return -(-self.C // (self.width << self.log_lanes))

    @property
    def rows_per_part(self) -> int:
        """Rows per part of a sum: at least MIN_ROWS_PER_THREAD per thread, and at most MAX_SUM_BLOCKS blocks in all."""
        max_parts = max(1, MAX_SUM_BLOCKS // self.blocks_across)
        return max(MIN_ROWS_PER_THREAD * self.threads_per_column, -(-self.M // max_parts))

    @property
    def parts(self) -> int:
        """Number of parts, each of `rows_per_part` rows except the last."""
        return -(-self.M // self.rows_per_part)

    @property
    def grid(self) -> tuple[int, int]:
        """Grid of a pass without sums; its threads loop over the rows."""
        return self.blocks_across, max(
            1, min(-(-self.M // (2 * self.threads_per_column)), max(1, 2 * MAX_SUM_BLOCKS // self.blocks_across), 65535)
        )


def tiles_of(x: Array, *others: Array) -> Tiles:
    """Return the tiles of a matrix and of arrays that are processed together with it.

    Parameters
    ----------
    x : (M, C) array
        The matrix, float32 or float64.
    *others : (M, C) or (C,) arrays
        Arrays that the same threads load or store, of the dtype of x.

    Returns
    -------
    Tiles
        The grid; 16 bytes are loaded at a time if all arrays allow it.

    """
    M, C = x.shape
    return Tiles(M, C, width_of(C, x, *others))


def width_of(C: int, *arrays: Array) -> int:
    """Return how many numbers one load reads: 16 bytes if all rows are aligned to 16 bytes, else one number.

    Parameters
    ----------
    C : int
        Numbers per row; 0 for flat arrays.
    *arrays : arrays
        C-contiguous arrays of one dtype.

    Returns
    -------
    int
        4 for float32 and 2 for float64 if the alignment allows it, else 1.

    """
    most = 16 // arrays[0].itemsize
    return 1 if C % most or any(address(a) % 16 for a in arrays) else most


def address(x: Any) -> int:
    """Return the address of a device array."""
    return int(x.data.ptr)


def real_of(x: Array, name: str) -> str:
    """Return the C type of an array's elements.

    Parameters
    ----------
    x : array
        The array.
    name : str
        The kernel's name, for the error.

    Returns
    -------
    str
        "float" or "double".

    Raises
    ------
    TypeError
        If x is neither float32 nor float64.

    """
    if x.dtype not in REALS:
        raise TypeError(f"{name}: dtype {x.dtype} given; expected float32 or float64")
    return REALS[x.dtype]
