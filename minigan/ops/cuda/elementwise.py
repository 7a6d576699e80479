"""The elementwise functions of `minigan.ops.reference`, and the mean of softplus (`elementwise.cu`).

Activations after a bias are in `bias_act.py`, those next to dropout or batch norm in `norm_act.py`.
"""

from typing import Any

from minigan.ops.cuda.device.base import Device, blocks_for
from minigan.ops.cuda.tiles import THREADS, real_of
from minigan.ops.protocol import Array

BLOCKS_PER_PROCESSOR = 8
"""Blocks of THREADS threads per multiprocessor."""
MAX_ONE_BLOCK_LOGITS = 1 << 13
"""Most logits that one block sums; with fewer logits, a second launch would cost more than more blocks save."""
MAX_SUM_BLOCKS = 528
"""Most blocks of a sum; independent of the device, so that the order of addition is the same everywhere."""


class Elementwise:
    """The functions of `minigan.ops.reference` for arrays of a device, float32 or float64; results are new arrays.

    Parameters
    ----------
    device : Device
        Where the arrays are.

    """

    def __init__(self, device: Device) -> None:
        self.device = device

    def relu(self, x: Array) -> Array:
        """`reference.relu`."""
        return self._map("relu", x)

    def relu_backward(self, dy: Array, y: Array) -> Array:
        """`reference.relu_backward`."""
        return self._map("relu_backward", dy, y)

    def sigmoid(self, x: Array) -> Array:
        """`reference.sigmoid`."""
        return self._map("sigmoid", x)

    def softplus(self, x: Array) -> Array:
        """`reference.softplus`."""
        return self._map("softplus", x)

    def softplus_sigmoid(self, x: Array) -> tuple[Array, Array]:
        """`reference.softplus_sigmoid`, both results from one exponential."""
        x = self._contiguous(x)
        cost, derivative = (self.device.xp.empty(x.shape, dtype=x.dtype) for _ in range(2))
        self._launch("softplus_sigmoid", x.size, x, cost, derivative, x.size)
        return cost, derivative

    def mean_softplus(self, s: Array, sign: int, weight: float) -> tuple[Any, Array]:
        """`reference.mean_softplus`; the value is a 0-d array, and the host does not wait for it."""
        s, N, n_logits, xp = self._contiguous(s), len(s), s.size, self.device.xp
        if not n_logits:
            raise ValueError(f"mean_softplus: s has shape {s.shape}; expected at least one logit")
        ds, value = xp.empty(s.shape, dtype=s.dtype), xp.empty((), dtype=s.dtype)
        numbers = n_logits, sign, sign * weight / N
        if n_logits <= MAX_ONE_BLOCK_LOGITS:
            self._launch_blocks("mean_softplus", 1, s, ds, None, value, *numbers, weight / N)
            return value, ds
        blocks = blocks_for(n_logits, 4 * THREADS, MAX_SUM_BLOCKS)
        sums = xp.empty(blocks, dtype="float64")
        self._launch_blocks("mean_softplus", blocks, s, ds, sums, None, *numbers, 1)
        self.device.launch(
            "elementwise", "mean_of_sums", 1, THREADS, sums, value, blocks, weight / N, REAL=real_of(s, "")
        )
        return value, ds

    def _contiguous(self, x: Array) -> Array:
        return self.device.xp.ascontiguousarray(x).reshape(x.shape)

    def _map(self, kernel: str, *arrays: Array) -> Array:
        """Return y with y_i = f(x_i, ...) for the kernel's function f and arrays of equal shapes."""
        x, *others = map(self._contiguous, arrays)
        for other in others:
            if other.shape != x.shape:
                raise ValueError(f"{kernel}: shapes {x.shape} and {other.shape}; expected equal shapes")
        y = self.device.xp.empty(x.shape, dtype=x.dtype)
        self._launch(kernel, y.size, x, *others, y, y.size)
        return y

    def _launch(self, kernel: str, n: int, x: Array, *args: Any) -> None:
        """Launch a kernel over n numbers, if there are any."""
        if n:
            self._launch_blocks(
                kernel, blocks_for(n, 2 * THREADS, BLOCKS_PER_PROCESSOR * self.device.processors), x, *args
            )

    def _launch_blocks(self, kernel: str, blocks: int, x: Array, *args: Any) -> None:
        self.device.launch("elementwise", kernel, blocks, THREADS, x, *args, REAL=real_of(x, kernel))
