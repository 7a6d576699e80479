"""Shared by the stages: the backend in each precision, PyTorch if available, clocks, and the remaining time."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from benchmarks.core.measure import digits, installed, log
from minigan.ops import get_ops

Job = Callable[[], Any]
PRECISIONS = ("fp32", "tf32", "bf16")
SCRUB_BYTES = 1 << 30
"""Bytes written before each repeat: more than the GPU's caches hold, and long enough to hide a launch."""


class Clock:
    """Device time (from events, with flushed caches) and wall time."""

    def __init__(self, device: Any) -> None:
        import cupy

        self._cupy, self._stream = cupy, device.stream
        self._scrub = cupy.empty(SCRUB_BYTES, dtype=cupy.uint8)

    def device(self, job: Job, *, repeats: int, warm: int = 3) -> list[float]:
        """Return the device's seconds of each of `repeats` runs; flushing the caches hides CPU time."""
        for _ in range(warm):
            job()
        found = []
        for _ in range(repeats):
            start, end = self._cupy.cuda.Event(), self._cupy.cuda.Event()
            self._scrub.fill(0)
            start.record(self._stream)
            job()
            end.record(self._stream)
            end.synchronize()
            found.append(self._cupy.cuda.get_elapsed_time(start, end) / 1e3)
        return found

    def wall(self, job: Job, *, repeats: int, inner: int, warm: int = 3) -> list[float]:
        """Return the wall seconds per run, averaged over `inner` runs in a row, `repeats` times; Python is included."""
        for _ in range(warm):
            job()
        self.wait()
        found = []
        for _ in range(repeats):
            start = time.perf_counter()
            for _ in range(inner):
                job()
            self.wait()
            found.append((time.perf_counter() - start) / inner)
        return found

    def wait(self) -> None:
        """Wait until all launched work has ended."""
        self._cupy.cuda.runtime.deviceSynchronize()


def spread(seconds: list[float]) -> dict[str, float]:
    """Return the median, minimum, maximum, and the interquartile range as a share of the median."""
    quartiles = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else [seconds[0]] * 3
    median = statistics.median(seconds)
    return {
        "median": digits(median),
        "min": digits(min(seconds)),
        "max": digits(max(seconds)),
        "spread": digits((quartiles[2] - quartiles[0]) / median),
        "repeats": len(seconds),
    }


@dataclass
class Bench:
    """The options and tools of a run."""

    device: str  # of ``get_ops("cuda", device=...)``
    clock: Any
    quick: bool = False
    seconds: float = 600.0
    torch_device: str | None = None  # None: PyTorch is not installed or sees no GPU
    absent: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)  # what failed, and its error
    started: float = field(default_factory=time.perf_counter)

    def options(self, precision: str = "fp32", *, graphs: bool = True) -> dict[str, Any]:
        """Return the backend's options."""
        return {"device": self.device, "precision": precision, "graphs": graphs}

    def ops(self, precision: str = "fp32", *, graphs: bool = True) -> Any:
        """Return the backend."""
        return get_ops("cuda", **self.options(precision, graphs=graphs))

    @contextmanager
    def recording_failures(self, what: str) -> Iterator[None]:
        """Log what the block raises and store it in `failed`; the run continues."""
        try:
            yield
        except (Exception, SystemExit) as error:
            text = (str(error).strip() or "no message").splitlines()[0][:300]
            self.failed[what] = text if isinstance(error, SystemExit) else f"{type(error).__name__}: {text}"
            log(f"{what}: failed: {self.failed[what]}")

    @property
    def seconds_left(self) -> float:
        """The seconds until the run must end."""
        return self.seconds - (time.perf_counter() - self.started)

    def pick(self, full: int, quick: int) -> int:
        """Return `full`, or `quick` in a smoke run."""
        return quick if self.quick else full


def on_this_machine(*, quick: bool, seconds: float) -> Bench:
    """Return the tools for CuPy's GPU; raise BackendUnavailable if there is none."""
    bench = Bench("gpu", None, quick, seconds)
    bench.clock = Clock(bench.ops().device)
    if not installed("torch"):
        bench.absent["torch"] = "torch is not installed"
    else:
        import torch

        if torch.cuda.is_available():
            bench.torch_device = "cuda"
        else:
            bench.absent["torch"] = f"torch {torch.__version__} sees no GPU"
    return bench


@contextmanager
def torch_precision(name: str, device: str = "cuda") -> Iterator[Any]:
    """Set PyTorch to the same precision: strict fp32, TF32 allowed, or autocast to bf16."""
    import torch

    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    matmul.allow_tf32 = cudnn.allow_tf32 = name == "tf32"
    cudnn.benchmark = True  # usual setting: cuDNN tries its convolution algorithms
    try:
        with torch.autocast(device, torch.bfloat16) if name == "bf16" else nullcontext():
            yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before


def why_skipped(bench: Bench, what: str, seconds: float) -> str | None:
    """Return why a part is skipped for lack of time, or None."""
    if bench.seconds_left >= seconds:
        return None
    why = f"skipped: {bench.seconds_left:.0f} s were left, {seconds:.0f} s are needed"
    log(f"{what}: {why}")
    return why
