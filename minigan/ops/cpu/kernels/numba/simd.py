"""Machine instructions on vectors, for intrinsics of numba: loads, stores and sums of as many numbers as one holds.

A compiler makes vectors of a loop only where it can show that what the loop writes is not what it reads next; for the
n^2 places of one array that a transform writes, it can not.  Written with these, nothing is left to show.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc"

from collections.abc import Sequence
from fractions import Fraction

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

BYTES = 64
"""Of a vector: 16 numbers of float32, 8 of float64.  Where the processor has shorter ones, it is several of them."""
_I32 = ir.IntType(32)


def _lanes(dtype):
    return 8 * BYTES // dtype.bitwidth


@intrinsic
def lanes(typingctx, x):
    """How many numbers of x's dtype a vector holds."""

    def build(context, builder, signature, arguments):
        return context.get_constant(types.intp, _lanes(x.dtype))

    return types.intp(x), build


class Vectors:
    """Writes instructions on vectors of an array's dtype, where `builder` is."""

    def __init__(self, context, builder, dtype):
        self.context, self.builder = context, builder
        self._number, self._count = context.get_value_type(dtype), _lanes(dtype)
        self._vector = ir.VectorType(self._number, self._count)
        self._bytes = ir.Constant(_I32, dtype.bitwidth // 8)
        self._kind = f"v{self._count}f{dtype.bitwidth}.p0"

    def first(self, count):
        """The mask of the first `count` numbers."""
        index = ir.Constant(ir.VectorType(_I32, self._count), [ir.Constant(_I32, i) for i in range(self._count)])
        return self.builder.icmp_signed("<", index, self._all(self.builder.trunc(count, _I32)))

    def where(self, condition, mask):
        """The mask, or where the condition does not hold, nothing."""
        return self.builder.select(condition, mask, ir.Constant(mask.type, None))

    def full(self, count, vectors=1):
        """Whether `count` numbers fill so many vectors."""
        return self.builder.icmp_signed(">=", count, count.type(vectors * self._count))

    def after(self, at, vectors):
        """The place so many vectors after `at`."""
        return self.builder.add(at, at.type(vectors * self._count))

    @property
    def zero(self):
        """A vector of zeros."""
        return ir.Constant(self._vector, None)

    def spread(self, array, ty, at):
        """A vector of x[at]."""
        return self._all(self.builder.load(self._place(array, ty, at)))

    def load(self, array, ty, at, mask=None):
        """x[at], x[at + 1], ...; with a mask zeros for those that it has not, and their memory is not touched."""
        place = self._place(array, ty, at)
        if mask is None:
            return self.builder.load(self.builder.bitcast(place, self._vector.as_pointer()), align=self._bytes.constant)
        of = ir.FunctionType(self._vector, [place.type, _I32, mask.type, self._vector])
        load = self.builder.module.declare_intrinsic(f"llvm.masked.load.{self._kind}", fnty=of)
        return self.builder.call(load, [place, self._bytes, mask, self.zero])

    def store(self, array, ty, at, value, mask=None):
        """x[at], x[at + 1], ... = value, or those of them that the mask has."""
        place = self._place(array, ty, at)
        if mask is None:
            self.builder.store(value, self.builder.bitcast(place, value.type.as_pointer()), align=self._bytes.constant)
            return
        of = ir.FunctionType(ir.VoidType(), [self._vector, place.type, _I32, mask.type])
        store = self.builder.module.declare_intrinsic(f"llvm.masked.store.{self._kind}", fnty=of)
        self.builder.call(store, [value, place, self._bytes, mask])

    def prefetch(self, array, ty, at):
        """Have the vector at x[at] brought to the cache; nothing is read, so x[at] need not be there."""
        place = self._place(array, ty, at)
        of = ir.FunctionType(ir.VoidType(), [place.type, _I32, _I32, _I32])
        read, keep, data = (ir.Constant(_I32, n) for n in (0, 3, 1))
        prefetch = self.builder.module.declare_intrinsic("llvm.prefetch.p0", fnty=of)
        self.builder.call(prefetch, [place, read, keep, data])

    def add(self, left, right):
        """Left + right."""
        return self.builder.fadd(left, right, flags=("contract",))

    def times(self, left, right):
        """Left times right."""
        return self.builder.fmul(left, right, flags=("contract",))

    def combination(self, factors: Sequence[Fraction], vectors):
        """f_1 v_1 + f_2 v_2 + ... without those that are multiplied by 0; one at least is not."""
        terms = [(f, v) for f, v in zip(factors, vectors, strict=True) if f != 0]
        terms.sort(key=lambda term: term[0] != 1)  # begin with one that needs no product
        total = None
        for f, v in terms:
            if f == -1 and total is not None:
                total = self.builder.fsub(total, v, flags=("contract",))
                continue
            if f != 1:
                v = self.times(self._all(ir.Constant(self._number, float(f))), v)
            total = v if total is None else self.add(total, v)
        return total

    def _place(self, array, ty, at):
        return self.builder.gep(self.context.make_array(ty)(self.context, self.builder, array).data, [at])

    def _all(self, number):
        """A vector of one number."""
        vector = ir.VectorType(number.type, self._count)
        one = self.builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.Constant(_I32, 0))
        return self.builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_I32, self._count), None))
