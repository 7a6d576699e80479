"""An iteration of `mnist-fast`, with its lazy penalty and the average of G, compared with PyTorch.

    python -m benchmarks fast

First a check in float64: from the same weights, batches and noise, both libraries compute the same parameters, running
statistics and averages, in updates with and without the penalty.  So both need the same number of iterations for the
same samples, and the ratio of the times of an iteration is that of the times of a whole training.  Then the
implementations are timed in turns, each in its own process.  What is timed are blocks of `penalty_every` iterations,
each of which has one penalty.
"""

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from benchmarks.cases.games import Case, build
from benchmarks.core import implementations, measure
from benchmarks.core.checks import difference, require_agreement
from benchmarks.core.worker import Worker, round_robin
from minigan.training import AveragedNetwork, Run

CASE = Case(
    "mnist-fast",
    "the recipe's settings",
    {},
    {
        "iterations": 6,
        "batch_size": 4,
        "latent": 3,
        "channels_G": 3,
        "channels_D": 4,
        "features": 5,
        "penalty_every": 2,
    },
)
CHECKED_ITERATIONS = 5
"""With the small settings: three updates of D with the penalty and two without, of which two have a lower rate."""
READY_LIMIT_SECONDS = 60
"""The timeout until an implementation is ready, including the compilation of minigan's kernels."""
NAMES = (
    "minigan",
    "minigan-numpy",
    "torch",
    "torch-channels-last-adam",
    "torch-channels-last",
)
"""torch.compile is not among them: it cannot make the graph of the backward pass that the penalty's gradient needs."""
USUAL_TORCH = "torch-channels-last-adam"
"""PyTorch as most people write it: eager, default Adam, convolutions in channels_last."""
QUICK_NAMES = ("minigan", "minigan-numpy", "torch-channels-last")


class Minigan:
    """The recipe in minigan; `play` runs one iteration and then moves the average of G.

    Parameters
    ----------
    options
        Arguments of `benchmarks.cases.games.build`.

    """

    def __init__(self, **options: Any) -> None:
        _, self.config, self.experiment = build(CASE, **options)
        self.run = Run(self.experiment, self.config.iterations)
        self.average = next(one for one in self.experiment.callbacks if isinstance(one, AveragedNetwork))
        self.average.on_start(self.run)
        self.gan = self.experiment.gan

    def play(self) -> None:
        """Run one iteration, as the training loop does."""
        with self.gan.ops.session():
            self.experiment.play()
        self.run.iteration += 1
        self.average.on_iteration(self.run)

    def theta(self) -> list[Any]:
        """Return the averaged parameters and running statistics."""
        return [self.average.network.theta, self.average.network.state_vector]


def make(name: str, *, threads: int, small: bool = False, dtype: str = "float32", checked: bool = False) -> Any:
    """Build an implementation, an object with the methods `play` and `config`.

    Parameters
    ----------
    name
        One of `NAMES`.
    threads
        The number of threads.
    small
        Whether to use the case's small settings.
    dtype
        "float32" or "float64".
    checked
        Whether PyTorch uses minigan's running variance, as `benchmarks.other_libraries.torch.games.Game` says.

    """
    implementation = implementations.IMPLEMENTATIONS[name]
    if implementation.package == "minigan":
        return Minigan(small=small, dtype=dtype, options={"threads": threads, **implementation.options})
    import torch

    from benchmarks.other_libraries.torch.penalised import PenalisedGame

    torch.set_num_threads(threads)
    fused = name in implementations.FUSED_ADAM
    return PenalisedGame(CASE, small=small, dtype=dtype, fused_adam=fused, checked=checked, **implementation.options)


def check(iterations: int = CHECKED_ITERATIONS) -> dict[str, Any]:
    """Compare whole iterations in float64 with small settings.

    Parameters
    ----------
    iterations
        The number of iterations after which parameters, running statistics and averages are compared.

    Returns
    -------
    dict
        The largest absolute differences of minigan's backends from the reference, and of PyTorch from minigan.

    Raises
    ------
    SystemExit
        If a difference exceeds `benchmarks.core.implementations.ABSOLUTE_TOLERANCE`.

    """
    found: dict[str, Any] = {"iterations": iterations, "dtype": "float64", "settings": CASE.small}
    reference = Minigan(small=True, dtype="float64", ops="reference")
    compiled = [True, False] if measure.installed("numba") else [False]
    runs = {
        "compiled" if numba else "numpy": Minigan(
            small=True, dtype="float64", options={"threads": 2, "compiled": numba}
        )
        for numba in compiled
    }
    for one in (reference, *runs.values()):
        _play(one, iterations)
    found["against_reference"] = {}
    for name, one in runs.items():
        averages = [np.abs(a - b).max() for a, b in zip(one.theta(), reference.theta(), strict=True)]
        worst = float(np.max([difference(one.experiment, reference.experiment), *averages]))
        found["against_reference"][name] = require_agreement(f"mnist-fast: {name} and reference", worst)
    if not measure.installed("torch"):
        return {**found, "against_torch": "PyTorch is not installed"}
    found["against_torch"] = {}
    for layout, name in (("nchw", "torch"), ("channels_last", "torch-channels-last")):
        torch_run = make(name, threads=2, small=True, dtype="float64", checked=True)
        _play(torch_run, iterations)
        worst = float(
            np.max(
                [
                    one
                    for run in runs.values()
                    for one in (torch_run.difference(run.gan), torch_run.average_difference(run.average.network))
                ]
            )
        )
        found["against_torch"][layout] = require_agreement(f"mnist-fast: minigan and PyTorch, {layout}", worst)
    return found


def _play(run: Any, iterations: int) -> None:
    for _ in range(iterations):
        run.play()


def run(options: measure.Options) -> dict[str, Any]:
    """Check, time all implementations, and return the result."""
    rounds, seconds = options.rounds_or(5), 0.05 if options.quick else 1.0
    found = check()
    absent: dict[str, str] = {}
    workers: dict[str, Worker] = {}
    with ExitStack() as stack:
        for name in NAMES:
            why = implementations.why_unavailable(name)
            if why is None and options.quick and name not in QUICK_NAMES:
                why = "skipped in a quick run"
            if why is None:
                workers[name] = stack.enter_context(_worker(name, options))
            else:
                absent[name] = why
                measure.log(f"{name}: absent: {why}")
        ready = {name: worker.ready for name, worker in workers.items()}
        turns = list(round_robin(workers, rounds=rounds, seconds=seconds))
    block = CASE.small["penalty_every"] if options.quick else build(CASE)[1].penalty_every
    times = {name: [turn[name]["seconds"] / block for turn in turns] for name in workers}
    for name, one in times.items():
        measure.log(f"{name}: {1e3 * measure.spread(one)['median']:.4g} ms")
    eager = [name for name in times if name.startswith("torch")]
    best = min(eager, key=lambda name: measure.spread(times[name])["median"], default=None)
    return {
        "benchmark": "fast",
        "threads": options.threads,
        "malloc": measure.MALLOC_ENVIRONMENT if options.malloc else "default",
        "rounds": rounds,
        "seconds_each": seconds,
        "iterations_per_block": block,
        "settings": "small" if options.quick else "full",
        "contestants": {name: implementations.IMPLEMENTATIONS[name].about for name in NAMES},
        "check": found,
        "seconds": {name: measure.spread(one) for name, one in times.items()},
        "peak_mib": {name: one["peak_mib"] for name, one in ready.items()},
        "absent": absent,
        "best_torch": best,
        "usual_torch": USUAL_TORCH,
        "ratio": {name: measure.ratio(one, times["minigan"]) for name, one in times.items() if name != "minigan"},
    }


def _worker(name: str, options: measure.Options) -> Worker:
    """Start an implementation."""
    arguments = ["--threads", str(options.threads), *(["--small"] if options.quick else [])]
    return Worker("benchmarks.cpu.fast", name, arguments, env=options.environment(), timeout=READY_LIMIT_SECONDS)


def block_of(one: Any) -> Callable[[], None]:
    """Return a function that runs `penalty_every` iterations of an implementation."""
    return lambda: _play(one, one.config.penalty_every)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one implementation on request: a turn for each line of stdin, whose times are those of a block."""
    parser = argparse.ArgumentParser(description="One implementation of `python -m benchmarks fast`.")
    parser.add_argument("--implementation", choices=NAMES, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--serve", action="store_true")
    args = parser.parse_args(argv)
    implementations.serve(block_of(make(args.implementation, threads=args.threads, small=args.small)))


if __name__ == "__main__":
    main()
