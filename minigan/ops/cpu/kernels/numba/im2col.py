"""im2col and its adjoint col2im, compiled (`minigan.ops.cpu.conv.im2col` has the definitions).

Arguments are pointers and int64.  The C numbers of a pixel are adjacent, and without dilation so are the pixels of one
row of the kernel: they are copied as one run.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"

from typing import Any, NamedTuple

import numpy as np

from minigan.ops.cpu.kernels.numba.jit import kernel_by_address
from minigan.ops.cpu.kernels.numba.pointers import integers
from minigan.ops.cpu.kernels.numba.runs import add_run, copy_run, copy_vectors, zero_run
from minigan.ops.cpu.kernels.numba.simd import lanes
from minigan.ops.cpu.threads.team import callable_at


class Im2colSizes(NamedTuple):
    """The sizes of one im2col: those of x, and the geometry of the correlation.

    It is defined in the kernels' file because the compiled code depends on the order of the fields: numba compiles
    again when this file changes, not when another one does.
    """

    N: int  # images
    H: int  # rows of the large image
    W: int  # columns of the large image
    C: int  # channels
    kh: int  # rows of the kernel
    kw: int  # columns of the kernel
    sh: int  # stride between rows
    sw: int  # stride between columns
    dh: int  # dilation of the rows
    dw: int  # dilation of the columns
    top: int  # rows of padding above the large image
    left: int  # columns of padding to its left
    h: int  # rows of the small image
    w: int  # columns of the small image
    O: int  # channels of the small image


N, H, W, C, KH, KW, SH, SW, DH, DW, TOP, LEFT, SMALL_H, SMALL_W, O = range(len(Im2colSizes._fields))
"""Where the sizes, a vector of int64, has the fields of `Im2colSizes`."""
GATHER, SCATTER, SET = "x i x i i i i i i", "x i x i i i", "x i i x i"
"""The types of the arguments of the functions below, see `team.address_of`; the address of the sizes is an int64."""


@kernel_by_address
def gather_patches(x, x_size, patches, stride, sizes_address, first, last, first_tap, last_tap):
    """patches_(npq),(ijc) = x~_n,(sp+di),(sq+dj),c for some pixels and taps.    x (N, H, W, C), x_size numbers

    The pixels (n, p, q) are those from number `first` to `last` - 1, the taps (i, j) those from number `first_tap` to
    `last_tap` - 1; both begin in the first row and column of `patches`, whose rows start `stride` numbers apart.

    If there is a vector's space between the rows, whole vectors are copied: what they write beyond a run is written
    again by the next run of its row, or lies in that space.
    """
    sizes = integers(sizes_address)
    height, width, channels, h, w = sizes[H], sizes[W], sizes[C], sizes[SMALL_H], sizes[SMALL_W]
    kw, sh, sw, dh, dw, top, left = sizes[KW], sizes[SH], sizes[SW], sizes[DH], sizes[DW], sizes[TOP], sizes[LEFT]
    vector = lanes(x)
    spacious = stride >= (last_tap - first_tap) * channels + vector
    pixel = first
    while pixel < last:
        row, q = pixel // w, pixel % w
        count = min(w - q, last - pixel)  # the pixels of this row
        tap = first_tap
        while tap < last_tap:
            i, j = tap // kw, tap % kw
            taps = min(kw - j, last_tap - tap) if dw == 1 else 1  # the taps of a run
            y, z, run = sh * (row % h) + dh * i - top, sw * q + dw * j - left, taps * channels
            target = (pixel - first) * stride + (tap - first_tap) * channels
            source, step = ((row // h * height + y) * width + z) * channels, sw * channels
            low, high = count, count  # the runs low ... high - 1 lie inside the image
            if 0 <= y < height:
                low = min(count, max(0, -(z // sw)))
                high = max(low, min(count, (width - taps - z) // sw + 1))
            if spacious and source + step * (high - 1) + run + vector <= x_size:
                for k in range(low, high):
                    copy_vectors(x, source + k * step, patches, target + k * stride, run)
            else:
                for k in range(low, high):
                    copy_run(x, source + k * step, patches, target + k * stride, run)
            for k in range(count + low - high):  # at the border, with zeros outside of the image
                n = k if k < low else k + high - low
                column, a, b = z + sw * n, source + n * step, target + n * stride
                before, inside = min(max(0, -column), taps), max(0, min(taps, width - column))
                if not 0 <= y < height or inside <= before:
                    before, inside = taps, taps
                zero_run(patches, b, before * channels)
                copy_run(x, a + before * channels, patches, b + before * channels, (inside - before) * channels)
                zero_run(patches, b + inside * channels, (taps - inside) * channels)
            tap += taps
        pixel += count
    return 0


@kernel_by_address
def scatter_patches(patches, stride, x, sizes_address, first, last):
    """x~_n,(sp+di),(sq+dj),c += patches_(npq),(ijc) for the pixels (n, p, q) from number `first` to `last` - 1.

    Rows of `patches` start `stride` numbers apart.  What belongs to the padding of x is left out.
    """
    sizes = integers(sizes_address)
    height, width, channels, h, w = sizes[H], sizes[W], sizes[C], sizes[SMALL_H], sizes[SMALL_W]
    kw, sh, sw, dh, dw, top, left = sizes[KW], sizes[SH], sizes[SW], sizes[DH], sizes[DW], sizes[TOP], sizes[LEFT]
    taps = kw if dw == 1 else 1  # the taps of a run
    pixel = first
    while pixel < last:
        row, q = pixel // w, pixel % w
        count = min(w - q, last - pixel)  # the pixels of this row
        for tap in range(0, sizes[KH] * kw, taps):
            i, j = tap // kw, tap % kw
            y, z = sh * (row % h) + dh * i - top, sw * q + dw * j - left
            source = (pixel - first) * stride + tap * channels
            target = ((row // h * height + y) * width + z) * channels
            if 0 <= y < height:
                for k in range(count):
                    before, inside = max(0, -z - sw * k), min(taps, width - z - sw * k)
                    place = target + (sw * k + before) * channels
                    start, run = source + k * stride + before * channels, max(0, inside - before) * channels
                    add_run(patches, start, x, place, run)
        pixel += count
    return 0


@kernel_by_address
def set_rows(x, rows, columns, bias, has_bias):
    """x_rc = b_c, or 0 without a bias.    x (rows, columns)"""
    if has_bias:
        for r in range(rows):
            for c in range(columns):
                x[r * columns + c] = bias[c]
    else:
        for i in range(rows * columns):
            x[i] = 0
    return 0


def im2col(x: Any, patches: Any, sizes: Any) -> None:
    """patches_(npq),(ijc) = x~_n,(sp+di),(sq+dj),c.    x (N, H, W, C)   patches (N h w, kh kw C)"""
    taps, at = sizes.kh * sizes.kw, np.array(sizes, np.int64)
    gather = callable_at(gather_patches, GATHER, str(x.dtype))
    pixels = sizes.N * sizes.h * sizes.w
    gather(x.ctypes.data, x.size, patches.ctypes.data, taps * sizes.C, at.ctypes.data, 0, pixels, 0, taps)


def col2im(patches: Any, x: Any, sizes: Any, bias: Any) -> None:
    """x~_n,(sp+di),(sq+dj),c += patches_(npq),(ijc), from x = bias.    patches (N h w, kh kw C)   x (N, H, W, C)"""
    at, dtype = np.array(sizes, np.int64), str(x.dtype)
    callable_at(set_rows, SET, dtype)(x.ctypes.data, sizes.N * sizes.H * sizes.W, sizes.C, bias.ctypes.data, True)
    scatter, stride, pixels = (
        callable_at(scatter_patches, SCATTER, dtype),
        sizes.kh * sizes.kw * sizes.C,
        sizes.N * sizes.h * sizes.w,
    )
    scatter(patches.ctypes.data, stride, x.ctypes.data, at.ctypes.data, 0, pixels)
