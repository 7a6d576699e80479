"""The timed implementations, one per process: minigan's backends, PyTorch in several configurations, and JAX.

python -m benchmarks.core.implementations --implementation minigan --case mnist-dcgan
"""

import argparse
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cases.games import CASES, build
from benchmarks.core import instructions, ynnpack
from benchmarks.core.measure import installed, seconds_of

ABSOLUTE_TOLERANCE = 1e-9
"""The largest float64 difference of a parameter or running statistic at which two implementations count as equal."""


@dataclass(frozen=True)
class Implementation:
    """A package and the options it runs with.

    Attributes
    ----------
    package
        The name under which it is imported.
    about
        A description for the page.
    options
        Options of minigan's backend, or of PyTorch's `Game`.
    convolutional
        Whether it runs convolutional games only.
    threads
        The number of its threads; None: the number given on the command line.

    """

    package: str
    about: str
    options: dict[str, Any] = field(default_factory=dict)
    convolutional: bool = False
    threads: int | None = None


IMPLEMENTATIONS = {
    "minigan": Implementation("minigan", "as installed: compiled kernels if numba is installed"),
    "minigan-numpy": Implementation("minigan", "NumPy alone", {"compiled": False}),
    "minigan-exact": Implementation("minigan", "direct sums only", {"accuracy": "exact"}, convolutional=True),
    "minigan-fast": Implementation(
        "minigan", "Winograd's F(4) as well as F(2)", {"accuracy": "fast"}, convolutional=True
    ),
    "torch": Implementation("torch", "eager, NCHW, default Adam"),
    "torch-fused": Implementation("torch", "eager, fused Adam"),
    "torch-1-thread": Implementation("torch", "eager, fused Adam, one thread", threads=1),
    "torch-channels-last-adam": Implementation(
        "torch", "eager, channels_last, default Adam", {"channels_last": True}, convolutional=True
    ),
    "torch-channels-last": Implementation(
        "torch", "eager, channels_last, fused Adam", {"channels_last": True}, convolutional=True
    ),
    "torch-compile": Implementation(
        "torch", "torch.compile, channels_last, fused Adam", {"channels_last": True, "compiled": True}
    ),
    "jax": Implementation("jax", "jax.jit of the whole iteration, NHWC"),
}
DENSE_ONLY = ("torch-fused", "torch-1-thread")
FUSED_ADAM = ("torch-fused", "torch-1-thread", "torch-channels-last", "torch-compile")


def default_torch(case: str) -> str:
    """Return the PyTorch implementation as most people write it: eager, default Adam, convolutions in channels_last."""
    return "torch-channels-last-adam" if CASES[case].convolutional else "torch"


def for_case(case: str) -> list[str]:
    """Return the implementations of a case, installed or not."""
    convolutional = CASES[case].convolutional
    return [
        name
        for name, implementation in IMPLEMENTATIONS.items()
        if (name not in DENSE_ONLY if convolutional else not implementation.convolutional)
    ]


def why_unavailable(name: str) -> str | None:
    """Return why an implementation cannot run here, or None."""
    implementation = IMPLEMENTATIONS[name]
    if not installed(implementation.package):
        return f"{implementation.package} is not installed"
    if name == "minigan-numpy" and not installed("numba"):
        return "the same as minigan: numba is not installed"
    return None


def without_numpy_ml() -> str:
    """Return why numpy-ml, which also has NumPy layers with explicit gradients, is not an implementation.

    Its last release, 0.1.2, imports names from `collections` that Python 3.10 removed.
    """
    if not installed("numpy_ml"):
        return "not installed"
    try:
        importlib.import_module("numpy_ml.neural_nets.layers")
    except Exception as error:
        return f"installed, but its import fails: {str(error).partition(' (')[0]}"
    return "installed, but these games are not written with it"


def make_step(
    case: str,
    name: str,
    *,
    threads: int,
    small: bool = False,
    settings: dict[str, Any] | None = None,
) -> Callable[[], Any]:
    """Build a case for an implementation; return a function that runs one iteration.

    Parameters
    ----------
    case, name
        Keys of `CASES` and of `IMPLEMENTATIONS`.
    threads
        The number of threads, unless the implementation fixes it.
    small
        Whether to use the case's small settings.
    settings
        Hyper-parameters that replace the case's.

    Returns
    -------
    Callable
        A function without arguments.

    """
    implementation = IMPLEMENTATIONS[name]
    threads = implementation.threads or threads
    if implementation.package == "minigan":
        options = {"threads": threads, **implementation.options}
        _, _, experiment = build(CASES[case], small=small, options=options, settings=settings)

        def play() -> None:
            with experiment.gan.D.ops.session():  # as in the training loop
                experiment.play()

        return play
    if implementation.package == "jax":
        os.environ["NPROC"] = str(threads)  # the size of XLA's thread pool; read at its first computation
        from benchmarks.other_libraries.jax.games import Game as JaxGame

        if instructions.limited(os.environ.get("XLA_FLAGS", "")):
            ynnpack.limit_to_avx2()
        return JaxGame(CASES[case], small=small, settings=settings).play
    import torch

    from benchmarks.other_libraries.torch.games import Game

    torch.set_num_threads(threads)
    return Game(
        CASES[case], small=small, settings=settings, fused_adam=name in FUSED_ADAM, **implementation.options
    ).play


def timed(play: Callable[[], Any], *, seconds: float, min_repeats: int = 3, warmup: int = 2) -> dict[str, Any]:
    """Run iterations for about `seconds` seconds; return the median time of an iteration.

    Parameters
    ----------
    play
        Runs one iteration.
    seconds
        How long to run after the warm-up; 0 for the fewest iterations.
    min_repeats
        The fewest iterations that are timed.
    warmup
        Iterations before the timed ones, after the first.

    Returns
    -------
    dict
        "seconds", the median of an iteration; "first", the seconds of the first one, in which numba, torch.compile and
        JAX compile; "iterations", how many were timed; "peak_mib", the peak memory after the warm-up; "instructions",
        the report of `instructions.observed`.

    """
    times = [seconds_of(play) for _ in range(1 + warmup)]
    peak = peak_mib()
    first, times = times[0], []
    end = time.perf_counter() + seconds
    while len(times) < min_repeats or time.perf_counter() < end:
        times.append(seconds_of(play))
    times.sort()
    return {
        "seconds": times[len(times) // 2], "first": first, "iterations": len(times), "peak_mib": peak,
        "instructions": instructions.observed(),
    }  # fmt: skip


def serve(play: Callable[[], Any], *, min_repeats: int = 2, warmup: int = 2) -> None:
    """Print a line of JSON after the warm-up; then run a turn for each number of seconds read from stdin.

    A turn prints the median seconds of an iteration and the number of iterations.  Its first iteration is not counted,
    because the caches hold other processes' data.

    Parameters
    ----------
    play
        Runs one iteration.
    min_repeats
        The fewest iterations of a turn.
    warmup
        Iterations before the first turn, after the very first one.

    """
    times = [seconds_of(play) for _ in range(1 + warmup)]
    peak = peak_mib()
    print(json.dumps({"first": times[0], "peak_mib": peak, "instructions": instructions.observed()}), flush=True)
    for line in sys.stdin:
        play()
        times, end = [], time.perf_counter() + float(line)
        while len(times) < min_repeats or time.perf_counter() < end:
            times.append(seconds_of(play))
        print(json.dumps({"seconds": sorted(times)[len(times) // 2], "iterations": len(times)}), flush=True)


def peak_mib() -> float:
    """Return the peak resident memory of this process so far, in MiB.

    On Linux this is VmHWM, because ru_maxrss is at least the memory of the parent process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return round(int(line.split()[1]) / 2**10, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def process_parser(description: str, names: Iterable[str] = tuple(IMPLEMENTATIONS)) -> argparse.ArgumentParser:
    """Return the parser of a process that runs one implementation of a case: its name, case, threads and size."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--implementation", choices=names, required=True)
    parser.add_argument("--case", choices=CASES, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--small", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run iterations and print the times as JSON, one object per line."""
    parser = process_parser("One implementation of a benchmark of steps, memory or scaling.")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--serve", action="store_true", help="run on request: one turn for each line of stdin")
    parser.add_argument("--settings", type=json.loads, default={})
    args = parser.parse_args(argv)
    play = make_step(args.case, args.implementation, threads=args.threads, small=args.small, settings=args.settings)
    if args.serve:
        serve(play)
    else:
        print(json.dumps(timed(play, seconds=args.seconds)))


if __name__ == "__main__":
    main()
