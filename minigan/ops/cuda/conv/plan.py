"""Which way a correlation goes on the CUDA device: over patches and the library's products, or by tiles.

What is estimated is seconds on an H200; the constants are stated rates and shares of them, not measurements
(``python -m benchmarks.gpu.algorithms`` measures all ways beside the plan's).

    patches   products at the library's share of the peak, and the patches written and read once (8 bytes each)
    tiles     whole tiles at the kernel's share: rounded up to tiles, and to as many as the processors take at a time

Images of few channels waste a tile's columns, so that the way back to them (the last layer of a generator) goes over
patches; where all are wide, not to write the patches pays, the more the faster the products are.  Double precision,
and arrays that 32 bits cannot count, go over patches always.
"""

import functools
import math
from typing import NamedTuple

from minigan.ops.cuda.conv.im2col import are_images
from minigan.ops.geometry import Geometry

BYTES_PER_SECOND = 4.3e12
"""Bytes a second to and from memory."""
PEAK_FLOP_PER_SECOND = {"fp32": 67e12, "tf32": 400e12, "bf16": 790e12}
"""FLOP a second of a large product."""
LIBRARY_SHARE = {"fp32": 0.9, "tf32": 0.8, "bf16": 0.5}
"""Shares of it: of the library's products of float32 arrays."""
TILES_SHARE = {"fp32": 0.75, "tf32": 0.5, "bf16": 0.3}
"""Of the kernel with tiles of 128: mma.sync reaches about 0.63, and reading float32 costs a bf16 product more."""
SMALL_TILE_SHARE = 0.75
"""Of tiles of 64, which read each value twice as often, relative to those of 128."""
LIBRARY_TILE = 64
"""What the library's products are rounded up to."""
MAX_ENTRIES = 2**31 - 2**24
"""Entries of an array that the tiles' kernel can count."""
MAX_PHASES = 65535
MIN_PIXELS_PER_PART = 256
"""Pixels of a part of the weight gradient, at least."""
MAX_PARTIAL_BYTES = 64 << 20
"""Bytes of the parts' sums, at most."""


class Plan(NamedTuple):
    """tile: 128 or 64, or 0 for patches; parts: of the pixels, for the weight gradient."""

    tile: int
    parts: int = 1


@functools.lru_cache(maxsize=1024)
def choose(
    kind: str, geometry: Geometry, images: int, C: int, O: int, *, precision: str, double: bool, processors: int
) -> Plan:
    """Return the plan for kind "correlate", "adjoint" or "weights".

    >>> g = Geometry((32, 32), (16, 16), (4, 4), (2, 2), (1, 1), ((1, 1), (1, 1)))
    >>> options = {"precision": "tf32", "double": False, "processors": 132}
    >>> choose("correlate", g, 128, 128, 256, **options), choose("adjoint", g, 128, 3, 64, **options)
    (Plan(tile=128, parts=1), Plan(tile=0, parts=1))
    """
    taps, small, large = (math.prod(pair) for pair in (geometry.kernel, geometry.small, geometry.large))
    arrays = (images * large * C, images * small * O, taps * C * O, images * small)
    over_patches = double or are_images(geometry) or not images or max(arrays) >= MAX_ENTRIES
    if over_patches or math.prod(geometry.stride) > MAX_PHASES:
        return Plan(0)
    best, cheapest = Plan(0), _patches(kind, taps * C, images * small, O, precision)
    for tile in (128, 64):
        plan = Plan(tile, parts_of(tile, taps * C, O, images * small, processors) if kind == "weights" else 1)
        cost = _tiles(kind, plan, geometry, images, C, O, precision, processors)
        if cost < cheapest:
            best, cheapest = plan, cost
    return best


def _up(n: int, tile: int) -> int:
    return -(-n // tile) * tile


def _patches(kind: str, depth: int, pixels: int, O: int, precision: str) -> float:
    tile = LIBRARY_TILE
    products = {
        "correlate": _up(pixels, tile) * _up(O, tile) * depth,
        "adjoint": _up(pixels, tile) * _up(depth, tile) * O,
        "weights": _up(depth, tile) * _up(O, tile) * pixels,
    }
    return (
        2 * products[kind] / (PEAK_FLOP_PER_SECOND[precision] * LIBRARY_SHARE[precision])
        + 8 * pixels * depth / BYTES_PER_SECOND
    )


def _tiles(
    kind: str, plan: Plan, geometry: Geometry, images: int, C: int, O: int, precision: str, processors: int
) -> float:
    tile, taps, pixels = plan.tile, math.prod(geometry.kernel), images * math.prod(geometry.small)
    rate = (
        PEAK_FLOP_PER_SECOND[precision] * TILES_SHARE[precision] * (1 if tile == 128 else SMALL_TILE_SHARE) / processors
    )
    if kind == "correlate":
        blocks, depth = _up(pixels, tile) * _up(O, tile), float(taps * C)
    elif kind == "adjoint":
        phases = math.prod(geometry.stride)
        rows = math.prod(-(-size // s) for size, s in zip(geometry.large, geometry.stride, strict=True)) * images
        blocks, depth = phases * _up(rows, tile) * _up(C, tile), taps / phases * O
    else:
        blocks, depth = plan.parts * _up(taps * C, tile) * _up(O, tile), pixels / plan.parts
    blocks //= tile * tile
    return -(-blocks // processors) * tile * tile * 2 * depth / rate


def parts_of(tile: int, depth: int, O: int, pixels: int, processors: int) -> int:
    """As many as two blocks on each processor allow, but none too short, and not too many sums to add."""
    blocks = _up(depth, tile) * _up(O, tile) // tile**2
    return max(1, min(2 * processors // blocks, pixels // MIN_PIXELS_PER_PART, MAX_PARTIAL_BYTES // (4 * depth * O)))
