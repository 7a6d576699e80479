"""Copies, sums and zeros of short runs of numbers, for compiled kernels.

A compiler's loop over a run takes several vectors at a time and the rest one number after another; a run of 12 numbers
(4 pixels with 3 channels) is all rest.  Here a run takes whole vectors, and for the rest at most one vector of each
half, quarter, ... of the length.  It touches no other memory, and needs no masked stores, which are slow with AVX2.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc"

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from minigan.ops.cpu.kernels.numba.simd import VECTOR_BYTES, data_of


@intrinsic
def copy_run(typingctx, x, source, y, target, count):
    """y[target + i] = x[source + i] for 0 <= i < count.    x and y: vectors of memory"""

    def build(context, builder, signature, arguments):
        x_, source_, y_, target_, count_ = arguments

        def copy(done, width):
            value = builder.load(_pointer(context, builder, x_, x, source_, done, width), align=_bytes(x))
            builder.store(value, _pointer(context, builder, y_, y, target_, done, width), align=_bytes(y))

        _each_vector(builder, x, count_, copy)
        return context.get_dummy_value()

    return types.void(x, source, y, target, count), build


@intrinsic
def copy_vectors(typingctx, x, source, y, target, count):
    """`copy_run` in whole vectors, which may read and write up to a vector more than `count` numbers."""

    def build(context, builder, signature, arguments):
        x_, source_, y_, target_, count_ = arguments
        width = _lanes(x.dtype)
        rounded = builder.add(count_, count_.type(width - 1))
        with cgutils.for_range(builder, builder.lshr(rounded, count_.type(width.bit_length() - 1))) as loop:
            done = builder.mul(loop.index, count_.type(width))
            value = builder.load(_pointer(context, builder, x_, x, source_, done, width), align=_bytes(x))
            builder.store(value, _pointer(context, builder, y_, y, target_, done, width), align=_bytes(y))
        return context.get_dummy_value()

    return types.void(x, source, y, target, count), build


@intrinsic
def add_run(typingctx, x, source, y, target, count):
    """y[target + i] += x[source + i] for 0 <= i < count.    x and y: vectors of memory"""

    def build(context, builder, signature, arguments):
        x_, source_, y_, target_, count_ = arguments

        def add(done, width):
            value = builder.load(_pointer(context, builder, x_, x, source_, done, width), align=_bytes(x))
            place = _pointer(context, builder, y_, y, target_, done, width)
            builder.store(builder.fadd(builder.load(place, align=_bytes(y)), value), place, align=_bytes(y))

        _each_vector(builder, x, count_, add)
        return context.get_dummy_value()

    return types.void(x, source, y, target, count), build


@intrinsic
def zero_run(typingctx, y, target, count):
    """y[target + i] = 0 for 0 <= i < count.    y: a vector of memory"""

    def build(context, builder, signature, arguments):
        y_, target_, count_ = arguments

        def clear(done, width):
            place = _pointer(context, builder, y_, y, target_, done, width)
            builder.store(ir.Constant(place.type.pointee, None), place, align=_bytes(y))

        _each_vector(builder, y, count_, clear)
        return context.get_dummy_value()

    return types.void(y, target, count), build


def _each_vector(builder, ty, count, operate):
    """Call operate(offset, width) for all whole vectors of a run, and for the parts of the rest."""
    width = _lanes(ty.dtype)
    whole = builder.lshr(count, count.type(width.bit_length() - 1))
    with cgutils.for_range(builder, whole) as loop:
        operate(builder.mul(loop.index, count.type(width)), width)
    done = builder.mul(whole, count.type(width))
    while width > 1:
        width //= 2
        part = builder.and_(count, count.type(width))
        with builder.if_then(builder.icmp_unsigned("!=", part, count.type(0))):
            operate(done, width)
        done = builder.add(done, part)


def _pointer(context, builder, array, ty, start, offset, width):
    """Return a pointer to `width` numbers from x[start + offset] on."""
    data = data_of(context, builder, array, ty)
    vector = ir.VectorType(context.get_value_type(ty.dtype), width)
    return builder.bitcast(builder.gep(data, [builder.add(start, offset)]), vector.as_pointer())


def _lanes(dtype):
    return 8 * VECTOR_BYTES // dtype.bitwidth


def _bytes(ty):
    """Return the alignment of x's numbers."""
    return ty.dtype.bitwidth // 8
