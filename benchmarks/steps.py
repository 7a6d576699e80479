"""A whole iteration of each recipe, beside PyTorch: eager, channels_last, compiled.

First the check (`benchmarks.checks`), then the times, a process each, alternately.  All contestants have the same
number of threads (but PyTorch with one thread plays the dense games too, where that is its best).
"""

from typing import Any

from benchmarks import contest, measure
from benchmarks.checks import check
from benchmarks.games import CASES

PATIENCE = 100
"""Seconds that a contestant may take, torch.compile's compilation among them."""

COMPILED = ("mnist-dcgan", "dcgan64", "mnist-softmax")
"""What torch.compile plays: it takes a minute to compile."""

QUICK = ("minigan", "minigan-numpy", "torch-channels-last", "torch-fused")

NOT_WRITTEN = {"jax": "JAX", "numpy_ml": "numpy-ml"}


def run(options: measure.Options) -> dict[str, Any]:
    """Check, time, return the result."""
    rounds, seconds = options.rounds_or(3), 0.05 if options.quick else 1.0
    checks, cases = {}, {}
    for name, case in CASES.items():
        measure.say(f"{name}: {case.about}")
        checks[name] = check(name, 1 if options.quick else 2)
        cases[name] = {"about": case.about, **time_case(name, options, rounds, seconds)}
    return {
        "benchmark": "steps",
        "threads": options.threads,
        "malloc": measure.MALLOC if options.malloc else "default",
        "rounds": rounds,
        "seconds_each": seconds,
        "settings": "small" if options.quick else "full",
        "contestants": {name: contestant.about for name, contestant in contest.CONTESTANTS.items()},
        "not_compared": {
            title: "installed, but no twin of these games is written in it"
            if measure.installed(package)
            else "not installed"
            for package, title in NOT_WRITTEN.items()
        },
        "check": checks,
        "cases": cases,
    }


def time_case(case: str, options: measure.Options, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the times of all contestants of a game, and the ratios."""
    runs: dict[str, list[dict[str, Any]]] = {}
    absent: dict[str, str] = {}
    names = contest.of(case)
    for k in range(rounds):
        for name in names if k % 2 == 0 else reversed(names):
            why = absent.get(name) or contest.absent(name)
            if why is None and options.quick and name not in QUICK:
                why = "left out of a quick run"
            elif why is None and name == "torch-compile" and case not in COMPILED:
                why = "left out: a minute to compile"
            if why is None and not (k > 0 and contest.CONTESTANTS[name].once):
                why = _play(case, name, options, seconds, runs)
            if why is not None:
                if name not in absent:
                    measure.say(f"  {name}: absent: {why}")
                absent[name] = why
    times = {name: measure.spread([r["seconds"] for r in rs]) for name, rs in runs.items()}
    found: dict[str, Any] = {
        "seconds": times,
        "first": {name: measure.digits(rs[0]["first"]) for name, rs in runs.items()},
        "peak_mib": {name: rs[0]["peak_mib"] for name, rs in runs.items()},
        "absent": absent,
    }
    eager = [n for n in times if n.startswith("torch") and n != "torch-compile"]
    best = min(eager, key=lambda n: times[n]["median"], default=None)
    found["best_torch"] = best
    found["ratio"] = {}
    for ours in (n for n in times if n.startswith("minigan")):
        if best is not None:
            pairs = list(zip(runs[best], runs[ours], strict=False))
            found["ratio"][ours] = measure.ratio([t["seconds"] for t, _ in pairs], [o["seconds"] for _, o in pairs])
    return found


def _play(
    case: str, name: str, options: measure.Options, seconds: float, runs: dict[str, list[dict[str, Any]]]
) -> str | None:
    """Run a contestant once; return why it is absent, or None."""
    arguments = ["--case", case, "--threads", str(options.threads), "--seconds", str(seconds)]
    threads = contest.CONTESTANTS[name].threads
    if options.quick:
        arguments.append("--small")
    try:
        result = measure.run("benchmarks.contest", name, arguments, env=options.environment(threads), timeout=PATIENCE)
    except measure.Absent as reason:
        return str(reason)
    except RuntimeError as error:
        if name != "torch-compile":  # which needs a C++ compiler
            raise
        return str(error).strip().splitlines()[-1][:200]
    runs.setdefault(name, []).append(result)
    measure.say(f"  {name}: {1e3 * result['seconds']:.4g} ms (the first {result['first']:.3g} s)")
    return None
