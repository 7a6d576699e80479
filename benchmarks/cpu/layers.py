"""Each layer of the recipes on its shapes, forward and backward, compared with PyTorch and the machine's limits.

`benchmarks.cases.pieces` says which layers, and what their work is.  The limits are measured: the product of large
square float32 matrices, and a copy of a large array, on all threads.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.cases.pieces import Piece, forward_backward, network, output_shape, pieces, random_arrays
from benchmarks.core import measure
from benchmarks.core.implementations import without_numpy_ml
from minigan.ops import get_ops

IMPLEMENTATIONS = ("minigan", "minigan-numpy", "torch")
RELATIVE_TOLERANCE = 2e-5
"""The largest allowed error of float32 against float64 at batch 2, relative to the largest entry.

That of Winograd's F(2) is 1e-6.
"""


def run(options: measure.Options) -> dict[str, Any]:
    """Check all pieces, measure the machine's limits, time the pieces, and return the result.

    Parameters
    ----------
    options
        The options of the command line.

    Returns
    -------
    dict
        The result, as JSON.

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
    measure.log(f"limits: sgemm {limits['sgemm'] / 1e9:.1f} GFLOP/s, copy {limits['copy'] / 1e9:.1f} GB/s")
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
        rows.append(_row(piece, seconds, limits))
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
        "ceilings": {name: measure.digits(value) for name, value in limits.items()},
        "absent": absent,
        "pieces": rows,
    }


def _row(piece: Piece, seconds: dict[str, Any], limits: dict[str, float]) -> dict[str, Any]:
    """Return the piece's part of the result: its times, rates and shares of the limit."""
    limit = limits["sgemm"] if piece.unit == "flop" else limits["copy"]
    rate = {}
    for name, times in seconds.items():
        work = piece.work * (2 if name.endswith("backward") else 1)
        rate[name] = {
            "per_second": measure.digits(work / times["median"]),
            "share": round(work / times["median"] / limit, 3),
        }
    return {
        "piece": piece.key,
        "layers": ", ".join(type(layer).__name__ for layer in piece.layers),
        "x": [piece.batch, *piece.shape],
        "y": [piece.batch, *output_shape(piece)],
        "unit": piece.unit,
        "work": piece.work,
        "seconds": seconds,
        "rate": rate,
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
        rng = np.random.default_rng(1)
        x = rng.standard_normal((2, *piece.shape)).astype("float32")
        dy = rng.standard_normal((2, *output_shape(piece))).astype("float32")
        expected = forward_backward(network(piece, "reference", "float64"), x.astype(float), dy.astype(float))
        for compiled in [False, True] if measure.installed("numba") else [False]:
            found = forward_backward(network(piece, get_ops("cpu", compiled=compiled)), x, dy)
            for name, a, b in zip(("y", "dx", "dtheta"), found, expected, strict=True):
                error = float(np.abs(a - b).max(initial=0) / max(np.abs(b).max(initial=0), 1e-30)) if b.size else 0.0
                if not error <= RELATIVE_TOLERANCE:
                    raise SystemExit(
                        f"{piece.key}: {name} has a relative error of {error:.3g}; expected at most "
                        f"{RELATIVE_TOLERANCE:g}. Not timed: the result is wrong."
                    )
                worst = float(np.maximum(worst, error))
    return worst


def machine_limits(threads: int, *, quick: bool) -> dict[str, float]:
    """Return the best rates of a product of square matrices (flop/s) and of a copy (bytes/s, read and written).

    Parameters
    ----------
    threads
        The threads of the copy; those of the product are set by the environment.
    quick
        Whether to use small arrays.

    Returns
    -------
    dict
        "sgemm" and "copy".

    """
    n = 512 if quick else 3072
    a, b = (np.random.default_rng(k).standard_normal((n, n)).astype("float32") for k in (0, 1))
    size = 1 << (20 if quick else 26)
    source, target = np.ones(size, "float32"), np.zeros(size, "float32")
    parts = [slice(k * size // threads, (k + 1) * size // threads) for k in range(threads)]
    with ThreadPoolExecutor(threads) as pool:

        def copy() -> None:
            list(pool.map(lambda part: np.copyto(target[part], source[part]), parts))

        return {
            "sgemm": 2 * n**3 / _fastest(lambda: a @ b, 5),
            "copy": 2 * source.nbytes / _fastest(copy, 5),
        }


def _fastest(job: Callable[[], Any], repeats: int) -> float:
    """Return the seconds of the fastest of `repeats` runs, after one to warm up."""
    job()
    return min(_time(job) for _ in range(repeats))


def _time(job: Callable[[], Any]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def _median(job: Callable[[], Any], seconds: float) -> float:
    """Return the median seconds of a run, from 3 to 200 runs within about `seconds` seconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or (time.perf_counter() < end and len(times) < 200):
        times.append(_time(job))
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
        print(json.dumps(machine_limits(args.threads, quick=args.quick)))
        return
    seconds, found = 0.005 if args.quick else 0.1, {}
    for piece in pieces(quick=args.quick):
        if args.implementation == "torch":
            found[piece.key] = torch_times(piece, args.threads, seconds)
        else:
            compiled = False if args.implementation == "minigan-numpy" else None
            found[piece.key] = minigan_times(piece, compiled, args.threads, seconds)
    total = sum(sum(times.values()) for times in found.values())
    print(json.dumps({"seconds": total, "pieces": found}))


if __name__ == "__main__":
    main()
