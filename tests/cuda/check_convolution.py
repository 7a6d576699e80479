"""Check the convolutions' kernels through the code that launches them."""

import numpy as np
from emulated import ON_GPU, error_of

from minigan.ops import reference
from minigan.ops.cuda.conv.im2col import PatchCorrelations
from minigan.ops.cuda.conv.tiles import TileCorrelations
from minigan.ops.geometry import Geometry, small_size

RTOL = 1e-13
OF_FLOAT = 2e-6  # sums of a few hundred float32 products of equally rounded operands
OF_TILES = {"fp32": OF_FLOAT} | dict.fromkeys(("tf32", "bf16"), 2e-5 if ON_GPU else OF_FLOAT)
"""Relative tolerances by precision: a GPU's tensor cores truncate their sums instead of rounding them."""


def geometry_of(large, kernel, stride=(1, 1), dilation=(1, 1), padding=((0, 0), (0, 0))):
    axes = zip(large, kernel, stride, dilation, padding, strict=True)
    small = tuple(small_size(n, k, stride=s, dilation=d, padding=p) for n, k, s, d, p in axes)
    return Geometry(large, small, kernel, stride, dilation, padding)


# (geometry, N, C, O): only 128 is a multiple of a tile, and channels do and do not come in packs of four.
SIZES = {
    "odd": (geometry_of((9, 7), (3, 4), (2, 1), (1, 2), ((1, 2), (0, 3))), 2, 5, 7),
    "dcgan": (geometry_of((8, 8), (4, 4), (2, 2), (1, 1), ((1, 1), (1, 1))), 9, 12, 20),
    "five taps": (geometry_of((10, 6), (5, 5), (2, 2), (1, 1), ((1, 2), (2, 1))), 3, 3, 128),
    "dilated": (geometry_of((11, 9), (3, 5), (3, 2), (2, 3), ((2, 0), (6, 6))), 2, 36, 70),
    "whole stages": (geometry_of((7, 8), (4, 3), (2, 1), (1, 2), ((1, 2), (2, 1))), 2, 64, 48),
    "steps over pixels": (geometry_of((5, 6), (2, 1), (3, 4)), 2, 4, 130),
    "one pixel": (geometry_of((1, 1), (3, 3), padding=((1, 1), (1, 1))), 5, 8, 1),
}


def draws(rng, geometry, n, C, O, *, dtype="float64"):
    """Draw x, y, W and both biases."""
    shapes = (n, *geometry.large, C), (n, *geometry.small, O), (*geometry.kernel, C, O), (C,), (O,)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def rounded(a, precision):
    """Round float32 numbers to tf32 or bf16, ties to even, and return float64."""
    if precision == "fp32":
        return a.astype("float64")
    fraction, exponent = np.frexp(a.astype("float64"))
    bits = {"tf32": 11, "bf16": 8}[precision]
    return np.rint(fraction * 2.0**bits) * 2.0 ** (exponent - bits)


def assert_close(got, want, gate):
    assert got.shape == want.shape
    assert error_of(got.get(), want) <= gate


def of_tiles(device, tile, precision, geometry, arrays, *, parts=1):
    """Return y, x and dW by tiles."""
    tiles = TileCorrelations(device, precision)
    x, y, W, bc, bo = map(device.array, arrays)
    return (
        tiles.correlate(x, W, geometry, bo, tile),
        tiles.correlate_adjoint(y, W, geometry, bc, tile),
        tiles.correlate_weights(x, y, geometry, tile, parts),
    )


def of_reference(geometry, arrays):
    x, y, W, bc, bo = arrays
    return (
        reference.correlate(x, W, geometry, bo),
        reference.correlate_adjoint(y, W, geometry, bc),
        reference.correlate_weights(x, y, geometry),
    )


# --- checks that planted bugs must fail -------------------------------------------------------------


def patches(device):
    """Products over patches, with many and with few channels, in both dtypes."""
    for dtype, gate in (("float64", RTOL), ("float32", OF_FLOAT)):
        for name in ("odd", "dcgan", "dilated", "steps over pixels"):
            geometry, n, C, O = SIZES[name]
            arrays = draws(np.random.default_rng(0), geometry, n, C, O, dtype=dtype)
            x, y, W, bc, bo = map(device.array, arrays)
            ways = PatchCorrelations(device)
            got = (
                ways.correlate(x, W, geometry, bo),
                ways.correlate_adjoint(y, W, geometry, bc),
                ways.correlate_weights(x, y, geometry),
            )
            for one, want in zip(got, of_reference(geometry, [a.astype("float64") for a in arrays]), strict=True):
                assert_close(one, want, gate)


def assert_tiles_agree(device, tile, precision):
    """All sizes, with the weight gradient in one part and in three."""
    for geometry, n, C, O in SIZES.values():
        arrays = draws(np.random.default_rng(1), geometry, n, C, O, dtype="float32")
        exact = of_reference(geometry, [rounded(a, precision) for a in arrays[:3]] + arrays[3:])
        for parts in (1, 3):
            got = of_tiles(device, tile, precision, geometry, arrays, parts=parts)
            for one, want in zip(got, exact, strict=True):
                assert_close(one, want, OF_TILES[precision])


def fp32(device):
    assert_tiles_agree(device, 64, "fp32")


def tf32(device):
    assert_tiles_agree(device, 128, "tf32")


def bf16(device):
    assert_tiles_agree(device, 64, "bf16")
