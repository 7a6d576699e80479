"""What every benchmark shares: the machine, alternation, medians with their spread, results as JSON."""

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """Return the processor, cores, memory in GiB, system, versions and the BLAS in use."""
    cpu = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("minigan", "numpy", "torch")},
        "blas": [
            {key: library[key] for key in ("internal_api", "version", "architecture", "num_threads")}
            for library in threadpool_info()
            if library["user_api"] == "blas"
        ],
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def spread(seconds: Sequence[float]) -> dict[str, Any]:
    """Return median, least, greatest and all of the times."""
    return {
        "median": round(statistics.median(seconds), 4),
        "min": round(min(seconds), 4),
        "max": round(max(seconds), 4),
        "all": [round(s, 4) for s in seconds],
    }


def alternate(
    module: str, contestants: Sequence[str], *, rounds: int, arguments: Sequence[str]
) -> dict[str, list[Any]]:
    """Run each contestant in a process of its own, in turn, `rounds` times; return what each printed as JSON.

    A contestant is ``python -m module --contestant NAME ...``; the order is reversed every other round.
    """
    results: dict[str, list[Any]] = {name: [] for name in contestants}
    for k in range(rounds):
        for name in contestants if k % 2 == 0 else reversed(contestants):
            command = [sys.executable, "-m", module, "--contestant", name, *arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
            results[name].append(json.loads(done.stdout))
            print(
                f"round {k + 1} of {rounds}: {name} {results[name][-1]['seconds']:.3f} s", file=sys.stderr, flush=True
            )
    return results


def write(name: str, result: dict[str, Any]) -> Path:
    """Write RESULTS/NAME.json with the machine and the date."""
    from minigan.training import write_json

    RESULTS.mkdir(exist_ok=True)
    return write_json(
        RESULTS / f"{name}.json", {"date": datetime.now(UTC).date().isoformat(), "machine": machine(), **result}
    )
