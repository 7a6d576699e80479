"""The flat parameter vector on the device: optimizer updates, whether it is finite, fill and copy (`flat.cu`)."""

import math
from typing import Any

import numpy as np

from minigan.ops.cuda.device import Device, blocks_for
from minigan.ops.protocol import Array

THREADS = 256
BLOCKS = 8
"""Of these threads, on each processor of the device."""
REALS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
"""What ``real`` is in the kernels."""


class Flat:
    """The updates of `minigan.ops.reference`, in place on vectors (P,) of the device.

    clocks    while a graph is captured: what counts t on the device, by the id of the first moment's vector
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.clocks: dict[int, Any] | None = None

    def adam(
        self, theta: Array, g: Array, m: Array, v: Array, t: int, *, lr: float, beta1: float, beta2: float, eps: float
    ) -> None:
        """`reference.adam`; within a graph at the t that the device counts."""
        if self.clocks is not None:
            clock = self.clocks[id(m)]
            self.count(clock.now, clock.moving, lr=lr, beta1=beta1, beta2=beta2)
            self.adam_counted(theta, g, m, v, clock.moving, beta1=beta1, beta2=beta2, eps=eps)
            return
        numbers = (lr / (1 - beta1**t), beta1, 1 - beta1, beta2, 1 - beta2, 1 / math.sqrt(1 - beta2**t), eps)
        self._launch("adam", theta, (theta, self._as(theta, g), m, v), *numbers)

    def count(self, t: Array, moving: Array, *, lr: float, beta1: float, beta2: float) -> None:
        """t <- t + 1, and `moving` <- what depends on t in Adam's update.    t (1,) int64   moving (2,) float64"""
        self.device.launch("flat", "adam_count", 1, 32, t, moving, lr, beta1, beta2, REAL="float")

    def adam_counted(
        self, theta: Array, g: Array, m: Array, v: Array, moving: Array, *, beta1: float, beta2: float, eps: float
    ) -> None:
        """`reference.adam` at the t of the last `count`, which the device keeps."""
        rest = (moving, beta1, 1 - beta1, beta2, 1 - beta2, eps)
        self._launch("adam_counted", theta, (theta, self._as(theta, g), m, v), *rest)

    def rmsprop(self, theta: Array, g: Array, v: Array, *, lr: float, rho: float, eps: float) -> None:
        """`reference.rmsprop`."""
        self._launch("rmsprop", theta, (theta, self._as(theta, g), v), lr, rho, 1 - rho, eps)

    def momentum(self, theta: Array, g: Array, u: Array, *, lr: float, momentum: float, nesterov: bool) -> None:
        """`reference.momentum`."""
        self._launch("momentum", theta, (theta, self._as(theta, g), u), lr, momentum, bool(nesterov))

    def finite(self, x: Array) -> bool:
        """`reference.finite`; the host waits for the answer."""
        found = self.device.xp.zeros(1, dtype=np.int32)
        plain = self.device.xp.ascontiguousarray(x).reshape(-1)
        self._launch("not_finite", plain, (plain,), found)
        return not int(found[0])

    def zero_vector(self, size: int, dtype: Any) -> Array:
        """`reference.zero_vector`."""
        return self.device.xp.zeros(size, dtype=dtype)

    def fill(self, x: Array, value: float) -> None:
        """x <- value."""
        self._launch("fill", x, (x,), value)

    def copy(self, target: Array, source: Array) -> None:
        """`reference.copy`."""
        fits = target.shape == source.shape and target.dtype == source.dtype and target.dtype in REALS
        if fits and target.flags.c_contiguous and source.flags.c_contiguous:
            self._launch("copy", target, (target, source))
        else:
            target[...] = source

    def _as(self, theta: Array, g: Array) -> Array:
        """The gradient in theta's dtype, contiguous."""
        return self.device.xp.ascontiguousarray(g.astype(theta.dtype, copy=False))

    def _launch(self, kernel: str, x: Array, vectors: tuple[Array, ...], *numbers: Any) -> None:
        if x.dtype not in REALS:
            raise TypeError(f"{kernel}: dtype {x.dtype} given; accepted on the CUDA backend: float32, float64")
        grid = blocks_for(x.size, THREADS, BLOCKS * self.device.processors)
        self.device.launch("flat", kernel, grid, THREADS, *vectors, x.size, *numbers, REAL=REALS[x.dtype])
