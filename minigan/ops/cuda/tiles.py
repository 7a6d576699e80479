"""How the kernels that go over the rows of a matrix (M, C) cut it into blocks (`columns.cuh`).

By sizes alone, not by the device: sums have the same order everywhere.
"""

from dataclasses import dataclass
from typing import Any

from minigan.ops.cuda.vector import REALS
from minigan.ops.protocol import Array

THREADS = 256
BLOCKS = 528
"""Of a pass with sums, at most: four for each of the 132 multiprocessors of an H200; twice as many without sums."""
LEAST = 16
"""Rows that a thread adds up, at least, before its block hands over to the second pass."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """A grid over (M, C): blocks with 2^log_lanes threads side by side, each with `width` columns."""

    M: int
    C: int
    width: int

    @property
    def log_lanes(self) -> int:
        """Threads side by side: enough for the columns, 32 at most, a power of 2."""
        return min(5, (self.C // self.width - 1).bit_length())

    @property
    def height(self) -> int:
        """Threads under each other."""
        return THREADS >> self.log_lanes

    @property
    def across(self) -> int:
        """Blocks side by side."""
        return -(-self.C // (self.width << self.log_lanes))

    @property
    def rows(self) -> int:
        """Rows of a part, for sums: a block has LEAST rows a thread, or more where BLOCKS parts are too few."""
        most = max(1, BLOCKS // self.across)
        return max(LEAST * self.height, -(-self.M // most))

    @property
    def parts(self) -> int:
        """Parts of `rows` rows."""
        return -(-self.M // self.rows)

    @property
    def grid(self) -> tuple[int, int]:
        """For a pass without sums, whose threads go over all the rows."""
        return self.across, max(1, min(-(-self.M // (2 * self.height)), max(1, 2 * BLOCKS // self.across), 65535))


def tiles_of(x: Array, *others: Array) -> Tiles:
    """Return the tiles of a matrix x (M, C) that is read or written together with other arrays of rows of C numbers."""
    M, C = x.shape
    return Tiles(M, C, width_of(C, x, *others))


def width_of(C: int, *arrays: Array) -> int:
    """Return how many numbers one instruction loads: 16 bytes, if every row of C numbers begins at 16, else 1."""
    most = 16 // arrays[0].itemsize
    return 1 if C % most or any(address(a) % 16 for a in arrays) else most


def address(x: Any) -> int:
    """Return where an array of the device begins."""
    return int(x.data.ptr)


def real_of(x: Array, name: str) -> str:
    """Return "float" or "double"; TypeError for other dtypes."""
    if x.dtype not in REALS:
        raise TypeError(f"{name}: dtype {x.dtype} given; accepted on the CUDA backend: float32, float64")
    return REALS[x.dtype]
