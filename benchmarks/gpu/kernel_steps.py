"""Times of the kernels in docs/kernels, from naive to fast."""

import importlib
from typing import Any

from benchmarks.core.measure import installed
from benchmarks.gpu.bench import Bench, why_skipped

MODULE = "benchmarks.gpu.convolution_kernels"
SECONDS_LEFT_TO_START = 10.0
"""Seconds that must remain before the kernels are timed."""


def publish(found: dict[str, Any]) -> None:
    """Store the times and update docs/convolution-kernels.md."""
    if "ms" in found:
        module = importlib.import_module(MODULE)
        module.write_results(found)
        module.main(["--page"])


def run(bench: Bench) -> dict[str, Any]:
    """Return what `benchmarks.gpu.convolution_kernels` measures: each version is checked, then timed."""
    if not installed(MODULE):
        return {"absent": f"{MODULE} is not installed"}
    if bench.device != "gpu":
        return {"absent": "they are timed on a GPU alone"}
    why = why_skipped(bench, "lessons", SECONDS_LEFT_TO_START)
    if why:
        return {"absent": why}
    from minigan.ops.cuda.device.gpu import GPU

    bench.clock.wait()
    module = importlib.import_module(MODULE)
    try:
        found: dict[str, Any] = module.measure(GPU(folders=(module.FOLDER,)))
    finally:
        bench.ops().device.stream.use()  # a new device makes its own stream the current one
    return found
