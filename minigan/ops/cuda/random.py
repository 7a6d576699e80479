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
WORD_VALUES = 1 << 64
"""How many values a word of 64 bits has."""


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
        self._words = tuple(key >> 64 * i & WORD_VALUES - 1 for i in range(2)) + _words(counter)

    @property
    def counter(self) -> int:
        """The counter of the next draw, as ``np.random.Philox`` takes it; reading it waits for the device."""
        return (self._base + int(self.position[0]) + self._drawn) % (1 << 256)

    def advance(self) -> None:
        """Move the position on the device past all numbers drawn so far; within a graph, at each replay."""
        self.device.launch("random", "advance", 1, 32, self.position, self._drawn, REAL="float")
        self._drawn = 0

    def state(self) -> dict[str, int]:
        """Return the state of the stream, for a checkpoint.

        Returns
        -------
        dict
            "key" and "counter", both int.

        """
        return {"key": self.key, "counter": self.counter}

    def restore(self, state: Mapping[str, int]) -> None:
        """Continue from a state returned by `state`; replays of graphs continue from there too.

        Parameters
        ----------
        state : mapping
            "key" and "counter", both int.

        Raises
        ------
        ValueError
            If the state has another key, or a counter that this stream cannot reach.

        """
        steps = (state["counter"] - self._base) % (1 << 256)
        if state["key"] != self.key or steps >= WORD_VALUES:
            raise ValueError(f"the state is of another stream; expected key {self.key} and a counter from {self._base}")
        self.position.set(np.array([steps], np.uint64))
        self._drawn = 0

    def integers(self, n: int) -> Array:
        """Draw integers of 64 bits, as ``np.random.Philox.random_raw(n)``.

        Parameters
        ----------
        n : int
            How many, at least 0.

        Returns
        -------
        (n,) uint64 array
            The integers, in 0 ... 2^64 - 1.

        """
        return self._fill("integers", self.device.xp.empty(n, dtype="uint64"), 4, "float")

    def indices(self, n: int, count: int) -> Array:
        """Draw independent, uniformly distributed indices.

        Parameters
        ----------
        n : int
            How many, at least 0.
        count : int
            The number of possible indices, in 1 ... 2^63 - 1.

        Returns
        -------
        (n,) int64 array
            The indices, in 0 ... count - 1.

        Raises
        ------
        ValueError
            If `count` is out of range.

        """
        if not 1 <= count < 1 << 63:
            raise ValueError(f"count must be in 1 ... 2^63 - 1, got {count!r}")
        return self._fill("indices", self.device.xp.empty(n, dtype="int64"), 4, "float", count)

    def uniform(self, shape: int | tuple[int, ...], dtype: Any = np.float32, *, out: Array | None = None) -> Array:
        """Draw independent uniform numbers in [0, 1).

        Parameters
        ----------
        shape : int or tuple of int
            The shape of the result.
        dtype : numpy.dtype
            float32, the default of the library's networks, or float64.
        out : array of the device, optional
            Where to write the numbers, C-contiguous, of that shape and dtype; by default a new array.

        Returns
        -------
        array
            The numbers, or `out`.

        Raises
        ------
        TypeError
            If `dtype` is neither float32 nor float64.
        ValueError
            If `out` does not fit.

        """
        out, real = self._output(shape, dtype, out)
        return self._fill("uniforms", out, 4 if real == "double" else 8, real)

    def normal(self, shape: int | tuple[int, ...], dtype: Any = np.float32, *, out: Array | None = None) -> Array:
        """Draw independent standard normal numbers.

        The parameters, the result and the errors are those of `uniform`.
        """
        out, real = self._output(shape, dtype, out)
        return self._fill("normals", out, 4, real)

    def _output(self, shape: int | tuple[int, ...], dtype: Any, out: Array | None) -> tuple[Array, str]:
        """Return `out` or a new array, and the C type of its numbers."""
        shape = shape if isinstance(shape, tuple) else (shape,)
        dtype = np.dtype(dtype)
        if dtype not in REALS:
            raise TypeError(f"dtype {dtype} given; expected float32 or float64")
        if out is None:
            out = self.device.xp.empty(shape, dtype=dtype)
        elif out.shape != shape or out.dtype != dtype:
            raise ValueError(f"out has shape {out.shape} and dtype {out.dtype}; expected {shape}, {dtype}")
        return out, REALS[dtype]

    def _fill(self, kernel: str, out: Array, numbers_per_block: int, real: str, *args: int) -> Array:
        """Fill `out` from the next blocks of the stream, where `args` follow n in the kernel's parameters."""
        n = math.prod(out.shape)
        blocks = -(-n // numbers_per_block)
        if n:
            grid = blocks_for(blocks, THREADS, BLOCKS_PER_PROCESSOR * self.device.processors)
            stream = *self._words, self._drawn, self.position
            self.device.launch("random", kernel, grid, THREADS, out, n, *args, *stream, REAL=real)
        self._drawn += blocks
        return out


def _words(counter: int) -> tuple[int, ...]:
    """Return the four words of a 256-bit counter, the least significant one first."""
    return tuple(counter >> 64 * i & WORD_VALUES - 1 for i in range(4))


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
        float32, the default of the library's networks, or float64.
    bound : float, optional
        Draw uniformly from [-bound, bound) instead of from the standard normal distribution, which is the default.

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
