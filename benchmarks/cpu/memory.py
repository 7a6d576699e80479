"""Peak resident memory of a new process after three iterations of each recipe, interpreter and imports included."""

from typing import Any

from benchmarks.cases.games import CASES
from benchmarks.core import implementations, measure
from benchmarks.core.checks import check

IMPLEMENTATIONS = {
    True: ("minigan", "torch", "torch-channels-last"),
    False: ("minigan", "torch", "torch-fused"),
}
"""By whether the case is convolutional."""


def run(options: measure.Options) -> dict[str, Any]:
    """Check all cases, measure their memory, and return the result."""
    rounds, checks, cases = options.rounds_or(1), {}, {}
    for case, game in CASES.items():
        checks[case] = check(case, 1 if options.quick else 2)
        found: dict[str, list[float]] = {}
        absent = {}
        for name in IMPLEMENTATIONS[game.convolutional]:
            why = implementations.why_unavailable(name) or (
                "skipped in a quick run" if options.quick and name == "torch" else None
            )
            if why is not None:
                absent[name] = why
                measure.log(f"  {name}: absent: {why}")
                continue
            arguments = ["--case", case, "--threads", str(options.threads), "--seconds", "0"]
            arguments += ["--small"] if options.quick else []
            runs = [
                measure.run("benchmarks.core.implementations", name, arguments, env=options.environment())
                for _ in range(rounds)
            ]
            found[name] = [r["peak_mib"] for r in runs]
            measure.log(f"  {case}: {name} {max(found[name])} MiB")
        torch = [max(v) for n, v in found.items() if n.startswith("torch")]
        cases[case] = {
            "mib": {name: measure.spread(values) for name, values in found.items()},
            "absent": absent,
            "share_of_torch": {
                n: round(max(v) / min(torch), 3) for n, v in found.items() if n.startswith("minigan") and torch
            },
        }
    return {
        "benchmark": "memory",
        "threads": options.threads,
        "rounds": rounds,
        "iterations": 3,
        "settings": "small" if options.quick else "full",
        "check": checks,
        "cases": cases,
    }
