"""A convolution's output, input gradient and weight gradient on a device, over patches or by tiles.

The cost model (`minigan.ops.cuda.conv.plan`) chooses.  In the formulas, (p, q) is an output pixel, (i, j) a tap of the
kernel, c and o are channels of the large and of the small image, s is the stride and d the dilation (on each axis).
"""

from typing import Any

import numpy as np

from minigan._names import unknown
from minigan.ops.cuda.conv.im2col import PatchCorrelations
from minigan.ops.cuda.conv.plan import Plan, choose_plan
from minigan.ops.cuda.conv.tiles import TileCorrelations
from minigan.ops.cuda.device.base import PRECISIONS, Device
from minigan.ops.cuda.vector import REALS
from minigan.ops.geometry import Geometry, require_images, require_same_number, require_weights
from minigan.ops.protocol import Array


class Convolution:
    """The three correlations of `minigan.ops.protocol.Ops` on arrays of a device.

    Operands of different dtypes are converted to the wider one, and copied if they are not C-contiguous.

    Parameters
    ----------
    device : Device
        Where to compute.
    precision : str
        The precision of float32 products: "fp32", the default, rounds nothing; "tf32" and "bf16" round the operands
        and add in float32.  float64 is never rounded.

    Raises
    ------
    ValueError
        If `precision` is none of these.

    """

    def __init__(self, device: Device, precision: str = "fp32") -> None:
        if precision not in PRECISIONS:
            raise ValueError(unknown("precision", precision, PRECISIONS))
        self.device, self.precision = device, precision
        self._patches, self._tiles = PatchCorrelations(device, precision), TileCorrelations(device, precision)

    def correlate(self, x: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
        """y_npqo = sum_ijc x~_n,(sp+di),(sq+dj),c W_ijco + b_o, where x~ is x padded with zeros.

        Parameters
        ----------
        x : (N, H, W, C) array
            The large images, float32 or float64.
        W : (kh, kw, C, O) array
            The weights.
        geometry : Geometry
            The sizes of both images and of the kernel, strides s, dilations d and padding.
        b : (O,) array, optional
            The bias, by default none.

        Returns
        -------
        (N, h, w, O) array
            The small images y.

        Raises
        ------
        TypeError
            If the common dtype is neither float32 nor float64.
        ValueError
            If a shape does not fit the geometry.

        """
        x, W, b = self._arrays(x, W, b)
        C, O = require_weights(W, geometry.kernel)
        require_images("x", x, geometry.large, C)
        _require_bias(b, O)
        plan = self._plan("correlate", x, geometry, C, O)
        if not plan.tile:
            return self._patches.correlate(x, W, geometry, b)
        return self._tiles.correlate(x, W, geometry, b, plan.tile)

    def correlate_adjoint(self, y: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
        """Apply the adjoint of `correlate` in x, crop the padding, and add b along the channels.

        Parameters
        ----------
        y : (N, h, w, O) array
            The small images, float32 or float64.
        W : (kh, kw, C, O) array
            The weights.
        geometry : Geometry
            The geometry of the correlation.
        b : (C,) array, optional
            The bias, by default none.

        Returns
        -------
        (N, H, W, C) array
            The large images x.

        Raises
        ------
        TypeError
            If the common dtype is neither float32 nor float64.
        ValueError
            If a shape does not fit the geometry.

        """
        y, W, b = self._arrays(y, W, b)
        C, O = require_weights(W, geometry.kernel)
        require_images("y", y, geometry.small, O)
        _require_bias(b, C)
        plan = self._plan("adjoint", y, geometry, C, O)
        if not plan.tile:
            return self._patches.correlate_adjoint(y, W, geometry, b)
        return self._tiles.correlate_adjoint(y, W, geometry, b, plan.tile)

    def correlate_weights(self, x: Array, y: Array, geometry: Geometry) -> Array:
        """dW_ijco = sum_npq x~_n,(sp+di),(sq+dj),c y_npqo, where x~ is x padded with zeros.

        Parameters
        ----------
        x : (N, H, W, C) array
            The large images, float32 or float64.
        y : (N, h, w, O) array
            The small images, or their gradient.
        geometry : Geometry
            The geometry of the correlation.

        Returns
        -------
        (kh, kw, C, O) array
            The gradient of <y, correlate(x, W)> in W.

        Raises
        ------
        TypeError
            If the common dtype is neither float32 nor float64.
        ValueError
            If a shape does not fit the geometry.

        """
        x, y, _ = self._arrays(x, y, None)
        require_images("x", x, geometry.large, "C")
        require_images("y", y, geometry.small, "O")
        require_same_number(x, y)
        C, O = x.shape[3], y.shape[3]
        plan = self._plan("weights", x, geometry, C, O)
        if not plan.tile:
            return self._patches.correlate_weights(x, y, geometry)
        return self._tiles.correlate_weights(x, y, geometry, plan.tile, plan.parts)

    def _plan(self, kind: str, images: Array, geometry: Geometry, C: int, O: int) -> Plan:
        double, processors = bool(images.dtype == np.float64), self.device.processors
        return choose_plan(
            kind, geometry, len(images), C, O, precision=self.precision, double=double, processors=processors
        )

    def _arrays(self, first: Array, second: Array, b: Array | None) -> tuple[Any, ...]:
        """Return the arrays in their common dtype, C-contiguous."""
        dtype = np.result_type(first.dtype, second.dtype)
        if dtype not in REALS:
            raise TypeError(f"a correlation of {dtype}; expected float32 or float64")
        contiguous = self.device.xp.ascontiguousarray
        return (*(None if a is None else contiguous(a.astype(dtype, copy=False)) for a in (first, second, b)),)


def _require_bias(b: Array | None, channels: int) -> None:
    if b is not None and b.shape != (channels,):
        raise ValueError(f"b has shape {b.shape}; expected ({channels},)")
