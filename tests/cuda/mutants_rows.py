"""Bugs planted in the kernels over rows."""

import check_rows
from mutation import Mutant


def planted(name, old, new, check, file="rows.cu", **kwargs):
    return Mutant(name, file, old, new, check, **kwargs)


def elsewhere(file):
    return lambda name, old, new, check: Mutant(name, file, old, new, check)


in_columns, in_gates, in_wide = map(elsewhere, ("columns.cuh", "gates.cuh", "wide.cuh"))

SYNC = "    __syncthreads();\n"
THREADS = f"{SYNC}    if (at.row < half) {{\n      const int other"
PARTS = f"{SYNC}    if (t < half) {{\n      merge"
COLUMN = f"{SYNC}    if (at.row < half) {{\n"
LAST = "c = blockIdx.x * 8 + t % 8;\n  double n"
FIRST = "(long long)blockIdx.y * rows, last"
CENTRED = "      const real centred = u.at[k] - m.at[k]"

MUTANTS = [
    planted("no barrier between the merges of threads", THREADS, THREADS.removeprefix(SYNC), check_rows.statistics),
    planted("no barrier between the merges of parts", PARTS, PARTS.removeprefix(SYNC), check_rows.statistics),
    planted(
        "a merge without the distance of the means", "m2_b + d * d * (n * share);", "m2_b;", check_rows.statistics
    ),
    planted("a merge weighted by the wrong count", "share = n_b / total", "share = n / total", check_rows.statistics),
    planted("an empty part is merged", "  if (n_b == 0) return;\n", "", check_rows.statistics),
    planted("no pivot", "u.at[k] - pivot.at[k], d", "u.at[k], d", check_rows.statistics),
    planted("the last part counts as whole", "double(left < rows ? left : rows)", "rows * 1.0", check_rows.statistics),
    planted("parts that no thread comes to", "p += 32) {", "p += parts) {", check_rows.statistics),
    planted("parts of a sum that no thread comes to", "p += 32) s", "p += parts) s", check_rows.sums),
    planted("a channel too far", LAST, LAST.replace("8;", "8 + 1;"), check_rows.statistics),
    planted("the running variance stays biased", "factor * q", "q", check_rows.norm),
    planted("the running mean moves too late", "running_mean[c], m, step)", "0, m, step)", check_rows.norm),
    planted("nothing is left of the mean", "rest[c] = m * m > 1024 * q ?", "rest[c] = false ?", check_rows.far),
    planted("what is left of the mean has the wrong sign", "real(pivot - mu[c] + distance)",
            "real(mu[c] - pivot - distance)", check_rows.far),
    planted("y forgets what is left of the mean", "(v.at[k] - m.at[k] - left.at[k])", "(v.at[k] - m.at[k])",
            check_rows.far),
    planted("sums forget what is left of the mean", f"\n  {CENTRED} - left", f"\n  {CENTRED} - 0 * left",
            check_rows.far),
    planted("dx forgets what is left of the mean", f"\n{CENTRED} - left", f"\n{CENTRED} - 0 * left", check_rows.far),
    planted("a large step starts from the running value", "step > 0.5 ?", "step > 2 ?", check_rows.momentum),
    planted("a part begins a row early", FIRST, FIRST.replace(",", " - 1,"), check_rows.statistics, first=True),
    planted("mean of dv without 1 / M", "(a.at[k] / real(M))", "a.at[k]", check_rows.norm),
    planted("no mean of dv x_hat", "centred * tilt.at[k] + constant", "constant", check_rows.norm),
    planted("sums of dv (u - mu) without the inverse", "sum_dx.at[k] *= factor.at[k]", "", check_rows.norm),
    planted("the last row is not pulled", "r < M; r += (long long)gridDim.y", "r < M - 1; r += (long long)gridDim.y",
            check_rows.norm, first=True),
    planted("dropout is one off in backward", "drop(g1, d, i))), i)", "drop(g1, d, i + 1))), i)", check_rows.flat),
    planted("one mask of two in backward", "at[k] = drop(g0, activate_back(g0,", "at[k] = (activate_back(g0,",
            check_rows.everything),
    planted("dropout counts loads", "drop(g, x.at[k], i + k)", "drop(g, x.at[k], i)", check_rows.everything),
    in_columns("a lane too many", "column, column < C}", "column, column <= C}", check_rows.norm),
    in_columns("no barrier between two sums", "  __syncthreads();  // the next", "  // the next", check_rows.norm),
    in_columns("no barrier in the sum of a column", COLUMN, COLUMN.removeprefix(SYNC), check_rows.sums),
    in_wide("the tail is too short", "WIDTH + first < n) one", "WIDTH + first + 1 < n) one", check_rows.flat),
    in_gates("a hash with one bit wrong", "0x85EBCA6Bu", "0x85EBCA69u", check_rows.dropout),
    in_gates("a key without its upper half", "(unsigned)(key >> 32)", "(unsigned)key", check_rows.dropout),
    in_gates("always the first key", "keys[key]", "keys[0]", check_rows.keyed),
]  # fmt: skip
