"""PyTorch on the GPU: its clock, and the recipes' games with batches stored on the device."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.bench import SCRUB_BYTES, Bench, Job, torch_precision
from benchmarks.other_libraries.torch.games import Game

POOL_BATCHES = 4
"""Batches stored on the device; each iteration gathers one of them."""


class TorchClock:
    """`benchmarks.gpu.bench.Clock` on PyTorch's stream."""

    def __init__(self) -> None:
        self._scrub = torch.empty(SCRUB_BYTES, dtype=torch.uint8, device="cuda")

    def device(self, job: Job, *, repeats: int, warm: int = 3) -> list[float]:
        """Return the device's seconds of each run."""
        for _ in range(warm):
            job()
        found = []
        for _ in range(repeats):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            self._scrub.fill_(0)
            start.record()
            job()
            end.record()
            end.synchronize()
            found.append(start.elapsed_time(end) / 1e3)
        return found

    def wall(self, job: Job, *, repeats: int, inner: int, warm: int = 3) -> list[float]:
        """Return the wall seconds per run, averaged over `inner` runs in a row."""
        for _ in range(warm):
            job()
        torch.cuda.synchronize()
        found = []
        for _ in range(repeats):
            start = time.perf_counter()
            for _ in range(inner):
                job()
            torch.cuda.synchronize()
            found.append((time.perf_counter() - start) / inner)
        return found


def clock(bench: Bench) -> Any:
    """Return PyTorch's clock; on the CPU (in tests of this harness), the bench's."""
    return TorchClock() if bench.torch_device == "cuda" else bench.clock


class DeviceGame(Game):
    """A game whose batches are gathered from a pool on the device, and whose noise is drawn there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        first = torch.cat([super(DeviceGame, self).real() for _ in range(POOL_BATCHES)])
        self._size = len(first) // POOL_BATCHES
        self._pool = first.contiguous(memory_format=torch.channels_last) if self._images(first) else first
        z = np.asarray(self.recipe.prior(self.config, 4, np.random.default_rng(0)))
        self._shape = z.shape[1:]
        bound = self.recipe.prior(self.config, 4096, np.random.default_rng(0))
        self._uniform = float(np.abs(bound).max()) < 2  # of the recipes' priors: uniform within sqrt 3, or normal

    def _images(self, x: torch.Tensor) -> bool:
        return x.ndim == 4 and self.channels_last

    def real(self) -> torch.Tensor:
        """Return a random batch from the pool."""
        index = torch.randint(len(self._pool), (self._size,), device=self.device)
        return self._pool[index]

    def noise(self, n: int) -> torch.Tensor:
        """Return noise of the prior's distribution, drawn on the device."""
        dtype = getattr(torch, str(self.numpy_dtype))
        z = torch.empty((n, *self._shape), device=self.device, dtype=dtype)
        return z.uniform_(-1, 1) if self._uniform else z.normal_()


def play_of(game: Game, precision: str) -> Callable[[], None]:
    """Return a function that runs one iteration in the given precision."""

    def play() -> None:
        with torch_precision(precision, game.device):
            game.play()

    return play


def as_graph(play: Callable[[], None]) -> Callable[[], None]:
    """Capture an iteration (whose Adam is capturable) as a CUDA graph; return its replay."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            play()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        play()
    replay: Callable[[], None] = graph.replay
    return replay
