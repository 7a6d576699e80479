"""A whole iteration of each recipe, compared with PyTorch (eager, channels_last, torch.compile) and JAX (jax.jit).

`benchmarks.core.checks` compares the results first.  Then the implementations are timed in turns, each in its own
process (`benchmarks.core.worker`).  All have the same number of threads; PyTorch also runs the dense games with one
thread, which may be faster.
"""

from contextlib import ExitStack
from typing import Any

from benchmarks.cases.games import CASES
from benchmarks.core import implementations, measure
from benchmarks.core.checks import check
from benchmarks.core.worker import Worker, round_robin

READY_LIMIT_SECONDS = 100
"""The timeout until an implementation is ready, including torch.compile's compilation."""

TORCH_COMPILE_CASES = ("mnist-dcgan", "dcgan64", "mnist-softmax")
"""The cases that are timed with torch.compile, which takes a minute to compile each."""

QUICK_IMPLEMENTATIONS = ("minigan", "minigan-numpy", "torch-channels-last", "torch-fused")


def run(options: measure.Options) -> dict[str, Any]:
    """Check all cases, time them, and return the result."""
    rounds, seconds = options.rounds_or(5), 0.05 if options.quick else 0.7
    checks, cases = {}, {}
    for name, case in CASES.items():
        measure.log(f"{name}: {case.about}")
        checks[name] = check(name, 1 if options.quick else 2)
        cases[name] = {"about": case.about, **time_case(name, options, rounds, seconds)}
    return {
        "benchmark": "steps",
        "threads": options.threads,
        "malloc": measure.MALLOC_ENVIRONMENT if options.malloc else "default",
        "rounds": rounds,
        "seconds_each": seconds,
        "settings": "small" if options.quick else "full",
        "contestants": {name: one.about for name, one in implementations.IMPLEMENTATIONS.items()},
        "not_compared": {"numpy-ml": implementations.without_numpy_ml()},
        "check": checks,
        "cases": cases,
    }


def time_case(case: str, options: measure.Options, rounds: int, seconds: float) -> dict[str, Any]:
    """Time all implementations of a case.

    Parameters
    ----------
    case
        A key of `CASES`.
    options
        The options of the command line.
    rounds
        The number of turns of each implementation.
    seconds
        The length of a turn.

    Returns
    -------
    dict
        The times, first iterations, memory and ratios, and why an implementation is absent.

    """
    absent: dict[str, str] = {}
    workers: dict[str, Worker] = {}
    with ExitStack() as stack:
        for name in implementations.for_case(case):
            why = implementations.why_unavailable(name)
            if why is None and options.quick and name not in QUICK_IMPLEMENTATIONS:
                why = "skipped in a quick run"
            elif why is None and name == "torch-compile" and case not in TORCH_COMPILE_CASES:
                why = "skipped: it takes a minute to compile"
            if why is None:
                try:
                    workers[name] = stack.enter_context(_worker(case, name, options))
                except measure.Unavailable as reason:
                    why = str(reason)
                except RuntimeError as error:
                    if name != "torch-compile":  # it needs a C++ compiler
                        raise
                    why = str(error).strip().splitlines()[-1][:200]
            if why is None:
                measure.log(f"  {name}: ready after a first iteration of {workers[name].ready['first']:.3g} s")
            else:
                absent[name] = why
                measure.log(f"  {name}: absent: {why}")
        ready = {name: worker.ready for name, worker in workers.items()}
        found = list(round_robin(workers, rounds=rounds, seconds=seconds))
    seconds_of = {name: [turn[name]["seconds"] for turn in found] for name in workers}
    for name, times in seconds_of.items():
        measure.log(f"  {name}: {1e3 * measure.spread(times)['median']:.4g} ms")
    return {
        "seconds": {name: measure.spread(times) for name, times in seconds_of.items()},
        "first": {name: measure.digits(of["first"]) for name, of in ready.items()},
        "peak_mib": {name: of["peak_mib"] for name, of in ready.items()},
        "absent": absent,
        **ratios(case, seconds_of),
    }


def ratios(case: str, seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Return the ratios of PyTorch's and JAX's times to minigan's.

    Parameters
    ----------
    case
        A key of `CASES`.
    seconds
        For each implementation, the seconds of an iteration in each round.

    Returns
    -------
    dict
        The fastest eager PyTorch and the default one ("usual"), and the ratios of their times and of JAX's to each of
        minigan's.

    """
    eager = [n for n in seconds if n.startswith("torch") and n != "torch-compile"]
    best = min(eager, key=lambda n: measure.spread(seconds[n])["median"], default=None)
    usual = implementations.default_torch(case)
    found: dict[str, Any] = {"best_torch": best, "ratio": {}, "usual_torch": usual, "ratio_to_usual": {}}
    found["ratio_to_jax"] = {}
    for name in (n for n in seconds if n.startswith("minigan")):
        if best is not None:
            found["ratio"][name] = measure.ratio(seconds[best], seconds[name])
        if usual in seconds:
            found["ratio_to_usual"][name] = measure.ratio(seconds[usual], seconds[name])
        if "jax" in seconds:
            found["ratio_to_jax"][name] = measure.ratio(seconds["jax"], seconds[name])
    return found


def _worker(case: str, name: str, options: measure.Options) -> Worker:
    """Start an implementation."""
    arguments = ["--case", case, "--threads", str(options.threads), *(["--small"] if options.quick else [])]
    env = options.environment(implementations.IMPLEMENTATIONS[name].threads)
    return Worker("benchmarks.core.implementations", name, arguments, env=env, timeout=READY_LIMIT_SECONDS)
