"""Before timing, check that all implementations produce the same parameters after whole iterations.

The iterations are in float64 and with small settings.
"""

import functools
from typing import Any

import numpy as np

from benchmarks.cases.games import CASES, build
from benchmarks.core.implementations import ABSOLUTE_TOLERANCE
from benchmarks.core.measure import digits, installed, log
from minigan.ops import to_host

CHECKED_ITERATIONS = 2
"""Two, so that the second iteration starts from updated parameters and running statistics."""


@functools.cache
def check(case: str, iterations: int = CHECKED_ITERATIONS) -> dict[str, Any]:
    """Compare whole iterations of all implementations; the results are cached.

    minigan's CPU backend (compiled if numba is installed, and NumPy alone) is compared with the reference backend;
    PyTorch, in both layouts, and JAX are compared with minigan's CPU backend.

    Parameters
    ----------
    case
        A key of `CASES`.
    iterations
        The number of iterations after which parameters and running statistics are compared.

    Returns
    -------
    dict
        The settings and, for each implementation, the largest absolute difference; or why it was not compared.

    Raises
    ------
    SystemExit
        If a difference exceeds `ABSOLUTE_TOLERANCE`.

    """
    game = CASES[case]
    settings = {**game.small}
    found: dict[str, Any] = {"iterations": iterations, "dtype": "float64", "settings": settings}
    _, _, reference = build(game, small=True, dtype="float64", options=None, settings=None, ops="reference")
    for _ in range(iterations):
        reference.play()
    backends: dict[str, Any] = {}
    for name, compiled in (("numpy", False), ("compiled", True)):
        if not compiled or installed("numba"):
            _, _, backends[name] = build(
                game, small=True, dtype="float64", options={"threads": 2, "compiled": compiled}
            )
    found["against_reference"] = {}
    for name, minigan_run in backends.items():
        for _ in range(iterations):
            minigan_run.play()
        worst = difference(minigan_run, reference)
        found["against_reference"][name] = require_agreement(f"{case}: {name} and reference", worst)
    found["against_torch"] = _torch(case, iterations, backends) if installed("torch") else "PyTorch is not installed"
    found["against_jax"] = _jax(case, iterations, backends) if installed("jax") else "JAX is not installed"
    if installed("torch") or installed("jax"):
        found["covers"] = (
            "parameters and running statistics after the iterations, from the same weights, batches, noise and dropout "
            "masks; while timed, PyTorch and JAX draw their own masks, and PyTorch keeps its unbiased running variance"
        )
    return found


def _torch(case: str, iterations: int, backends: dict[str, Any]) -> dict[str, float]:
    """Return PyTorch's largest difference in each layout."""
    from benchmarks.other_libraries.torch.games import Game

    found, game = {}, CASES[case]
    layouts = {"nchw": False, "channels_last": True} if game.convolutional else {"dense": False}
    for layout, channels_last in layouts.items():
        torch_run = Game(
            game, small=True, dtype="float64", channels_last=channels_last, fused_adam=channels_last, checked=True
        )
        found[layout] = _compare(f"{case}: minigan and PyTorch, {layout}", torch_run, iterations, backends)
    return found


def _jax(case: str, iterations: int, backends: dict[str, Any]) -> dict[str, float]:
    """Return JAX's largest difference."""
    from benchmarks.other_libraries.jax.games import Game

    jax_run = Game(CASES[case], small=True, dtype="float64", checked=True)
    return {"jit": _compare(f"{case}: minigan and JAX", jax_run, iterations, backends)}


def _compare(what: str, other_run: Any, iterations: int, backends: dict[str, Any]) -> float:
    """Run `iterations` iterations of `other_run`; return its largest absolute difference from minigan's `backends`.

    The backends have already run as many.
    """
    for _ in range(iterations):
        other_run.play()
    differences = [other_run.difference(minigan_run.gan) for minigan_run in backends.values()]
    return require_agreement(what, float(np.max(differences)))


def difference(minigan_run: Any, other_run: Any) -> float:
    """Return the largest absolute difference between two experiments' parameters and running statistics.

    Parameters
    ----------
    minigan_run, other_run
        Experiments of the same recipe, on any backends.

    Returns
    -------
    float
        The difference; NaN if any entry is NaN.

    """
    worst = 0.0
    for a, b in ((minigan_run.gan.G, other_run.gan.G), (minigan_run.gan.D, other_run.gan.D)):
        expected = {**b.parameters(), **b.state}
        for key, value in {**a.parameters(), **a.state}.items():
            error = np.abs(to_host(value) - to_host(expected[key])).max()
            worst = float(np.maximum(worst, error))  # np.maximum propagates NaN
    return worst


def worst(checks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the largest differences of all cases, with two significant digits.

    Parameters
    ----------
    checks
        By case, the result of `check`.

    Returns
    -------
    dict
        "iterations", "dtype", and for "against_reference", "against_torch" and "against_jax" the largest difference, or
        why it was not compared.

    """
    found: dict[str, Any] = {key: next(iter(checks.values()))[key] for key in ("iterations", "dtype")}
    for key in ("against_reference", "against_torch", "against_jax"):
        compared = [one[key] for one in checks.values() if key in one]
        differences = [max(one.values()) for one in compared if isinstance(one, dict)]
        if differences:
            found[key] = digits(max(differences), 2)
        elif compared:
            found[key] = compared[0]
    return found


def require_agreement(what: str, worst: float) -> float:
    """Return a difference that is within the tolerance.

    Parameters
    ----------
    what
        What was compared, for messages: "minigan and PyTorch".
    worst
        The largest absolute difference in float64.

    Returns
    -------
    float
        `worst`.

    Raises
    ------
    SystemExit
        If it exceeds `ABSOLUTE_TOLERANCE` or is NaN.

    """
    if not worst <= ABSOLUTE_TOLERANCE:
        raise SystemExit(
            f"{what} differ by {worst:.3g}; expected at most {ABSOLUTE_TOLERANCE:g}. "
            "Not timed: the implementations compute different results."
        )
    log(f"check: {what} agree to {worst:.1e}")
    return worst
