"""The first iteration of each recipe: on a machine that never compiled a kernel, with stored kernels, and NumPy's.

numba compiles a kernel when it is first called and stores it on disk.  Each run is a new process: one whose folder for
stored kernels (NUMBA_CACHE_DIR) is new and empty, then one with the same folder, and one that compiles nothing.  The
time is that from building the networks to the end of the first iteration, so it does not matter which of them compiles.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases.games import CASES
from benchmarks.core import implementations, instructions, measure
from benchmarks.core.checks import check

GOAL_SECONDS = 3.0
"""How much longer than NumPy's the first iteration may take on a machine that never compiled."""
RUNS = ("never compiled", "stored kernels", "NumPy alone")


def run(options: measure.Options) -> dict[str, Any]:
    """Check all cases, time their first iterations, and return the result."""
    if not measure.installed("numba"):
        raise measure.Unavailable("numba is not installed, so nothing is compiled")
    rounds, checks, cases = options.rounds_or(3), {}, {}
    common = ["--threads", str(options.threads), *(["--small"] if options.quick else [])]
    for case in CASES:
        checks[case] = check(case, 1 if options.quick else 2)
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in RUNS}
        for _ in range(rounds):
            with tempfile.TemporaryDirectory(prefix="minigan-kernels-") as folder:
                stored = []
                for name in RUNS:
                    implementation = "minigan-numpy" if name == "NumPy alone" else "minigan"
                    env = {**options.environment(), "NUMBA_CACHE_DIR": folder}
                    arguments = ["--case", case, *common]
                    runs[name].append(measure.run("benchmarks.cpu.first", implementation, arguments, env=env))
                    stored.append(len(list(Path(folder).rglob("*.nbc"))))
        seconds = {name: measure.spread([one["seconds"] for one in found]) for name, found in runs.items()}
        cases[case] = {
            "seconds": seconds,
            "first_iteration": {
                name: measure.spread([one["first_iteration"] for one in found]) for name, found in runs.items()
            },
            "beyond_numpy": measure.digits(seconds[RUNS[0]]["median"] - seconds[RUNS[2]]["median"]),
            "kernels": stored[0],
            "kernels_compiled_again": stored[1] - stored[0],
        }
        measure.log(f"{case}: " + ", ".join(f"{name} {row['median']:.3g} s" for name, row in seconds.items()))
    return {
        "benchmark": "first",
        "threads": options.threads,
        "rounds": rounds,
        "settings": "small" if options.quick else "full",
        "goal_beyond_numpy": GOAL_SECONDS,
        "check": checks,
        "cases": cases,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Build a case and run one iteration; print the seconds as JSON."""
    names = ("minigan", "minigan-numpy")
    args = implementations.process_parser("One process of the benchmark of first iterations.", names).parse_args(argv)
    start = time.perf_counter()
    play = implementations.make_step(args.case, args.implementation, threads=args.threads, small=args.small)
    built = time.perf_counter()
    play()
    end = time.perf_counter()
    found = {"seconds": end - start, "first_iteration": end - built}
    print(json.dumps({**found, "instructions": instructions.observed()}))


if __name__ == "__main__":
    main()
