"""im2col and its adjoint col2im, compiled (`minigan.ops.cpu.conv.im2col` has the definitions).

All arrays are passed as vectors of their memory.  The C numbers of a pixel are adjacent, and without dilation so are
the pixels of one row of the kernel: they are copied as one run.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"

from typing import NamedTuple

from minigan.ops.cpu.kernels.numba.jit import kernel
from minigan.ops.cpu.kernels.numba.runs import add_run, copy_run, copy_vectors, zero_run
from minigan.ops.cpu.kernels.numba.simd import lanes


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


@kernel
def gather_patches(x, patches, stride, sizes, first, last, first_tap, last_tap):
    """patches_(npq),(ijc) = x~_n,(sp+di),(sq+dj),c for some pixels and taps.    x (N, H, W, C)

    The pixels (n, p, q) are those from number `first` to `last` - 1, the taps (i, j) those from number `first_tap` to
    `last_tap` - 1; both begin in the first row and column of `patches`, whose rows start `stride` numbers apart.

    If there is a vector's space between the rows, whole vectors are copied: what they write beyond a run is written
    again by the next run of its row, or lies in that space.
    """
    H, W, C, h, w, kw, sw = sizes.H, sizes.W, sizes.C, sizes.h, sizes.w, sizes.kw, sizes.sw
    vector = lanes(x)
    spacious = stride >= (last_tap - first_tap) * C + vector
    pixel = first
    while pixel < last:
        row, q = pixel // w, pixel % w
        count = min(w - q, last - pixel)  # the pixels of this row
        tap = first_tap
        while tap < last_tap:
            i, j = tap // kw, tap % kw
            taps = min(kw - j, last_tap - tap) if sizes.dw == 1 else 1  # the taps of a run
            y, z = sizes.sh * (row % h) + sizes.dh * i - sizes.top, sw * q + sizes.dw * j - sizes.left
            target, source = (pixel - first) * stride + (tap - first_tap) * C, ((row // h * H + y) * W + z) * C
            low, high = count, count  # the runs low ... high - 1 lie inside the image
            if 0 <= y < H:
                low = min(count, max(0, -(z // sw)))
                high = max(low, min(count, (W - taps - z) // sw + 1))
            for k in range(low):
                _gather_at_border(x, source, patches, target, stride, sizes, y, z, taps, k)
            if spacious and source + sw * (high - 1) * C + taps * C + vector <= x.size:
                for k in range(low, high):
                    copy_vectors(x, source + k * sw * C, patches, target + k * stride, taps * C)
            else:
                for k in range(low, high):
                    copy_run(x, source + k * sw * C, patches, target + k * stride, taps * C)
            for k in range(high, count):
                _gather_at_border(x, source, patches, target, stride, sizes, y, z, taps, k)
            tap += taps
        pixel += count


@kernel
def _gather_at_border(x, source, patches, target, stride, sizes, y, z, taps, k):
    """Copy run k of a row of pixels, and write zeros where it lies outside of the image."""
    z += sizes.sw * k
    source, target = source + k * sizes.sw * sizes.C, target + k * stride
    before, inside = min(max(0, -z), taps), max(0, min(taps, sizes.W - z))
    if not 0 <= y < sizes.H or inside <= before:
        before, inside = taps, taps
    zero_run(patches, target, before * sizes.C)
    copy_run(x, source + before * sizes.C, patches, target + before * sizes.C, (inside - before) * sizes.C)
    zero_run(patches, target + inside * sizes.C, (taps - inside) * sizes.C)


@kernel
def scatter_patches(patches, stride, x, sizes, first, last):
    """x~_n,(sp+di),(sq+dj),c += patches_(npq),(ijc) for the pixels (n, p, q) from number `first` to `last` - 1.

    Rows of `patches` start `stride` numbers apart.  What belongs to the padding of x is left out.
    """
    H, W, C, h, w, kw, sw = sizes.H, sizes.W, sizes.C, sizes.h, sizes.w, sizes.kw, sizes.sw
    taps = kw if sizes.dw == 1 else 1  # the taps of a run
    pixel = first
    while pixel < last:
        row, q = pixel // w, pixel % w
        count = min(w - q, last - pixel)  # the pixels of this row
        for tap in range(0, sizes.kh * kw, taps):
            i, j = tap // kw, tap % kw
            y, z = sizes.sh * (row % h) + sizes.dh * i - sizes.top, sw * q + sizes.dw * j - sizes.left
            source, target = (pixel - first) * stride + tap * C, ((row // h * H + y) * W + z) * C
            if 0 <= y < H:
                for k in range(count):
                    before, inside = max(0, -z - sw * k), min(taps, W - z - sw * k)
                    place = target + (sw * k + before) * C
                    add_run(patches, source + k * stride + before * C, x, place, max(0, inside - before) * C)
        pixel += count


@kernel
def im2col(x, patches, sizes):
    """patches_(npq),(ijc) = x~_n,(sp+di),(sq+dj),c.    x (N, H, W, C)   patches (N h w, kh kw C)"""
    taps = sizes.kh * sizes.kw
    gather_patches(x, patches, taps * sizes.C, sizes, 0, sizes.N * sizes.h * sizes.w, 0, taps)


@kernel
def col2im(patches, x, sizes, bias):
    """x~_n,(sp+di),(sq+dj),c += patches_(npq),(ijc), from x = bias.    patches (N h w, kh kw C)   x (N, H, W, C)"""
    C = sizes.C
    for pixel in range(sizes.N * sizes.H * sizes.W):
        for c in range(C):
            x[pixel * C + c] = bias[c]
    scatter_patches(patches, sizes.kh * sizes.kw * C, x, sizes, 0, sizes.N * sizes.h * sizes.w)
