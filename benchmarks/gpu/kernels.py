"""Each layer of the recipes on its shapes, forward and backward, in each precision; then single kernels.

Rates and pieces are those of `benchmarks.cpu.layers`: operations of the direct sums, or bytes as if x were read and y
written once; twice as many backward.  They are compared with PyTorch's modules in channels_last (cuDNN, cuBLAS) and its
fused operations, in the same precision.  Both times are the device's: ours is a captured graph, and PyTorch's launches
are hidden by flushing the caches.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import minigan as mg
from benchmarks.core.measure import digits, log
from benchmarks.cpu.layers import Piece, _arrays, _once, _output, network, pieces
from benchmarks.gpu.bench import PRECISIONS, Bench, spread, torch_precision, why_skipped
from minigan.ops.cuda.data import Images
from minigan.ops.cuda.random import Stream

TOLERANCES = {"fp32": 2e-5, "tf32": 4e-3, "bf16": 3e-2}
"""The largest relative errors against float64; operands have 24, 11 and 8 bits."""
SETTINGS = {
    "dcgan64": {"batch_size": 128},
    "mnist-dcgan": {"batch_size": 32},
    "mnist-dense": {"batch_size": 32},
    "mnist-maxout": {},
}
SECONDS_PER_PIECE = 3.0
"""Seconds needed to time a piece."""


def run(bench: Bench, ceilings: dict[str, Any]) -> dict[str, Any]:
    """Check and time every piece, then single kernels."""
    found: dict[str, Any] = {"pieces": [], "single": [], "worst": {}}
    every = pieces(quick=bench.quick, settings=None if bench.quick else SETTINGS)
    for piece in sorted(every, key=lambda piece: not piece.key.startswith("dcgan64")):
        why = why_skipped(bench, piece.key, SECONDS_PER_PIECE)
        if why:
            found["left_out"] = f"{piece.key} and what comes after it: {why}"
            break
        for precision in PRECISIONS if piece.unit == "flop" else ("fp32",):
            with bench.recording_failures(f"kernels, {piece.key} in {precision}"):
                error = check(bench, piece, precision)
                found["worst"][precision] = max(found["worst"].get(precision, 0.0), error)
                row = _row(piece, precision, _times(bench, piece, precision), ceilings)
                found["pieces"].append({**row, "error": digits(error)})
                times = ", ".join(f"{way} {1e3 * t['median']:.3g} ms" for way, t in row["seconds"].items())
                log(f"{piece.key} {precision}: {times}")
    for name, make in SINGLE.items():
        if not why_skipped(bench, name, SECONDS_PER_PIECE):
            with bench.recording_failures(f"kernels, {name}"):
                found["single"].append(_single(bench, name, make, ceilings))
    return found


def check(bench: Bench, piece: Piece, precision: str) -> float:
    """Return the worst relative error of y, dx and g at batch 2 against the reference in float64."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, *piece.shape)).astype("float32")
    dy = rng.standard_normal((2, *_output(piece))).astype("float32")
    want = _once(network(piece, "reference", "float64"), x.astype(float), dy.astype(float))
    ops = bench.ops(precision)
    got = _once(network(piece, ops), ops.device.array(x), ops.device.array(dy))
    worst = 0.0
    seen = ("y", "dx", "dtheta")
    if precision != "fp32" and isinstance(piece.layers[0], mg.Maxout):
        seen = ("y",)  # if two pieces are nearly equal, rounded operands may select the other
    for name, a, b in zip(seen, got, want, strict=False):
        scale = max(np.abs(b).max(initial=0), 1e-30)
        error = float(np.abs(ops.device.host(a) - b).max(initial=0) / scale) if b.size else 0.0
        if not error <= TOLERANCES[precision]:
            raise SystemExit(f"{piece.key} in {precision}: {name} has a relative error of {error:.3g}: nothing to time")
        worst = max(worst, error)
    return worst


def _times(bench: Bench, piece: Piece, precision: str) -> dict[str, Any]:
    repeats = bench.pick(20, 2)
    ops = bench.ops(precision)
    net = network(piece, ops)
    x, dy, rng = _arrays(piece)
    x, dy, g = ops.device.array(x), ops.device.array(dy), net.zeros_like_theta()
    _, backward = net.forward(x, train=True, rng=rng)
    backward(dy, g)
    forward = ops.device.capture(lambda: net.forward(x, train=True, rng=rng, update_state=False)[0])
    back = ops.device.capture(lambda: backward(dy, g))
    found = {
        "minigan forward": bench.clock.device(forward.replay, repeats=repeats),
        "minigan backward": bench.clock.device(back.replay, repeats=repeats),
    }
    if bench.torch_device:
        found |= _torch_times(bench, piece, precision, repeats)
    return {name: spread(times) for name, times in found.items()}


def _torch_times(bench: Bench, piece: Piece, precision: str, repeats: int) -> dict[str, list[float]]:
    import torch

    from benchmarks.gpu.torch_side import clock
    from benchmarks.other_libraries.torch.twin import modules

    twin = modules(network(piece, "cpu"), piece.shape, channels_last=True).to(bench.torch_device)
    x, dy, _ = _arrays(piece)

    def tensor(a: Any) -> Any:
        t = torch.from_numpy(a).to(bench.torch_device)
        return t.permute(0, 3, 1, 2) if t.ndim == 4 else t

    t = tensor(x).requires_grad_(True)
    inputs = [t, *twin.parameters()]
    with torch_precision(precision, str(bench.torch_device)):
        y = twin(t)
        dt = tensor(dy).to(y.dtype)

        def pull() -> Any:
            return torch.autograd.grad(y, inputs, dt, retain_graph=True)

        return {
            "torch forward": clock(bench).device(lambda: twin(t), repeats=repeats),
            "torch backward": clock(bench).device(pull, repeats=repeats),
        }


def _row(piece: Piece, precision: str, ways: dict[str, Any], ceilings: dict[str, Any]) -> dict[str, Any]:
    ceiling = ceilings["copy" if piece.unit == "byte" else f"gemm_{precision}"]["per_second"]
    rate = {}
    for way, times in ways.items():
        work = piece.work * (2 if way.endswith("backward") else 1)
        rate[way] = {
            "per_second": digits(work / times["median"]),
            "share": round(work / times["median"] / ceiling, 4),
        }
    return {
        "piece": piece.key,
        "layers": ", ".join(type(layer).__name__ for layer in piece.layers),
        "x": [piece.batch, *piece.shape],
        "y": [piece.batch, *_output(piece)],
        "precision": precision,
        "unit": piece.unit,
        "work": piece.work,
        "seconds": ways,
        "rate": rate,
    }


# --- single kernels: (bytes, our job, PyTorch's job or None, what is checked) ---------------------------------------

KernelCase = tuple[float, Callable[[], Any], Callable[[], Any] | None, Callable[[], float]]


def _single(bench: Bench, name: str, make: Callable[[Bench], KernelCase], ceilings: dict[str, Any]) -> dict[str, Any]:
    work, ours, theirs, error = make(bench)
    found = error()
    if not found <= TOLERANCES["fp32"]:
        raise SystemExit(f"{name} has a relative error of {found:.3g}: nothing to time")
    repeats = bench.pick(20, 2)
    times = {"minigan": spread(bench.clock.device(ours, repeats=repeats))}
    if theirs is not None:
        from benchmarks.gpu.torch_side import clock

        times["torch"] = spread(clock(bench).device(theirs, repeats=repeats))
    top = ceilings["copy"]["per_second"]
    rate = {
        key: {"per_second": digits(work / row["median"]), "share": round(work / row["median"] / top, 4)}
        for key, row in times.items()
    }
    log(f"{name}: " + ", ".join(f"{key} {row['per_second'] / 1e9:.4g} GB/s" for key, row in rate.items()))
    return {"kernel": name, "work": work, "unit": "byte", "seconds": times, "rate": rate, "error": digits(found)}


def _adam(bench: Bench) -> KernelCase:
    """One update of as many parameters as dcgan64's G and D have."""
    ops, n = bench.ops("fp32"), bench.pick(6_343_000, 1000)
    host = [np.random.default_rng(k).uniform(0.1, 1, n).astype("float32") for k in range(4)]
    step = {"lr": 0.1, "beta1": 0.5, "beta2": 0.999, "eps": 1e-8}

    def error() -> float:
        exact, given = [v.astype(float) for v in host], [ops.device.array(v) for v in host]
        mg.ops.get_ops("reference").adam(*exact, 3, **step)
        ops.adam(*given, 3, **step)
        return max(_error(ops.device.host(a), b) for a, b in zip(given, exact, strict=True))

    given = [ops.device.array(v) for v in host]
    theirs = None
    if bench.torch_device:
        import torch

        p = torch.nn.Parameter(torch.from_numpy(host[0]).to(bench.torch_device))
        p.grad = torch.from_numpy(host[1]).to(bench.torch_device)
        theirs = torch.optim.Adam([p], lr=0.1, betas=(0.5, 0.999), fused=True).step
    return 28.0 * n, lambda: ops.adam(*given, 3, **step), theirs, error  # reads four vectors, writes three


def _dropout(bench: Bench) -> KernelCase:
    """A mask on 32 MiB."""
    ops, n = bench.ops("fp32"), bench.pick(8 << 20, 1000)
    host = np.random.default_rng(0).standard_normal(n).astype("float32")
    x = ops.device.array(host)

    def error() -> float:
        return _error(ops.device.host(ops.dropout(x, 0.25, 7)), mg.ops.get_ops("reference").dropout(host, 0.25, 7))

    theirs = None
    if bench.torch_device:
        import torch

        t = torch.from_numpy(host).to(bench.torch_device)

        def theirs() -> Any:
            return torch.nn.functional.dropout(t, 0.25)

    return 8.0 * n, lambda: ops.dropout(x, 0.25, 7), theirs, error


def _normals(bench: Bench) -> KernelCase:
    """32 MiB of normal numbers; the check is of Philox's integers, against numpy.random.Philox."""
    ops, n = bench.ops("fp32"), bench.pick(8 << 20, 1000)
    xp, stream = ops.xp, Stream(ops.device, 11)
    out = xp.empty(n, dtype=np.float32)

    def error() -> float:
        found = ops.device.host(Stream(ops.device, 11).integers(1000))
        return float((found != np.random.Philox(key=11).random_raw(1000)).any())

    theirs = None
    if bench.torch_device:
        import torch

        t = torch.empty(n, device=bench.torch_device)
        theirs = t.normal_
    return 4.0 * n, lambda: stream.normal(n, out=out), theirs, error


def _gather(bench: Bench) -> KernelCase:
    """A batch of 64x64 colour images from bytes on the device, scaled to [-1, 1]."""
    ops, D, N = bench.ops("fp32"), bench.pick(20_000, 8), bench.pick(128, 4)
    images = np.random.default_rng(0).integers(0, 256, (D, 64, 64, 3)).astype(np.uint8)
    order = np.random.default_rng(1).permutation(D).astype(np.int64)
    on_device, index = Images(ops.device, images), ops.device.array(order)
    out = ops.xp.empty((N, 64, 64, 3), dtype=np.float32)

    def error() -> float:
        expected = images[order[:N]] / 127.5 - 1
        return _error(ops.device.host(on_device.consecutive(index, N)), expected)

    theirs = None
    if bench.torch_device:
        import torch

        t, i = (torch.from_numpy(a).to(bench.torch_device) for a in (images, order[:N].copy()))

        def theirs() -> Any:
            return t[i].float().mul_(1 / 127.5).sub_(1)

    return 5.0 * N * 64 * 64 * 3, lambda: on_device.consecutive(index, N, out=out), theirs, error


def _error(found: Any, expected: Any) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


SINGLE: dict[str, Callable[[Bench], KernelCase]] = {
    "Adam": _adam,
    "dropout": _dropout,
    "normals (Philox)": _normals,
    "batch of bytes": _gather,
}
