"""Batches of a data set that lies on the device as bytes, gathered and scaled in one pass (`data.cu`)."""

import math
from typing import Any

import numpy as np

from minigan.ops.cuda.device.base import Device
from minigan.ops.cuda.random import Stream
from minigan.ops.cuda.vector import REALS, THREADS
from minigan.ops.protocol import Array


class Images:
    """x = scale images[index] + shift, from uint8 images (D, ...) that are copied to the device once.    x (N, ...)

    scale, shift  1 / 127.5 and -1 by default: bytes to [-1, 1]
    repeat        3: one grey channel (..., 1) becomes three equal ones (..., 3)
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
            raise ValueError(f"images are {images.dtype} of shape {images.shape}; accepted: uint8 (D, ...)")
        if repeat not in (1, 3) or (repeat == 3 and images.shape[-1] != 1):
            raise ValueError(f"repeat is {repeat!r} for images of shape {images.shape}; accepted: 1, or 3 for (..., 1)")
        if self.dtype not in REALS:
            raise TypeError(f"dtype {self.dtype} given; accepted: float32, float64")
        self.images = device.array(images) if isinstance(images, np.ndarray) else device.xp.ascontiguousarray(images)
        self.scale, self.shift, self.repeat = scale, shift, repeat
        self.shape = (*images.shape[1:-1], images.shape[-1] * repeat)

    def __len__(self) -> int:
        return int(self.images.shape[0])

    def batch(self, index: Array, *, out: Array | None = None) -> Array:
        """Return the images of the indices (N,).

        Of a host array IndexError names an index that there is not; one of the device's (int64) that there is not
        gives an image of NaN.
        """
        if isinstance(index, np.ndarray):
            outside = index[(index < 0) | (index >= len(self))]
            if outside.size:
                raise IndexError(f"no image {int(outside[0])}; accepted: 0 ... {len(self) - 1}")
            index = self.device.array(index.astype(np.int64))
        return self.following(index, len(index), out=out)

    def following(self, order: Array, n: int, position: Array | None = None, *, out: Array | None = None) -> Array:
        """Return the n images from `position` on: image order[(position + i) mod length] for i < n.

        order (length,) int64, position (1,) uint64, both of the device: a graph that raises its position gathers
        another batch at each replay.
        """
        if out is None:
            out = self.device.xp.empty((n, *self.shape), dtype=self.dtype)
        elif out.shape != (n, *self.shape) or out.dtype != self.dtype:
            accepted = f"{(n, *self.shape)}, {self.dtype}"
            raise ValueError(f"out has shape {out.shape} and dtype {out.dtype}; accepted: {accepted}")
        if n:
            if not len(order):
                raise ValueError("order is empty; accepted: one index or more")
            pixels = math.prod(self.images.shape[1:])
            sizes = len(self), pixels, self.repeat, len(order)
            args = self.images, order, out, *sizes, position, self.scale, self.shift
            self.device.launch("data", "gather", n, THREADS, *args, REAL=REALS[self.dtype])
        return out


class RandomBatches:
    """Each call: n images of all, drawn on the device, each independently of the others.    x (n, ...)

    In a captured iteration each replay gathers the next batch, as a call would; the host draws and moves nothing.
    """

    def __init__(self, images: Images, n: int, stream: Stream) -> None:
        self.images, self.n, self.stream = images, n, stream

    def __call__(self) -> Array:
        """Return the next batch."""
        x = self.images.batch(self.stream.indices(self.n, len(self.images)))
        self.stream.advance()
        return x
