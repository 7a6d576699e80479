"""The flat parameter vector on the device: optimizer updates, whether it is finite, and copies (`flat.cu`)."""

import math
from typing import Any

import numpy as np

from minigan.ops.cuda.device.base import Device, blocks_for
from minigan.ops.errors import require_equal_shapes
from minigan.ops.protocol import Array

THREADS = 256
"""Threads per block."""
BLOCKS_PER_PROCESSOR = 8
"""Blocks of THREADS threads per multiprocessor."""
NUMBERS_PER_SUM_BLOCK = 8 * THREADS
"""Fewest numbers of a vector whose sum of squares is computed by one more block."""
MAX_SUM_BLOCKS = 528
"""Most blocks of a sum; independent of the device, so that the order of addition is the same everywhere."""
REALS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
"""The C type that ``real`` stands for in the kernels, by dtype."""


class Flat:
    """The updates of `minigan.ops.reference`, in place on vectors (P,) of the device.

    Parameters
    ----------
    device : Device
        Where the vectors are.

    Attributes
    ----------
    update_scalars : minigan.ops.cuda.capture.updates.UpdateScalars or None
        While a graph is captured, the table on the device with the scalars that differ between replays.

    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.update_scalars: Any = None

    def adam(
        self, theta: Array, g: Array, m: Array, v: Array, t: int, *,
        lr: float, beta1: float, beta2: float, eps: float, decay: float = 0.0,
    ) -> None:  # fmt: skip
        """`reference.adam`."""
        scalars = lr / (1 - beta1**t), 1 / math.sqrt(1 - beta2**t), decay
        self._update("adam", theta, g, {"m": m, "v": v}, scalars, beta1, 1 - beta1, beta2, 1 - beta2, eps)

    def rmsprop(
        self, theta: Array, g: Array, v: Array, *, lr: float, rho: float, eps: float, decay: float = 0.0
    ) -> None:
        """`reference.rmsprop`."""
        self._update("rmsprop", theta, g, {"v": v}, (lr, decay), rho, 1 - rho, eps)

    def momentum(
        self, theta: Array, g: Array, u: Array, *, lr: float, momentum: float, nesterov: bool, decay: float = 0.0
    ) -> None:
        """`reference.momentum`."""
        self._update("momentum", theta, g, {"u": u}, (lr, momentum, decay), bool(nesterov))

    def _update(
        self, kernel: str, theta: Array, g: Array, state: dict[str, Array], scalars: tuple[float, ...], *rest: Any
    ) -> None:
        """Launch an update with the step-dependent scalars, or within a graph with the table row that holds them."""
        row = None
        if self.update_scalars is not None:
            row = self.update_scalars.next_row(theta, scalars)
            if row is None:
                return
        require_equal_shapes(kernel, theta=theta, g=g, **state)
        self._launch(kernel, theta, (theta, self._gradient(theta, g), *state.values()), *scalars, row, *rest)

    def clip_norm(self, g: Array, max_norm: float) -> Array:
        """`reference.clip_norm`, a new vector; the host does not wait.  Norms below 1e-150 count as 0."""
        xp, real, g = self.device.xp, self._real("clip_norm", g), self.device.xp.ascontiguousarray(g)
        blocks = blocks_for(g.size, NUMBERS_PER_SUM_BLOCK, MAX_SUM_BLOCKS)
        sums, clipped = xp.empty(2 * blocks, dtype="float64"), xp.empty(g.shape, dtype=g.dtype)
        self.device.launch("flat", "sums_of_squares", blocks, THREADS, g, g.size, sums, REAL=real)
        self._launch("clip_norm", g, (g, clipped), sums, blocks, max_norm)
        return clipped

    def finite(self, x: Array) -> bool:
        """`reference.finite`; the host waits for the answer."""
        found = self.device.xp.zeros(1, dtype=np.int32)
        contiguous = self.device.xp.ascontiguousarray(x).reshape(-1)
        self._launch("not_finite", contiguous, (contiguous,), found)
        return not int(found[0])

    def zero_vector(self, size: int, dtype: Any) -> Array:
        """`reference.zero_vector`."""
        return self.device.xp.zeros(size, dtype=dtype)

    def copy(self, target: Array, source: Array) -> None:
        """`reference.copy`."""
        same = target.shape == source.shape and target.dtype == source.dtype and target.dtype in REALS
        if same and target.flags.c_contiguous and source.flags.c_contiguous:
            self._launch("copy", target, (target, source))
        else:
            target[...] = source

    def _gradient(self, theta: Array, g: Array) -> Array:
        """Return the gradient in theta's dtype, contiguous."""
        return self.device.xp.ascontiguousarray(g.astype(theta.dtype, copy=False))

    def _launch(self, kernel: str, x: Array, vectors: tuple[Array, ...], *scalars: Any) -> None:
        real = self._real(kernel, x)
        grid = blocks_for(x.size, THREADS, BLOCKS_PER_PROCESSOR * self.device.processors)
        self.device.launch("flat", kernel, grid, THREADS, *vectors, x.size, *scalars, REAL=real)

    @staticmethod
    def _real(kernel: str, x: Array) -> str:
        """Return the C type of x's numbers; TypeError unless the kernels take them."""
        if x.dtype not in REALS:
            raise TypeError(f"{kernel}: dtype {x.dtype} given; expected float32 or float64")
        return REALS[x.dtype]
