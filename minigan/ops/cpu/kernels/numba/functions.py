# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""Exponential functions that the compiler can vectorise; it cannot vectorise calls of the C library.

All compute in float64, with an error of a few units in the last place; NaN stays NaN.
"""

import math

import numpy as np

from minigan.ops.cpu.kernels.numba.jit import inlined

LOG2_E = math.log2(math.e)
LOG_2 = 6.93147180369123816490e-01  # its first 32 bits: its product with an integer of 11 bits is exact
LOG_2_REST = 1.90821492927058770002e-10

# Horner's rule is written out: a loop over the coefficients would prevent the vectorisation of the loop around it.


@inlined
def _expm1(r):
    """e^r - 1 = sum_k r^k / k!, k = 1 ... 13, with an error below 2^-56 for |r| <= log(2) / 2."""
    s = r * (1 / 6227020800) + 1 / 479001600
    s = s * r + 1 / 39916800
    s = s * r + 1 / 3628800
    s = s * r + 1 / 362880
    s = s * r + 1 / 40320
    s = s * r + 1 / 5040
    s = s * r + 1 / 720
    s = s * r + 1 / 120
    s = s * r + 1 / 24
    s = s * r + 1 / 6
    s = s * r + 1 / 2
    return s * r * r + r


@inlined
def _artanh(z):
    """sum_k z^(2k + 1) / (2k + 1), k = 0 ... 17, with an error below 2^-60 for |z| <= 1/3."""
    y = z * z
    s = y * (1 / 35) + 1 / 33
    s = s * y + 1 / 31
    s = s * y + 1 / 29
    s = s * y + 1 / 27
    s = s * y + 1 / 25
    s = s * y + 1 / 23
    s = s * y + 1 / 21
    s = s * y + 1 / 19
    s = s * y + 1 / 17
    s = s * y + 1 / 15
    s = s * y + 1 / 13
    s = s * y + 1 / 11
    s = s * y + 1 / 9
    s = s * y + 1 / 7
    s = s * y + 1 / 5
    s = s * y + 1 / 3
    return s * y * z + z


@inlined
def _split(x):
    """Return n and e^r - 1 for the integer n and r with x = n log 2 + r, |r| <= log(2) / 2."""
    n = np.rint(x * LOG2_E)
    r = (x - n * LOG_2) - n * LOG_2_REST
    return n, _expm1(r)


@inlined
def _power_of_two(n):
    """2^n for integers n in -1022 ... 1023: n + 1023 is the exponent field of a float64."""
    return np.int64((np.int64(n) + 1023) << 52).view(np.float64)


@inlined
def exp_neg(x):
    """e^-x = 2^n (1 + (e^r - 1)) for x >= 0; 2^n is two factors, because alone it may be too small for a float64."""
    n, expm1_r = _split(-x if x <= 750.0 or x != x else -750.0)
    half = np.rint(0.5 * n)
    return (1.0 + expm1_r) * _power_of_two(half) * _power_of_two(n - half)


@inlined
def tanh(x):
    """sign(x) t / (t + 2) with t = e^2|x| - 1 = 2^n (e^r - 1) + (2^n - 1), which is accurate near 0 too."""
    twice = 2.0 * abs(x)
    n, expm1_r = _split(twice if twice <= 50.0 or x != x else 50.0)
    power = _power_of_two(n)
    t = power * expm1_r + (power - 1.0)
    return math.copysign(t / (t + 2.0), x)


@inlined
def sigmoid(x):
    """1 / (1 + e^-x), computed as e^x / (1 + e^x) where x <= 0."""
    e = exp_neg(abs(x))
    return (1.0 if x > 0.0 else e) / (1.0 + e)


@inlined
def softplus_sigmoid(x):
    """log(1 + e^x) = max(x, 0) + log(1 + e) with e = e^-|x|, and its derivative.

    log(1 + e) = 2 artanh z with z = e / (2 + e) <= 1/3.
    """
    e = exp_neg(abs(x))
    z = e / (2.0 + e)
    return (x if x > 0.0 else 0.0) + 2.0 * _artanh(z), (1.0 if x > 0.0 else e) / (1.0 + e)
