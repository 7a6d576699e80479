"""Patches of images and back, compiled (`minigan.ops.cpu.patches` has the definitions).

`sizes` is (kh, kw, sh, sw, dh, dw, top, left, h, w): kernel, stride, dilation, padding and small size of the geometry.
A pixel's C numbers lie together, and without dilation so do the pixels of a kernel's row: they are copied as one run.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from minigan.ops.cpu.jit import kernel


@kernel
def gather(x, patches, sizes):
    """patches_(npq),(ijc) = x~_n,(sp+di),(sq+dj),c.    x (N, H, W C)   patches (N h w, kh kw C)"""
    kh, kw, sh, sw, dh, dw, top, left, h, w = sizes
    N, H, row = x.shape
    C = patches.shape[1] // (kh * kw)
    W, zero = row // C, x.dtype.type(0)
    runs, taps = (1, kw) if dw == 1 else (kw, 1)  # how many runs a row of the kernel has, of how many pixels each
    for n in range(N):
        for p in range(h):
            for q in range(w):
                patch = patches[(n * h + p) * w + q]
                for i in range(kh):
                    y = sh * p + dh * i - top
                    for j in range(runs):
                        z = sw * q + dw * j - left
                        run = patch[(i * kw + j) * C : (i * kw + j + taps) * C]
                        first, last = max(0, -z), min(taps, W - z)
                        if y < 0 or y >= H or first >= last:
                            first, last = taps, taps  # all of it lies in the padding
                        for c in range(first * C):
                            run[c] = zero
                        if first < last:
                            pixels, inside = x[n, y, (z + first) * C : (z + last) * C], run[first * C : last * C]
                            for c in range((last - first) * C):
                                inside[c] = pixels[c]
                        after = run[last * C :]
                        for c in range((taps - last) * C):
                            after[c] = zero


@kernel
def scatter(patches, x, sizes, bias):
    """x~_n,(sp+di),(sq+dj),c += patches_(npq),(ijc), from x = bias.    patches (N h w, kh kw C)   x (N, H, W C)"""
    kh, kw, sh, sw, dh, dw, top, left, h, w = sizes
    N, H, row = x.shape
    C = patches.shape[1] // (kh * kw)
    W = row // C
    runs, taps = (1, kw) if dw == 1 else (kw, 1)
    for n in range(N):
        for y in range(H):
            for z in range(W):
                pixel = x[n, y, z * C : (z + 1) * C]
                for c in range(C):
                    pixel[c] = bias[c]
        for p in range(h):
            for q in range(w):
                patch = patches[(n * h + p) * w + q]
                for i in range(kh):
                    y = sh * p + dh * i - top
                    if y < 0 or y >= H:
                        continue
                    for j in range(runs):
                        z = sw * q + dw * j - left
                        first, last = max(0, -z), min(taps, W - z)
                        if first < last:
                            at = (i * kw + j) * C
                            pixels = x[n, y, (z + first) * C : (z + last) * C]
                            run = patch[at + first * C : at + last * C]
                            for c in range((last - first) * C):
                                pixels[c] += run[c]
