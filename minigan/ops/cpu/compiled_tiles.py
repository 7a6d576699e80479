"""Tiles of images to points and back, compiled (`minigan.ops.cpu.tiles` has the definitions).

Arrays come as vectors of their memory, with strides in entries.  `image` is (N, H, W, C, image, row, column strides),
`strides` those of the points (point, tile, phase), `tiles` is (step, TH, TW, sh, sw, top, left).  A matrix comes as the
nonzero terms of its rows: how many, in which columns, and their factors.

The innermost loops run over channels, in the processor's vectors.  Their offsets are unsigned: a signed index may count
from the end, and then each access would be a choice.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import numpy as np

from minigan.ops.cpu.jit import kernel


@kernel
def _apply(counts, columns, factors, x, start, step, y, first, gap, width):
    """y_k = sum_l M_kl x_l for vectors of `width` numbers: x_l at start + l step, y_k at first + k gap."""
    w = np.uint64(width)
    for k in range(len(counts)):
        at, column, f, terms = np.uint64(first + k * gap), columns[k], factors[k], counts[k]
        a = np.uint64(start + column[0] * step)
        b = np.uint64(start + column[1] * step)
        if terms == 1:
            for c in range(w):
                y[at + c] = f[0] * x[a + c]
        elif terms == 2:
            for c in range(w):
                y[at + c] = f[0] * x[a + c] + f[1] * x[b + c]
        else:
            d = np.uint64(start + column[2] * step)
            for c in range(w):
                y[at + c] = f[0] * x[a + c] + f[1] * x[b + c] + f[2] * x[d + c]
            for more in range(3, terms):
                e, g = np.uint64(start + column[more] * step), f[more]
                for c in range(w):
                    y[at + c] += g * x[e + c]


@kernel
def gather(counts, columns, factors, x, image, points, strides, tiles, first, last):
    """Points = M tile M^t for every tile of the images first ... last - 1, zero outside the image."""
    _, H, W, C, of_image, of_row, of_column = image
    of_point, of_tile, of_phase = strides
    step, TH, TW, sh, sw, top, left = tiles
    n, q = columns.shape
    tile, half = np.empty(q * q * C, x.dtype), np.empty(n * q * C, x.dtype)
    width, zero = np.uint64(C), x.dtype.type(0)
    for t in range(first * TH * TW, last * TH * TW):
        image_at, a, b = t // (TH * TW) * of_image, t // TW % TH, t % TW
        for phase in range(sh * sw):
            for i in range(q):
                y = sh * (a * step + i) + phase // sw - top
                for j in range(q):
                    z = sw * (b * step + j) + phase % sw - left
                    into = np.uint64((i * q + j) * C)
                    if 0 <= y < H and 0 <= z < W:
                        pixel = np.uint64(image_at + y * of_row + z * of_column)
                        for c in range(width):
                            tile[into + c] = x[pixel + c]
                    else:
                        for c in range(width):
                            tile[into + c] = zero
            _apply(counts, columns, factors, tile, 0, q * C, half, 0, q * C, q * C)
            for i in range(n):
                at = i * n * of_point + t * of_tile + phase * of_phase
                _apply(counts, columns, factors, half, i * q * C, C, points, at, of_point, C)


@kernel
def scatter(counts, columns, factors, points, strides, x, image, bias, tiles, overlap, first, last):
    """Tile = M points M^t for every tile: x = tile + bias, or where they overlap x = bias and the sum of the tiles."""
    _, H, W, C, of_image, of_row, of_column = image
    of_point, of_tile, of_phase = strides
    step, TH, TW, sh, sw, top, left = tiles
    q, n = columns.shape
    tile, half = np.empty(q * q * C, x.dtype), np.empty(q * n * C, x.dtype)
    width = np.uint64(C)
    if overlap:
        for p in range(first * H * W, last * H * W):
            pixel = np.uint64(p // (H * W) * of_image + p // W % H * of_row + p % W * of_column)
            for c in range(width):
                x[pixel + c] = bias[c]
    for t in range(first * TH * TW, last * TH * TW):
        image_at, a, b = t // (TH * TW) * of_image, t // TW % TH, t % TW
        for phase in range(sh * sw):
            at = t * of_tile + phase * of_phase
            for j in range(n):
                _apply(counts, columns, factors, points, at + j * of_point, n * of_point, half, j * C, n * C, C)
            for i in range(q):
                _apply(counts, columns, factors, half, i * n * C, C, tile, i * q * C, C, C)
            for i in range(q):
                y = sh * (a * step + i) + phase // sw - top
                for j in range(q):
                    z = sw * (b * step + j) + phase % sw - left
                    if 0 <= y < H and 0 <= z < W:
                        pixel, made = np.uint64(image_at + y * of_row + z * of_column), np.uint64((i * q + j) * C)
                        if overlap:
                            for c in range(width):
                                x[pixel + c] += tile[made + c]
                        else:
                            for c in range(width):
                                x[pixel + c] = tile[made + c] + bias[c]
