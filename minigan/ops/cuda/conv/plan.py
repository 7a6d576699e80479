"""Choose how the CUDA device computes a correlation: over patches with cuBLAS, or by tiles.

The plan compares estimated seconds.  The constants were fitted to the layers of DCGAN-64 at batch 128 on an H200, where
the plan takes at most 8 % more than the faster way; ``python -m benchmarks.gpu.algorithms`` measures all ways beside
the plan's.

    patches   cuBLAS multiplies at its rate, and each number of a patch is written and read once (8 bytes)
    tiles     the kernel multiplies at its rate; sizes are rounded up to whole tiles, and tiles to whole rounds, in each
              of which all processors compute

Large images with few channels would leave most columns of a tile empty, so the adjoint to them (the last layer of a
generator) is computed over patches.  With many channels, tiles save the time of writing the patches; the faster the
products are, the more that counts.  float64, and arrays whose entries do not fit into a 32-bit index, always go over
patches.
"""

import functools
import math
from typing import NamedTuple

from minigan.ops.cuda.conv.im2col import are_images
from minigan.ops.geometry import Geometry

PATCH_BYTES_PER_SECOND = 2e12
"""Bytes per second at which patches are written and read."""
LIBRARY_FLOP_PER_SECOND = {"fp32": 50e12, "tf32": 300e12, "bf16": 300e12}
"""FLOP per second of cuBLAS's products of float32 arrays, by precision."""
TILES_FLOP_PER_SECOND = {"fp32": 37e12, "tf32": 90e12, "bf16": 115e12}
"""FLOP per second of the kernel with tiles of 128 x 128, by precision."""
LONE_BLOCK_FACTOR = 1.3
"""The time of a block that is alone on its processor, relative to half the time of two blocks together."""
SMALL_TILE_RATE_FACTOR = 0.65
"""The rate of tiles of 64 x 64, which read each value twice as often, relative to that of tiles of 128 x 128."""
LIBRARY_TILE_SIDE = 64
"""cuBLAS rounds the sizes of a product up to a multiple of this."""
MAX_ENTRIES = 2**31 - 2**24
"""The most entries of an array that the kernel of the tiles can index in 32 bits."""
MAX_PHASES = 65535
"""The most phases of the stride, each of which is a block on the third axis of the grid."""
MIN_PIXELS_PER_PART = 256
"""The fewest pixels of a part of the weight gradient."""
MAX_PARTIAL_BYTES = 64 << 20
"""The most bytes of the sums of all parts."""


class Plan(NamedTuple):
    """How to compute a correlation.

    Attributes
    ----------
    tile
        The side of the tiles, 128 or 64; 0 for patches.
    parts
        The number of parts into which the weight gradient's pixels are cut; 1 for the other correlations.

    """

    tile: int
    parts: int = 1


@functools.lru_cache(maxsize=1024)
def choose_plan(
    kind: str, geometry: Geometry, images: int, C: int, O: int, *, precision: str, double: bool, processors: int
) -> Plan:
    """Return the plan with the least estimated time.

    Parameters
    ----------
    kind
        The correlation: "correlate", "adjoint" or "weights".
    geometry
        Its geometry.
    images
        N, the number of images in the batch.
    C, O
        The channels of the large and of the small image.
    precision
        The precision of float32 products: "fp32", "tf32" or "bf16".
    double
        Whether the arrays are float64, for which there are no tiles.
    processors
        The number of multiprocessors of the device.

    Returns
    -------
    Plan
        Tiles, or patches.

    Examples
    --------
    >>> g = Geometry((32, 32), (16, 16), (4, 4), (2, 2), (1, 1), ((1, 1), (1, 1)))
    >>> options = {"precision": "tf32", "double": False, "processors": 132}
    >>> choose_plan("correlate", g, 128, 64, 128, **options), choose_plan("adjoint", g, 128, 3, 64, **options)
    (Plan(tile=128, parts=1), Plan(tile=0, parts=1))

    """
    taps, small, large = (math.prod(pair) for pair in (geometry.kernel, geometry.small, geometry.large))
    arrays = (images * large * C, images * small * O, taps * C * O, images * small)
    only_patches = double or are_images(geometry) or not images or max(arrays) >= MAX_ENTRIES
    if only_patches or math.prod(geometry.stride) > MAX_PHASES:
        return Plan(0)
    best, fewest_seconds = Plan(0), _seconds_over_patches(kind, taps * C, images * small, O, precision)
    for tile in (128, 64):
        plan = Plan(tile, parts_of(tile, taps * C, O, images * small, processors) if kind == "weights" else 1)
        seconds = _seconds_by_tiles(kind, plan, geometry, images, C, O, precision, processors)
        if seconds < fewest_seconds:
            best, fewest_seconds = plan, seconds
    return best


def _round_up(n: int, tile: int) -> int:
    """Return the least multiple of `tile` that is at least n."""
    return -(-n // tile) * tile


def _seconds_over_patches(kind: str, depth: int, pixels: int, O: int, precision: str) -> float:
    """Return the estimated seconds of cuBLAS's product and of the patches (pixels, depth)."""
    tile = LIBRARY_TILE_SIDE
    products = {
        "correlate": _round_up(pixels, tile) * _round_up(O, tile) * depth,
        "adjoint": _round_up(pixels, tile) * _round_up(depth, tile) * O,
        "weights": _round_up(depth, tile) * _round_up(O, tile) * pixels,
    }
    return 2 * products[kind] / LIBRARY_FLOP_PER_SECOND[precision] + 8 * pixels * depth / PATCH_BYTES_PER_SECOND


def _seconds_by_tiles(
    kind: str, plan: Plan, geometry: Geometry, images: int, C: int, O: int, precision: str, processors: int
) -> float:
    """Return the estimated seconds of the kernel: tiles of the result, each the sum of `depth` products per entry."""
    tile, taps, pixels = plan.tile, math.prod(geometry.kernel), images * math.prod(geometry.small)
    rate = TILES_FLOP_PER_SECOND[precision] * (1 if tile == 128 else SMALL_TILE_RATE_FACTOR) / processors
    if kind == "correlate":
        entries, depth = _round_up(pixels, tile) * _round_up(O, tile), float(taps * C)
    elif kind == "adjoint":
        phases = math.prod(geometry.stride)
        rows = math.prod(-(-size // s) for size, s in zip(geometry.large, geometry.stride, strict=True)) * images
        entries, depth = phases * _round_up(rows, tile) * _round_up(C, tile), taps / phases * O
    else:
        entries, depth = plan.parts * _round_up(taps * C, tile) * _round_up(O, tile), pixels / plan.parts
    blocks_per_processor = -(-(entries // tile**2) // processors)
    # In units of half the time of two blocks that share a processor; the last one may be alone.
    time_units = blocks_per_processor + (blocks_per_processor % 2) * (LONE_BLOCK_FACTOR - 1)
    return time_units * tile * tile * 2 * depth / rate


def parts_of(tile: int, depth: int, O: int, pixels: int, processors: int) -> int:
    """Return the number of parts of a weight gradient: two blocks per processor, within the two limits above.

    Parameters
    ----------
    tile
        The side of a tile.
    depth
        kh kw C, the rows of the weight gradient as a matrix.
    O
        Its columns.
    pixels
        N h w, the number of pixels that are summed.
    processors
        The number of multiprocessors of the device.

    Returns
    -------
    int
        The number of parts, at least 1.

    """
    blocks = _round_up(depth, tile) * _round_up(O, tile) // tile**2
    return max(1, min(2 * processors // blocks, pixels // MIN_PIXELS_PER_PART, MAX_PARTIAL_BYTES // (4 * depth * O)))
