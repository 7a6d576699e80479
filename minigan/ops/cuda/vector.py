"""The flat parameter vector on the device: optimizer updates, whether it is finite, and copies (`flat.cu`)."""

import math
from typing import Any

import numpy as np

from minigan.ops.cuda.device.base import Device, blocks_for
from minigan.ops.protocol import Array

THREADS = 256
BLOCKS = 8
"""Of these threads, on each processor of the device."""
REALS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
"""What ``real`` is in the kernels."""


class Flat:
    """The updates of `minigan.ops.reference`, in place on vectors (P,) of the device.

    updates   while a graph is captured: what gives each update a place on the device for the numbers that differ from
              replay to replay (`minigan.ops.cuda.capture.updates`)
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.updates: Any = None

    def adam(
        self, theta: Array, g: Array, m: Array, v: Array, t: int, *, lr: float, beta1: float, beta2: float, eps: float
    ) -> None:
        """`reference.adam`."""
        numbers = lr / (1 - beta1**t), 1 / math.sqrt(1 - beta2**t)
        self._update("adam", theta, g, (m, v), numbers, beta1, 1 - beta1, beta2, 1 - beta2, eps)

    def rmsprop(self, theta: Array, g: Array, v: Array, *, lr: float, rho: float, eps: float) -> None:
        """`reference.rmsprop`."""
        self._update("rmsprop", theta, g, (v,), (lr,), rho, 1 - rho, eps)

    def momentum(self, theta: Array, g: Array, u: Array, *, lr: float, momentum: float, nesterov: bool) -> None:
        """`reference.momentum`."""
        self._update("momentum", theta, g, (u,), (lr, momentum), bool(nesterov))

    def _update(
        self, kernel: str, theta: Array, g: Array, state: tuple[Array, ...], numbers: tuple[float, ...], *rest: Any
    ) -> None:
        """Launch with the numbers, and where they lie within a graph."""
        moving = None
        if self.updates is not None:
            moving = self.updates.place(theta, numbers)
            if moving is None:
                return
        self._launch(kernel, theta, (theta, self._as(theta, g), *state), *numbers, moving, *rest)

    def finite(self, x: Array) -> bool:
        """`reference.finite`; the host waits for the answer."""
        found = self.device.xp.zeros(1, dtype=np.int32)
        plain = self.device.xp.ascontiguousarray(x).reshape(-1)
        self._launch("not_finite", plain, (plain,), found)
        return not int(found[0])

    def zero_vector(self, size: int, dtype: Any) -> Array:
        """`reference.zero_vector`."""
        return self.device.xp.zeros(size, dtype=dtype)

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
