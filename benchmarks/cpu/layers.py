"""Each layer of the recipes on its shapes, forward and backward, compared with PyTorch and the machine's limits.

`benchmarks.cases.pieces` says which layers, and what their work is, and `benchmarks.cpu.ceilings` how the limits are
measured: a product of float32 matrices, and a copy of a large array, on all threads.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.cases.pieces import Piece, network, piece_row, pieces, random_arrays, relative_error
from benchmarks.core import instructions, measure
from benchmarks.core.implementations import without_numpy_ml
from benchmarks.cpu.ceilings import machine_limits
from minigan.ops import get_ops

IMPLEMENTATIONS = ("minigan", "minigan-numpy", "torch")
RELATIVE_TOLERANCE = 2e-5
"""The largest allowed error of float32 against float64 at batch 2, relative to the largest entry.

That of Winograd's F(2) is 1e-6.
"""


def run(options: measure.Options) -> dict[str, Any]:
    """Check all pieces, measure the machine's limits, time the pieces, and return the result.

    Raises
    ------
    SystemExit
        If a piece differs from the reference by more than `RELATIVE_TOLERANCE`.

    """
    rounds, every_piece = options.rounds_or(3), pieces(quick=options.quick)
    worst = check(every_piece)
    measure.log(f"check: {len(every_piece)} pieces agree with float64 to {worst:.1e}")
    arguments = ["--threads", str(options.threads), *(["--quick"] if options.quick else [])]
    limits = measure.run("benchmarks.cpu.layers", "limits", arguments, env=options.environment())
    measure.log(f"limits: product {limits['product'] / 1e9:.1f} GFLOP/s, copy {limits['copy'] / 1e9:.1f} GB/s")
    present, absent = [], {"numpy-ml": without_numpy_ml()}
    for name in IMPLEMENTATIONS:
        if name == "torch" and not measure.installed("torch"):
            absent[name] = "torch is not installed"
        elif name == "minigan-numpy" and not measure.installed("numba"):
            absent[name] = "the same as minigan: numba is not installed"
        else:
            present.append(name)
    runs = measure.alternate(
        "benchmarks.cpu.layers", present, rounds=rounds, arguments=arguments, env=options.environment()
    )
    rows = []
    for piece in every_piece:
        seconds = {}
        for name in present:
            for direction in ("forward", "backward"):
                times = [result["pieces"][piece.key][direction] for result in runs[name]]
                seconds[f"{name} {direction}"] = measure.spread(times)
        rows.append(piece_row(piece, seconds, limits["product" if piece.unit == "flop" else "copy"]))
    return {
        "benchmark": "layers",
        "threads": options.threads,
        "rounds": rounds,
        "settings": "small" if options.quick else "full",
        "check": {
            "pieces": len(every_piece),
            "against": "reference in float64",
            "relative": worst,
            "gate": RELATIVE_TOLERANCE,
        },
        "ceilings": {name: measure.digits(limits[name]) for name in ("product", "copy")},
        "absent": absent,
        "pieces": rows,
    }


# --- checks and times -----------------------------------------------------------------------------


def check(every_piece: Sequence[Piece]) -> float:
    """Compare y, dx and the parameter gradient in float32 with the reference backend in float64, at batch 2.

    Parameters
    ----------
    every_piece
        The pieces that are compared, with numba's kernels and without.

    Returns
    -------
    float
        The largest absolute error, divided by the largest absolute entry.

    Raises
    ------
    SystemExit
        If it exceeds `RELATIVE_TOLERANCE`.

    """
    worst = 0.0
    for piece in every_piece:
        for compiled in [False, True] if measure.installed("numba") else [False]:
            ops = get_ops("cpu", compiled=compiled)
            worst = max(worst, relative_error(piece, ops, tolerance=RELATIVE_TOLERANCE, what=piece.key))
    return worst


def _median(job: Callable[[], Any], seconds: float) -> float:
    """Return the median seconds of a run, from 3 to 200 runs within about `seconds` seconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or (time.perf_counter() < end and len(times) < 200):
        times.append(measure.seconds_of(job))
    return sorted(times)[len(times) // 2]


def minigan_times(piece: Piece, compiled: bool | None, threads: int, seconds: float) -> dict[str, float]:
    """Return minigan's median seconds forward and backward (dx and the parameter gradient).

    Parameters
    ----------
    piece
        The layers and their input.
    compiled
        Whether to run numba's kernels; None: if numba is installed.
    threads
        The threads of the backend.
    seconds
        How long to time each direction.

    """
    net = network(piece, get_ops("cpu", threads=threads, compiled=compiled))
    x, dy, rng = random_arrays(piece)
    g = net.zeros_like_theta()
    with net.ops.session():
        _, backward = net.forward(x, train=True, rng=rng)
        backward(dy, g)  # compile before timing
        return {
            "forward": _median(lambda: net.forward(x, train=True, rng=rng), seconds),
            "backward": _median(lambda: backward(dy, g), seconds),
        }


def torch_times(piece: Piece, threads: int, seconds: float) -> dict[str, float]:
    """Return the median seconds of PyTorch's modules in channels_last, forward and backward.

    Parameters
    ----------
    piece
        The layers and their input.
    threads
        PyTorch's threads.
    seconds
        How long to time each direction.

    """
    import torch

    from benchmarks.other_libraries.torch.twin import modules

    torch.set_num_threads(threads)
    twin = modules(network(piece, "cpu"), piece.shape, channels_last=True)

    def tensor(a: Any) -> Any:
        return torch.from_numpy(a).permute(0, 3, 1, 2) if a.ndim == 4 else torch.from_numpy(a)

    x, dy, _ = random_arrays(piece)
    t, dt = tensor(x).requires_grad_(True), tensor(dy)
    inputs = [t, *twin.parameters()]
    y = twin(t)
    torch.autograd.grad(y, inputs, dt, retain_graph=True)
    return {
        "forward": _median(lambda: twin(t), seconds),
        "backward": _median(lambda: torch.autograd.grad(y, inputs, dt, retain_graph=True), seconds),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Time all pieces for one implementation, or measure the machine's limits; print JSON."""
    parser = argparse.ArgumentParser(description="One implementation of the benchmark of layers.")
    parser.add_argument("--implementation", choices=(*IMPLEMENTATIONS, "limits"), required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args(argv)
    if args.implementation == "limits":
        limits = machine_limits(args.threads, quick=args.quick)
        print(json.dumps({**limits, "instructions": instructions.observed()}))
        return
    seconds, found = 0.005 if args.quick else 0.1, {}
    for piece in pieces(quick=args.quick):
        if args.implementation == "torch":
            found[piece.key] = torch_times(piece, args.threads, seconds)
        else:
            compiled = False if args.implementation == "minigan-numpy" else None
            found[piece.key] = minigan_times(piece, compiled, args.threads, seconds)
    total = sum(sum(times.values()) for times in found.values())
    print(json.dumps({"seconds": total, "pieces": found, "instructions": instructions.observed()}))


if __name__ == "__main__":
    main()
