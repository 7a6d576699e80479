"""Direct sums of convolutions, compiled: a block of pixels at a time, whose patches stay in the cache of a core.

The patches of a block are gathered and multiplied by `matmul.multiply`, or, for the adjoint, products are scattered to
the pixels that they belong to.  All arrays are vectors of their memory in C order; `sizes` is an `im2col.Im2colSizes`;
pixels are those of the small images, numbered image by image, row by row; rows of `patches` start `stride` numbers
apart.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from minigan.ops.cpu.kernels.numba.im2col import gather_patches, scatter_patches
from minigan.ops.cpu.kernels.numba.jit import kernel
from minigan.ops.cpu.kernels.numba.matmul import multiply


@kernel
def correlate(x, sizes, W, y, bias, patches, stride, block, first, last):
    """y = im2col(x) W + b of the pixels first ... last - 1.    W (kh kw C, O)   bias (O,), or (0,) for none

    `block` is how many rows `patches` has.
    """
    taps = sizes.kh * sizes.kw
    K, O = taps * sizes.C, sizes.O
    for begin in range(first, last, block):
        end = min(begin + block, last)
        gather_patches(x, patches, stride, sizes, begin, end, 0, taps)
        multiply(patches, (0, stride, 1), W, (0, O), y, (begin * O, O), (end - begin, O, K), False)
        if bias.size:
            for pixel in range(begin, end):
                for o in range(O):
                    y[pixel * O + o] += bias[o]


@kernel
def correlate_adjoint(y, sizes, V, V_stride, x, bias, patches, stride, block, first, last):
    """x = col2im(y V) + b of the images first ... last - 1.    V (O, kh kw C)   bias (C,), or (0,) for none"""
    pixels, taps = sizes.h * sizes.w, sizes.kh * sizes.kw
    C, O, large = sizes.C, sizes.O, sizes.H * sizes.W
    for n in range(first, last):
        if bias.size:
            for pixel in range(n * large, (n + 1) * large):
                for c in range(C):
                    x[pixel * C + c] = bias[c]
        else:
            x[n * large * C : (n + 1) * large * C] = 0
    for begin in range(first * pixels, last * pixels, block):
        end = min(begin + block, last * pixels)
        sizes_of_product = (end - begin, taps * C, O)
        multiply(y, (begin * O, O, 1), V, (0, V_stride), patches, (0, stride), sizes_of_product, False)
        scatter_patches(patches, stride, x, sizes, begin, end)


@kernel
def correlate_weights(x, sizes, y, dW, start, patches, stride, block, first, last, first_tap, last_tap):
    """dW = im2col(x)^T y, summed over the pixels first ... last - 1, of the taps first_tap ... last_tap - 1.

    dW[start] is the first number written.
    """
    O, rows = sizes.O, (last_tap - first_tap) * sizes.C
    for begin in range(first, last, block):
        end = min(begin + block, last)
        gather_patches(x, patches, stride, sizes, begin, end, first_tap, last_tap)
        sizes_of_product = (rows, O, end - begin)
        multiply(patches, (0, 1, stride), y, (begin * O, O), dW, (start, O), sizes_of_product, begin > first)


@kernel
def transpose(a, b, rows, columns, stride, first, last):
    """b_ji = a_ij for the columns j = first ... last - 1 of a.    a (rows, columns); rows of b start `stride` apart"""
    for begin in range(0, rows, 256):  # so that the lines of `a` stay in the first-level cache for 16 columns
        for j in range(first, last):
            for i in range(begin, min(begin + 256, rows)):
                b[j * stride + i] = a[i * columns + j]
