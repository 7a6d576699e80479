"""Choose how the CUDA device computes a correlation: over patches with cuBLAS, or by tiles.

The plan compares estimated seconds.  The constants were fitted to the layers of DCGAN-64 at batch 128 on an H200, where
the plan takes at most 8 % more than the faster way; ``python -m benchmarks.gpu.algorithms`` measures all ways beside
the plan's.

    patches   products at the library's rate, and the patches written and read once (8 bytes each)
    tiles     whole tiles at the kernel's rate: rounded up to tiles, and to as many as the processors take at a time

Images of few channels waste a tile's columns, so that the way back to them (the last layer of a generator) goes over
patches; where all are wide, not to write the patches pays, the more the faster the products are.  Double precision,
and arrays that 32 bits cannot count, go over patches always.
"""

import functools
import math
from typing import NamedTuple

from minigan.ops.cuda.conv.im2col import are_images
from minigan.ops.geometry import Geometry

PATCH_BYTES_PER_SECOND = 2e12
"""Bytes of patches a second, written and read."""
LIBRARY_FLOP_PER_SECOND = {"fp32": 50e12, "tf32": 300e12, "bf16": 300e12}
"""FLOP a second of the library's products of float32 arrays."""
TILES_FLOP_PER_SECOND = {"fp32": 37e12, "tf32": 90e12, "bf16": 115e12}
"""FLOP a second of the kernel with tiles of 128."""
LONE_BLOCK_SHARE = 1.3
"""Time of a block that is alone on its processor, relative to half the time of two blocks."""
SMALL_TILE_SHARE = 0.65
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
def choose_plan(
    kind: str, geometry: Geometry, images: int, C: int, O: int, *, precision: str, double: bool, processors: int
) -> Plan:
    """Return the plan for kind "correlate", "adjoint" or "weights".

    >>> g = Geometry((32, 32), (16, 16), (4, 4), (2, 2), (1, 1), ((1, 1), (1, 1)))
    >>> options = {"precision": "tf32", "double": False, "processors": 132}
    >>> choose_plan("correlate", g, 128, 64, 128, **options), choose_plan("adjoint", g, 128, 3, 64, **options)
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
    return 2 * products[kind] / LIBRARY_FLOP_PER_SECOND[precision] + 8 * pixels * depth / PATCH_BYTES_PER_SECOND


def _tiles(
    kind: str, plan: Plan, geometry: Geometry, images: int, C: int, O: int, precision: str, processors: int
) -> float:
    tile, taps, pixels = plan.tile, math.prod(geometry.kernel), images * math.prod(geometry.small)
    rate = TILES_FLOP_PER_SECOND[precision] * (1 if tile == 128 else SMALL_TILE_SHARE) / processors
    if kind == "correlate":
        blocks, depth = _up(pixels, tile) * _up(O, tile), float(taps * C)
    elif kind == "adjoint":
        phases = math.prod(geometry.stride)
        rows = math.prod(-(-size // s) for size, s in zip(geometry.large, geometry.stride, strict=True)) * images
        blocks, depth = phases * _up(rows, tile) * _up(C, tile), taps / phases * O
    else:
        blocks, depth = plan.parts * _up(taps * C, tile) * _up(O, tile), pixels / plan.parts
    blocks_per_processor = -(-(blocks // tile**2) // processors)
    halves = blocks_per_processor + (blocks_per_processor % 2) * (LONE_BLOCK_SHARE - 1)
    return halves * tile * tile * 2 * depth / rate


def parts_of(tile: int, depth: int, O: int, pixels: int, processors: int) -> int:
    """As many as two blocks on each processor allow, but none too short, and not too many sums to add."""
    blocks = _up(depth, tile) * _up(O, tile) // tile**2
    return max(1, min(2 * processors // blocks, pixels // MIN_PIXELS_PER_PART, MAX_PARTIAL_BYTES // (4 * depth * O)))
