"""The transpose of a matrix, compiled: squares of one vector by one vector are transposed in registers."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from minigan.ops.cpu.kernels.numba.jit import kernel_by_address
from minigan.ops.cpu.kernels.numba.simd import Vectors, lanes
from minigan.ops.cpu.threads.team import callable_at


def transpose(a: Any, b: Any, rows: int, columns: int, stride: int) -> None:
    """b_ji = a_ij.    a (rows, columns) in C order; rows of b start `stride` numbers apart"""
    callable_at(_transpose, "x x i i i", str(a.dtype))(a.ctypes.data, b.ctypes.data, rows, columns, stride)


@kernel_by_address
def _transpose(a, b, rows, columns, stride):
    n = lanes(a)
    for i in range(0, rows, n):
        for j in range(0, columns, n):
            if i + n <= rows and j + n <= columns:
                _transpose_square(a, i * columns + j, columns, b, j * stride + i, stride)
            else:
                for k in range(i, min(i + n, rows)):
                    for l in range(j, min(j + n, columns)):
                        b[l * stride + k] = a[k * columns + l]
    return 0


@intrinsic
def _transpose_square(typingctx, a, a_start, a_row, b, b_start, b_row):
    """Transpose as many rows and columns as a vector holds.

    Interleaving row i with row i + n / 2, for all i < n / 2, moves the bits of each number's (row, column) by one
    place; after log2(n) times row and column have changed places.
    """

    def build(context, builder, signature, arguments):
        a_, a_start_, a_row_, b_, b_start_, b_row_ = arguments
        on = Vectors(context, builder, a.dtype)

        def nth(first, i, stride):
            return builder.add(first, builder.mul(stride, stride.type(i)))

        n = on.zero.type.count
        rows = [on.load(a_, a, nth(a_start_, i, a_row_)) for i in range(n)]
        for _ in range(n.bit_length() - 1):
            mixed = []
            for left, right in zip(rows[: n // 2], rows[n // 2 :], strict=True):
                for half in (0, n // 2):
                    order = [half + i // 2 + n * (i % 2) for i in range(n)]
                    indices = ir.Constant(ir.VectorType(ir.IntType(32), n), [ir.IntType(32)(k) for k in order])
                    mixed.append(builder.shuffle_vector(left, right, indices))
            rows = mixed
        for j, row in enumerate(rows):
            on.store(b_, b, nth(b_start_, j, b_row_), row)
        return context.get_dummy_value()

    return types.void(a, a_start, a_row, b, b_start, b_row), build
