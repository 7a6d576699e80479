"""Direct sums of convolutions, compiled: a block of pixels at a time, whose patches stay in the cache of a core.

The patches of a block are gathered and multiplied by `matmul.multiply_at`, or, for the adjoint, products are
scattered to the pixels that they belong to.  Pixels are those of the small images, numbered image by image, row by row.

A team of threads (`minigan.ops.cpu.threads.team`) shares the parts of a call: each thread takes the next part that is
left.  The program's numbers are those of `Program`, then those of `im2col.Im2colSizes`.  The functions compute with
addresses alone, so they are compiled once for all dtypes.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"

from typing import NamedTuple

from minigan.ops.cpu.kernels.numba.im2col import KH, KW, SMALL_H, SMALL_W, C, H, O, W
from minigan.ops.cpu.kernels.numba.jit import kernel_by_address
from minigan.ops.cpu.kernels.numba.matmul import multiply_at
from minigan.ops.cpu.kernels.numba.pointers import integers
from minigan.ops.cpu.threads.team import call, fetch_add


class Program(NamedTuple):
    """What the threads of a team read; images, weights and so on are addresses of vectors of memory in C order."""

    counter: int  # the address of the number of the first part that no thread has taken
    parts: int  # how many there are
    part_size: int  # pixels of a part, images (adjoint)
    total: int  # pixels or images of all parts
    groups: int  # parts of the taps (weight gradient), each of which has all parts of the pixels
    group_size: int  # taps of a group
    large: int  # large images
    large_size: int  # in numbers
    small: int  # small images
    weights: int  # W, V or the partial sums of dW
    weights_size: int  # of one of these, in numbers
    weights_stride: int  # of the rows of V
    bias: int
    has_bias: int
    workspace: int  # the patches of thread 0; those of the others follow
    stride: int  # of the rows of patches
    block: int  # how many rows of patches a thread has
    item_bytes: int  # the size of a number
    product: int  # the address of a product, see `matmul.multiply_at`
    move: int  # the address of `im2col.gather_patches` or `im2col.scatter_patches`
    add_bias: int  # the address of `dense_units.add_bias`
    set_rows: int  # the address of `im2col.set_rows`


(
    COUNTER, PARTS, PART_SIZE, TOTAL, GROUPS, GROUP_SIZE, LARGE, LARGE_SIZE, SMALL, WEIGHTS, WEIGHTS_SIZE,
    WEIGHTS_STRIDE, BIAS, HAS_BIAS, WORKSPACE, STRIDE, BLOCK, ITEM_BYTES, PRODUCT, MOVE, ADD_BIAS, SET_ROWS, SIZES,
) = range(len(Program._fields) + 1)  # fmt: skip


@kernel_by_address
def correlate(program, rank, size):
    """y = im2col(x) W + b, of the parts that this thread takes.    W (kh kw C, O)   b (O,)"""
    p, sizes, sizes_at = integers(program), integers(program + 8 * SIZES), program + 8 * SIZES
    item, stride, channels = p[ITEM_BYTES], p[STRIDE], sizes[O]
    taps, patches = sizes[KH] * sizes[KW], p[WORKSPACE] + rank * p[BLOCK] * stride * item
    i = fetch_add(integers(p[COUNTER]), 0, 1)
    while i < p[PARTS]:
        last = min((i + 1) * p[PART_SIZE], p[TOTAL])
        for begin in range(i * p[PART_SIZE], last, p[BLOCK]):
            end, y = min(begin + p[BLOCK], last), p[SMALL] + begin * channels * item
            call(p[MOVE], (p[LARGE], p[LARGE_SIZE], patches, stride, sizes_at, begin, end, 0, taps))
            shape = end - begin, channels, taps * sizes[C]
            multiply_at(p[PRODUCT], patches, (0, stride, 1), p[WEIGHTS], (0, channels), y, (0, channels), shape, 0)
            if p[HAS_BIAS]:
                call(p[ADD_BIAS], (y, channels, end - begin, p[BIAS], channels))
        i = fetch_add(integers(p[COUNTER]), 0, 1)
    return 0


@kernel_by_address
def correlate_adjoint(program, rank, size):
    """x = col2im(y V) + b, of the parts that this thread takes.    V (O, kh kw C)   b (C,)"""
    p, sizes, sizes_at = integers(program), integers(program + 8 * SIZES), program + 8 * SIZES
    item, stride, pixels, large = p[ITEM_BYTES], p[STRIDE], sizes[SMALL_H] * sizes[SMALL_W], sizes[H] * sizes[W]
    columns, patches = sizes[KH] * sizes[KW] * sizes[C], p[WORKSPACE] + rank * p[BLOCK] * stride * item
    i = fetch_add(integers(p[COUNTER]), 0, 1)
    while i < p[PARTS]:
        first, last = i * p[PART_SIZE], min((i + 1) * p[PART_SIZE], p[TOTAL])
        x = p[LARGE] + first * large * sizes[C] * item
        call(p[SET_ROWS], (x, (last - first) * large, sizes[C], p[BIAS], p[HAS_BIAS]))
        for begin in range(first * pixels, last * pixels, p[BLOCK]):
            end = min(begin + p[BLOCK], last * pixels)
            a_layout, shape = (begin * sizes[O], sizes[O], 1), (end - begin, columns, sizes[O])
            b_layout = 0, p[WEIGHTS_STRIDE]
            multiply_at(p[PRODUCT], p[SMALL], a_layout, p[WEIGHTS], b_layout, patches, (0, stride), shape, 0)
            call(p[MOVE], (patches, stride, p[LARGE], sizes_at, begin, end))
        i = fetch_add(integers(p[COUNTER]), 0, 1)
    return 0


@kernel_by_address
def correlate_weights(program, rank, size):
    """dW = im2col(x)^T y, of the parts of the pixels and of the taps that this thread takes."""
    p, sizes, sizes_at = integers(program), integers(program + 8 * SIZES), program + 8 * SIZES
    item, stride, channels = p[ITEM_BYTES], p[STRIDE], sizes[O]
    patches = p[WORKSPACE] + rank * p[BLOCK] * stride * item
    i = fetch_add(integers(p[COUNTER]), 0, 1)
    while i < p[PARTS] * p[GROUPS]:
        part, group = i % p[PARTS], i // p[PARTS]
        first, last = part * p[PART_SIZE], min((part + 1) * p[PART_SIZE], p[TOTAL])
        tap, end_tap = group * p[GROUP_SIZE], min((group + 1) * p[GROUP_SIZE], sizes[KH] * sizes[KW])
        dW = p[WEIGHTS] + (part * p[WEIGHTS_SIZE] + tap * sizes[C] * channels) * item
        for begin in range(first, last, p[BLOCK]):
            end = min(begin + p[BLOCK], last)
            call(p[MOVE], (p[LARGE], p[LARGE_SIZE], patches, stride, sizes_at, begin, end, tap, end_tap))
            b_layout, shape = (begin * channels, channels), ((end_tap - tap) * sizes[C], channels, end - begin)
            multiply_at(
                p[PRODUCT], patches, (0, 1, stride), p[SMALL], b_layout, dW, (0, channels), shape, begin > first
            )
        i = fetch_add(integers(p[COUNTER]), 0, 1)
    return 0
