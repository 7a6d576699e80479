"""A whole iteration of each recipe on the GPU, compared with PyTorch, in each precision.

Both sides gather their batches from the device and draw noise there; `host draws` is minigan as in `minigan train`,
with batches and noise drawn by NumPy.  PyTorch: eager (NCHW), channels_last, channels_last as a CUDA graph, and
torch.compile; its Adam is fused.  Times are wall times of many iterations in a row, Python included.
"""

import gc
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.cases.games import CASES, build
from benchmarks.core.contestants import ABSOLUTE_TOLERANCE
from benchmarks.core.measure import digits, log
from benchmarks.gpu.bench import PRECISIONS, Bench, spread, why_skipped
from benchmarks.gpu.device_data import make_step
from minigan.ops import to_host

GAMES: dict[str, dict[str, Any]] = {
    "dcgan64": {"batch_size": 128},
    "mnist-dcgan": {"batch_size": 128},
    "mnist-dense": {"batch_size": 128},
    "mnist-maxout": {},
}
FLOOR_SECONDS = 2.1e-3
"""Estimated seconds of a dcgan64 iteration at batch 128 in bf16 on an H200 if everything were fused."""
FLOP_PER_ITERATION = 1254e9
"""Operations of a dcgan64 iteration at batch 128: six passes of D's layers and two more for G, five of G's, less the
first layers' gradients in x."""
SECONDS_NEEDED = {"minigan": 4.0, "torch": 6.0, "torch-compile": 40.0}
TORCH = ("torch", "torch-channels-last", "torch-graph", "torch-compile")
COMPILED = (("dcgan64", "bf16"), ("dcgan64", "fp32"), ("dcgan64", "tf32"))


def check(bench: Bench, name: str) -> float:
    """Return the largest difference from the reference after two small iterations in float64.

    Raises
    ------
    SystemExit
        If the difference exceeds `ABSOLUTE_TOLERANCE`.

    """
    options, worst = bench.options(), 0.0
    ours, theirs = (
        build(CASES[name], small=True, dtype="float64", ops=ops, options=given)[2]
        for ops, given in (("cuda", options), ("reference", {}))
    )
    for _ in range(2):
        ours.play()
        theirs.play()
    for a, b in ((ours.gan.G, theirs.gan.G), (ours.gan.D, theirs.gan.D)):
        there = {**b.parameters(), **b.state}
        for key, value in {**a.parameters(), **a.state}.items():
            worst = float(np.maximum(worst, np.abs(to_host(value) - there[key]).max()))  # NaN stays
    if not worst <= ABSOLUTE_TOLERANCE:
        raise SystemExit(
            f"{name}: cuda and reference differ by {worst:.3g}, expected at most {ABSOLUTE_TOLERANCE:g}: "
            "nothing to time"
        )
    log(f"check: {name}: cuda and reference agree to {worst:.1e}")
    return worst


def run(bench: Bench) -> dict[str, Any]:
    """Check and time every game in every precision; the dense ones in fp32 and tf32 alone."""
    cases: dict[str, Any] = {}
    for name, settings in GAMES.items():
        with bench.recording_failures(f"steps, {name}"):
            difference = check(bench, name)
            cases[name] = {"settings": {} if bench.quick else settings, "difference": difference}
            for precision in PRECISIONS if CASES[name].convolutional else PRECISIONS[:2]:
                with bench.recording_failures(f"steps, {name}, {precision}"):
                    cases[name][precision] = _case(bench, name, settings, precision)
    return cases


def _case(bench: Bench, name: str, settings: dict[str, Any], precision: str) -> dict[str, Any]:
    seconds: dict[str, Any] = {}
    absent: dict[str, str] = {}
    for who, play in _players(bench, name, settings, precision).items():
        need = SECONDS_NEEDED["torch-compile" if who == "torch-compile" else who.partition("-")[0].partition(",")[0]]
        why = why_skipped(bench, f"{name} {precision} {who}", 0 if bench.quick else need)
        if why is None:
            try:
                seconds[who] = _time(bench, who, play())
            except Exception as error:  # PyTorch's compiler or graphs failed: recorded, not an error of minigan
                if not who.startswith("torch"):
                    raise
                why = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160]}"
        if why is not None:
            absent[who] = why
            log(f"  {name} {precision} {who}: absent: {why}")
        else:
            log(f"  {name} {precision} {who}: {1e3 * seconds[who]['median']:.4g} ms")
        gc.collect()  # releases the memory of the graph
    return {"seconds": seconds, "absent": absent, **ratios(name, {} if bench.quick else settings, precision, seconds)}


def ratios(name: str, settings: dict[str, Any], precision: str, seconds: dict[str, Any]) -> dict[str, Any]:
    """Return PyTorch's times over minigan's captured one, and the share of the floor that is reached."""
    ours = seconds.get("minigan")
    found: dict[str, Any] = {"ratio": {}}
    if ours is not None:
        found["ratio"] = {
            who: digits(row["median"] / ours["median"]) for who, row in seconds.items() if who.startswith("torch")
        }
        if name == "dcgan64" and settings.get("batch_size") == 128:
            found["flop_per_second"] = digits(FLOP_PER_ITERATION / ours["median"])
            if precision == "bf16":
                found["share_of_floor"] = digits(FLOOR_SECONDS / ours["median"])
    return found


def _players(
    bench: Bench, name: str, settings: dict[str, Any], precision: str
) -> dict[str, Callable[[], Callable[[], Any]]]:
    """Return the contestants; each value prepares one and returns its iteration."""
    chosen = None if bench.quick else settings

    def ours(*, graphs: bool, resident: bool) -> Callable[[], Any]:
        options = bench.options(precision, graphs=graphs)
        play = make_step(name, options, settings=chosen, small=bench.quick, resident=resident)[1]
        play()  # recorded
        play()  # captured
        return play

    found: dict[str, Callable[[], Callable[[], Any]]] = {
        "minigan": lambda: ours(graphs=True, resident=True),
        "minigan, step by step": lambda: ours(graphs=False, resident=True),
        "minigan, host draws": lambda: ours(graphs=True, resident=False),
    }
    if bench.torch_device:
        for who in TORCH:
            if who == "torch-compile" and (name, precision) not in COMPILED:
                continue
            if who == "torch-channels-last" and not CASES[name].convolutional:
                continue
            found[who] = lambda who=who: _torch(bench, name, chosen, precision, who)
    return found


def _torch(bench: Bench, name: str, settings: dict[str, Any] | None, precision: str, who: str) -> Callable[[], Any]:
    from benchmarks.gpu.torch_side import DeviceGame, as_graph, play_of

    game = DeviceGame(
        CASES[name], small=bench.quick, settings=settings, device=str(bench.torch_device), fused_adam=True,
        channels_last=who != "torch" and CASES[name].convolutional, compiled=who == "torch-compile",
        adam={"capturable": True} if who == "torch-graph" else None,
    )  # fmt: skip
    play = play_of(game, precision)
    return as_graph(play) if who == "torch-graph" else play


def _time(bench: Bench, who: str, play: Callable[[], Any]) -> dict[str, Any]:
    if who.startswith("torch"):
        from benchmarks.gpu.torch_side import clock

        chosen = clock(bench)
    else:
        chosen = bench.clock
    once = chosen.wall(play, repeats=1, inner=1, warm=bench.pick(3, 1))[0]
    inner = 1 if bench.quick else max(1, min(200, int(0.1 / max(once, 1e-6))))
    return spread(chosen.wall(play, repeats=bench.pick(9, 2), inner=inner, warm=0))
