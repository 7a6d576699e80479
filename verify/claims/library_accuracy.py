r"""Claims: the accuracy of softplus, sigmoid and tanh in units in the last place, over all of float64 and float32.

    error in ulp = |y - f(x)| / spacing(y),    f(x) a ball

The objectives form log D as -softplus(-s) for any logit s, so an error of a few ulp here, at every scale from 1e-308
to 1e308, keeps log(1 - D) accurate where 1 - D rounds to 1.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from flint import arb

from minigan.ops import get_ops
from verify.arithmetic.dual import Array
from verify.densities.functions import sigmoid
from verify.engine.float_checks import check_error
from verify.engine.proof import Proof
from verify.engine.registry import Source, claim

GATE = "4"  # ulp
RANGES = (-np.inf, -100.0, -10.0, -1.0, -1e-5, 0.0, 1e-5, 1.0, 10.0, 100.0, np.inf)
Function = Callable[[Array], Array]


# The functions of `verify.densities.functions` are enclosed to a fixed number of digits after the point.  Here the
# values are as small as 1e-308, and the relative error counts: hence log1p, and no exponential that overflows.


def small_softplus(x: arb) -> arb:
    """Return log(1 + e^x) = x + log(1 + e^-x) to a small relative error."""
    return x + (-x).exp().log1p() if x > 0 else x.exp().log1p()


def small_sigmoid(x: arb) -> arb:
    """Return 1 / (1 + e^-x) = e^x / (1 + e^x) to a small relative error."""
    return sigmoid(x) if x > 0 else x.exp() / (1 + x.exp())


def library(name: str) -> dict[str, Function]:
    """Return the library's implementations by backend."""
    if name == "tanh":
        return {"numpy": np.tanh}
    return {ops: getattr(get_ops(ops), name) for ops in ("reference", "cpu")}


BALLS: dict[str, Callable[[arb], arb]] = {
    "softplus": small_softplus,
    "sigmoid": small_sigmoid,
    "tanh": arb.tanh,
}

TEXTBOOK: dict[str, tuple[str, Function]] = {
    "softplus": ("log(1 + e^x)", lambda x: np.log(1 + np.exp(np.minimum(x, x.dtype.type(80)))) + np.maximum(x - 80, 0)),
    "sigmoid": ("(1 + tanh(x / 2)) / 2", lambda x: (1 + np.tanh(x / 2)) / 2),
    "tanh": ("1 - 2 / (1 + e^2x)", lambda x: 1 - 2 / (1 + np.exp(np.minimum(2 * x, x.dtype.type(80))))),
}


def points(rng: np.random.Generator, dtype: Any, n: int) -> Array:
    """Return 4 n random points, near the origin, where e^x is finite, and at every scale, and special values."""
    info = np.finfo(dtype)
    top = float(np.log(info.max))
    scales = 10.0 ** rng.uniform(np.log10(info.smallest_subnormal), np.log10(info.max), 2 * n)
    special = [0.0, -0.0, info.tiny, -info.tiny, info.eps, -info.eps, 1, -1, top, -top, info.max, -info.max]
    x = np.concatenate(
        [
            5 * rng.standard_normal(n),
            rng.uniform(-1.2 * top, 1.2 * top, n),
            scales * rng.choice([-1, 1], 2 * n),
            special,
        ]
    )
    return x.astype(dtype)


def ulps(x: Array, y: Array, exact: list[arb]) -> Array:
    """Return |y - f(x)| / spacing(y), rounded up.    x, y (N,)"""
    spacing = np.abs(np.spacing(y)).astype(float)
    errors = [
        abs(arb(float(b)) - f) / arb(float(s)) if np.isfinite(b) else arb("inf")
        for b, s, f in zip(y, spacing, exact, strict=True)
    ]
    return np.nextafter([float(e.upper()) for e in errors], np.inf)  # the nearest float may be below the ball


def accuracy(proof: Proof, name: str, implementations: dict[str, Function]) -> None:
    """Check every implementation at every point, with one decision for each dtype and backend."""
    for dtype in (np.float64, np.float32):
        x = points(proof.rng, dtype, proof.scale(quick=1500, full=5000, deep=50_000))
        exact = [BALLS[name](arb(float(a))) for a in x]
        for backend, f in implementations.items():
            with np.errstate(over="ignore", under="ignore"):
                errors = ulps(x, f(x.copy()), exact)
            what = f"{np.dtype(dtype).name}, {backend}"
            check_error(proof, f"{what}: largest error in ulp", float(errors.max()), GATE)
            proof.note(f"{what}: ulp by range", table(x, errors))
        proof.note(f"{np.dtype(dtype).name}: points", len(x))


def table(x: Array, errors: Array) -> str:
    """Return the largest error in each range of x.

    >>> table(np.array([-2.0, 0.5]), np.array([1.5, 0.25]))
    '[-10, -1): 1.50, [1e-05, 1): 0.25'
    """
    cells = []
    for low, high in pairwise(RANGES):
        inside = (x >= low) & ((x < high) | (high == np.inf))
        if inside.any():
            cells.append(f"[{low:g}, {high:g}): {errors[inside].max():.2f}")
    return ", ".join(cells)


def _times(f: Function, factor: float) -> Function:
    return lambda x: f(x) * factor


def _register() -> None:
    formulas = {"softplus": r"\log(1 + e^x)", "sigmoid": r"1 / (1 + e^{-x})", "tanh": r"\tanh x"}
    for name, formula in formulas.items():
        textbook, f = TEXTBOOK[name]
        right = library(name)["numpy" if name == "tanh" else "cpu"]
        claim(
            f"Lib.accuracy.{name}",
            f"{name} is within {GATE} units in the last place at every point tried, in float64 and float32, "
            "over the whole range.",
            latex=rf"|\mathrm{{fl}}(f)(x) - f(x)| \le {GATE}\,\mathrm{{ulp}},\quad f(x) = {formula}",
            source=Source("minigan", "layers.Tanh" if name == "tanh" else f"ops.{name}"),
            rigor="ball",
            idea="Each error is a ball: the stored number minus an enclosure of f at the stored x, in spacings.",
            controls={
                f"the textbook form {textbook}": partial(accuracy, name=name, implementations={"textbook": f}),
                "times 1 - 4e-15": partial(accuracy, name=name, implementations={"wrong": _times(right, 1 - 4e-15)}),
            },
            assumptions=("at the points tried: random at every scale, and the special values",),
        )(partial(accuracy, name=name, implementations=library(name)))


_register()
