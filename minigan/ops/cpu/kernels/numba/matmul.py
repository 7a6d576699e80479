"""Products of matrices as they lie in memory, for compiled kernels: small enough, or cut, to stay in a core's cache.

A library's product copies both factors into an order of its own before it multiplies; for the products of a few hundred
rows and columns that convolutions are made of, that is a fifth of the time.  Here ROWS rows times WIDE vectors of the
result stay in registers while the sum runs, each number of `a` is spread over a vector, and nothing is copied.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg"

from llvmlite import binding
from numba.core import cgutils, types
from numba.core import config as numba_config
from numba.core.extending import intrinsic

from minigan.ops.cpu.kernels.numba.jit import kernel
from minigan.ops.cpu.kernels.numba.simd import Vectors, lanes


def _wide_vectors() -> bool:
    """Whether numba compiles for vectors of 64 bytes."""
    name, features = (getattr(numba_config, f"CPU_{what}") for what in ("NAME", "FEATURES"))
    if name or features:  # told so (NUMBA_CPU_NAME, NUMBA_CPU_FEATURES)
        return "+avx512f" in (features or "")
    return bool(binding.get_host_cpu_features().get("avx512f"))


ROWS, MORE, SOME, WIDE = (12, 8, 4, 2) if _wide_vectors() else (6, 4, 2, 1)
"""24 of 32 registers of 64 bytes hold sums, or 12 of 16 of 32 bytes; the others what is multiplied."""
DEPTH = 256
"""Terms of the sum before the next rows: so many of ROWS rows of `a` and of a panel of `b` stay in the first cache."""


@kernel
def multiply(a, of_a, b, of_b, c, of_c, sizes, add):
    """c_tn = sum_k a_tk b_kn, or c_tn + ...    sizes = (T, N, K)

    Memory comes as vectors.  of_a is (the first, how far rows are apart, columns), of_b and of_c (the first, rows): the
    columns of b and c lie side by side.
    """
    T, N, K = sizes
    a_at, a_row, a_next = of_a
    (b_at, b_row), (c_at, c_row) = of_b, of_c
    width = WIDE * lanes(c)
    for n in range(0, N, width):
        for k in range(0, K, DEPTH):
            from_a, from_b, depth, more = a_at + k * a_next, b_at + k * b_row + n, min(DEPTH, K - k), add or k > 0
            t = 0
            while t + ROWS <= T:
                to = c_at + t * c_row + n
                _block(
                    ROWS, a, (from_a + t * a_row, a_row, a_next), b, (from_b, b_row), c, (to, c_row), depth, N - n, more
                )
                t += ROWS
            while t + MORE <= T:
                to = c_at + t * c_row + n
                _block(
                    MORE, a, (from_a + t * a_row, a_row, a_next), b, (from_b, b_row), c, (to, c_row), depth, N - n, more
                )
                t += MORE
            while t + SOME <= T:
                to = c_at + t * c_row + n
                _block(
                    SOME,
                    a,
                    (from_a + t * a_row, a_row, a_next),
                    b,
                    (from_b, b_row),
                    c,
                    (to, c_row),
                    depth,
                    N - n,
                    more,
                )
                t += SOME
            while t < T:
                to = c_at + t * c_row + n
                _block(
                    1, a, (from_a + t * a_row, a_row, a_next), b, (from_b, b_row), c, (to, c_row), depth, N - n, more
                )
                t += 1


@intrinsic(prefer_literal=True)
def _block(typingctx, rows, a, of_a, b, of_b, c, of_c, depth, left, add):
    """`rows` rows and min(left, WIDE vectors) columns of `multiply`."""
    if not isinstance(rows, types.IntegerLiteral):
        return None

    def build(context, builder, signature, arguments):
        _, a_, of_a_, b_, of_b_, c_, of_c_, depth_, left_, add_ = arguments
        on = Vectors(context, builder, c.dtype)
        a_at, a_row, a_next = (builder.extract_value(of_a_, i) for i in range(3))
        b_at, b_row = (builder.extract_value(of_b_, i) for i in range(2))
        c_at, c_row = (builder.extract_value(of_c_, i) for i in range(2))
        steps = range(rows.literal_value)

        def nth(first, i, step):
            return builder.add(first, builder.mul(step, step.type(i)))

        def write(masks):
            sums = [[cgutils.alloca_once_value(builder, on.zero) for _ in masks] for _ in steps]
            with builder.if_then(add_):
                for r in steps:
                    for v, mask in enumerate(masks):
                        builder.store(on.load(c_, c, on.after(nth(c_at, r, c_row), v), mask), sums[r][v])
            with cgutils.for_range(builder, depth_) as loop:
                row = builder.add(b_at, builder.mul(b_row, loop.index))
                factors = [on.load(b_, b, on.after(row, v), mask) for v, mask in enumerate(masks)]
                for v in range(WIDE):  # the next columns: rows of a wide b lie in different pages
                    on.prefetch(b_, b, on.after(row, WIDE + v))
                column = builder.add(a_at, builder.mul(a_next, loop.index))
                for r in steps:
                    number = on.spread(a_, a, nth(column, r, a_row))
                    for v, factor in enumerate(factors):
                        builder.store(on.add(builder.load(sums[r][v]), on.times(number, factor)), sums[r][v])
            for r in steps:
                for v, mask in enumerate(masks):
                    on.store(c_, c, on.after(nth(c_at, r, c_row), v), builder.load(sums[r][v]), mask)

        with builder.if_else(on.full(left_, WIDE), likely=True) as (then, otherwise):
            with then:
                write([None] * WIDE)
            with otherwise:
                write([on.first(on.after(left_, -v)) for v in range(WIDE)])
        return context.get_dummy_value()

    return types.void(rows, a, of_a, b, of_b, c, of_c, depth, left, add), build
