"""Winograd's convolutions, compiled: a block of tiles at a time is transformed, multiplied and transformed back.

The intermediate results of a block stay in the cache of a core.  Arrays, images and tiles are passed as in `tiles`.
V and M are workspaces of `workspace_entries` entries for the points of TILES_PER_BLOCK tiles.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from minigan.ops.cpu.kernels.numba.jit import inlined, kernel
from minigan.ops.cpu.kernels.numba.matmul import multiply_at
from minigan.ops.cpu.kernels.numba.tiles import PointLayout, gather, scatter

TILES_PER_BLOCK = 96
PADDING_ENTRIES = 16
"""Entries between rows, and between points.  Without them both could be a multiple of 4 KiB apart, and would compete
for the same few sets of the cache."""


def workspace_entries(points: int, entries: int) -> int:
    """Return the size of V or M in entries, for a number of points and of `entries` per tile and point."""
    return points * int(_point_stride.py_func(entries))  # Python's function: one that is inlined is not kept on disk


@inlined
def _row_stride(entries):
    return entries + PADDING_ENTRIES


@inlined
def _point_stride(entries):
    return TILES_PER_BLOCK * (entries + PADDING_ENTRIES) + PADDING_ENTRIES


@kernel
def filter_tiles(To, From, x, image, tiles, U, U_strides, y, image_y, tiles_y, bias, V, M, sizes, product, first, last):
    """y = From [(To tile To^t)_f U_f] From^t + bias, for the tiles first ... last - 1.

    sizes = (n n, K, N): a tile has K numbers at a point before the product, and N after it.    U (n n, K, N)
    product: its address, see `matmul.multiply_at`
    """
    points, K, N = sizes
    C, O = image.C, image_y.C
    V_layout, M_layout = (
        PointLayout(0, _point_stride(K), _row_stride(K), C),
        PointLayout(0, _point_stride(N), _row_stride(N), O),
    )
    for begin in range(first, last, TILES_PER_BLOCK):
        end = min(begin + TILES_PER_BLOCK, last)
        gather(To, x, image, V, V_layout, tiles, begin, end)
        for f in range(points):
            a_layout, b_layout = (f * _point_stride(K), _row_stride(K), 1), (f * U_strides[0], U_strides[1])
            c_layout = (f * _point_stride(N), _row_stride(N))
            multiply_at(product, V, a_layout, U, b_layout, M, c_layout, (end - begin, N, K), False)
        scatter(From, M, M_layout, y, image_y, bias, tiles_y, begin, end)


@kernel
def correlate_tiles(To, To_y, x, image, tiles, y, image_y, tiles_y, dU, V, M, sizes, product, first, last):
    """dU_f = the sum of (To tile To^t)_f^t (To_y tile_y To_y^t)_f over the tiles first ... last - 1.

    sizes = (n n, K, N), the shape of dU    product: its address, see `matmul.multiply_at`
    """
    points, K, N = sizes
    V_layout, M_layout = (
        PointLayout(0, _point_stride(K), _row_stride(K), image.C),
        PointLayout(0, _point_stride(N), _row_stride(N), N),
    )
    for begin in range(first, last, TILES_PER_BLOCK):
        end = min(begin + TILES_PER_BLOCK, last)
        gather(To, x, image, V, V_layout, tiles, begin, end)
        gather(To_y, y, image_y, M, M_layout, tiles_y, begin, end)
        for f in range(points):
            a_layout, b_layout = (f * _point_stride(K), 1, _row_stride(K)), (f * _point_stride(N), _row_stride(N))
            multiply_at(product, V, a_layout, M, b_layout, dU, (f * K * N, N), (K, N, end - begin), begin > first)
