"""The time of an iteration by operation, compared with the machine's limits.

    limit in seconds = max(operations / rate of a matrix product, bytes / rate of a copy)

`benchmarks.cpu.operations` says which functions are observed and what their work is, `benchmarks.cpu.ceilings` how the
rates are measured.  Each operation is a row by its shapes; the rows add up to groups.  "layers in Python" is the time
of layers besides their operations, with NumPy's functions that the layers call themselves; what no row covers is
"Python and the rest": the time of an iteration that is not observed, less that of all rows (none if they take longer:
the observation comes between operations, so threads that wait for the next one may fall asleep).

    python -m benchmarks.cpu.breakdown --implementation minigan --case mnist-dense --table    # one case, as text
    python -m benchmarks.cpu.breakdown --implementation minigan --case mnist-dense --profile    # Python's functions
"""

import cProfile
import io
import json
import pstats
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.cases.games import CASES, build
from benchmarks.core import implementations, instructions, measure
from benchmarks.core.checks import check, worst
from benchmarks.cpu.ceilings import limit_seconds, machine_limits
from benchmarks.cpu.observe import LAYERS
from benchmarks.cpu.operations import BATCHES, CONVOLUTIONS, LOSSES, NETWORKS, PASSES, PRODUCTS, VECTORS, observe
from minigan.training import Experiment

IMPLEMENTATIONS = ("minigan", "minigan-numpy")
MIN_ITERATIONS = 5
"""The fewest iterations over which times and work are averaged."""
PROFILED_FUNCTIONS = 40
"""The functions that a profile shows."""
REST = "Python and the rest"
OTHER = "other"
MIN_SHARE = 0.01
"""The share of an iteration below which a row is not stored, but added to the row `OTHER`."""
DIGITS = 4
"""The significant digits of stored numbers: the times of two runs differ more."""
GROUPS = (CONVOLUTIONS, PRODUCTS, NETWORKS, PASSES, LOSSES, VECTORS, BATCHES, LAYERS, REST)


def run(options: measure.Options) -> dict[str, Any]:
    """Check all cases, measure them, and return the result."""
    threads = ["--threads", str(options.threads)]
    quick = ["--quick"] if options.quick else []
    limits = measure.run("benchmarks.cpu.layers", "limits", [*threads, *quick], env=options.environment())
    seconds = "0.02" if options.quick else "0.7"
    common = [*threads, "--seconds", seconds, *(["--small"] if options.quick else [])]
    checks: dict[str, Any] = {}
    found: dict[str, dict[str, Any]] = {name: {} for name in IMPLEMENTATIONS}
    for case in CASES:
        checks[case] = check(case, 1 if options.quick else 2)
        for name in IMPLEMENTATIONS:
            if implementations.why_unavailable(name) is None:
                middle = _middle(name, ["--case", case, *common], options)
                add_limits(middle, limits)
                found[name][case] = shortened(middle)
                measure.log(f"{case}: {name} {1e3 * middle['seconds']:.4g} ms")
    return {
        "benchmark": "breakdown",
        "threads": options.threads,
        "rounds": options.rounds_or(3),
        "seconds_each": float(seconds),
        "settings": "small" if options.quick else "full",
        "check": worst(checks),
        "ceilings": measure.rounded(limits, DIGITS),
        "cases": found["minigan"],
        "numpy_cases": found["minigan-numpy"],
    }


def _middle(name: str, arguments: Sequence[str], options: measure.Options) -> dict[str, Any]:
    """Return the run with the median time."""
    runs = [
        measure.run("benchmarks.cpu.breakdown", name, arguments, env=options.environment())
        for _ in range(options.rounds_or(3))
    ]
    return sorted(runs, key=lambda found: float(found["seconds"]))[len(runs) // 2]


def add_limits(found: dict[str, Any], limits: dict[str, Any]) -> None:
    """Set the limit of each row of a case, and the sums of each group, in seconds, operations and bytes an iteration.

    Parameters
    ----------
    found
        The result of a process: "seconds" and "rows".
    limits
        The result of `machine_limits`.

    """
    groups = {group: {"seconds": 0.0, "limit": 0.0, "operations": 0.0, "bytes": 0.0} for group in GROUPS}
    for row in found["rows"]:
        row["limit"] = row["calls"] * limit_seconds(limits, row["operations"], row["bytes"])
        group = groups[row["group"]]
        for key in ("seconds", "limit"):
            group[key] += row[key]
        for key in ("operations", "bytes"):
            group[key] += row["calls"] * row[key]
    groups[REST]["seconds"] = max(0.0, found["seconds"] - sum(group["seconds"] for group in groups.values()))
    found["groups"] = groups


def shortened(found: dict[str, Any]) -> dict[str, Any]:
    """Return what is stored of a case: its seconds, its groups, and the rows that take a share of the iteration.

    Parameters
    ----------
    found
        A case with limits, from `add_limits`.

    Returns
    -------
    dict
        "seconds"; "rows" with name, calls, seconds and limit, the last being the sum of the rows that take less than
        `MIN_SHARE`; "groups" with seconds and limit.  All numbers have `DIGITS` significant digits.

    """
    shown = [row for row in found["rows"] if row["seconds"] >= MIN_SHARE * found["seconds"]]
    others = [row for row in found["rows"] if row["seconds"] < MIN_SHARE * found["seconds"]]
    keys = ("calls", "seconds", "limit")
    rows = [{"name": row["name"], **{key: row[key] for key in keys}} for row in shown]
    if others:
        rows.append({"name": OTHER, **{key: sum(row[key] for row in others) for key in keys}})
    groups = {name: {key: row[key] for key in ("seconds", "limit")} for name, row in found["groups"].items()}
    short: dict[str, Any] = measure.rounded({"seconds": found["seconds"], "rows": rows, "groups": groups}, DIGITS)
    return short


# --- one process ----------------------------------------------------------------------------------


def measured(case: str, *, compiled: bool | None, threads: int, small: bool, seconds: float) -> dict[str, Any]:
    """Return the time of an iteration, and a row for each operation and its shapes.

    Parameters
    ----------
    case
        A key of `CASES`.
    compiled
        Whether to run numba's kernels; None: if numba is installed.
    threads
        The threads of the backend.
    small
        Whether to use the case's small settings.
    seconds
        How long to observe.

    Returns
    -------
    dict
        "seconds" of an iteration that is not observed; "iterations", how many of each kind ran, in turns; "rows" of the
        observed ones: group, name, calls and seconds an iteration, operations and bytes a call.

    """
    experiment, play = _game(case, compiled=compiled, threads=threads, small=small)
    for _ in range(3):
        play()
    observer = observe(experiment)
    play()
    observer.clear()
    n, elapsed, end = 0, 0.0, time.perf_counter() + seconds
    while n < MIN_ITERATIONS or time.perf_counter() < end:  # in turns, because the speed of a host changes
        observer.on = False
        start = time.perf_counter()
        play()
        elapsed += time.perf_counter() - start
        observer.on = True
        play()
        n += 1
    rows = [
        {
            "group": row.group, "name": row.name, "calls": row.calls / n, "seconds": row.seconds / n,
            "operations": row.operations, "bytes": row.size,
        }
        for row in sorted(observer.rows.values(), key=lambda row: -row.seconds)
    ]  # fmt: skip
    return {"seconds": elapsed / n, "iterations": n, "rows": rows}


def _game(case: str, *, compiled: bool | None, threads: int, small: bool) -> tuple[Experiment, Callable[[], None]]:
    """Return a case's experiment and a function that runs an iteration, as the training loop does."""
    _, _, experiment = build(CASES[case], small=small, options={"threads": threads, "compiled": compiled})

    def play() -> None:
        with experiment.game.D.ops.session():
            experiment.play()

    return experiment, play


def profile(case: str, *, compiled: bool | None, threads: int, small: bool, seconds: float) -> str:
    """Return the functions of an iteration with their calls and their own seconds, by Python's profiler.

    The profiler slows Python down, not the kernels: read the order of Python's functions, not their times.

    Parameters
    ----------
    case, compiled, threads, small, seconds
        As for `measured`.

    """
    _, play = _game(case, compiled=compiled, threads=threads, small=small)
    for _ in range(3):
        play()
    profiler, end = cProfile.Profile(), time.perf_counter() + seconds
    while time.perf_counter() < end:
        profiler.runcall(play)
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(PROFILED_FUNCTIONS)
    return text.getvalue()


def table(found: dict[str, Any]) -> list[str]:
    """Return the rows of a case as a table in Markdown, longest first, and the time that none covers."""
    lines = ["| operation | calls | ms | limit, ms | limit / time |", "|---|---|---|---|---|"]
    for row in [*found["rows"], {"name": REST, "calls": "", "limit": 0.0, **found["groups"][REST]}]:
        share = f"{100 * row['limit'] / row['seconds']:.0f} %" if row["limit"] and row["seconds"] else ""
        limit = f"{1e3 * row['limit']:.3g}" if row["limit"] else ""
        calls = f"{row['calls']:g}" if row["calls"] else ""
        lines.append(f"| {row['name']} | {calls} | {1e3 * row['seconds']:.3g} | {limit} | {share} |")
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    """Print the time and work of each operation of an iteration, as JSON or as a table with limits."""
    parser = implementations.process_parser("One process of the benchmark `breakdown`.", IMPLEMENTATIONS)
    parser.add_argument("--seconds", type=float, default=0.7)
    parser.add_argument("--table", action="store_true", help="measure the limits too, and print a table")
    parser.add_argument("--profile", action="store_true", help="print where Python's time goes, by Python's profiler")
    args = parser.parse_args(argv)
    compiled = implementations.IMPLEMENTATIONS[args.implementation].options.get("compiled")
    how = {"compiled": compiled, "threads": args.threads, "small": args.small, "seconds": args.seconds}
    if args.profile:
        print(profile(args.case, **how))
        return
    found = measured(args.case, **how)
    found["instructions"] = instructions.observed()
    if not args.table:
        print(json.dumps(found))
        return
    add_limits(found, machine_limits(args.threads))
    print(found["instructions"])
    print(f"{args.case}: {1e3 * found['seconds']:.4g} ms")
    for name, group in found["groups"].items():
        print(f"{name}: {1e3 * group['seconds']:.3g} ms, limit {1e3 * group['limit']:.3g} ms")
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
