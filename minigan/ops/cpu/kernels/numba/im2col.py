"""im2col and its adjoint col2im, compiled (`minigan.ops.cpu.conv.im2col` has the definitions).

All arrays are passed as vectors of their memory.  The C numbers of a pixel are adjacent, and without dilation so are
the pixels of one row of the kernel: they are copied as one run.  Offsets are unsigned, because numba tests a signed
index for being negative.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import NamedTuple

import numpy as np

from minigan.ops.cpu.kernels.numba.jit import kernel


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


@kernel
def im2col(x, patches, sizes):
    """patches_(npq),(ijc) = x~_n,(sp+di),(sq+dj),c.    x (N, H, W, C)   patches (N h w, kh kw C)"""
    H, W, C, h, w = sizes.H, sizes.W, sizes.C, sizes.h, sizes.w
    kh, kw = sizes.kh, sizes.kw
    runs, taps = (1, kw) if sizes.dw == 1 else (kw, 1)  # runs in a row of the kernel, and pixels in a run
    zero = x.dtype.type(0)
    for pixel in range(sizes.N * h * w):
        n, p, q = pixel // (h * w), pixel // w % h, pixel % w
        for i in range(kh):
            y = sizes.sh * p + sizes.dh * i - sizes.top
            for j in range(runs):
                z = sizes.sw * q + sizes.dw * j - sizes.left
                first, last = max(0, -z), min(taps, W - z)
                if y < 0 or y >= H or first >= last:
                    first, last = taps, taps  # the whole run lies in the padding
                run = ((pixel * kh + i) * kw + j) * C
                before, inside, after = np.uint64(run), np.uint64(run + first * C), np.uint64(run + last * C)
                source = np.uint64((((n * H + y) * W) + z + first) * C)
                for c in range(np.uint64(first * C)):
                    patches[before + c] = zero
                for c in range(np.uint64((last - first) * C)):
                    patches[inside + c] = x[source + c]
                for c in range(np.uint64((taps - last) * C)):
                    patches[after + c] = zero


@kernel
def col2im(patches, x, sizes, bias):
    """x~_n,(sp+di),(sq+dj),c += patches_(npq),(ijc), from x = bias.    patches (N h w, kh kw C)   x (N, H, W, C)"""
    H, W, C, h, w = sizes.H, sizes.W, sizes.C, sizes.h, sizes.w
    kh, kw = sizes.kh, sizes.kw
    runs, taps = (1, kw) if sizes.dw == 1 else (kw, 1)
    for pixel in range(sizes.N * H * W):
        target = np.uint64(pixel * C)
        for c in range(np.uint64(C)):
            x[target + c] = bias[c]
    for pixel in range(sizes.N * h * w):
        n, p, q = pixel // (h * w), pixel // w % h, pixel % w
        for i in range(kh):
            y = sizes.sh * p + sizes.dh * i - sizes.top
            for j in range(runs):
                z = sizes.sw * q + sizes.dw * j - sizes.left
                first, last = max(0, -z), min(taps, W - z)
                if 0 <= y < H and first < last:
                    source = np.uint64((((pixel * kh + i) * kw + j) + first) * C)
                    target = np.uint64((((n * H + y) * W) + z + first) * C)
                    for c in range(np.uint64((last - first) * C)):
                        x[target + c] += patches[source + c]
