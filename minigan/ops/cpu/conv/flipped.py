"""The adjoint of a correlation of stride 1 as a correlation with the flipped kernel, and the other way round."""

import numpy as np

from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array


def flipped_geometry(geometry: Geometry) -> Geometry | None:
    """Return the geometry of the adjoint as a correlation with the flipped kernel, or None if it is not one.

    It is not one if the stride exceeds 1 or the padding exceeds what the kernel reaches.  The padding after y is what
    the windows of all large pixels need; with output padding it exceeds the padding before y.

    Parameters
    ----------
    geometry
        The geometry of the correlation from the large to the small image.

    Returns
    -------
    Geometry or None
        The geometry of a correlation from the small to the large image.

    """
    if geometry.stride != (1, 1):
        return None
    padding = []
    for axis in (0, 1):
        reach = geometry.dilation[axis] * (geometry.kernel[axis] - 1)
        before = reach - geometry.padding[axis][0]
        padding.append((before, geometry.large[axis] + reach - geometry.small[axis] - before))
    if min(padding[0] + padding[1]) < 0:
        return None
    sides = padding[0], padding[1]
    return Geometry(geometry.small, geometry.large, geometry.kernel, (1, 1), geometry.dilation, sides)


def flipped_weights(W: Array) -> Array:
    """V_ijoc = W_(kh-1-i),(kw-1-j),c,o, in C order.    W (kh, kw, C, O)   V (kh, kw, O, C)"""
    return np.ascontiguousarray(W[::-1, ::-1].swapaxes(2, 3))
