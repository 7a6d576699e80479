"""Vector instructions for numba's intrinsics: loads, stores and arithmetic on as many numbers as a vector holds.

A compiler vectorises a loop only if it can prove that the loop does not read what it has written.  It cannot prove this
for the n^2 places of one array to which a transform writes.  Explicit vector instructions need no such alias analysis.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc"

from collections.abc import Sequence
from fractions import Fraction

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

VECTOR_BYTES = 64
"""A vector holds 16 float32 or 8 float64 numbers; where the processor's registers are shorter, it takes several."""
_I32 = ir.IntType(32)


def _lanes(dtype):
    return 8 * VECTOR_BYTES // dtype.bitwidth


@intrinsic
def lanes(typingctx, x):
    """Return how many numbers of x's dtype a vector holds."""

    def build(context, builder, signature, arguments):
        return context.get_constant(types.intp, _lanes(x.dtype))

    return types.intp(x), build


def data_of(context, builder, array, ty):
    """Return the pointer to the first number of an array; a pointer itself."""
    return array if isinstance(ty, types.CPointer) else context.make_array(ty)(context, builder, array).data


class Vectors:
    """Emits instructions on vectors of one dtype at the builder's position.

    In all methods `array` is the LLVM value of an array or pointer and `ty` its numba type; `at` and `count` are LLVM
    integers.  A mask is a vector of booleans; masked loads and stores do not touch the memory of lanes whose mask is
    false.

    Parameters
    ----------
    context
        numba's target context.
    builder
        The LLVM builder of the function.
    dtype
        numba's type of the numbers, float32 or float64.
    n_bytes
        The size of a vector; VECTOR_BYTES by default.

    """

    def __init__(self, context, builder, dtype, n_bytes=VECTOR_BYTES):
        self.context, self.builder = context, builder
        self._number, self._count = context.get_value_type(dtype), 8 * n_bytes // dtype.bitwidth
        self._vector = ir.VectorType(self._number, self._count)
        self._bytes = ir.Constant(_I32, dtype.bitwidth // 8)
        self._kind = f"v{self._count}f{dtype.bitwidth}.p0"

    def first(self, count):
        """Return the mask of the first `count` lanes."""
        index = ir.Constant(ir.VectorType(_I32, self._count), [ir.Constant(_I32, i) for i in range(self._count)])
        return self.builder.icmp_signed("<", index, self._fill(self.builder.trunc(count, _I32)))

    def where(self, condition, mask):
        """Return the mask if the condition holds, otherwise an empty mask."""
        return self.builder.select(condition, mask, ir.Constant(mask.type, None))

    def full(self, count, vectors=1):
        """Return whether `count` numbers fill this many vectors."""
        return self.builder.icmp_signed(">=", count, count.type(vectors * self._count))

    def advance(self, at, vectors):
        """Return the index this many vectors after `at`; `vectors`, a Python integer, may be negative."""
        return self.builder.add(at, at.type(vectors * self._count))

    @property
    def zero(self):
        """A vector of zeros."""
        return ir.Constant(self._vector, None)

    def broadcast(self, array, ty, at):
        """Return x[at] in every lane."""
        return self._fill(self.builder.load(self._pointer(array, ty, at)))

    def load(self, array, ty, at, mask=None):
        """Return x[at], x[at + 1], ..., with zeros in the lanes that the mask leaves out."""
        pointer = self._pointer(array, ty, at)
        if mask is None:
            return self.builder.load(
                self.builder.bitcast(pointer, self._vector.as_pointer()), align=self._bytes.constant
            )
        signature = ir.FunctionType(self._vector, [pointer.type, _I32, mask.type, self._vector])
        load = self.builder.module.declare_intrinsic(f"llvm.masked.load.{self._kind}", fnty=signature)
        return self.builder.call(load, [pointer, self._bytes, mask, self.zero])

    def store(self, array, ty, at, value, mask=None):
        """Set x[at], x[at + 1], ... = value, except in the lanes that the mask leaves out."""
        pointer = self._pointer(array, ty, at)
        if mask is None:
            self.builder.store(
                value, self.builder.bitcast(pointer, value.type.as_pointer()), align=self._bytes.constant
            )
            return
        signature = ir.FunctionType(ir.VoidType(), [self._vector, pointer.type, _I32, mask.type])
        store = self.builder.module.declare_intrinsic(f"llvm.masked.store.{self._kind}", fnty=signature)
        self.builder.call(store, [value, pointer, self._bytes, mask])

    def prefetch(self, array, ty, at):
        """Ask for the cache line of x[at], which may lie outside of the array, because nothing is read."""
        pointer = self._pointer(array, ty, at)
        signature = ir.FunctionType(ir.VoidType(), [pointer.type, _I32, _I32, _I32])
        read, keep, data = (ir.Constant(_I32, n) for n in (0, 3, 1))
        prefetch = self.builder.module.declare_intrinsic("llvm.prefetch.p0", fnty=signature)
        self.builder.call(prefetch, [pointer, read, keep, data])

    def add(self, left, right):
        """Return left + right."""
        return self.builder.fadd(left, right, flags=("contract",))

    def multiply(self, left, right):
        """Return left times right."""
        return self.builder.fmul(left, right, flags=("contract",))

    def combination(self, factors: Sequence[Fraction], vectors):
        """Return f_1 v_1 + f_2 v_2 + ..., without the terms whose factor is 0; one factor at least is not 0."""
        terms = [(f, v) for f, v in zip(factors, vectors, strict=True) if f != 0]
        terms.sort(key=lambda term: term[0] != 1)  # start with a term that needs no multiplication
        total = None
        for f, v in terms:
            if f == -1 and total is not None:
                total = self.builder.fsub(total, v, flags=("contract",))
                continue
            if f != 1:
                v = self.multiply(self._fill(ir.Constant(self._number, float(f))), v)
            total = v if total is None else self.add(total, v)
        return total

    def _pointer(self, array, ty, at):
        """Return a pointer to x[at]."""
        return self.builder.gep(data_of(self.context, self.builder, array, ty), [at])

    def _fill(self, number):
        """Return the number in every lane."""
        vector = ir.VectorType(number.type, self._count)
        one = self.builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.Constant(_I32, 0))
        return self.builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_I32, self._count), None))
