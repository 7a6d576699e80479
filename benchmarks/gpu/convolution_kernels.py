"""The five kernels of docs/kernels, from naive to fast: what bounds each, and its time on a GPU.

``python -m benchmarks.gpu.convolution_kernels`` measures on a GPU and updates docs/convolution-kernels.md;
``--page`` updates the page from the stored results.

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
"""A kernel is timed only if its largest error, relative to the largest output, is smaller."""

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
    """A kernel, and what bounds its time.

    Attributes
    ----------
    file
        The name of its file in docs/kernels, without the suffix.
    title
        Its name in the table.
    rows, columns
        The outputs of a block.
    threads
        The threads of a block.
    read_cycles
        Cycles in which shared memory (or the first-level cache, which is the same memory) serves a warp's reads for 32
        multiply-adds; it delivers 32 words a cycle.
    tensor
        Whether it runs on tensor cores.
    vectors
        Whether it reads four numbers at a time, so that C and O must be multiples of 4.

    """

    file: str
    title: str
    rows: int
    columns: int
    threads: int
    read_cycles: float
    tensor: bool = False
    vectors: bool = False


VERSIONS = (
    Version("conv1_naive", "one thread per output", 1, 256, 256, 2),
    Version("conv2_shared", "tiles in shared memory", 32, 32, 1024, 40 / 32),
    Version("conv3_registers", "8 x 8 outputs in registers", 128, 128, 256, 16 / 64),
    Version("conv4_vectors", "16 bytes at a time, two buffers", 128, 128, 256, 6 / 64, vectors=True),
    Version("conv5_tensor", "tensor cores", 128, 128, 256, 24 / 512, tensor=True, vectors=True),
)


@dataclass(frozen=True)
class Layer:
    """A correlation with a square kernel.

    Attributes
    ----------
    N, H, W, C
        The shape of x.
    O
        The channels of y.
    taps
        The size of the kernel: taps x taps.
    stride
        The stride on both axes.
    padding
        The zeros on each side of the image.

    """

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
        """The sizes of both images, the kernel, stride, dilation and padding."""
        small = [
            small_size(n, self.taps, stride=self.stride, dilation=1, padding=(self.padding,) * 2) for n in self.large
        ]
        side = (self.padding, self.padding)
        pair = (self.taps, self.taps), (self.stride, self.stride), (1, 1)
        return Geometry(self.large, (small[0], small[1]), *pair, (side, side))

    @property
    def large(self) -> tuple[int, int]:
        """(H, W)."""
        return self.H, self.W

    @property
    def product(self) -> tuple[int, int, int]:
        """Rows, columns and depth of the matrix product over patches."""
        return self.N * math.prod(self.geometry.small), self.O, self.taps**2 * self.C


LAYER = Layer(128, 32, 32, 128, 256, 4, 2, 1)


def launch(device: Device, version: Version, layer: Layer, x: Any, W: Any, y: Any) -> None:
    """Launch a version on the arrays x, W and y of a device that finds kernels in `FOLDER`."""
    rows, columns, _ = layer.product
    if version.rows == 1:
        grid: tuple[int, ...] = (-(-rows * columns // version.threads),)
    else:
        grid = (-(-rows // version.rows), -(-columns // version.columns))
    sizes = (layer.N, *layer.large, layer.C, *layer.geometry.small, layer.O, layer.taps, layer.stride, layer.padding)
    device.launch(version.file, "correlate", grid, version.threads, x, W, y, *sizes)


def relative_error(device: Device, version: Version, layer: Layer, seed: int = 0) -> float:
    """Return the largest error against float64, relative to the largest output, on operands that are exact in tf32."""
    rng = np.random.default_rng(seed)
    bits = 1 << 7  # sums of up to 2^10 products have 24 bits: exact in float32 in any order, and in tf32 operands
    x = np.round(rng.uniform(-1, 1, (layer.N, *layer.large, layer.C)) * bits) / bits
    W = np.round(rng.uniform(-1, 1, (layer.taps, layer.taps, layer.C, layer.O)) * bits) / bits
    expected = reference.correlate(x, W, layer.geometry)
    y = device.xp.full(expected.shape, np.nan, dtype=np.float32)
    launch(device, version, layer, device.array(x.astype(np.float32)), device.array(W.astype(np.float32)), y)
    return float(np.abs(device.host(y) - expected).max() / (np.abs(expected).max() or 1.0))


# --- lower bounds of the times --------------------------------------------------------------------


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
    return math.prod(layer.product) / 32 * version.read_cycles / (PROCESSORS * CLOCK_HZ)


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


# --- times ----------------------------------------------------------------------------------------


def measure(device: Any, rounds: int = 20) -> dict[str, Any]:
    """Check each version, then time it with events of the device; the L2 cache is flushed before each call."""
    cupy = device.xp
    rows, columns, depth = LAYER.product
    rng = np.random.default_rng(0)
    x = device.array(rng.standard_normal((LAYER.N, *LAYER.large, LAYER.C), dtype=np.float32))
    W = device.array(rng.standard_normal((depth, columns), dtype=np.float32))
    y, scrub = cupy.empty((rows, columns), np.float32), cupy.empty(1 << 26, np.float32)
    times = {}
    for version in VERSIONS:
        error = relative_error(device, version, Layer(3, 9, 11, 8, 36, 4, 2, 1))
        if not error < TOLERANCE:
            raise ArithmeticError(
                f"{version.file} has a relative error of {error:.3g}; expected less than {TOLERANCE:g}. "
                "Not timed: the result is wrong."
            )

        def call(version: Version = version) -> None:
            launch(device, version, LAYER, x, W, y)

        times[version.file] = _times(cupy, call, lambda: scrub.fill(0), rounds)
    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    return {"device": name, "date": np.datetime64("today").item().isoformat(), "rounds": rounds, "ms": times}


def _times(cupy: Any, call: Callable[[], None], flush: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Return the median, minimum and maximum of the milliseconds of a call, after three to warm up."""
    found = []
    for number in range(rounds + 3):
        flush()
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        call()
        end.record()
        end.synchronize()
        if number >= 3:
            found.append(float(cupy.cuda.get_elapsed_time(start, end)))
    return {"median": statistics.median(found), "min": min(found), "max": max(found)}


# --- the page -------------------------------------------------------------------------------------


def updated_page(text: str, measured: dict[str, Any] | None) -> str:
    """Return the text with the code after each ``<!-- file -->`` and the table after ``<!-- table -->`` replaced."""

    def code(match: re.Match[str]) -> str:
        return f"<!-- {match[1]} -->\n```cuda\n{(FOLDER / match[1]).read_text(encoding='utf-8').rstrip()}\n```\n"

    text = re.sub(r"<!-- (\w+\.cuh?) -->\n```cuda\n.*?\n```\n", code, text, flags=re.DOTALL)
    return re.sub(
        r"<!-- table -->\n.*?<!-- end of the table -->",
        lambda _: f"<!-- table -->\n{table(measured)}\n<!-- end of the table -->",
        text,
        flags=re.DOTALL,
    )


def stored_results() -> dict[str, Any] | None:
    """Return the stored measurement, or None."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else None


def write_results(measured: dict[str, Any]) -> Path:
    """Write a result of `measure`, with the machine, to `RESULTS`; return its path."""
    return write("convolution_kernels", {"check": {"gate": TOLERANCE}, **measured}, RESULTS.parent)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, unless only the page is to be updated; write the results and the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.convolution_kernels", description=__doc__)
    parser.add_argument("--page", action="store_true", help="only update the page, from the stored results")
    if not parser.parse_args(argv).page:
        from minigan.ops.cuda.device.gpu import GPU

        write_results(measure(GPU(folders=(FOLDER,))))
    PAGE.write_text(updated_page(PAGE.read_text(encoding="utf-8"), stored_results()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
