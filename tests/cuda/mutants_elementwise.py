"""Bugs planted in the elementwise functions, and in bias with activation."""

import check_elementwise
from mutation import Mutant


def planted_in(file):
    return lambda name, old, new, check, **how: Mutant(name, file, old, new, getattr(check_elementwise, check), **how)


elementwise, functions, sums, bias = map(planted_in, ("elementwise.cu", "functions.cuh", "sums.cuh", "bias.cu"))
TAIL = "packs * PACK + first; i < n; i += step) y[i]"
LAST = "last = first + rows < M ? first + rows : M"
SYNC = "    __syncthreads();\n    if (t < half)"

MUTANTS = [
    functions("relu hides NaN", "v <= 0 ? real(0) : v;", "v > 0 ? v : real(0);", "forward"),
    functions("sigmoid of an exponential that overflows", "exp(v > 0 ? -v : v)", "exp(-v)", "forward"),
    functions("softplus loses small exponentials", "log1p(e)", "log(1 + e)", "forward"),
    elementwise("a masked infinity is NaN", "v <= 0 ? real(0) : d;", "(v > 0) * d;", "backward"),
    bias("tanh's derivative at x", "d * (1 - y * y)", "d * (1 - y)", "bias"),
    elementwise("a pack too many", "in_packs(x) && in_packs(y) ? n / PACK", "in_packs(x) ? n / PACK + 1", "forward"),
    elementwise("the tail is omitted", TAIL, TAIL.replace("packs * PACK", "n"), "forward"),
    sums("no barrier in the sum of a block", SYNC, "    if (t < half)", "loss"),
    sums("half of the sum's threads", "half = N / 2; half > 0", "half = N / 4; half > 0", "loss"),
    elementwise("a block too many", "i < blocks; i", "i <= blocks; i", "loss"),
    elementwise("the sign is lost", "sign * s[i], e", "s[i], e", "loss"),
    bias("the last row is left out", LAST, f"{LAST} - 1", "bias"),
    bias("leaky ReLU's slope is squared", "y > 0 ? d : slope * d", "y > 0 ? d : slope * slope * d", "bias"),
    bias("the bias is every channel's first", "= b[at.column + k]", "= b[0]", "bias"),
]  # fmt: skip
