"""Patches of images and back, compiled (`minigan.ops.cpu.conv.im2col` has the definitions).

Arrays come as vectors of their memory.  `sizes` is (N, H, W, C, kh, kw, sh, sw, dh, dw, top, left, h, w): images,
kernel, stride, dilation, padding and small size of the geometry.  A pixel's C numbers lie together, and without
dilation so do the pixels of a kernel's row: they are copied as one run.  Offsets are unsigned, as in `compiled_tiles`.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import numpy as np

from minigan.ops.cpu.kernels.numba.jit import kernel


@kernel
def gather(x, patches, sizes):
    """patches_(npq),(ijc) = x~_n,(sp+di),(sq+dj),c.    x (N, H, W, C)   patches (N h w, kh kw C)"""
    N, H, W, C, kh, kw, sh, sw, dh, dw, top, left, h, w = sizes
    runs, taps = (1, kw) if dw == 1 else (kw, 1)  # how many runs a row of the kernel has, of how many pixels each
    zero = x.dtype.type(0)
    for pixel in range(N * h * w):
        n, p, q = pixel // (h * w), pixel // w % h, pixel % w
        for i in range(kh):
            y = sh * p + dh * i - top
            for j in range(runs):
                z = sw * q + dw * j - left
                first, last = max(0, -z), min(taps, W - z)
                if y < 0 or y >= H or first >= last:
                    first, last = taps, taps  # all of it lies in the padding
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
def scatter(patches, x, sizes, bias):
    """x~_n,(sp+di),(sq+dj),c += patches_(npq),(ijc), from x = bias.    patches (N h w, kh kw C)   x (N, H, W, C)"""
    N, H, W, C, kh, kw, sh, sw, dh, dw, top, left, h, w = sizes
    runs, taps = (1, kw) if dw == 1 else (kw, 1)
    for pixel in range(N * H * W):
        at = np.uint64(pixel * C)
        for c in range(np.uint64(C)):
            x[at + c] = bias[c]
    for pixel in range(N * h * w):
        n, p, q = pixel // (h * w), pixel // w % h, pixel % w
        for i in range(kh):
            y = sh * p + dh * i - top
            for j in range(runs):
                z = sw * q + dw * j - left
                first, last = max(0, -z), min(taps, W - z)
                if 0 <= y < H and first < last:
                    source = np.uint64((((pixel * kh + i) * kw + j) + first) * C)
                    at = np.uint64((((n * H + y) * W) + z + first) * C)
                    for c in range(np.uint64((last - first) * C)):
                        x[at + c] += patches[source + c]
