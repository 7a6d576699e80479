"""The five kernels of docs/kernels, from naive to fast: what bounds each, and its time on a GPU.

``python -m benchmarks.gpu.convolution_kernels`` measures (on a GPU) and brings docs/convolution-kernels.md up to date;
``--page`` does the page alone.

The layer is one of a DCGAN at batch 128: x (128, 32, 32, 128), 4 x 4 taps, stride 2, y (128, 16, 16, 256).
"""

import argparse
import json
import math
import re
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.core.measure import write
from minigan.ops import reference
from minigan.ops.cuda.device.base import Device
from minigan.ops.geometry import Geometry, small_size

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "kernels"
PAGE = ROOT / "docs" / "convolution-kernels.md"
RESULTS = ROOT / "benchmarks" / "results" / "convolution_kernels.json"
TOLERANCE = 1e-5
"""The largest error of a kernel, relative to the largest output, with which it is timed."""

# An H200, from its data sheet and the CUDA programming guide.
PROCESSORS = 132
CLOCK_HZ = 1.98e9
"""Cycles per second: 67 TFLOP/s are 132 processors x 128 lanes x 2 FLOP at this clock."""
LANES = 128
"""float32 multiply-adds per cycle and processor."""
TENSOR_FLOP_PER_SECOND = 495e12
"""FLOP per second of the tensor cores in tf32, dense."""
MMA_SYNC_SHARE = 0.63
"""The share of that rate that mma.sync reaches."""
COPY_BYTES_PER_SECOND = 4.3e12
"""Bytes per second that a copy reaches (the data sheet says 4.8e12)."""


@dataclass(frozen=True)
class Version:
    """A kernel, the outputs (rows x columns) and threads of a block, and what 32 multiply-adds of a warp cost.

    reads   cycles of the shared memory (or the first cache, which is the same memory: 32 words a cycle), of a warp,
            for each 32 multiply-adds
    tensor  on tensor cores
    """

    file: str
    title: str
    rows: int
    columns: int
    threads: int
    reads: float
    tensor: bool = False
    packs: bool = False
    """C and O are multiples of 4."""


VERSIONS = (
    Version("conv1_naive", "a thread an output", 1, 256, 256, 2),
    Version("conv2_shared", "tiles in shared memory", 32, 32, 1024, 40 / 32),
    Version("conv3_registers", "8 x 8 outputs in registers", 128, 128, 256, 16 / 64),
    Version("conv4_vectors", "16 bytes at a time, two buffers", 128, 128, 256, 6 / 64, packs=True),
    Version("conv5_tensor", "tensor cores", 128, 128, 256, 24 / 512, tensor=True, packs=True),
)


@dataclass(frozen=True)
class Layer:
    """A correlation with a square kernel, its stride and the zeros around the image."""

    N: int
    H: int
    W: int
    C: int
    O: int
    taps: int
    stride: int
    padding: int

    @property
    def geometry(self) -> Geometry:
        """The pixels that meet."""
        small = [
            small_size(n, self.taps, stride=self.stride, dilation=1, padding=(self.padding,) * 2) for n in self.large
        ]
        side = (self.padding, self.padding)
        pair = (self.taps, self.taps), (self.stride, self.stride), (1, 1)
        return Geometry(self.large, (small[0], small[1]), *pair, (side, side))

    @property
    def large(self) -> tuple[int, int]:
        """The size of the images."""
        return self.H, self.W

    @property
    def product(self) -> tuple[int, int, int]:
        """Rows, columns and depth of the matrix product over patches."""
        return self.N * math.prod(self.geometry.small), self.O, self.taps**2 * self.C


LAYER = Layer(128, 32, 32, 128, 256, 4, 2, 1)


def run(device: Device, version: Version, layer: Layer, x: Any, W: Any, y: Any) -> None:
    """Launch a version on arrays of a device whose folders have `FOLDER`."""
    rows, columns, _ = layer.product
    if version.rows == 1:
        grid: tuple[int, ...] = (-(-rows * columns // version.threads),)
    else:
        grid = (-(-rows // version.rows), -(-columns // version.columns))
    sizes = (layer.N, *layer.large, layer.C, *layer.geometry.small, layer.O, layer.taps, layer.stride, layer.padding)
    device.launch(version.file, "correlate", grid, version.threads, x, W, y, *sizes)


def error(device: Device, version: Version, layer: Layer, seed: int = 0) -> float:
    """Return the largest error against float64, relative to the largest output; tf32's operands are 11 bits long."""
    rng = np.random.default_rng(seed)
    bits = 1 << 7  # sums of up to 2^10 products have 24 bits: exact in float32 in any order, and in tf32 operands
    x = np.round(rng.uniform(-1, 1, (layer.N, *layer.large, layer.C)) * bits) / bits
    W = np.round(rng.uniform(-1, 1, (layer.taps, layer.taps, layer.C, layer.O)) * bits) / bits
    want = reference.correlate(x, W, layer.geometry)
    y = device.xp.full(want.shape, np.nan, dtype=np.float32)
    run(device, version, layer, device.array(x.astype(np.float32)), device.array(W.astype(np.float32)), y)
    return float(np.abs(device.host(y) - want).max() / (np.abs(want).max() or 1.0))


# --- limits of the times------------------------------------------------------------------------------


def multiply_add_seconds(version: Version, layer: Layer = LAYER) -> float:
    """Return the seconds of the multiply-adds alone."""
    flop = 2.0 * math.prod(layer.product)
    return (
        flop / (TENSOR_FLOP_PER_SECOND * MMA_SYNC_SHARE)
        if version.tensor
        else flop / (2 * LANES * PROCESSORS * CLOCK_HZ)
    )


def read_seconds(version: Version, layer: Layer = LAYER) -> float:
    """Return the seconds of the reads of shared memory or of the first-level cache."""
    return math.prod(layer.product) / 32 * version.reads / (PROCESSORS * CLOCK_HZ)


def bytes_read(version: Version, layer: Layer = LAYER) -> float:
    """Return the bytes that the blocks read: each reads its rows of patches and its columns of weights."""
    rows, columns, depth = layer.product
    blocks = -(-rows // version.rows) * -(-columns // version.columns)
    return 4.0 * blocks * depth * (version.rows + version.columns)


def minimum_bytes(layer: Layer = LAYER) -> float:
    """Return the bytes of x, W and y."""
    rows, columns, depth = layer.product
    return 4.0 * (layer.N * math.prod(layer.large) * layer.C + depth * columns + rows * columns)


def table(measured: dict[str, Any] | None) -> str:
    """Return the page's table; `measured` is the result of `measure`."""
    lines = [
        "| version | multiply-adds, ms | reads of shared memory, ms | brought to the processors, GB | measured, ms |",
        "|---|---|---|---|---|",
    ]
    for number, version in enumerate(VERSIONS, start=1):
        time = "not measured yet"
        if measured:
            one = measured["ms"][version.file]
            time = f"{one['median']:.3g} ({one['min']:.3g} ... {one['max']:.3g})"
        lines.append(
            f"| {number}. {version.title} | {1e3 * multiply_add_seconds(version):.2f} "
            f"| {1e3 * read_seconds(version):.2f} | {bytes_read(version) / 1e9:.1f} | {time} |"
        )
    if measured:
        lines += ["", f"Measured {measured['date']} on {measured['device']}: medians of {measured['rounds']} rounds."]
    return "\n".join(lines)


# --- times ----------------------------------------------------------------------------------------------


def measure(device: Any, rounds: int = 20) -> dict[str, Any]:
    """Check each version, then time it with events of the device; the L2 cache is flushed before each call."""
    cupy = device.xp
    rows, columns, depth = LAYER.product
    rng = np.random.default_rng(0)
    x = device.array(rng.standard_normal((LAYER.N, *LAYER.large, LAYER.C), dtype=np.float32))
    W = device.array(rng.standard_normal((depth, columns), dtype=np.float32))
    y, swept = cupy.empty((rows, columns), np.float32), cupy.empty(1 << 26, np.float32)
    times = {}
    for version in VERSIONS:
        wrong = error(device, version, Layer(3, 9, 11, 8, 36, 4, 2, 1))
        if not wrong < TOLERANCE:
            raise ArithmeticError(f"{version.file} is wrong by {wrong}")

        def call(version: Version = version) -> None:
            run(device, version, LAYER, x, W, y)

        times[version.file] = _times(cupy, call, lambda: swept.fill(0), rounds)
    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    return {"device": name, "date": np.datetime64("today").item().isoformat(), "rounds": rounds, "ms": times}


def _times(cupy: Any, call: Callable[[], None], sweep: Callable[[], Any], rounds: int) -> dict[str, float]:
    found = []
    for number in range(rounds + 3):
        sweep()
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        call()
        end.record()
        end.synchronize()
        if number >= 3:
            found.append(float(cupy.cuda.get_elapsed_time(start, end)))
    return {"median": statistics.median(found), "min": min(found), "max": max(found)}


# --- the page -------------------------------------------------------------------------------------------


def page(text: str, measured: dict[str, Any] | None) -> str:
    """Return the page with each ``<!-- file -->`` followed by that file and ``<!-- table -->`` by the table."""

    def code(match: re.Match[str]) -> str:
        return f"<!-- {match[1]} -->\n```cuda\n{(FOLDER / match[1]).read_text(encoding='utf-8').rstrip()}\n```\n"

    text = re.sub(r"<!-- (\w+\.cuh?) -->\n```cuda\n.*?\n```\n", code, text, flags=re.DOTALL)
    return re.sub(
        r"<!-- table -->\n.*?<!-- end of the table -->",
        lambda _: f"<!-- table -->\n{table(measured)}\n<!-- end of the table -->",
        text,
        flags=re.DOTALL,
    )


def results() -> dict[str, Any] | None:
    """Return the stored measurement, or None."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else None


def keep(measured: dict[str, Any]) -> Path:
    """Write the results, with the machine."""
    return write("convolution_kernels", {"check": {"gate": TOLERANCE}, **measured}, RESULTS.parent)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the results and the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.convolution_kernels", description=__doc__)
    parser.add_argument("--page", action="store_true", help="the page alone, from what was measured before")
    if not parser.parse_args(argv).page:
        from minigan.ops.cuda.device.gpu import GPU

        keep(measure(GPU(folders=(FOLDER,))))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), results()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
