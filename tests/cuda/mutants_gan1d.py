"""Bugs planted in the Gaussian game's kernel."""

import check_gan1d
from mutation import Mutant


def planted(name, old, new, check=check_gan1d.odd_game, **kwargs):
    return Mutant(name, "gan1d.cu", old, new, check, **kwargs)


MUTANTS = [
    planted("nine rounds of Philox", "round < 10", "round < 9"),
    planted("the angle is unsigned", "(real)(int)(unsigned)bits", "(real)(unsigned)bits * (real)0.5"),
    planted("the same draw for both kinds", "first + iteration, 1u,", "first + iteration, 0u,"),
    planted("the samples are read before all are drawn", "// G's while D is updated\n    __syncthreads();",
            "// G's while D is updated"),
    planted("D gets the fakes of another G", "const real a = P[OF_D], b = P[OF_D + 1];",
            "const real a = P[OF_D] + P[OF_D + 1], b = P[OF_D + 1];"),
    planted("ReLU turns NaN into 0", "h[j] = u <= (real)0 ? (real)0 : u;", "h[j] = u > (real)0 ? u : (real)0;",
            check_gan1d.diverged),
    planted("the backward pass ignores the ReLU", "real e = h[j] <= (real)0 ? (real)0 :", "real e ="),
    planted("a lane sends the half that it keeps", "give = upper ? g[i] : g[i + HALF];",
            "give = upper ? g[i + HALF] : g[i];"),
    planted("the last warp is not summed", "warp = 1; warp < WARPS;", "warp = 1; warp < WARPS - 1;"),
    planted("Adam before all warps have written",
            "rule.unbias = (real)(1.0 - power[1]);\n      __syncthreads();", "rule.unbias = (real)(1.0 - power[1]);"),
    planted("eps within the square root", "(sqrt(*v / rule.unbias) + rule.eps)",
            "sqrt(*v / rule.unbias + rule.eps)"),
    planted("G's bias correction uses D's t", "(real)(1.0 - power[3])", "(real)(1.0 - power[1])"),
    planted("each call draws from the first iteration again", "first + iteration, 1u,", "iteration, 1u,",
            check_gan1d.two_trainings),
    planted("Adam's t starts again", "if (t < 4) powers", "if (t < 3) powers", check_gan1d.two_trainings),
    planted("a barrier in a branch", "if (t == 2 && last)", "if (t < 32) __syncthreads();\n      if (t == 2 && last)"),
]  # fmt: skip
