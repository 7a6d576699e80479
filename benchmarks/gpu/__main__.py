"""``python -m benchmarks.gpu``: all stages, benchmarks/results/gpu.json, the page and its plots; 2 without a GPU."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.core import measure
from benchmarks.gpu import algorithms, crossover, cuda_tests, gaussian, kernel_steps, kernels, roofline, steps
from benchmarks.gpu import bench as tools
from benchmarks.report import page
from minigan.ops import BackendUnavailable

STAGES = ("tests", "ceilings", "steps", "gaussian", "lessons", "ways", "kernels", "crossing", "checkers")
DEFAULT_MINUTES = 9.5


def main(argv: Sequence[str] | None = None, make: Callable[..., tools.Bench] = tools.on_this_machine) -> int:
    """Run the given stages; return 0 on success, 1 if tests or a part failed, 2 if there is no GPU."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"some of {', '.join(STAGES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="a smoke run on small settings: the numbers mean nothing")
    parser.add_argument(
        "--minutes", type=float, default=DEFAULT_MINUTES, metavar="N", help=f"time limit (default {DEFAULT_MINUTES})"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR",
        help="where results are written (default: benchmarks/results; of a quick or partial run: a new folder)",
    )  # fmt: skip
    args = parser.parse_args(argv)
    unknown = [stage for stage in args.stages if stage not in STAGES]
    if unknown:
        parser.error(f"no stage {unknown[0]!r}; expected one of {', '.join(STAGES)}")
    try:
        bench = make(quick=args.quick, seconds=60 * args.minutes)
    except BackendUnavailable as why:
        measure.log(f"python -m benchmarks.gpu: nothing was measured: {why}")
        return 2
    whole = not args.stages or set(args.stages) == set(STAGES)
    out = args.out
    if out is None:
        out = measure.RESULTS if whole and not args.quick else Path(tempfile.mkdtemp(prefix="minigan-gpu-"))
    path = out / "gpu.json"
    result = run(bench, args.stages or STAGES, lambda result: measure.write("gpu", result, out))
    print(path)
    print(page.SECTIONS["gpu"](json.loads(path.read_text())))
    if out == measure.RESULTS:
        kernel_steps.publish(result.get("lessons", {}))
    print(page.write() if out == measure.RESULTS else page.write(out, out / "benchmarks.md", out))
    return 0 if result.get("tests", {}).get("status", "passed") == "passed" and not result["failed"] else 1


def run(bench: tools.Bench, stages: Sequence[str], keep: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Return the results of the stages; the limits are measured if a stage needs them.

    Failures are recorded in "failed" and later stages still run; `keep` receives the results so far after each stage.
    """
    result: dict[str, Any] = {
        "benchmark": "gpu",
        "settings": "small" if bench.quick else "full",
        "gpu": describe(bench),
        "absent": bench.absent,
        "failed": bench.failed,
        "stages": list(stages),
        "seconds": {},
    }
    functions: dict[str, Callable[[], Any]] = {
        "tests": lambda: cuda_tests.run(bench),
        "ceilings": lambda: roofline.run(bench),
        "kernels": lambda: kernels.run(bench, result.get("ceilings") or roofline.run(bench)),
        "steps": lambda: steps.run(bench),
        "gaussian": lambda: gaussian.run(bench),
        "crossing": lambda: crossover.run(bench),
        "lessons": lambda: kernel_steps.run(bench),
        "ways": lambda: _algorithms(bench),
        "checkers": lambda: cuda_tests.checkers(bench),
    }
    for stage in stages:
        measure.log(f"--- {stage} ({bench.seconds_left:.0f} s are left)")
        start = time.perf_counter()
        with bench.recording_failures(stage):
            result[stage] = functions[stage]()
        result["seconds"][stage] = round(time.perf_counter() - start, 1)
        result["check"] = {
            "kernels": result.get("kernels", {}).get("worst"),
            "gaussian": result.get("gaussian", {}).get("check"),
            "tests": {key: result.get("tests", {}).get(key) for key in ("passed", "status")},
        }
        keep(result)
    return result


def _algorithms(bench: tools.Bench) -> Any:
    """Return the rows of `benchmarks.gpu.algorithms`, if there is time."""
    return tools.why_skipped(bench, "ways", 0 if bench.quick else 20) or algorithms.run(bench)


def describe(bench: tools.Bench) -> dict[str, Any]:
    """Return name, memory, multiprocessors, driver and versions."""
    device = bench.ops().device
    found: dict[str, Any] = {"name": device.name, "processors": device.processors}
    if bench.device == "gpu":
        import cupy

        runtime = cupy.cuda.runtime
        of = runtime.getDeviceProperties(cupy.cuda.Device().id)
        found |= {
            "name": of["name"].decode(),
            "memory_gib": round(of["totalGlobalMem"] / 2**30, 1),
            "clock_mhz": of["clockRate"] // 1000 if "clockRate" in of else None,
            "arch": device.arch,
            "driver_cuda": runtime.driverGetVersion(),
            "runtime_cuda": runtime.runtimeGetVersion(),
        }
    found["versions"] = {name: measure._version(name) for name in ("cupy-cuda13x", "cuda-bindings", "torch")}
    return found


if __name__ == "__main__":
    sys.exit(main())
