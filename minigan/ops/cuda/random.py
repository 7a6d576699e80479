"""Random numbers made on the device from the integers of ``numpy.random.Philox`` (`random.cu`)."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigan.ops.cuda.device.base import Device, blocks_for
from minigan.ops.cuda.vector import REALS, THREADS
from minigan.ops.protocol import Array

BLOCKS = 8
"""Of THREADS threads, on each processor of the device."""
WORD = 1 << 64


class Stream:
    """A stream of random numbers: ``np.random.Philox(key=key, counter=counter).random_raw()`` and what is made of it.

    A block of four integers belongs to each value of the counter.  Every draw begins with a block of its own; what it
    leaves of its last one is not used.

    uniform float64   of an integer w: (w >> 11) 2^-53, which is NumPy's ``Generator.random``
    uniform float32   of each half of one, the lower first: (half >> 8) 2^-24, NumPy's too
    normal            Box and Muller (1958): two of two integers; float32 is float64's, rounded
    indices           of an integer w: floor(w count 2^-64), which is in 0 ... count - 1

    How far the stream has come is `position`, on the device, and what was drawn since `advance`, on the host.  For a
    graph: `advance` before the capture, and as the last of what is captured; then each replay goes on where the last
    one ended, and N replays draw what N runs of the function would.
    """

    def __init__(self, device: Device, key: int, counter: int = 0) -> None:
        for name, value, bits in (("key", key, 128), ("counter", counter, 256)):
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << bits:
                raise ValueError(f"{name} must be an int in 0 ... 2^{bits} - 1, got {value!r}")
        self.device, self.key = device, key
        self.position = device.xp.zeros(1, dtype="uint64")
        self._base, self._drawn = counter, 0
        self._words = tuple(key >> 64 * i & WORD - 1 for i in range(2)) + _words(counter)

    @property
    def counter(self) -> int:
        """The counter with which ``np.random.Philox(key=..., counter=...)`` draws what comes next (the host waits)."""
        return (self._base + int(self.position[0]) + self._drawn) % (1 << 256)

    def advance(self) -> None:
        """Move the position on the device behind all that was drawn."""
        self.device.launch("random", "advance", 1, 32, self.position, self._drawn, REAL="float")
        self._drawn = 0

    def state(self) -> dict[str, int]:
        """Return key and counter, for a checkpoint."""
        return {"key": self.key, "counter": self.counter}

    def restore(self, state: Mapping[str, int]) -> None:
        """Go to where `state` was returned; ValueError for another stream's.  Graphs go on from there too."""
        steps = (state["counter"] - self._base) % (1 << 256)
        if state["key"] != self.key or steps >= WORD:
            raise ValueError(f"the state is of another stream; accepted: that of key {self.key} from {self._base} on")
        self.position.set(np.array([steps], np.uint64))
        self._drawn = 0

    def integers(self, n: int) -> Array:
        """Draw n integers of 64 bits, ``random_raw(n)``."""
        return self._fill("integers", self.device.xp.empty(n, dtype="uint64"), 4, "float")

    def indices(self, n: int, count: int) -> Array:
        """Draw n whole numbers of 0 ... count - 1, each as likely and all independent.    (n,) int64"""
        if not 1 <= count < 1 << 63:
            raise ValueError(f"count must be in 1 ... 2^63 - 1, got {count!r}")
        return self._fill("indices", self.device.xp.empty(n, dtype="int64"), 4, "float", count)

    def uniform(self, shape: int | tuple[int, ...], dtype: Any = np.float32, *, out: Array | None = None) -> Array:
        """Draw uniform numbers of [0, 1)."""
        out, real = self._into(shape, dtype, out)
        return self._fill("uniforms", out, 4 if real == "double" else 8, real)

    def normal(self, shape: int | tuple[int, ...], dtype: Any = np.float32, *, out: Array | None = None) -> Array:
        """Draw standard normal numbers."""
        out, real = self._into(shape, dtype, out)
        return self._fill("normals", out, 4, real)

    def _into(self, shape: int | tuple[int, ...], dtype: Any, out: Array | None) -> tuple[Array, str]:
        shape = shape if isinstance(shape, tuple) else (shape,)
        dtype = np.dtype(dtype)
        if dtype not in REALS:
            raise TypeError(f"dtype {dtype} given; accepted: float32, float64")
        if out is None:
            out = self.device.xp.empty(shape, dtype=dtype)
        elif out.shape != shape or out.dtype != dtype:
            raise ValueError(f"out has shape {out.shape} and dtype {out.dtype}; accepted: {shape}, {dtype}")
        return out, REALS[dtype]

    def _fill(self, kernel: str, out: Array, each: int, real: str, *numbers: int) -> Array:
        """Fill `out`, a block of the stream giving `each` numbers."""
        n = math.prod(out.shape)
        blocks = -(-n // each)
        if n:
            grid = blocks_for(blocks, THREADS, BLOCKS * self.device.processors)
            args = out, n, *numbers, *self._words, self._drawn, self.position
            self.device.launch("random", kernel, grid, THREADS, *args, REAL=real)
        self._drawn += blocks
        return out


def _words(counter: int) -> tuple[int, ...]:
    return tuple(counter >> 64 * i & WORD - 1 for i in range(4))


class Noise:
    """A prior on the device: each call draws a batch (n, ...), standard normal, or uniform on [-bound, bound].

    In a captured iteration each replay draws the next one, as a call would; the host draws and moves nothing.
    """

    def __init__(
        self, stream: Stream, shape: tuple[int, ...], *, dtype: Any = np.float32, bound: float | None = None
    ) -> None:
        self.stream, self.shape, self.dtype, self.bound = stream, shape, np.dtype(dtype), bound

    def __call__(self) -> Array:
        """Return the next batch."""
        if self.bound is None:
            z = self.stream.normal(self.shape, self.dtype)
        else:
            z = self.stream.uniform(self.shape, self.dtype)
            z *= 2 * self.bound
            z -= self.bound
        self.stream.advance()
        return z
