"""A whole iteration of each recipe on the GPU, compared with PyTorch, in each precision.

minigan and PyTorch gather their batches from the device and draw noise there; `host draws` is minigan as in
`minigan train`, with batches and noise drawn by NumPy.  PyTorch: eager (NCHW), channels_last, channels_last as a CUDA
graph, and torch.compile; its Adam is fused.  Times are wall times of many iterations in a row, Python included.
"""

import gc
from collections.abc import Callable
from typing import Any

from benchmarks.cases.games import CASES, build
from benchmarks.core import checks
from benchmarks.core.measure import digits, log
from benchmarks.gpu.bench import PRECISIONS, Bench, spread, why_skipped
from benchmarks.gpu.device_data import make_step

GAMES: dict[str, dict[str, Any]] = {
    "dcgan64": {"batch_size": 128},
    "mnist-dcgan": {"batch_size": 128},
    "mnist-dense": {"batch_size": 128},
    "mnist-maxout": {},
}
FUSED_BF16_ITERATION_SECONDS = 2.1e-3
"""Estimated seconds of a dcgan64 iteration at batch 128 in bf16 on an H200 if everything were fused."""
FLOP_PER_ITERATION = 1254e9
"""Floating-point operations of one dcgan64 iteration at batch 128.

D is passed eight times (six in its own step, two in G's) and G four times (one forward pass for the fakes, three in its
own step); the first layers compute no unneeded dL/dx.
"""
SECONDS_LEFT_TO_START = {"minigan": 4.0, "torch": 6.0, "torch-compile": 40.0}
"""Seconds that must remain before a library is timed, by library."""
TORCH_VARIANTS = ("torch", "torch-channels-last", "torch-graph", "torch-compile")
TORCH_COMPILE_CASES = (("dcgan64", "bf16"), ("dcgan64", "fp32"), ("dcgan64", "tf32"))
"""(recipe, precision) pairs timed with torch.compile, which takes up to 40 s each."""


def check(bench: Bench, case: str) -> float:
    """Compare two small iterations in float64 with the reference backend.

    Parameters
    ----------
    bench
        The device and the options of the run.
    case
        A key of `CASES`.

    Returns
    -------
    float
        The largest absolute difference of a parameter or running statistic.

    Raises
    ------
    SystemExit
        If the difference exceeds `benchmarks.core.implementations.ABSOLUTE_TOLERANCE`.

    """
    cuda_run, reference_run = (
        build(CASES[case], small=True, dtype="float64", ops=ops, options=options)[2]
        for ops, options in (("cuda", bench.options()), ("reference", {}))
    )
    for _ in range(checks.CHECKED_ITERATIONS):
        cuda_run.play()
        reference_run.play()
    return checks.require_agreement(f"{case}: cuda and reference", checks.difference(cuda_run, reference_run))


def run(bench: Bench) -> dict[str, Any]:
    """Check and time every game in every precision; the dense ones in fp32 and tf32 alone.

    Parameters
    ----------
    bench
        The device and the options of the run.

    Returns
    -------
    dict
        For each game its "settings", the "difference" that `check` found, and for each precision the times, the reasons
        of absence and the ratios; games and precisions that failed are in ``bench.failed`` instead.

    """
    cases: dict[str, Any] = {}
    for case, settings in GAMES.items():
        with bench.recording_failures(f"steps, {case}"):
            difference = check(bench, case)
            cases[case] = {"settings": {} if bench.quick else settings, "difference": difference}
            for precision in PRECISIONS if CASES[case].convolutional else PRECISIONS[:2]:
                with bench.recording_failures(f"steps, {case}, {precision}"):
                    cases[case][precision] = _time_case(bench, case, settings, precision)
    return cases


def _time_case(bench: Bench, case: str, settings: dict[str, Any], precision: str) -> dict[str, Any]:
    seconds: dict[str, Any] = {}
    absent: dict[str, str] = {}
    for name, prepare in _implementations(bench, case, settings, precision).items():
        library = name if name in SECONDS_LEFT_TO_START else "torch" if name.startswith("torch") else "minigan"
        why = why_skipped(bench, f"{case} {precision} {name}", 0 if bench.quick else SECONDS_LEFT_TO_START[library])
        if why is None:
            try:
                seconds[name] = time_iterations(bench, name, prepare())
            except Exception as error:  # PyTorch's compiler or graphs failed: recorded, not an error of minigan
                if not name.startswith("torch"):
                    raise
                why = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160]}"
        if why is not None:
            absent[name] = why
            log(f"  {case} {precision} {name}: absent: {why}")
        else:
            log(f"  {case} {precision} {name}: {1e3 * seconds[name]['median']:.4g} ms")
        gc.collect()  # releases the memory of the graph
    return {"seconds": seconds, "absent": absent, **ratios(case, {} if bench.quick else settings, precision, seconds)}


def ratios(case: str, settings: dict[str, Any], precision: str, seconds: dict[str, Any]) -> dict[str, Any]:
    """Return each PyTorch time divided by minigan's, which runs as a CUDA graph.

    Parameters
    ----------
    case
        A key of `GAMES`.
    settings
        The hyper-parameters of the timed iterations.
    precision
        One of `PRECISIONS`.
    seconds
        For each implementation, the `spread` of the seconds of an iteration.

    Returns
    -------
    dict
        "ratio", by PyTorch variant; for dcgan64 at batch 128 also "flop_per_second" and, in bf16, "share_of_floor", the
        estimated time of a fully fused iteration divided by minigan's.

    """
    minigan = seconds.get("minigan")
    found: dict[str, Any] = {"ratio": {}}
    if minigan is not None:
        found["ratio"] = {
            name: digits(row["median"] / minigan["median"]) for name, row in seconds.items() if name.startswith("torch")
        }
        if case == "dcgan64" and settings.get("batch_size") == 128:
            found["flop_per_second"] = digits(FLOP_PER_ITERATION / minigan["median"])
            if precision == "bf16":
                found["share_of_floor"] = digits(FUSED_BF16_ITERATION_SECONDS / minigan["median"])
    return found


def _implementations(
    bench: Bench, case: str, settings: dict[str, Any], precision: str
) -> dict[str, Callable[[], Callable[[], Any]]]:
    """Return for each implementation a function that prepares it and returns its iteration."""
    chosen = None if bench.quick else settings

    def minigan(*, graphs: bool, resident: bool) -> Callable[[], Any]:
        options = bench.options(precision, graphs=graphs)
        play = make_step(case, options, settings=chosen, small=bench.quick, resident=resident)[1]
        play()  # the first iteration records the operations
        play()  # the second captures the graph
        return play

    found: dict[str, Callable[[], Callable[[], Any]]] = {
        "minigan": lambda: minigan(graphs=True, resident=True),
        "minigan, step by step": lambda: minigan(graphs=False, resident=True),
        "minigan, host draws": lambda: minigan(graphs=True, resident=False),
    }
    if bench.torch_device:
        for name in TORCH_VARIANTS:
            if name == "torch-compile" and (case, precision) not in TORCH_COMPILE_CASES:
                continue
            if name == "torch-channels-last" and not CASES[case].convolutional:
                continue
            found[name] = lambda name=name: torch_iteration(bench, case, chosen, precision, name)
    return found


def torch_iteration(
    bench: Bench, case: str, settings: dict[str, Any] | None, precision: str, variant: str
) -> Callable[[], Any]:
    """Build a case in PyTorch; return a function that runs one iteration.

    Parameters
    ----------
    bench
        The device and the options of the run.
    case
        A key of `CASES`.
    settings
        Hyper-parameters that replace the case's; None: none.
    precision
        One of `PRECISIONS`.
    variant
        One of `TORCH_VARIANTS`.

    """
    from benchmarks.gpu.torch_side import DeviceGame, as_graph, play_of

    game = DeviceGame(
        CASES[case], small=bench.quick, settings=settings, device=str(bench.torch_device), fused_adam=True,
        channels_last=variant != "torch" and CASES[case].convolutional, compiled=variant == "torch-compile",
        adam={"capturable": True} if variant == "torch-graph" else None,
    )  # fmt: skip
    play = play_of(game, precision)
    return as_graph(play) if variant == "torch-graph" else play


def time_iterations(bench: Bench, name: str, play: Callable[[], Any]) -> dict[str, Any]:
    """Return the `spread` of the wall seconds of an iteration, averaged over many in a row.

    Parameters
    ----------
    bench
        The clock and the options of the run.
    name
        The implementation; if it begins with "torch", PyTorch's clock is used.
    play
        Runs one iteration.

    """
    if name.startswith("torch"):
        from benchmarks.gpu.torch_side import clock

        chosen = clock(bench)
    else:
        chosen = bench.clock
    once = chosen.wall(play, repeats=1, inner=1, warm=bench.pick(3, 1))[0]
    inner = 1 if bench.quick else max(1, min(200, int(0.1 / max(once, 1e-6))))
    return spread(chosen.wall(play, repeats=bench.pick(9, 2), inner=inner, warm=0))
