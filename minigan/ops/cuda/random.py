"""Random numbers computed on the device from the integers of ``numpy.random.Philox`` (`random.cu`)."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigan.ops.cuda.device.base import Device, blocks_for
from minigan.ops.cuda.vector import REALS, THREADS
from minigan.ops.protocol import Array

BLOCKS_PER_PROCESSOR = 8
"""Blocks of THREADS threads per multiprocessor."""
WORD = 1 << 64


class Stream:
    """The random integers of ``np.random.Philox(key=key, counter=counter)`` and other distributions made of them.

    Each value of the counter gives a block of four integers.  Every draw starts with a new block and discards the
    unused rest of its last one.

    uniform float64   (w >> 11) 2^-53 for an integer w, as NumPy's ``Generator.random``
    uniform float32   (half >> 8) 2^-24 for each half of an integer, the lower half first, also as NumPy
    normal            Box and Muller (1958): two numbers from two integers; float32 rounds the float64 result
    indices           floor(w count 2^-64) for an integer w, in 0 ... count - 1

    The state of the stream is `position`, on the device, plus the blocks drawn since the last `advance`, counted on
    the host.  To use the stream in a graph, call `advance` before the capture and as the last captured call; then
    each replay continues where the previous one ended, and N replays draw the same numbers as N calls.

    Parameters
    ----------
    device : Device
        Where numbers are drawn.
    key : int
        The key of Philox, in 0 ... 2^128 - 1.
    counter : int
        The first value of the counter, in 0 ... 2^256 - 1.

    Raises
    ------
    ValueError
        If `key` or `counter` is not an int in its range.

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
        """The counter of the next draw, as ``np.random.Philox`` takes it; reading it waits for the device."""
        return (self._base + int(self.position[0]) + self._drawn) % (1 << 256)

    def advance(self) -> None:
        """Move the position on the device past all numbers drawn so far."""
        self.device.launch("random", "advance", 1, 32, self.position, self._drawn, REAL="float")
        self._drawn = 0

    def state(self) -> dict[str, int]:
        """Return key and counter, for a checkpoint."""
        return {"key": self.key, "counter": self.counter}

    def restore(self, state: Mapping[str, int]) -> None:
        """Continue from a state returned by `state`; replays of graphs continue from there too.

        Raises
        ------
        ValueError
            If the state has another key, or a counter that this stream cannot reach.

        """
        steps = (state["counter"] - self._base) % (1 << 256)
        if state["key"] != self.key or steps >= WORD:
            raise ValueError(f"the state is of another stream; expected key {self.key} and a counter from {self._base}")
        self.position.set(np.array([steps], np.uint64))
        self._drawn = 0

    def integers(self, n: int) -> Array:
        """Draw n integers of 64 bits, as ``random_raw(n)``.    (n,) uint64"""
        return self._fill("integers", self.device.xp.empty(n, dtype="uint64"), 4, "float")

    def indices(self, n: int, count: int) -> Array:
        """Draw n independent, uniformly distributed integers in 0 ... count - 1.    (n,) int64"""
        if not 1 <= count < 1 << 63:
            raise ValueError(f"count must be in 1 ... 2^63 - 1, got {count!r}")
        return self._fill("indices", self.device.xp.empty(n, dtype="int64"), 4, "float", count)

    def uniform(self, shape: int | tuple[int, ...], dtype: Any = np.float32, *, out: Array | None = None) -> Array:
        """Draw independent uniform numbers in [0, 1), into `out` if given."""
        out, real = self._into(shape, dtype, out)
        return self._fill("uniforms", out, 4 if real == "double" else 8, real)

    def normal(self, shape: int | tuple[int, ...], dtype: Any = np.float32, *, out: Array | None = None) -> Array:
        """Draw independent standard normal numbers, into `out` if given."""
        out, real = self._into(shape, dtype, out)
        return self._fill("normals", out, 4, real)

    def _into(self, shape: int | tuple[int, ...], dtype: Any, out: Array | None) -> tuple[Array, str]:
        shape = shape if isinstance(shape, tuple) else (shape,)
        dtype = np.dtype(dtype)
        if dtype not in REALS:
            raise TypeError(f"dtype {dtype} given; expected float32 or float64")
        if out is None:
            out = self.device.xp.empty(shape, dtype=dtype)
        elif out.shape != shape or out.dtype != dtype:
            raise ValueError(f"out has shape {out.shape} and dtype {out.dtype}; expected {shape}, {dtype}")
        return out, REALS[dtype]

    def _fill(self, kernel: str, out: Array, each: int, real: str, *numbers: int) -> Array:
        """Fill `out`; one block of the stream gives `each` numbers."""
        n = math.prod(out.shape)
        blocks = -(-n // each)
        if n:
            grid = blocks_for(blocks, THREADS, BLOCKS_PER_PROCESSOR * self.device.processors)
            args = out, n, *numbers, *self._words, self._drawn, self.position
            self.device.launch("random", kernel, grid, THREADS, *args, REAL=real)
        self._drawn += blocks
        return out


def _words(counter: int) -> tuple[int, ...]:
    return tuple(counter >> 64 * i & WORD - 1 for i in range(4))


class Noise:
    """Draw batches of noise on the device.

    In a captured iteration each replay draws the next batch; the host draws and copies nothing.

    Parameters
    ----------
    stream : Stream
        The source of the numbers.
    shape : tuple of int
        The shape (n, ...) of a batch.
    dtype : numpy.dtype
        float32 or float64.
    bound : float, optional
        Draw uniformly from [-bound, bound] instead of from the standard normal distribution.

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
