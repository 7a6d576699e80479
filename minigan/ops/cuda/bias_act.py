"""Add a bias and apply an activation in one pass; compute dx and db in one backward pass (`bias.cu`).

y = f(x + b)        dx = f'(y) dy        db = sum over all axes but the last of dx        x, y (..., C)   b (C,)
"""

from minigan._names import unknown
from minigan.ops.cuda.device.base import Device
from minigan.ops.cuda.norm_act import NormActivation
from minigan.ops.cuda.tiles import THREADS, Tiles, real_of, tiles_of
from minigan.ops.protocol import Array

ACTIVATIONS = ("none", "relu", "leaky_relu", "tanh", "sigmoid")
"""Activations f, in the order of their numbers in bias.cu."""


class BiasActivation:
    """y = f(x + b) and its gradients, on a device.

    Parameters
    ----------
    device : Device
        Where to compute.
    norm_act : NormActivation
        Sums the partial bias gradients of the blocks.

    """

    def __init__(self, device: Device, norm_act: NormActivation) -> None:
        self.device, self.norm_act = device, norm_act

    def forward(self, x: Array, b: Array | None, activation: str = "none", slope: float = 0.0) -> Array:
        """y = f(x + b), or f(x) if b is None.

        Parameters
        ----------
        x : (..., C) array
            float32 or float64.
        b : (C,) array or None
            The bias, of x's dtype.
        activation : str
            f, one of ACTIVATIONS; by default only the bias is added.
        slope : float
            The leaky ReLU's slope for negative inputs, at least 0; other activations do not use it.

        Returns
        -------
        (..., C) array
            y.

        Raises
        ------
        ValueError
            If the shape of b is not (C,), `activation` is unknown or `slope` is negative.
        TypeError
            If x is neither float32 nor float64, or b has another dtype.
        KernelError
            If an array is not on the device.

        """
        code = _activation_code(activation, slope)
        if b is not None and b.shape != x.shape[-1:]:  # the kernel does not check its indices
            raise ValueError(f"b has shape {b.shape}; expected ({x.shape[-1]},)")
        if b is not None and b.dtype != x.dtype:
            raise TypeError(f"b is {b.dtype} and x {x.dtype}; expected equal dtypes")
        x = self.norm_act.contiguous(x)
        y = self.norm_act.empty(x.shape, x.dtype)
        if x.size:
            tiles = tiles_of(x.reshape(-1, x.shape[-1]), y)
            sizes = tiles.M, tiles.C, tiles.log_lanes
            self._launch("bias_activation", tiles.grid, tiles, x, b, y, *sizes, code, slope)
        return y

    def backward(
        self, dy: Array, y: Array, activation: str = "none", slope: float = 0.0, *, need_db: bool = True
    ) -> tuple[Array, Array | None]:
        """Return dx = f'(y) dy and db = sum dx.

        Parameters
        ----------
        dy, y : (..., C) arrays
            The gradient of y, and what `forward` returned; both float32 or both float64.
        activation, slope
            As in `forward`.
        need_db : bool
            Whether to return db; the default is what a layer with a bias needs.

        Returns
        -------
        dx : (..., C) array
            The gradient of x.
        db : (C,) array or None
            The gradient of b, or None unless `need_db`.

        Raises
        ------
        ValueError
            If the shapes differ, `activation` is unknown or `slope` is negative.
        TypeError
            If the dtypes differ, or are neither float32 nor float64.
        KernelError
            If an array is not on the device.

        """
        code = _activation_code(activation, slope)
        dy, y = self.norm_act.contiguous(dy), self.norm_act.contiguous(y)
        if dy.shape != y.shape:
            raise ValueError(f"bias: dy has shape {dy.shape} and y {y.shape}; expected equal shapes")
        if dy.dtype != y.dtype:
            raise TypeError(f"y is {y.dtype} and dy {dy.dtype}; expected equal dtypes")
        dx, C = self.norm_act.empty(dy.shape, dy.dtype), dy.shape[-1]
        if not dy.size:
            return dx, self.device.xp.zeros(C, dtype=dy.dtype) if need_db else None
        tiles = tiles_of(dy.reshape(-1, C), y, dx)
        partial = self.norm_act.empty((tiles.parts, C), dy.dtype)
        sizes = tiles.M, C, tiles.rows_per_part, tiles.log_lanes
        grid = tiles.blocks_across, tiles.parts
        self._launch("bias_activation_backward", grid, tiles, dy, y, dx, partial, *sizes, code, slope)
        return dx, self.norm_act.merged(partial) if need_db else None

    def _launch(self, kernel: str, grid: tuple[int, int], tiles: Tiles, x: Array, *args: object) -> None:
        self.device.launch("bias", kernel, grid, THREADS, x, *args, REAL=real_of(x, kernel), WIDTH=tiles.width)


def _activation_code(activation: str, slope: float) -> int:
    """Return the activation's number in bias.cu; raise ValueError for an unknown activation or a negative slope."""
    if activation not in ACTIVATIONS:
        raise ValueError(unknown("activation", activation, ACTIVATIONS))
    if slope < 0:
        raise ValueError(f"slope must be >= 0 (the backward pass infers the sign of x + b from y), got {slope!r}")
    return ACTIVATIONS.index(activation)
