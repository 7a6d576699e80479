"""Each layer of the recipes on its shapes, forward and backward, in each precision; then single kernels.

Rates and pieces are those of `benchmarks.cases.pieces`: operations of the direct sums, or bytes as if x were read and y
written once; twice as many backward.  They are compared with PyTorch's modules in channels_last (cuDNN, cuBLAS) and its
fused operations, in the same precision.  Both times are the device's: minigan's is a captured graph, and
PyTorch's launches are hidden by flushing the caches.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import minigan as mg
from benchmarks.cases.pieces import Piece, network, piece_row, pieces, random_arrays, relative_error
from benchmarks.core.measure import digits, log
from benchmarks.gpu.bench import PRECISIONS, Bench, spread, torch_precision, why_skipped
from minigan.ops.cuda.data import Images
from minigan.ops.cuda.random import Stream

TOLERANCES = {"fp32": 2e-5, "tf32": 4e-3, "bf16": 3e-2}
"""The largest allowed relative errors against float64; operands have 24, 11 and 8 bits of precision."""
SETTINGS = {
    "dcgan64": {"batch_size": 128},
    "mnist-dcgan": {"batch_size": 32},
    "mnist-dense": {"batch_size": 32},
    "mnist-maxout": {},
}
SECONDS_PER_PIECE = 3.0
"""Seconds that must remain before a piece is timed."""


def run(bench: Bench, limits: dict[str, Any]) -> dict[str, Any]:
    """Check and time every piece, then single kernels.

    Parameters
    ----------
    bench
        The device, its clock and the options of the run.
    limits
        The result of `benchmarks.gpu.roofline.run`, to which the rates are compared.

    Returns
    -------
    dict
        "pieces" and "single", a row for each that was timed; "worst", the largest relative error by precision; and, if
        time ran out, "left_out", which says from where on pieces are missing.

    """
    found: dict[str, Any] = {"pieces": [], "single": [], "worst": {}}
    every = pieces(quick=bench.quick, settings=None if bench.quick else SETTINGS)
    for piece in sorted(every, key=lambda piece: not piece.key.startswith("dcgan64")):
        why = why_skipped(bench, piece.key, SECONDS_PER_PIECE)
        if why:
            found["left_out"] = f"{piece.key} and all later pieces: {why}"
            break
        for precision in PRECISIONS if piece.unit == "flop" else ("fp32",):
            with bench.recording_failures(f"kernels, {piece.key} in {precision}"):
                error = check(bench, piece, precision)
                found["worst"][precision] = max(found["worst"].get(precision, 0.0), error)
                limit = limits["copy" if piece.unit == "byte" else f"gemm_{precision}"]["per_second"]
                row = piece_row(piece, _times(bench, piece, precision), limit)
                found["pieces"].append({**row, "precision": precision, "error": digits(error)})
                times = ", ".join(f"{name} {1e3 * t['median']:.3g} ms" for name, t in row["seconds"].items())
                log(f"{piece.key} {precision}: {times}")
    for name, prepare in SINGLE_KERNELS.items():
        if not why_skipped(bench, name, SECONDS_PER_PIECE):
            with bench.recording_failures(f"kernels, {name}"):
                found["single"].append(_single(bench, name, prepare, limits))
    return found


def check(bench: Bench, piece: Piece, precision: str) -> float:
    """Compare a piece at batch 2 with the reference backend in float64.

    Parameters
    ----------
    bench
        The device and the options of the run.
    piece
        The layers and their input.
    precision
        One of `PRECISIONS`.

    Returns
    -------
    float
        The largest error of y, dL/dx and dL/dtheta, each relative to its largest entry.

    Raises
    ------
    SystemExit
        If it exceeds the precision's entry of `TOLERANCES`.

    """
    compared = ("y", "dx", "dtheta")
    if precision != "fp32" and isinstance(piece.layers[0], mg.Maxout):
        compared = ("y",)  # if two pieces are nearly equal, rounded operands may select the other
    what, tolerance = f"{piece.key} in {precision}", TOLERANCES[precision]
    return relative_error(piece, bench.ops(precision), tolerance=tolerance, what=what, compared=compared)


def _times(bench: Bench, piece: Piece, precision: str) -> dict[str, Any]:
    repeats = bench.pick(20, 2)
    ops = bench.ops(precision)
    net = network(piece, ops)
    x, dy, rng = random_arrays(piece)
    x, dy, g = ops.device.array(x), ops.device.array(dy), net.zeros_like_theta()
    _, backward = net.forward(x, train=True, rng=rng)
    backward(dy, g)
    forward_graph = ops.device.capture(lambda: net.forward(x, train=True, rng=rng, update_state=False)[0])
    backward_graph = ops.device.capture(lambda: backward(dy, g))
    found = {
        "minigan forward": bench.clock.device(forward_graph.replay, repeats=repeats),
        "minigan backward": bench.clock.device(backward_graph.replay, repeats=repeats),
    }
    if bench.torch_device:
        found |= _torch_times(bench, piece, precision, repeats)
    return {name: spread(times) for name, times in found.items()}


def _torch_times(bench: Bench, piece: Piece, precision: str, repeats: int) -> dict[str, list[float]]:
    import torch

    from benchmarks.gpu.torch_side import clock
    from benchmarks.other_libraries.torch.twin import modules

    twin = modules(network(piece, "cpu"), piece.shape, channels_last=True).to(bench.torch_device)
    x, dy, _ = random_arrays(piece)

    def tensor(a: Any) -> Any:
        t = torch.from_numpy(a).to(bench.torch_device)
        return t.permute(0, 3, 1, 2) if t.ndim == 4 else t

    t = tensor(x).requires_grad_(True)
    inputs = [t, *twin.parameters()]
    with torch_precision(precision, str(bench.torch_device)):
        y = twin(t)
        dt = tensor(dy).to(y.dtype)

        def torch_backward() -> Any:
            return torch.autograd.grad(y, inputs, dt, retain_graph=True)

        return {
            "torch forward": clock(bench).device(lambda: twin(t), repeats=repeats),
            "torch backward": clock(bench).device(torch_backward, repeats=repeats),
        }


# --- single kernels -------------------------------------------------------------------------------

KernelCase = tuple[float, Callable[[], Any], Callable[[], Any] | None, Callable[[], float]]
"""Bytes read and written, minigan's job, PyTorch's (None if it sees no GPU), and a function for the relative error."""


def _single(bench: Bench, name: str, prepare: Callable[[Bench], KernelCase], limits: dict[str, Any]) -> dict[str, Any]:
    work, minigan_job, torch_job, error = prepare(bench)
    found = error()
    if not found <= TOLERANCES["fp32"]:
        raise SystemExit(
            f"{name} has a relative error of {found:.3g}; expected at most {TOLERANCES['fp32']:g}. "
            "Not timed: the result is wrong."
        )
    repeats = bench.pick(20, 2)
    times = {"minigan": spread(bench.clock.device(minigan_job, repeats=repeats))}
    if torch_job is not None:
        from benchmarks.gpu.torch_side import clock

        times["torch"] = spread(clock(bench).device(torch_job, repeats=repeats))
    limit = limits["copy"]["per_second"]
    rate = {
        key: {"per_second": digits(work / row["median"]), "share": round(work / row["median"] / limit, 4)}
        for key, row in times.items()
    }
    log(f"{name}: " + ", ".join(f"{key} {row['per_second'] / 1e9:.4g} GB/s" for key, row in rate.items()))
    return {"kernel": name, "work": work, "unit": "byte", "seconds": times, "rate": rate, "error": digits(found)}


def _adam(bench: Bench) -> KernelCase:
    """One update of Adam for as many parameters as dcgan64's G and D have."""
    ops, n = bench.ops("fp32"), bench.pick(6_343_000, 1000)
    host = [np.random.default_rng(k).uniform(0.1, 1, n).astype("float32") for k in range(4)]
    step = {"lr": 0.1, "beta1": 0.5, "beta2": 0.999, "eps": 1e-8}

    def error() -> float:
        exact, given = [v.astype(float) for v in host], [ops.device.array(v) for v in host]
        mg.ops.get_ops("reference").adam(*exact, 3, **step)
        ops.adam(*given, 3, **step)
        return max(_error(ops.device.host(a), b) for a, b in zip(given, exact, strict=True))

    given = [ops.device.array(v) for v in host]
    torch_job = None
    if bench.torch_device:
        import torch

        p = torch.nn.Parameter(torch.from_numpy(host[0]).to(bench.torch_device))
        p.grad = torch.from_numpy(host[1]).to(bench.torch_device)
        torch_job = torch.optim.Adam([p], lr=0.1, betas=(0.5, 0.999), fused=True).step
    return 28.0 * n, lambda: ops.adam(*given, 3, **step), torch_job, error  # reads four vectors, writes three


def _dropout(bench: Bench) -> KernelCase:
    """Dropout of 32 MiB of float32."""
    ops, n = bench.ops("fp32"), bench.pick(8 << 20, 1000)
    host = np.random.default_rng(0).standard_normal(n).astype("float32")
    x = ops.device.array(host)

    def error() -> float:
        return _error(ops.device.host(ops.dropout(x, 0.25, 7)), mg.ops.get_ops("reference").dropout(host, 0.25, 7))

    torch_job = None
    if bench.torch_device:
        import torch

        t = torch.from_numpy(host).to(bench.torch_device)

        def torch_job() -> Any:
            return torch.nn.functional.dropout(t, 0.25)

    return 8.0 * n, lambda: ops.dropout(x, 0.25, 7), torch_job, error


def _normals(bench: Bench) -> KernelCase:
    """32 MiB of normal numbers; the check compares Philox's integers with those of numpy.random.Philox."""
    ops, n = bench.ops("fp32"), bench.pick(8 << 20, 1000)
    xp, stream = ops.xp, Stream(ops.device, 11)
    out = xp.empty(n, dtype=np.float32)

    def error() -> float:
        found = ops.device.host(Stream(ops.device, 11).integers(1000))
        return float((found != np.random.Philox(key=11).random_raw(1000)).any())

    torch_job = None
    if bench.torch_device:
        import torch

        t = torch.empty(n, device=bench.torch_device)
        torch_job = t.normal_
    return 4.0 * n, lambda: stream.normal(n, out=out), torch_job, error


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

    torch_job = None
    if bench.torch_device:
        import torch

        t, i = (torch.from_numpy(a).to(bench.torch_device) for a in (images, order[:N].copy()))

        def torch_job() -> Any:
            return t[i].float().mul_(1 / 127.5).sub_(1)

    return 5.0 * N * 64 * 64 * 3, lambda: on_device.consecutive(index, N, out=out), torch_job, error


def _error(found: Any, expected: Any) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


SINGLE_KERNELS: dict[str, Callable[[Bench], KernelCase]] = {
    "Adam": _adam,
    "dropout": _dropout,
    "normals (Philox)": _normals,
    "batch of bytes": _gather,
}
