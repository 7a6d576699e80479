"""Direct sums of convolutions, compiled: a block of pixels at a time, whose patches stay in the cache of a core.

The patches of a block are gathered and multiplied by `matmul.multiply_at`, or, for the adjoint, products are
scattered to the pixels that they belong to.  All arrays are vectors of their memory in C order; `sizes` is an
`im2col.Im2colSizes`; pixels are those of the small images, numbered image by image, row by row; rows of `patches`
start `stride` numbers apart.

A team of threads (`minigan.ops.cpu.threads.team`) shares the parts of a call: each thread takes the next part that is
left.  The program's numbers are those of `Program`, then those of `Im2colSizes`.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"

from typing import NamedTuple

import numpy as np
from numba.core import types
from numba.core.extending import intrinsic

from minigan.ops.cpu.kernels.numba.im2col import Im2colSizes, gather_patches, scatter_patches
from minigan.ops.cpu.kernels.numba.jit import inlined, kernel
from minigan.ops.cpu.kernels.numba.matmul import multiply_at
from minigan.ops.cpu.threads.team import vector_at


class Program(NamedTuple):
    """What the threads of a team read; images, weights and so on are addresses."""

    counter: int  # the address of the number of the first part that no thread has taken
    parts: int  # how many there are
    part_size: int  # pixels of a part, images (adjoint)
    total: int  # pixels or images of all parts
    groups: int  # parts of the taps (weight gradient), each of which has all parts of the pixels
    group_size: int  # taps of a group
    large: int  # large images
    small: int  # small images
    weights: int  # W, V or the partial sums of dW
    weights_size: int  # of one of these, in numbers
    weights_stride: int  # of the rows of V
    bias: int
    bias_size: int  # 0 for none
    workspace: int  # the patches of thread 0; those of the others follow
    stride: int  # of the rows of patches
    block: int  # how many rows of patches a thread has
    product: int  # the address of a product, see `matmul.multiply_at`


@intrinsic
def _take(typingctx, numbers):
    """Add 1 to numbers[0] atomically; return the number before."""

    def build(context, builder, signature, arguments):
        data = context.make_array(numbers)(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", data, context.get_constant(types.int64, 1), "acq_rel")

    return types.int64(numbers), build


@inlined
def _read(program):
    """Return the counter, the `Program` and the `Im2colSizes` at an address."""
    v = vector_at(program, np.int64(0))
    found = Program(
        v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12], v[13], v[14], v[15], v[16]
    )
    sizes = Im2colSizes(
        v[17], v[18], v[19], v[20], v[21], v[22], v[23], v[24], v[25], v[26], v[27], v[28], v[29], v[30], v[31]
    )
    return vector_at(found.counter, np.int64(0)), found, sizes


@inlined
def _images(p, sizes, rank, zero):
    """Return the large and the small images, the bias and the workspace as vectors."""
    x = vector_at(p.large, zero, sizes.N * sizes.H * sizes.W * sizes.C)
    y = vector_at(p.small, zero, sizes.N * sizes.h * sizes.w * sizes.O)
    room = p.block * p.stride
    patches = vector_at(p.workspace + rank * room * x.itemsize, zero, room)
    return x, y, vector_at(p.bias, zero, p.bias_size), patches


@inlined
def _correlate_parts(program, rank, zero):
    counter, p, sizes = _read(program)
    x, y, bias, patches = _images(p, sizes, rank, zero)
    W = vector_at(p.weights, zero, p.weights_size)
    i = _take(counter)
    while i < p.parts:
        first, last = i * p.part_size, min((i + 1) * p.part_size, p.total)
        correlate(p.product, x, sizes, W, y, bias, patches, p.stride, p.block, first, last)
        i = _take(counter)
    return np.int64(0)


@inlined
def _adjoint_parts(program, rank, zero):
    counter, p, sizes = _read(program)
    x, y, bias, patches = _images(p, sizes, rank, zero)
    V = vector_at(p.weights, zero, p.weights_size)
    i = _take(counter)
    while i < p.parts:
        first, last = i * p.part_size, min((i + 1) * p.part_size, p.total)
        correlate_adjoint(p.product, y, sizes, V, p.weights_stride, x, bias, patches, p.stride, p.block, first, last)
        i = _take(counter)
    return np.int64(0)


@inlined
def _weights_parts(program, rank, zero):
    counter, p, sizes = _read(program)
    x, y, _, patches = _images(p, sizes, rank, zero)
    i = _take(counter)
    while i < p.parts * p.groups:
        part, group = i % p.parts, i // p.parts
        dW = vector_at(p.weights + part * p.weights_size * x.itemsize, zero, p.weights_size)
        first, last = part * p.part_size, min((part + 1) * p.part_size, p.total)
        tap, end = group * p.group_size, min((group + 1) * p.group_size, sizes.kh * sizes.kw)
        start = tap * sizes.C * sizes.O
        correlate_weights(p.product, x, sizes, y, dW, start, patches, p.stride, p.block, first, last, tap, end)
        i = _take(counter)
    return np.int64(0)


@kernel
def correlate_float32(program, rank, size):
    """`correlate` of the parts that this thread takes."""
    return _correlate_parts(program, rank, np.float32(0))


@kernel
def correlate_float64(program, rank, size):
    """`correlate` of the parts that this thread takes."""
    return _correlate_parts(program, rank, np.float64(0))


@kernel
def correlate_adjoint_float32(program, rank, size):
    """`correlate_adjoint` of the parts that this thread takes."""
    return _adjoint_parts(program, rank, np.float32(0))


@kernel
def correlate_adjoint_float64(program, rank, size):
    """`correlate_adjoint` of the parts that this thread takes."""
    return _adjoint_parts(program, rank, np.float64(0))


@kernel
def correlate_weights_float32(program, rank, size):
    """`correlate_weights` of the parts that this thread takes."""
    return _weights_parts(program, rank, np.float32(0))


@kernel
def correlate_weights_float64(program, rank, size):
    """`correlate_weights` of the parts that this thread takes."""
    return _weights_parts(program, rank, np.float64(0))


@inlined
def correlate(product, x, sizes, W, y, bias, patches, stride, block, first, last):
    """y = im2col(x) W + b of the pixels first ... last - 1.    W (kh kw C, O)   bias (O,), or (0,) for none

    `block` is how many rows `patches` has.
    """
    taps = sizes.kh * sizes.kw
    K, O = taps * sizes.C, sizes.O
    for begin in range(first, last, block):
        end = min(begin + block, last)
        gather_patches(x, patches, stride, sizes, begin, end, 0, taps)
        multiply_at(product, patches, (0, stride, 1), W, (0, O), y, (begin * O, O), (end - begin, O, K), False)
        if bias.size:
            for pixel in range(begin, end):
                for o in range(O):
                    y[pixel * O + o] += bias[o]


@inlined
def correlate_adjoint(product, y, sizes, V, V_stride, x, bias, patches, stride, block, first, last):
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
        multiply_at(product, y, (begin * O, O, 1), V, (0, V_stride), patches, (0, stride), sizes_of_product, False)
        scatter_patches(patches, stride, x, sizes, begin, end)


@inlined
def correlate_weights(product, x, sizes, y, dW, start, patches, stride, block, first, last, first_tap, last_tap):
    """dW = im2col(x)^T y, summed over the pixels first ... last - 1, of the taps first_tap ... last_tap - 1.

    dW[start] is the first number written.
    """
    O, rows = sizes.O, (last_tap - first_tap) * sizes.C
    for begin in range(first, last, block):
        end = min(begin + block, last)
        gather_patches(x, patches, stride, sizes, begin, end, first_tap, last_tap)
        sizes_of_product = (rows, O, end - begin)
        multiply_at(
            product, patches, (0, 1, stride), y, (begin * O, O), dW, (start, O), sizes_of_product, begin > first
        )
