"""The machine's limits: the fastest product of matrices and the fastest copies that it reaches, on all threads.

The limit of an operation is max(operations / rate of a product, bytes / rate of a copy).  The product's rate is the
best of BLAS and of minigan's own compiled kernel, because either may be slower on a processor.  A copy's rate depends
on where the arrays are: it is measured at several sizes, and an operation is compared with the rate at its own size, as
if its arrays were still in the cache that they fit in.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.core.measure import installed, seconds_of

COPY_BYTES = (1 << 19, 1 << 20, 1 << 22, 1 << 24, 1 << 29)
"""The bytes that a copy reads and writes, all threads together."""
MIN_SECONDS = 2e-3
"""The shortest measurement; a shorter job is repeated within it."""
REPEATS = 7
SQUARE = 3072
"""Rows and columns of the matrices that BLAS multiplies."""
COMPILED_SIZES = (384, 512, 256)
"""(T, N, K) of the product of each thread with minigan's kernel: the matrices fit in a core's L2 cache."""


def machine_limits(threads: int, *, quick: bool = False) -> dict[str, Any]:
    """Return the best rates of a product of matrices (flop/s) and of a copy (bytes/s, read and written) in float32.

    Parameters
    ----------
    threads
        The threads of the copies and of minigan's kernel; those of BLAS are set by the environment.
    quick
        Whether to use small arrays.

    Returns
    -------
    dict
        "sgemm", of BLAS; "compiled", of minigan's kernel (None without numba); "product", the better of both; "copy",
        of arrays in main memory; "copies", pairs of bytes and rate, smallest first.

    """
    n, sizes = (256, COPY_BYTES[:2]) if quick else (SQUARE, COPY_BYTES)
    a, b = (np.random.default_rng(k).standard_normal((n, n)).astype("float32") for k in (0, 1))
    with ThreadPoolExecutor(threads) as pool:
        sgemm = 2 * n**3 / _fastest(lambda: a @ b)
        compiled = _compiled(threads, pool) if installed("numba") else None
        rates = [_copy(size, threads, pool) for size in sizes]
    copies = [[size, max(rates[i:])] for i, size in enumerate(sizes)]  # a call of NumPy slows the small ones down
    return {
        "sgemm": sgemm,
        "compiled": compiled,
        "product": max(sgemm, compiled or 0.0),
        "copy": copies[-1][1],
        "copies": copies,
    }


def copy_rate(limits: dict[str, Any], size: float) -> float:
    """Return the rate of a copy of `size` bytes: that of the next larger measured size, or of the largest."""
    copies: Sequence[tuple[int, float]] = limits["copies"]
    return next((rate for measured, rate in copies if size <= measured), limits["copy"])


def limit_seconds(limits: dict[str, Any], operations: float, size: float) -> float:
    """Return the least seconds of a call with so many floating-point operations and bytes.

    >>> limit_seconds({"product": 4.0, "copy": 1.0, "copies": [[10, 5.0]]}, 8.0, 10.0)
    2.0
    """
    return max(operations / limits["product"], size / copy_rate(limits, size))


def _compiled(threads: int, pool: ThreadPoolExecutor) -> float:
    """Return the rate of minigan's compiled product, one on each thread."""
    from minigan.ops.cpu.kernels.numba.matmul import multiply

    T, N, K = COMPILED_SIZES
    arrays = [tuple(np.ones(n, "float32") for n in (T * K, K * N, T * N)) for _ in range(threads)]

    def job(operands: tuple[Any, ...]) -> None:
        a, b, c = operands
        multiply(a, (0, K, 1), b, (0, N), c, (0, N), (T, N, K), False)

    return threads * 2.0 * T * N * K / _fastest_on_all(job, arrays, pool)


def _copy(size: int, threads: int, pool: ThreadPoolExecutor) -> float:
    """Return the rate of copies that read and write `size` bytes in all, a part on each thread."""
    n = size // 8 // threads
    arrays = [(np.zeros(n, "float32"), np.ones(n, "float32")) for _ in range(threads)]
    return threads * 8.0 * n / _fastest_on_all(lambda pair: np.copyto(*pair), arrays, pool)


def _fastest_on_all(job: Callable[[Any], None], arguments: Sequence[Any], pool: ThreadPoolExecutor) -> float:
    """Return the seconds of a job that runs on all threads at once, each with its own argument."""
    job(arguments[0])
    times = max(1, round(MIN_SECONDS / _fastest(lambda: job(arguments[0]))))

    def repeated(argument: Any) -> None:
        for _ in range(times):
            job(argument)

    return _fastest(lambda: list(pool.map(repeated, arguments))) / times


def _fastest(job: Callable[[], Any]) -> float:
    """Return the seconds of the fastest of `REPEATS` runs, after one to warm up."""
    job()
    return min(seconds_of(job) for _ in range(REPEATS))
