"""Memory at an address, for compiled kernels: numbers that are read and written as p[i], without bounds or shapes.

An array is a structure of seven fields whose references numba counts; a pointer is one number.  So functions of
pointers compile faster, and call each other by address (`minigan.ops.cpu.threads.team.call`).
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc"

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from minigan.ops.cpu.kernels.numba.simd import VECTOR_BYTES

PART_VECTORS = 2
"""How many vectors of 64 bytes the units of a part of a dense layer fill, see `dense_units`."""


BLOCK_CHANNELS = 1024
"""How many channels `block_of` has place for."""


def part_width(bitwidth):
    """Return how many numbers of so many bits PART_VECTORS vectors hold."""
    return PART_VECTORS * 8 * VECTOR_BYTES // bitwidth


@intrinsic
def pointer(typingctx, address, zero):
    """Return the address as a pointer to numbers of zero's type."""
    found = types.CPointer(zero)

    def build(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(found))

    return found(types.int64, zero), build


@intrinsic
def integers(typingctx, address):
    """Return the address as a pointer to int64."""
    found = types.CPointer(types.int64)

    def build(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(found))

    return found(types.int64), build


@intrinsic
def number(typingctx, p, value):
    """Return the value as a number of the type that p points to."""

    def build(context, builder, signature, arguments):
        return context.cast(builder, arguments[1], value, p.dtype)

    return p.dtype(p, value), build


@intrinsic
def size_of(typingctx, p):
    """Return the bytes of a number that p points to."""

    def build(context, builder, signature, arguments):
        return context.get_constant(types.int64, p.dtype.bitwidth // 8)

    return types.int64(p), build


@intrinsic
def width_of(typingctx, p):
    """Return how many units a part has, for the type that p points to."""

    def build(context, builder, signature, arguments):
        return context.get_constant(types.int64, part_width(p.dtype.bitwidth))

    return types.int64(p), build


@intrinsic
def row_of(typingctx, p):
    """Return memory on the stack for `width_of(p)` numbers, undefined at first, of the type that p points to."""

    def build(context, builder, signature, arguments):
        return on_stack(context, builder, p.dtype, part_width(p.dtype.bitwidth))

    return types.CPointer(p.dtype)(p), build


@intrinsic
def sums_of(typingctx, p):
    """Return memory on the stack for `width_of(p)` float64, undefined at first."""

    def build(context, builder, signature, arguments):
        return on_stack(context, builder, types.float64, part_width(p.dtype.bitwidth))

    return types.CPointer(types.float64)(p), build


@intrinsic
def block_of(typingctx, p):
    """Return memory on the stack for BLOCK_CHANNELS numbers, undefined at first, of the type that p points to.

    The compiler knows that it overlaps no other memory, so loops that write there need no checks of addresses.
    """

    def build(context, builder, signature, arguments):
        return on_stack(context, builder, p.dtype, BLOCK_CHANNELS)

    return types.CPointer(p.dtype)(p), build


def on_stack(context, builder, dtype, count):
    """Emit memory for `count` numbers in the function's frame, and return the pointer to it."""
    memory = ir.ArrayType(context.get_value_type(dtype), count)
    with builder.goto_entry_block():
        place = builder.alloca(memory)
        place.align = VECTOR_BYTES
    zero = ir.IntType(32)(0)
    return builder.gep(place, [zero, zero])
