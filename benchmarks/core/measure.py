"""Shared by all benchmarks: the machine, alternating runs, medians with their spread, results as JSON."""

import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from benchmarks.core import instructions

RESULTS = Path(__file__).parents[1] / "results"


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
        "versions": {name: _version(name) for name in ("minigan", "numpy", "numba", "torch", "jax")},
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


def digits(x: float, n: int = 5) -> float:
    """Return x with n significant digits.

    >>> digits(0.00123456789)
    0.0012346
    """
    return float(f"{x:.{n}g}")


def seconds_of(job: Callable[[], Any]) -> float:
    """Run a job; return its seconds by the wall clock."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def rounded(data: Any, n: int) -> Any:
    """Return data for JSON in which each float, at any depth, has n significant digits.

    >>> rounded({"rates": [[1024, 0.123456]], "threads": 2}, 3)
    {'rates': [[1024, 0.123]], 'threads': 2}
    """
    if isinstance(data, dict):
        return {key: rounded(value, n) for key, value in data.items()}
    if isinstance(data, list):
        return [rounded(value, n) for value in data]
    return digits(data, n) if isinstance(data, float) else data


def spread(seconds: Sequence[float]) -> dict[str, Any]:
    """Return the median, minimum and maximum of the times, and all of them."""
    return {
        "median": digits(statistics.median(seconds)),
        "min": digits(min(seconds)),
        "max": digits(max(seconds)),
        "all": [digits(s) for s in seconds],
    }


@dataclass(frozen=True)
class Options:
    """The options of every benchmark.

    Attributes
    ----------
    quick
        Whether this is a smoke run: small settings, one round.
    threads
        The threads of each implementation.
    rounds
        How often each implementation runs; None: the benchmark's default.
    malloc
        Whether all implementations run with the settings MALLOC_ENVIRONMENT.
    isa
        The instruction set of this process and of those that it starts: a key of `instructions.LIMITS`.
    out
        The folder of the results.

    """

    quick: bool = False
    threads: int = 2
    rounds: int | None = None
    malloc: bool = False
    isa: str = "native"
    out: Path = RESULTS

    def file(self, name: str) -> str:
        """Return the name of a benchmark's results, without the suffix: "steps", "steps-avx2", "steps-malloc"."""
        return "-".join([name, *([] if self.isa == "native" else [self.isa]), *(["malloc"] if self.malloc else [])])

    def rounds_or(self, default: int) -> int:
        """Return the number of rounds: 1 in a quick run, else the given number or `default`."""
        return 1 if self.quick else self.rounds or default

    def environment(self, threads: int | None = None) -> dict[str, str]:
        """Return the environment variables of an implementation's process; `threads` replaces the number of threads."""
        n = str(threads or self.threads)
        found = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MINIGAN_THREADS"), n)
        return {**found, **(MALLOC_ENVIRONMENT if self.malloc else {})}


MALLOC_ENVIRONMENT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(1 << 28)}
"""Settings of glibc: all memory comes from the heap, which grows by 256 MiB and is never returned to the system."""


class Unavailable(RuntimeError):
    """Raised if an implementation cannot run here; the message says why."""


def installed(package: str) -> bool:
    """Return whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def run(
    module: str,
    implementation: str,
    arguments: Sequence[str] = (),
    *,
    env: dict[str, str] | None = None,
    timeout: float | None = None,
) -> Any:
    """Run ``python -m module --implementation NAME ...`` in a new process; return the last line of its output as JSON.

    Its report on instructions goes to `instructions.collect`.

    Parameters
    ----------
    module, implementation, arguments
        The module, the name of the implementation and further arguments of the command.
    env
        Environment variables added to those of this process.
    timeout
        The limit in seconds; None: no limit.

    Returns
    -------
    object
        What the process printed.

    Raises
    ------
    Unavailable
        If it takes longer than `timeout`.
    RuntimeError
        If it fails; the message has its errors.

    """
    command = [sys.executable, "-m", module, "--implementation", implementation, *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=timeout, env={**os.environ, **(env or {})}
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"not done after {timeout:g} s") from None
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return instructions.collect(json.loads(done.stdout.splitlines()[-1]))


def alternate(
    module: str,
    implementations: Sequence[str],
    *,
    rounds: int,
    arguments: Sequence[str],
    env: dict[str, str] | None = None,
) -> dict[str, list[Any]]:
    """Run each implementation `rounds` times, alternately and in new processes.

    The order is reversed in every second round, so that a host that becomes slower favours none of them.

    Parameters
    ----------
    module, implementations, arguments
        An implementation is ``python -m module --implementation NAME ...``.
    rounds
        How often each implementation runs.
    env
        Environment variables added to those of this process.

    Returns
    -------
    dict
        For each implementation, the JSON that each of its runs printed.

    """
    results: dict[str, list[Any]] = {name: [] for name in implementations}
    for k in range(rounds):
        for name in implementations if k % 2 == 0 else reversed(implementations):
            results[name].append(run(module, name, arguments, env=env))
            seconds = results[name][-1].get("seconds")
            log(f"round {k + 1} of {rounds}: {name}" + ("" if seconds is None else f" {seconds:.4g} s"))
    return results


def ratio(other_seconds: Sequence[float], minigan_seconds: Sequence[float]) -> float:
    """Return the median over rounds of the other implementation's time divided by minigan's.

    Parameters
    ----------
    other_seconds, minigan_seconds
        The seconds of an iteration in each round.

    Returns
    -------
    float
        The median, with three decimals; above 1 if minigan is faster.

    """
    pairs = zip(other_seconds, minigan_seconds, strict=True)
    return round(statistics.median(other / minigan for other, minigan in pairs), 3)


def log(message: str) -> None:
    """Print a line of progress to stderr."""
    print(message, file=sys.stderr, flush=True)


def write(name: str, result: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Write a result with the date and the machine to FOLDER/NAME.json.

    Parameters
    ----------
    name
        The file's name without its suffix.
    result
        What the benchmark measured, as JSON.
    folder
        Created if it does not exist.

    Returns
    -------
    Path
        The file.

    """
    from minigan.training import write_json

    folder.mkdir(parents=True, exist_ok=True)
    return write_json(
        folder / f"{name}.json", {"date": datetime.now(UTC).date().isoformat(), "machine": machine(), **result}
    )
