"""Bugs planted in the flat vector's kernels."""

import check_flat
from mutation import Mutant


def planted(name, old, new, check, **kwargs):
    return Mutant(name, "flat.cu", old, new, check, **kwargs)


MUTANTS = [
    planted("adam loses the tail", "packs * PACK + first", "(n + PACK - 1) / PACK * PACK + first", check_flat.adam),
    planted("adam makes one pack a thread", "i < packs; i += step", "i < packs; i += packs", check_flat.adam),
    planted("adam makes one number a thread", "first; i < n; i += step", "first; i < n; i += n", check_flat.adam),
    planted("adam reads a pack too many", ") ? n / PACK : 0", ") ? n / PACK + 1 : 0", check_flat.adam),
    planted("adam forgets an alignment", "in_packs(theta) && in_packs(g) && ", "true || ", check_flat.adam),
    planted("adam leaves out the root", "sqrt(v) * root + eps", "sqrt(v) + eps", check_flat.adam),
    planted("a graph's adam has one root", "rate = (real)moving[0], root = (real)moving[1]", "rate = (real)moving[0]",
            check_flat.given),
    planted("a graph's rate stays", "if (moving) lr = (real)moving[0];", "", check_flat.given),
    planted("a graph's momentum stays", "if (moving) lr = (real)moving[0], momentum = (real)moving[1];",
            "if (moving) lr = (real)moving[0];", check_flat.given),
    planted("momentum is Nesterov's", "nesterov ?", "1 ?", check_flat.momentum),
    planted("rmsprop steps before v", "rest * (g[i] * g[i])", "rest * g[i]", check_flat.rmsprop),
    planted("infinities pass", "!isfinite(x[i])", "isnan(x[i])", check_flat.finite),
    planted("only the first numbers are seen", "bad |= !isfinite", "bad = !isfinite", check_flat.finite),
    planted("copy misses the last", "i < n; i += threads_of_grid()) to[i]", "i < n - 1; i += threads_of_grid()) to[i]",
            check_flat.copy),
]  # fmt: skip
