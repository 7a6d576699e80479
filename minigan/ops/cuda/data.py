"""Gather and scale batches of a data set that is stored as bytes on the device, in one pass (`data.cu`)."""

import math
from typing import Any

import numpy as np

from minigan.ops.cuda.device.base import Device
from minigan.ops.cuda.random import Stream
from minigan.ops.cuda.vector import REALS, THREADS
from minigan.ops.protocol import Array


class Images:
    """x = scale images[index] + shift, from uint8 images (D, ...) that are copied to the device once.    x (N, ...)

    Parameters
    ----------
    device : Device
        Where the images are stored.
    images : (D, ...) uint8 array
        The data set, on the host or on the device.
    scale, shift : float
        Map bytes to pixels; the defaults map 0 ... 255 to [-1, 1].
    repeat : int
        1, the default, or 3 to repeat the one channel of grey images (..., 1) three times.
    dtype : numpy.dtype
        The dtype of batches: float32, the default of the library's networks, or float64.

    Raises
    ------
    ValueError
        If `images` is empty or not uint8, or does not fit `repeat`.
    TypeError
        If `dtype` is neither float32 nor float64.

    """

    def __init__(
        self,
        device: Device,
        images: Array,
        *,
        scale: float = 1 / 127.5,
        shift: float = -1.0,
        repeat: int = 1,
        dtype: Any = np.float32,
    ) -> None:
        self.device, self.dtype = device, np.dtype(dtype)
        if images.dtype != np.uint8 or images.ndim < 2 or not images.size:
            raise ValueError(f"images are {images.dtype} of shape {images.shape}; expected uint8 (D, ...)")
        if repeat not in (1, 3) or (repeat == 3 and images.shape[-1] != 1):
            raise ValueError(f"repeat is {repeat!r} for images of shape {images.shape}; expected 1, or 3 for (..., 1)")
        if self.dtype not in REALS:
            raise TypeError(f"dtype {self.dtype} given; expected float32 or float64")
        self.images = device.array(images) if isinstance(images, np.ndarray) else device.xp.ascontiguousarray(images)
        self.scale, self.shift, self.repeat = scale, shift, repeat
        self.shape = (*images.shape[1:-1], images.shape[-1] * repeat)

    def __len__(self) -> int:
        return int(self.images.shape[0])

    def batch(self, index: Array, *, out: Array | None = None) -> Array:
        """Return the images at these indices.

        Parameters
        ----------
        index : (N,) integer array
            Indices in 0 ... D - 1, on the host, or int64 on the device.
        out : (N, ...) array, optional
            Where to write the batch; by default a new array.

        Returns
        -------
        (N, ...) array
            The batch.  An index of the device that is out of range gives an image of NaN.

        Raises
        ------
        IndexError
            If an index of the host is out of range.

        """
        if isinstance(index, np.ndarray):
            invalid = index[(index < 0) | (index >= len(self))]
            if invalid.size:
                raise IndexError(f"no image {int(invalid[0])}; expected an index in 0 ... {len(self) - 1}")
            index = self.device.array(index.astype(np.int64))
        return self.consecutive(index, len(index), out=out)

    def consecutive(self, order: Array, n: int, position: Array | None = None, *, out: Array | None = None) -> Array:
        """Return n images in order, starting at `position`: image order[(position + i) mod length] for i < n.

        Parameters
        ----------
        order : (length,) int64 array of the device
            Indices of images, at least one.
        n : int
            The size of the batch.
        position : (1,) uint64 array of the device, optional
            Where to start, by default 0.  A graph that increases it gathers another batch at each replay.
        out : (n, ...) array, optional
            Where to write the batch; by default a new array.

        Returns
        -------
        (n, ...) array
            The batch.

        Raises
        ------
        ValueError
            If `order` is empty or `out` does not fit.

        """
        if out is None:
            out = self.device.xp.empty((n, *self.shape), dtype=self.dtype)
        elif out.shape != (n, *self.shape) or out.dtype != self.dtype:
            expected = f"{(n, *self.shape)}, {self.dtype}"
            raise ValueError(f"out has shape {out.shape} and dtype {out.dtype}; expected {expected}")
        if n:
            if not len(order):
                raise ValueError("order is empty; expected at least one index")
            pixels = math.prod(self.images.shape[1:])
            sizes = len(self), pixels, self.repeat, len(order)
            args = self.images, order, out, *sizes, position, self.scale, self.shift
            self.device.launch("data", "gather", n, THREADS, *args, REAL=REALS[self.dtype])
        return out


class RandomBatches:
    """Draw batches of n images on the device, independently and with replacement.    x (n, ...)

    In a captured iteration each replay gathers the next batch; the host draws and copies nothing.

    Parameters
    ----------
    images : Images
        The data set.
    n : int
        The size of a batch.
    stream : Stream
        Draws the indices.

    """

    def __init__(self, images: Images, n: int, stream: Stream) -> None:
        self.images, self.n, self.stream = images, n, stream

    def __call__(self) -> Array:
        """Return the next batch."""
        x = self.images.batch(self.stream.indices(self.n, len(self.images)))
        self.stream.advance()
        return x
