"""The GPU's limits: bytes per second of a copy, operations per second of large products in each precision."""

from typing import Any

import numpy as np

from benchmarks.core.measure import log
from benchmarks.gpu.bench import PRECISIONS, Bench, spread


def run(bench: Bench) -> dict[str, Any]:
    """Measure a copy, and large matrix products in each precision.

    Parameters
    ----------
    bench
        The device, its clock and the options of the run.

    Returns
    -------
    dict
        "copy", and "gemm_fp32", "gemm_tf32" and "gemm_bf16": the backend's calls of cuBLAS on float32 arrays.  If
        PyTorch sees the GPU, also "gemm_bf16_arrays": its product of bf16 arrays, which reads half the bytes and
        reaches a higher rate.  Each is a dict of "work" (bytes read and written, or floating-point operations),
        "seconds" (the `spread` of the repeats) and "per_second", the work divided by the shortest time.

    """
    repeats = bench.pick(20, 2)
    device = bench.ops("fp32").device
    xp = device.xp
    n = bench.pick(1 << 28, 1 << 10)  # a GiB of float32
    source, target = xp.ones(n, dtype=np.float32), xp.zeros(n, dtype=np.float32)

    found: dict[str, Any] = {
        "copy": _best(2 * source.nbytes, bench.clock.device(lambda: _copy(target, source), repeats=repeats))
    }
    size = bench.pick(8192, 32)
    a, b = (_numbers(xp, size, seed) for seed in (1, 2))
    out = xp.zeros((size, size), dtype=np.float32)
    for precision in PRECISIONS:

        def product(precision: str = precision) -> None:
            device.gemm(a, b, out, precision=precision)

        found[f"gemm_{precision}"] = _best(2.0 * size**3, bench.clock.device(product, repeats=repeats))
    if bench.torch_device:
        import torch

        x, y = (torch.randn(size, size, device=bench.torch_device, dtype=torch.bfloat16) for _ in range(2))
        found["gemm_bf16_arrays"] = _best(2.0 * size**3, _on_torch(bench, lambda: x @ y, repeats))
    for name, row in found.items():
        unit = "TB/s" if name == "copy" else "TFLOP/s"
        log(f"limit {name}: {row['per_second'] / 1e12:.4g} {unit}")
    return found


def _numbers(xp: Any, size: int, seed: int) -> Any:
    """Return a matrix of many different numbers: a product of ones takes less power and therefore less time."""
    rows, columns = (xp.asarray(v) for v in np.random.default_rng(seed).standard_normal((2, size)).astype(np.float32))
    return rows[:, None] * columns


def _copy(target: Any, source: Any) -> None:
    target[...] = source


def _best(work: float, seconds: list[float]) -> dict[str, Any]:
    times = spread(seconds)
    return {"per_second": work / times["min"], "work": work, "seconds": times}


def _on_torch(bench: Bench, job: Any, repeats: int) -> list[float]:
    from benchmarks.gpu.torch_side import clock

    return clock(bench).device(job, repeats=repeats)
