"""The time of an iteration by operation of the backend, compared with the machine's limits.

    limit in seconds = max(operations / rate of a matrix product, bytes / rate of a copy)

Operations are those of the algorithm that runs (Winograd's if the cost model chooses it).  Bytes count each array that
an operation must read or write once.  The rest is Python, losses, batches, and layers that no counted operation covers
(in `gaussian` all of them, because chains of small layers are one compiled call).
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.cases.games import CASES
from benchmarks.core import implementations, measure
from benchmarks.core.checks import check
from minigan.ops.cpu import CPU
from minigan.ops.cpu.conv.plan import choose_plan, taps
from minigan.ops.cpu.norm_act import NormActivation
from minigan.ops.cpu.vector import Flat
from minigan.ops.geometry import Geometry

ITERATIONS = 5
"""Iterations over which times and work are averaged."""
GROUPS = ("convolutions", "dense products", "batch norm, activations, dropout", "parameter vector", "the rest")
Work = tuple[str, float, float]
"""Group, operations, bytes."""


def run(options: measure.Options) -> dict[str, Any]:
    """Check all cases, measure them, and return the result.

    Parameters
    ----------
    options
        The options of the command line.

    Returns
    -------
    dict
        The result, as JSON.

    Raises
    ------
    SystemExit
        If two implementations compute different results.

    """
    threads = ["--threads", str(options.threads)]
    quick = ["--quick"] if options.quick else []
    limits = measure.run("benchmarks.cpu.layers", "limits", [*threads, *quick], env=options.environment())
    common = [*threads, *(["--small"] if options.quick else [])]
    checks, cases = {}, {}
    for name in CASES:
        checks[name] = check(name, 1 if options.quick else 2)
        runs = [
            measure.run("benchmarks.cpu.breakdown", "minigan", ["--case", name, *common], env=options.environment())
            for _ in range(options.rounds_or(3))
        ]
        cases[name] = middle = sorted(runs, key=lambda found: float(found["seconds"]))[len(runs) // 2]
        for group in middle["groups"].values():
            group["limit"] = max(group["operations"] / limits["sgemm"], group["bytes"] / limits["copy"])
        measure.log(f"{name}: {1e3 * middle['seconds']:.4g} ms")
    return {
        "benchmark": "breakdown",
        "threads": options.threads,
        "rounds": options.rounds_or(3),
        "iterations": ITERATIONS,
        "settings": "small" if options.quick else "full",
        "check": checks,
        "ceilings": limits,
        "cases": cases,
    }


# --- one process ----------------------------------------------------------------------------------


def convolution(cpu: CPU, x: Any, W: Any, geometry: Geometry, b: Any = None) -> Work:
    """Return the work of a correlation or its adjoint, whose arguments these are."""
    return _convolution(cpu, x, geometry, *W.shape[2:])


def weight_gradient(cpu: CPU, x: Any, y: Any, geometry: Geometry) -> Work:
    """Return the work of a weight gradient, whose arguments these are."""
    return _convolution(cpu, x, geometry, x.shape[3], y.shape[3])


def _convolution(cpu: CPU, images: Any, geometry: Geometry, C: int, O: int) -> Work:
    n, (h, w) = len(images), geometry.small
    plan = choose_plan(geometry, n, C, O, cpu.accuracy, compiled=cpu.compiled)
    if plan is None or taps(geometry) != plan.r:
        operations = 2.0 * n * h * w * math.prod(geometry.kernel) * C * O
    else:
        tiles = n * math.prod(-(-size // plan.m) for size in geometry.small)
        operations = 2.0 * plan.n**2 * tiles * C * math.prod(geometry.stride) * O
    arrays = n * (math.prod(geometry.large) * C + h * w * O) + math.prod(geometry.kernel) * C * O
    return GROUPS[0], operations, float(images.itemsize * arrays)


def product(_: CPU, x: Any, W: Any, out: Any = None) -> Work:
    """Return the work of x W + b, or of out + x^T y, where y is called W."""
    adds = out is not None and out.ndim == 2
    operations = 2.0 * x.shape[0] * x.shape[1] * W.shape[1]
    result = 2 * out.size if adds else x.shape[0] * W.shape[1]
    return GROUPS[1], operations, float(x.itemsize * (x.size + W.size + result))


def passes(group: str, times: int) -> Callable[..., Work]:
    """Return a function for the work of an operation on `times` arrays of its first argument's size."""

    def count(_: Any, x: Any, *__: Any, **___: Any) -> Work:
        return group, 0.0, float(times * x.nbytes)

    return count


COUNTED: tuple[tuple[type, str, Callable[..., Work]], ...] = (
    *((CPU, name, convolution) for name in ("correlate", "correlate_adjoint")),
    (CPU, "correlate_weights", weight_gradient),
    *((CPU, name, product) for name in ("affine", "add_product")),
    *((NormActivation, name, passes(GROUPS[2], n)) for name, n in
      (("statistics", 1), ("apply", 2), ("sums", 2), ("backward", 3), ("sum_rows", 1), ("dropout", 2))),
    *((Flat, name, passes(GROUPS[3], n)) for name, n in
      (("adam", 7), ("rmsprop", 5), ("momentum", 5), ("copy", 2), ("finite", 1))),
)  # fmt: skip


def observe(found: dict[str, dict[str, float]]) -> None:
    """Patch every counted operation to add its time and work to its group.

    Parameters
    ----------
    found
        For each of `GROUPS`, "seconds", "operations" and "bytes" per iteration; updated by every operation.

    """
    inside = [False]

    def counting(operation: Callable[..., Any], count: Callable[..., Work]) -> Callable[..., Any]:
        def observed(self: Any, *arguments: Any, **named: Any) -> Any:
            if inside[0]:  # called by another operation, which is counted
                return operation(self, *arguments, **named)
            group, operations, size = count(self, *arguments, **named)
            inside[0], start = True, time.perf_counter()
            try:
                return operation(self, *arguments, **named)
            finally:
                inside[0] = False
                row = found[group]
                row["seconds"] += (time.perf_counter() - start) / ITERATIONS
                row["operations"] += operations / ITERATIONS
                row["bytes"] += size / ITERATIONS

        return observed

    for kind, name, count in COUNTED:
        setattr(kind, name, counting(getattr(kind, name), count))


def main(argv: Sequence[str] | None = None) -> None:
    """Print the time and work of each group in an iteration."""
    parser = argparse.ArgumentParser(description="One process of the benchmark `breakdown`.")
    parser.add_argument("--implementation", choices=["minigan"], required=True)
    parser.add_argument("--case", choices=CASES, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args(argv)
    play = implementations.make_step(args.case, args.implementation, threads=args.threads, small=args.small)
    for _ in range(3):
        play()
    groups: dict[str, dict[str, float]] = {g: {"seconds": 0.0, "operations": 0.0, "bytes": 0.0} for g in GROUPS}
    observe(groups)
    start = time.perf_counter()
    for _ in range(ITERATIONS):
        play()
    seconds = (time.perf_counter() - start) / ITERATIONS
    groups[GROUPS[-1]]["seconds"] = seconds - sum(row["seconds"] for row in groups.values())
    print(json.dumps({"seconds": seconds, "groups": groups}))


if __name__ == "__main__":
    main()
