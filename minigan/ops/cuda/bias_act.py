"""Add a bias and apply an activation in one pass; compute dx and db in one pass backwards (`bias.cu`).

y = f(x + b)        dx = f'(y) dy        db = sum_m dx_m        x, y (..., C)   b (C,)
"""

from minigan._names import unknown
from minigan.ops.cuda.device.base import Device
from minigan.ops.cuda.norm_act import NormActivation
from minigan.ops.cuda.tiles import THREADS, Tiles, real_of, tiles_of
from minigan.ops.protocol import Array

KINDS = ("none", "relu", "leaky_relu", "tanh", "sigmoid")
"""Activations f, in the order of their numbers in bias.cu."""


class Bias:
    """y = f(x + b) on a device; `norm_act` adds up the parts of the bias gradient."""

    def __init__(self, device: Device, norm_act: NormActivation) -> None:
        self.device, self.norm_act = device, norm_act

    def forward(self, x: Array, b: Array | None, kind: str = "none", slope: float = 0.0) -> Array:
        """y = f(x + b), or f(x) if b is None.

        Parameters
        ----------
        x : (..., C) array
            float32 or float64.
        b : (C,) array or None
            The bias.
        kind : str
            The activation f, one of KINDS; by default only the bias is added.
        slope : float
            The leaky ReLU's slope for negative inputs, at least 0; other activations do not use it.

        Returns
        -------
        (..., C) array
            y.

        Raises
        ------
        ValueError
            If `kind` is unknown or `slope` is negative.

        """
        kind_number = _kind_number(kind, slope)
        x = self.norm_act.contiguous(x)
        y = self.norm_act.empty(x.shape, x.dtype)
        if x.size:
            tiles = tiles_of(x.reshape(-1, x.shape[-1]), y)
            sizes = tiles.M, tiles.C, tiles.log_lanes
            self._launch("bias_activation", tiles.grid, tiles, x, b, y, *sizes, kind_number, slope)
        return y

    def backward(
        self, dy: Array, y: Array, kind: str = "none", slope: float = 0.0, *, need_db: bool = True
    ) -> tuple[Array, Array | None]:
        """Return dx = f'(y) dy and db = sum dx.

        Parameters
        ----------
        dy, y : (..., C) arrays
            The gradient of y, and what `forward` returned; float32 or float64.
        kind, slope
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
            If the shapes differ, or `kind` or `slope` is not one of the possible values.

        """
        kind_number = _kind_number(kind, slope)
        dy, y = self.norm_act.contiguous(dy), self.norm_act.contiguous(y)
        if dy.shape != y.shape:
            raise ValueError(f"bias: dy has shape {dy.shape} and y {y.shape}; expected equal shapes")
        dx, C = self.norm_act.empty(dy.shape, dy.dtype), dy.shape[-1]
        if not dy.size:
            return dx, self.device.xp.zeros(C, dtype=dy.dtype) if need_db else None
        tiles = tiles_of(dy.reshape(-1, C), y, dx)
        partial = self.norm_act.empty((tiles.parts, C), dy.dtype)
        sizes = tiles.M, C, tiles.rows, tiles.log_lanes
        grid = tiles.across, tiles.parts
        self._launch("bias_activation_backward", grid, tiles, dy, y, dx, partial, *sizes, kind_number, slope)
        return dx, self.norm_act.merged(partial) if need_db else None

    def _launch(self, kernel: str, grid: tuple[int, int], tiles: Tiles, x: Array, *args: object) -> None:
        self.device.launch("bias", kernel, grid, THREADS, x, *args, REAL=real_of(x, kernel), WIDTH=tiles.width)


def _kind_number(kind: str, slope: float) -> int:
    """Return the activation's number in bias.cu; raise ValueError for an unknown activation or a negative slope."""
    if kind not in KINDS:
        raise ValueError(unknown("activation", kind, KINDS))
    if slope < 0:
        raise ValueError(f"slope must be >= 0 (the sign of x + b is taken from y), got {slope!r}")
    return KINDS.index(kind)
