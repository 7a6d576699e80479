"""CPU and GPU times by batch size, each as in `minigan train`: the batch from which the GPU is faster."""

import math
import time
from collections.abc import Callable
from typing import Any

from benchmarks.cases.games import CASES, build
from benchmarks.core.measure import digits, log
from benchmarks.gpu.bench import Bench, spread, why_skipped
from benchmarks.gpu.device_data import make_step
from benchmarks.gpu.steps import time_iterations

GAMES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "gaussian": ({}, (10, 100, 1000, 10_000, 100_000)),
    "mnist-dense": ({}, (1, 8, 32, 128)),
    "mnist-dcgan": ({}, (1, 4, 16, 64)),
    "dcgan64": ({"width": 8}, (1, 4, 16, 64, 128)),
}
MAX_CPU_SECONDS = 3.0
"""The seconds of a CPU iteration above which no larger batch is tried on the CPU."""


def run(bench: Bench) -> dict[str, Any]:
    """Return both times by batch size, and where they cross."""
    found = {}
    for name, (settings, sizes) in GAMES.items():
        rows: list[dict[str, Any]] = []
        for n in sizes[:2] if bench.quick else sizes:
            if why_skipped(bench, f"{name} at {n}", 0 if bench.quick else 15):
                break
            with bench.recording_failures(f"crossing, {name} at {n}"):
                rows.append(_row(bench, name, {**settings, "batch_size": n}, rows))
        found[name] = {"settings": settings, "rows": rows, "crossing": crossing(rows)}
        log(f"  {name}: the GPU is faster from batch {found[name]['crossing']}")
    return found


def _row(bench: Bench, name: str, settings: dict[str, Any], earlier: list[dict[str, Any]]) -> dict[str, Any]:
    chosen = {**(CASES[name].small if bench.quick else CASES[name].settings), **settings}
    row: dict[str, Any] = {"batch": settings["batch_size"]}
    play = make_step(name, bench.options(), settings=chosen, small=False, resident=False)[1]
    play()  # the first iteration records the operations
    play()  # the second captures the graph
    row["gpu"] = time_iterations(bench, "minigan", play)
    if not earlier or earlier[-1].get("cpu", {"median": MAX_CPU_SECONDS})["median"] < MAX_CPU_SECONDS:
        row["cpu"] = _on_cpu(name, chosen, quick=bench.quick)
    log(
        f"  {name} at {row['batch']}: "
        + ", ".join(f"{k} {1e3 * row[k]['median']:.4g} ms" for k in ("cpu", "gpu") if k in row)
    )
    return row


def _on_cpu(name: str, settings: dict[str, Any], *, quick: bool) -> dict[str, Any]:
    """Return the spread of the times of iterations; stop after 1.5 s."""
    experiment = build(CASES[name], settings=settings, ops="cpu")[2]

    def timed(play: Callable[[], Any]) -> float:
        start = time.perf_counter()
        with experiment.gan.D.ops.session():
            play()
        return time.perf_counter() - start

    timed(experiment.play)
    times = [timed(experiment.play)]
    while not quick and sum(times) < 1.5 and len(times) < 50:
        times.append(timed(experiment.play))
    return spread(times)


def crossing(rows: list[dict[str, Any]]) -> float | None:
    """Return the batch from which the GPU is faster, interpolated on logarithms; None if the CPU is always faster.

    >>> row = lambda batch, cpu, gpu: {"batch": batch, "cpu": {"median": cpu}, "gpu": {"median": gpu}}
    >>> crossing([row(1, 1.0, 2.0), row(100, 2.0, 1.0)]), crossing([row(1, 2.0, 1.0)]), crossing([row(1, 1.0, 2.0)])
    (10.0, 1, None)
    """
    both = [row for row in rows if "cpu" in row]
    gains = [math.log(row["cpu"]["median"] / row["gpu"]["median"]) for row in both]
    for k, (row, gain) in enumerate(zip(both, gains, strict=True)):
        if gain < 0:
            continue
        if k == 0:
            return int(row["batch"])
        low, share = both[k - 1]["batch"], -gains[k - 1] / (gain - gains[k - 1])
        return digits(low * (row["batch"] / low) ** share)
    return None
