"""Winograd's convolutions, compiled: a block of tiles at a time is transformed, multiplied and transformed back.

The intermediate results of a block stay in the cache of a core.  Arrays, images and tiles are passed as in `tiles`.
V and M are workspaces of `workspace_entries` entries for the points of TILES_PER_BLOCK tiles.  The compiled functions
compute with addresses alone, so they are compiled once for all matrices and dtypes.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"

from typing import Any

import numpy as np

from minigan.ops.cpu.kernels.numba.jit import kernel_by_address
from minigan.ops.cpu.kernels.numba.matmul import multiply_at
from minigan.ops.cpu.kernels.numba.pointers import integers
from minigan.ops.cpu.kernels.numba.tiles import GATHER, LAYOUTS_SIZE, SCATTER, PointLayout, gather_tiles, scatter_tiles
from minigan.ops.cpu.threads.team import address_of, call, callable_at

TILES_PER_BLOCK = 96
PADDING_ENTRIES = 16
"""Entries between rows, and between points.  Without them both could be a multiple of 4 KiB apart, and would compete
for the same few sets of the cache."""

(
    FIRST, LAST, POINTS, K, N, X, Y, BIAS, V, V_POINT, V_ROW, M, M_POINT, M_ROW, U, U_POINT, U_ROW, ITEM_BYTES, PRODUCT,
    MOVE_X, MOVE_Y, LAYOUTS_X,
) = range(22)  # fmt: skip
"""What the program holds: the tiles; n n and the numbers of a tile at a point before and after the product; addresses;
the distances in numbers of the points and rows of V, M and U (or dU); the addresses of the product and of the functions
of `tiles`; the layouts of x and V, and those of y and M."""
LAYOUTS_Y = LAYOUTS_X + LAYOUTS_SIZE


def workspace_entries(points: int, entries: int) -> int:
    """Return the size of V or M in entries, for a number of points and of `entries` per tile and point."""
    return points * _point_stride(entries)


def _point_stride(entries: int) -> int:
    return TILES_PER_BLOCK * (entries + PADDING_ENTRIES) + PADDING_ENTRIES


def _program(x, image, tiles, y, image_y, tiles_y, bias, V_, M_, U_, U_strides, sizes, product, moves, first, last):
    _, K_, N_ = sizes
    V_stride, M_stride = _point_stride(K_), _point_stride(N_)
    V_row, M_row = K_ + PADDING_ENTRIES, N_ + PADDING_ENTRIES
    memory = (
        x.ctypes.data, y.ctypes.data, bias, V_.ctypes.data, V_stride, V_row, M_.ctypes.data, M_stride, M_row,
        U_.ctypes.data, *U_strides, x.itemsize, product, *moves,
    )  # fmt: skip
    layouts = (
        *image, *PointLayout(0, V_stride, V_row, image.C), *tiles,
        *image_y, *PointLayout(0, M_stride, M_row, image_y.C), *tiles_y,
    )  # fmt: skip
    return np.array((first, last, *sizes, *memory, *layouts), np.int64)


def filter_tiles(
    To: Any, From: Any, x: Any, image: Any, tiles: Any, U: Any, U_strides: Any, y: Any, image_y: Any, tiles_y: Any,
    bias: Any, V: Any, M: Any, sizes: Any, product: Any, first: Any, last: Any,
) -> None:  # fmt: skip
    """y = From [(To tile To^t)_f U_f] From^t + bias, for the tiles first ... last - 1.

    sizes = (n n, K, N): a tile has K numbers at a point before the product, and N after it.    U (n n, K, N)
    product: its address, see `matmul.multiply_at`
    """
    dtype = str(x.dtype)
    moves = address_of(gather_tiles, GATHER, dtype, To), address_of(scatter_tiles, SCATTER, dtype, From)
    rest = bias.ctypes.data, V, M, U, U_strides, sizes, product, moves, first, last
    program = _program(x, image, tiles, y, image_y, tiles_y, *rest)
    callable_at(_filter_tiles, "i", "")(program.ctypes.data)


def correlate_tiles(
    To: Any, To_y: Any, x: Any, image: Any, tiles: Any, y: Any, image_y: Any, tiles_y: Any, dU: Any, V: Any, M: Any,
    sizes: Any, product: Any, first: Any, last: Any,
) -> None:  # fmt: skip
    """dU_f = the sum of (To tile To^t)_f^t (To_y tile_y To_y^t)_f over the tiles first ... last - 1.

    sizes = (n n, K, N), the shape of dU    product: its address, see `matmul.multiply_at`
    """
    dtype = str(x.dtype)
    moves = address_of(gather_tiles, GATHER, dtype, To), address_of(gather_tiles, GATHER, dtype, To_y)
    rest = 0, V, M, dU, (sizes[1] * sizes[2], sizes[2]), sizes, product, moves, first, last
    program = _program(x, image, tiles, y, image_y, tiles_y, *rest)
    callable_at(_correlate_tiles, "i", "")(program.ctypes.data)


@kernel_by_address
def _filter_tiles(program):
    p, layouts_x, layouts_y = integers(program), program + 8 * LAYOUTS_X, program + 8 * LAYOUTS_Y
    for begin in range(p[FIRST], p[LAST], TILES_PER_BLOCK):
        end = min(begin + TILES_PER_BLOCK, p[LAST])
        call(p[MOVE_X], (0, p[X], p[V], layouts_x, begin, end))
        for f in range(p[POINTS]):
            a_layout, b_layout = (f * p[V_POINT], p[V_ROW], 1), (f * p[U_POINT], p[U_ROW])
            c_layout, sizes = (f * p[M_POINT], p[M_ROW]), (end - begin, p[N], p[K])
            multiply_at(p[PRODUCT], p[V], a_layout, p[U], b_layout, p[M], c_layout, sizes, 0)
        call(p[MOVE_Y], (0, p[M], p[Y], p[BIAS], layouts_y, begin, end))
    return 0


@kernel_by_address
def _correlate_tiles(program):
    p, layouts_x, layouts_y = integers(program), program + 8 * LAYOUTS_X, program + 8 * LAYOUTS_Y
    for begin in range(p[FIRST], p[LAST], TILES_PER_BLOCK):
        end = min(begin + TILES_PER_BLOCK, p[LAST])
        call(p[MOVE_X], (0, p[X], p[V], layouts_x, begin, end))
        call(p[MOVE_Y], (0, p[Y], p[M], layouts_y, begin, end))
        for f in range(p[POINTS]):
            a_layout, b_layout = (f * p[V_POINT], 1, p[V_ROW]), (f * p[M_POINT], p[M_ROW])
            c_layout, sizes = (f * p[U_POINT], p[U_ROW]), (p[K], p[N], end - begin)
            multiply_at(p[PRODUCT], p[V], a_layout, p[M], b_layout, p[U], c_layout, sizes, begin > p[FIRST])
    return 0
