"""Bugs planted in norm_act.cu and the headers that it includes."""

import check_norm_act as checks
from mutation import Mutant


def planted(name, old, new, check, file="norm_act.cu", **kwargs):
    return Mutant(name, file, old, new, check, **kwargs)


def elsewhere(file):
    return lambda name, old, new, check: Mutant(name, file, old, new, check)


in_columns, in_masks, in_wide = map(elsewhere, ("columns.cuh", "masks.cuh", "wide.cuh"))

SYNC = "    __syncthreads();\n"
THREADS = f"{SYNC}    if (at.row < half) {{\n      const int other"
PARTS = f"{SYNC}    if (t < half) {{\n      merge"
COLUMN = f"{SYNC}    if (at.row < half) {{\n"
LAST = "c = blockIdx.x * 8 + t % 8;\n  double n"
FIRST = "(long long)blockIdx.y * rows, last"
CENTRED = "      const real centred = u.at[k] - m.at[k]"

MUTANTS = [
    planted("no barrier between the merges of threads", THREADS, THREADS.removeprefix(SYNC), checks.statistics),
    planted("no barrier between the merges of parts", PARTS, PARTS.removeprefix(SYNC), checks.statistics),
    planted("a merge without the distance of the means", "m2_b + d * d * (n * weight);", "m2_b;", checks.statistics),
    planted("a merge weighted by the wrong count", "weight = n_b / total", "weight = n / total", checks.statistics),
    planted("an empty part is merged", "  if (n_b == 0) return;\n", "", checks.statistics),
    planted("no pivot", "u.at[k] - pivot.at[k], d", "u.at[k], d", checks.statistics),
    planted("the last part counts as whole", "double(remaining < rows ? remaining : rows)", "rows * 1.0",
            checks.statistics),
    planted("parts that no thread comes to", "p += 32) {", "p += parts) {", checks.statistics),
    planted("parts of a sum that no thread comes to", "p += 32) s", "p += parts) s", checks.sums),
    planted("a channel too far", LAST, LAST.replace("8;", "8 + 1;"), checks.statistics),
    planted("the running variance stays biased", "factor * q", "q", checks.norm),
    planted("the running mean moves too late", "running_mean[c], m, step)", "0, m, step)", checks.norm),
    planted("the remainder is always 0", "remainder[c] = m * m > 1024 * q ?", "remainder[c] = false ?", checks.far),
    planted("the remainder has the wrong sign", "real(pivot - mu[c] + distance)",
            "real(mu[c] - pivot - distance)", checks.far),
    planted("y without the remainder", "(v.at[k] - m.at[k] - rem.at[k])", "(v.at[k] - m.at[k])", checks.far),
    planted("sums without the remainder", f"\n  {CENTRED} - rem", f"\n  {CENTRED} - 0 * rem", checks.far),
    planted("dx without the remainder", f"\n{CENTRED} - rem", f"\n{CENTRED} - 0 * rem", checks.far),
    planted("a large step starts from the running value", "step > 0.5 ?", "step > 2 ?", checks.momentum),
    planted("a part begins a row early", FIRST, FIRST.replace(",", " - 1,"), checks.statistics, first=True),
    planted("mean of dv without 1 / M", "(a.at[k] / real(M))", "a.at[k]", checks.norm),
    planted("no mean of dv x_hat", "centred * linear.at[k] + constant", "constant", checks.norm),
    planted("sums of dv (u - mu) without the inverse", "sum_dx.at[k] *= factor.at[k]", "", checks.norm),
    planted("the last row has no y", "r < M; r += (long long)gridDim.y", "r < M - 1; r += (long long)gridDim.y",
            checks.norm, first=True),
    planted("dropout is one off in backward", "drop(post, d, i))), i)", "drop(post, d, i + 1))), i)", checks.flat),
    planted("one mask of two in backward", "at[k] = drop(pre, activate_backward(pre,",
            "at[k] = (activate_backward(pre,", checks.everything),
    planted("dropout counts loads", "drop(pre, x.at[k], i + k)", "drop(pre, x.at[k], i)", checks.everything),
    in_columns("a lane too many", "column, column < C}", "column, column <= C}", checks.norm),
    in_columns("no barrier between two sums", "  __syncthreads();  // the next", "  // the next", checks.norm),
    in_columns("no barrier in the sum of a column", COLUMN, COLUMN.removeprefix(SYNC), checks.sums),
    in_wide("the tail is too short", "WIDTH + first < n) one", "WIDTH + first + 1 < n) one", checks.flat),
    in_masks("a hash with one bit wrong", "0x85EBCA6Bu", "0x85EBCA69u", checks.dropout),
    in_masks("a key without its upper half", "(unsigned)(key >> 32)", "(unsigned)key", checks.dropout),
    in_masks("always the first key", "keys[key]", "keys[0]", checks.keyed),
]  # fmt: skip
