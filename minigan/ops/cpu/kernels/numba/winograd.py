"""Winograd's convolutions, compiled: a few tiles at a time to the points, through the products and back.

What is made of them stays in a core's cache.  Arrays, images and tiles come as in `compiled_tiles`.  V and M are memory
for the points of TILES tiles (`room`).
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from minigan.ops.cpu.kernels.numba.jit import inlined, kernel
from minigan.ops.cpu.kernels.numba.matmul import multiply
from minigan.ops.cpu.kernels.numba.tiles import gather, scatter

TILES = 96
APART = 16
"""Numbers between rows, and between points: where these were a multiple of 4 KiB apart, many of them would share a few
places of the cache."""


def room(points: int, numbers: int) -> int:
    """Return how many numbers V or M has, with so many at a point of a tile."""
    return points * _point(numbers)


@inlined
def _row(numbers):
    return numbers + APART


@inlined
def _point(numbers):
    return TILES * (numbers + APART) + APART


@kernel
def filter_tiles(To, From, x, image, tiles, U, of_U, y, image_y, tiles_y, bias, V, M, sizes, first, last):
    """y = From [(To tile To^t)_f U_f] From^t + bias, of the tiles first ... last - 1.

    sizes = (n n, K, N): the K numbers of a tile at a point become N.    U (n n, K, N), of_U = its strides
    """
    points, K, N = sizes
    C, O = image[3], image_y[3]
    for begin in range(first, last, TILES):
        end = min(begin + TILES, last)
        gather(To, x, image, V, (0, _point(K), _row(K), C), tiles, begin, end)
        for f in range(points):
            of_a, of_b, of_c = (f * _point(K), _row(K), 1), (f * of_U[0], of_U[1]), (f * _point(N), _row(N))
            multiply(V, of_a, U, of_b, M, of_c, (end - begin, N, K), False)
        scatter(From, M, (0, _point(N), _row(N), O), y, image_y, bias, tiles_y, begin, end)


@kernel
def correlate_tiles(To, Also, x, image, tiles, y, image_y, tiles_y, dU, V, M, sizes, first, last):
    """dU_f = the sum of (To tile To^t)_f^t (Also tile_y Also^t)_f over the tiles first ... last - 1.

    dU (n n, K, N), sizes those of dU
    """
    points, K, N = sizes
    for begin in range(first, last, TILES):
        end = min(begin + TILES, last)
        gather(To, x, image, V, (0, _point(K), _row(K), image[3]), tiles, begin, end)
        gather(Also, y, image_y, M, (0, _point(N), _row(N), N), tiles_y, begin, end)
        for f in range(points):
            of_a, of_b = (f * _point(K), 1, _row(K)), (f * _point(N), _row(N))
            multiply(V, of_a, M, of_b, dU, (f * K * N, N), (K, N, end - begin), begin > first)
