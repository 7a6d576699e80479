"""Bugs planted in the kernels of the flat vector."""

import check_flat
from mutation import Mutant


def planted(name, old, new, check, **kwargs):
    return Mutant(name, "flat.cu", old, new, check, **kwargs)


MUTANTS = [
    planted("adam loses the tail", "packs * PACK + first", "(n + PACK - 1) / PACK * PACK + first", check_flat.adam),
    planted("adam updates one pack per thread", "i < packs; i += step", "i < packs; i += packs", check_flat.adam),
    planted("adam updates one number per thread", "first; i < n; i += step", "first; i < n; i += n", check_flat.adam),
    planted("adam reads a pack too many", ") ? n / PACK : 0", ") ? n / PACK + 1 : 0", check_flat.adam),
    planted("adam ignores an alignment", "in_packs(theta) && in_packs(g) && ", "true || ", check_flat.adam),
    planted("adam omits the square root", "sqrt(v) * root + eps", "sqrt(v) + eps", check_flat.adam),
    planted("a graph's adam keeps its root", "rate = (real)moving[0], root = (real)moving[1]", "rate = (real)moving[0]",
            check_flat.scalars_on_device),
    planted("a graph keeps its rate", "if (moving) lr = (real)moving[0];", "", check_flat.scalars_on_device),
    planted("a graph keeps its momentum", "if (moving) lr = (real)moving[0], momentum = (real)moving[1];",
            "if (moving) lr = (real)moving[0];", check_flat.scalars_on_device),
    planted("momentum is always Nesterov's", "nesterov ?", "1 ?", check_flat.momentum),
    planted("rmsprop averages g instead of its square", "rest * (g[i] * g[i])", "rest * g[i]", check_flat.rmsprop),
    planted("nothing decays", "theta -= decay * theta;", "theta -= 0;", check_flat.decay),
    planted("adam decays the new theta", "    shrink(theta, decay);\n    theta -= rate * (m / (sqrt(v) * root + eps));",
            "    theta -= rate * (m / (sqrt(v) * root + eps));\n    shrink(theta, decay);", check_flat.decay),
    planted("a graph's adam keeps its decay", "(real)moving[1];\n  if (moving) decay = (real)moving[2];\n  update",
            "(real)moving[1];\n  update", check_flat.scalars_on_device),
    planted("a graph's rmsprop keeps its decay", "if (moving) decay = (real)moving[1];", "",
            check_flat.scalars_on_device),
    planted("squares overflow", "isfinite(near) ? 1 : FAR", "1", check_flat.clipped_norm),
    planted("a large norm is clipped", "fits ? 1 : max_norm / norm", "max_norm / norm", check_flat.clipped_norm),
    planted("NaN fits", "norm <= power * max_norm", "!(norm > power * max_norm)", check_flat.clipped_norm),
    planted("the first block's sum alone", "i < blocks; i += THREADS) near += sums[i]",
            "i < 1; i += THREADS) near += sums[i]", check_flat.clipped_norm),
    planted("sums of large numbers lie elsewhere", "sums[gridDim.x + blockIdx.x] = far", "sums[blockIdx.x] = near",
            check_flat.clipped_norm),
    planted("infinities are finite", "!isfinite(x[i])", "isnan(x[i])", check_flat.finite),
    planted("only the last numbers count", "bad |= !isfinite", "bad = !isfinite", check_flat.finite),
    planted("copy omits the last number", "i < n; i += threads_of_grid()) to[i]",
            "i < n - 1; i += threads_of_grid()) to[i]", check_flat.copy),
]  # fmt: skip
