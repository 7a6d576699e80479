"""im2col, which copies the patches of images into the rows of a matrix, and its adjoint col2im.

A patch is the kh kw C numbers that the kernel multiplies at one output pixel.  In the layout NHWC the kw C numbers of
one row of the kernel are adjacent in memory, so im2col copies runs.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigan.ops.cpu.memory import arrays
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array


def im2col(x: Array, patches: Array, geometry: Geometry, *, compiled: bool) -> None:
    """patches_(npq),(ijc) = x~_n,(sp+di),(sq+dj),c, where x~ is x with its padding of zeros.

    Parameters
    ----------
    x
        Images (N, H, W, C), float32 or float64, in C order.
    patches
        The result (N h w, kh kw C), in the dtype of x and in C order; all of it is written.
    geometry
        Sizes, kernel, stride, dilation and padding of the correlation.
    compiled
        Whether to run the kernel that numba compiles; otherwise NumPy does the same.

    """
    if compiled:
        from minigan.ops.cpu.kernels.numba import im2col as numba_im2col

        numba_im2col.im2col(x.reshape(-1), patches.reshape(-1), sizes(x, geometry))
        return
    (kh, kw), (sh, sw), (dh, dw) = geometry.kernel, geometry.stride, geometry.dilation
    (h, w), (n, C) = geometry.small, (len(x), x.shape[3])
    rows, columns = geometry.inside
    padded = arrays.empty((n, *geometry.padded, C), x.dtype)
    padded[...] = 0
    padded[:, rows, columns] = x
    image, row, column, item = padded.strides
    if dw == 1:  # the taps of one row are adjacent: runs of kw C numbers
        shape: tuple[int, ...] = (n, h, w, kh, kw * C)
        strides: tuple[int, ...] = (image, sh * row, sw * column, dh * row, item)
    else:
        shape = (n, h, w, kh, kw, C)
        strides = (image, sh * row, sw * column, dh * row, dw * column, item)
    np.copyto(patches.reshape(shape), as_strided(padded, shape, strides, writeable=False))


def col2im(patches: Array, x: Array, geometry: Geometry, bias: Array, *, compiled: bool) -> None:
    """x~_n,(sp+di),(sq+dj),c = b_c + the sum of patches_(npq),(ijc) over p, q, i, j.

    Parameters
    ----------
    patches
        The matrix (N h w, kh kw C).
    x
        The result (N, H, W, C), in the dtype of the patches and in C order; all of it is written.
    geometry
        Sizes, kernel, stride, dilation and padding of the correlation.
    bias
        b (C,), added to every pixel.
    compiled
        Whether to run the kernel that numba compiles; otherwise NumPy does the same.

    """
    if compiled:
        from minigan.ops.cpu.kernels.numba import im2col as numba_im2col

        numba_im2col.col2im(patches.reshape(-1), x.reshape(-1), sizes(x, geometry), bias)
        return
    n, C = len(x), x.shape[3]
    padded = arrays.empty((n, *geometry.padded, C), x.dtype)
    padded[...] = 0
    taps = patches.reshape(n, *geometry.small, *geometry.kernel, C)
    for i, j, rows, columns in geometry.taps:
        padded[:, rows, columns] += taps[:, :, :, i, j]
    np.add(padded[:, *geometry.inside], bias, out=x)


def sizes(x: Array, geometry: Geometry, O: int = 0) -> tuple[int, ...]:
    """Return the sizes as the compiled kernels read them.

    Parameters
    ----------
    x
        The large images (N, H, W, C).
    geometry
        The geometry of the correlation.
    O
        The channels of the small images; im2col and col2im do not read them.

    Returns
    -------
    Im2colSizes
        A named tuple.

    """
    from minigan.ops.cpu.kernels.numba.im2col import Im2colSizes

    (N, H, W, C), (h, w) = x.shape, geometry.small
    (kh, kw), (sh, sw), (dh, dw) = geometry.kernel, geometry.stride, geometry.dilation
    (top, _), (left, _) = geometry.padding
    return Im2colSizes(
        N=N, H=H, W=W, C=C, kh=kh, kw=kw, sh=sh, sw=sw, dh=dh, dw=dw, top=top, left=left, h=h, w=w, O=O
    )  # fmt: skip
