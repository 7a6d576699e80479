"""The recipes' games with batches and noise drawn on the device: the cost of an iteration without the host's draws."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.cases.games import CASES, build
from minigan.ops.cuda.random import Stream

POOL_BATCHES = 4
"""Batches stored on the device; each iteration gathers one of them."""


class DeviceDraws:
    """A replacement of ``ops.iterations`` that draws on the device.

    The first iteration's draws define shapes and dtypes.

    Noise is normal, or uniform on (-1, 1) where the prior is bounded; a real batch is gathered from a pool, one
    after the other, at a position stored on the device, so that all draws can be part of a graph.
    """

    def __init__(self, ops: Any, *, uniform: bool) -> None:
        self.device, self.iterations, self.uniform = ops.device, ops.iterations, uniform
        self._stream = Stream(ops.device, 5)
        self._shapes: dict[str, tuple[tuple[int, ...], Any]] = {}
        self._pool: Any = None

    def play(self, schedule: Callable[..., Any], game: Any, draws: dict[str, Any], counts: dict[str, int]) -> Any:
        """Do what `Iterations.play` does, with draws on the device."""
        if not self._shapes:
            batches = [np.asarray(draws["real"]()) for _ in range(POOL_BATCHES)]
            z = np.asarray(draws["noise"]())
            self._shapes = {"real": (batches[0].shape, batches[0].dtype), "noise": (z.shape, z.dtype)}
            self._pool = self.device.array(np.concatenate(batches))
            self._at = self.device.array(np.arange(len(batches[0]), dtype=np.int64))
        return self.iterations.play(schedule, game, {"real": self._real, "noise": self._noise}, counts)

    def _real(self) -> Any:
        n = self._shapes["real"][0][0]
        x = self.device.xp.take(self._pool, self._at, axis=0)
        self._at += n
        self._at %= POOL_BATCHES * n
        return x

    def _noise(self) -> Any:
        shape, dtype = self._shapes["noise"]
        if self.uniform:
            z = self._stream.uniform(shape, dtype)
            z *= 2
            z -= 1
        else:
            z = self._stream.normal(shape, dtype)
        self._stream.advance()
        return z


def make_step(
    case: str, options: dict[str, Any], *, settings: dict[str, Any] | None, small: bool, resident: bool = True
) -> tuple[Any, Callable[[], Any]]:
    """Return the experiment of a case on the CUDA backend, and a function that runs one iteration of it."""
    recipe, config, experiment = build(CASES[case], small=small, settings=settings, ops="cuda", options=options)
    ops: Any = experiment.gan.D.ops
    iterations = ops.iterations
    if resident:
        bound = np.abs(recipe.prior(config, 4096, np.random.default_rng(0))).max()
        held = DeviceDraws(ops, uniform=float(bound) < 2)

        def play() -> Any:
            ops.iterations = held
            try:
                return experiment.play()
            finally:
                ops.iterations = iterations

        return experiment, play
    return experiment, experiment.play
