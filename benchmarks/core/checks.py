"""Check that both sides compute the same before they are timed: whole iterations in float64 on small settings."""

import functools
from typing import Any

import numpy as np

from benchmarks.cases.games import CASES, build
from benchmarks.core.contestants import ABSOLUTE_TOLERANCE
from benchmarks.core.measure import installed, log

ITERATIONS = 2
"""Iterations of each side, so that the second starts from updated parameters and statistics."""


@functools.cache
def check(case: str, iterations: int = ITERATIONS) -> dict[str, Any]:
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
    engines: dict[str, Any] = {}
    for name, compiled in (("numpy", False), ("compiled", True)):
        if not compiled or installed("numba"):
            _, _, engines[name] = build(game, small=True, dtype="float64", options={"threads": 2, "compiled": compiled})
    found["against_reference"] = {}
    for name, ours in engines.items():
        for _ in range(iterations):
            ours.play()
        found["against_reference"][name] = _require(f"{case}: {name} and reference", difference(ours, reference))
    found["against_torch"] = _torch(case, iterations, engines) if installed("torch") else "PyTorch is not installed"
    found["against_jax"] = _jax(case, iterations, engines) if installed("jax") else "JAX is not installed"
    if installed("torch") or installed("jax"):
        found["covers"] = (
            "parameters and running statistics after the iterations, from the same weights, batches, noise and dropout "
            "masks; while timed, PyTorch and JAX draw their own masks, and PyTorch keeps its unbiased running variance"
        )
    return found


def _torch(case: str, iterations: int, engines: dict[str, Any]) -> dict[str, float]:
    """Return PyTorch's largest difference in each layout."""
    from benchmarks.other_libraries.torch.games import Game

    found, game = {}, CASES[case]
    layouts = {"nchw": False, "channels_last": True} if game.convolutional else {"dense": False}
    for layout, channels_last in layouts.items():
        theirs = Game(
            game, small=True, dtype="float64", channels_last=channels_last, fused_adam=channels_last, checked=True
        )
        found[layout] = _compare(f"{case}: minigan and PyTorch, {layout}", theirs, iterations, engines)
    return found


def _jax(case: str, iterations: int, engines: dict[str, Any]) -> dict[str, float]:
    """Return JAX's largest difference."""
    from benchmarks.other_libraries.jax.games import Game

    theirs = Game(CASES[case], small=True, dtype="float64", checked=True)
    return {"jit": _compare(f"{case}: minigan and JAX", theirs, iterations, engines)}


def _compare(what: str, theirs: Any, iterations: int, engines: dict[str, Any]) -> float:
    """Run the iterations of `theirs`; return its largest difference from minigan's engines, which have run theirs."""
    for _ in range(iterations):
        theirs.play()
    return _require(what, float(np.max([theirs.difference(ours.gan) for ours in engines.values()])))


def difference(ours: Any, theirs: Any) -> float:
    """Return the largest absolute difference between two experiments' parameters and running statistics.

    Parameters
    ----------
    ours, theirs
        Experiments of the same recipe, on any backends of the CPU.

    Returns
    -------
    float
        The difference; NaN if any entry is NaN.

    """
    worst = 0.0
    for a, b in ((ours.gan.G, theirs.gan.G), (ours.gan.D, theirs.gan.D)):
        expected = {**b.parameters(), **b.state}
        for key, value in {**a.parameters(), **a.state}.items():
            worst = float(np.maximum(worst, np.abs(value - expected[key]).max()))  # unlike max(), it propagates NaN
    return worst


def _require(what: str, worst: float) -> float:
    """Return the difference `worst` if it is within the tolerance; otherwise raise SystemExit."""
    if not worst <= ABSOLUTE_TOLERANCE:
        raise SystemExit(f"{what} differ by {worst:.3g}, expected at most {ABSOLUTE_TOLERANCE:g}: nothing to time")
    log(f"check: {what} agree to {worst:.1e}")
    return worst
