"""The cost model that chooses between direct sums and the algorithms F(m, r) of Winograd's family.

A k x k kernel of stride s is an r x r kernel of stride 1 over the s x s phases of the image, r = ceil(k / s).  F(m, r)
computes m x m outputs by n x n multiplications, n = m + r - 1, instead of m^2 k^2 / s^2, at the cost of transforming
data and weights.  Its rounding error grows with n.  For n <= 4 (points 0, 1, -1, infinity) the transforms only add,
subtract and halve, and the error is a small multiple of that of direct sums; n = 5 and 6 need the points 2 and -2.
"""

import functools
import math
from typing import NamedTuple

from minigan.ops.geometry import Geometry

ORDERS_BY_ACCURACY = {
    "exact": (),
    "balanced": ((2, 2), (3, 2), (2, 3)),
    "fast": ((2, 2), (3, 2), (2, 3), (4, 2), (3, 3), (4, 3), (2, 5)),
}
"""accuracy -> the (m, r) that it allows."""
MAX_DIRECT_CHANNELS = 16
"""With at most so many input or output channels the products are too small to pay for the transforms."""

# The unit of cost is one multiply-add (MAC) of a large product.  The constants were fitted to the times of the recipes'
# layers on a processor with 512-bit vectors (docs/decisions/winograd.md); on a processor with slower products,
# transforms are cheaper in this unit.
MACS_PER_PATCH_ENTRY = 8  # to copy an entry into a patch and read it again
MACS_PER_TRANSFORM_ENTRY = 24  # to transform an entry to the points, or back
MACS_PER_NUMPY_TRANSFORM_ENTRY = 60  # the same with NumPy's kernels
MACS_PER_WEIGHT = 32  # to read a weight for the product
MACS_PER_TRANSFORMED_WEIGHT = 96  # to transform a weight, write it, and read it for the product
MACS_PER_BATCHED_MAC = 1.1  # for a multiply-add of the n^2 smaller products


class Plan(NamedTuple):
    """F(m, r) on both axes.

    Attributes
    ----------
    m
        Outputs of a tile on each axis.
    r
        Taps of a phase of the kernel on each axis.

    """

    m: int
    r: int

    @property
    def n(self) -> int:
        """The number of points, and of multiplications, on each axis: m + r - 1."""
        return self.m + self.r - 1


@functools.lru_cache(maxsize=1024)
def choose_plan(geometry: Geometry, images: int, C: int, O: int, accuracy: str, *, compiled: bool) -> Plan | None:
    """Return the cheapest plan that `accuracy` allows, or None for direct sums.

    Parameters
    ----------
    geometry
        The geometry of the correlation.
    images
        N, the number of images in the batch.
    C, O
        The channels of the large and the small image.
    accuracy
        A key of `ORDERS_BY_ACCURACY`: "exact", "balanced" or "fast".
    compiled
        Whether numba's kernels run; NumPy's transforms cost more.

    Returns
    -------
    Plan or None
        F(m, r), or None if direct sums cost less, or if no F(m, r) supports the geometry.

    Examples
    --------
    >>> g = Geometry((28, 28), (28, 28), (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
    >>> [choose_plan(g, 32, 128, 128, accuracy, compiled=True) for accuracy in ("exact", "balanced", "fast")]
    [None, Plan(m=2, r=3), Plan(m=4, r=3)]

    """
    if min(C, O) <= MAX_DIRECT_CHANNELS or geometry.dilation != (1, 1):
        return None
    r = taps(geometry)
    best, cheapest = None, direct_cost(geometry, images, C, O)
    for plan in (Plan(*order) for order in ORDERS_BY_ACCURACY[accuracy]):
        cost = winograd_cost(plan, geometry, images, C, O, compiled=compiled) if plan.r == r else math.inf
        if cost < cheapest:
            best, cheapest = plan, cost
    return best


def taps(geometry: Geometry) -> int:
    """r = ceil(k / s), on the axis where it is larger: the taps of a phase of the kernel."""
    return max(-(-k // s) for k, s in zip(geometry.kernel, geometry.stride, strict=True))


def direct_cost(geometry: Geometry, images: int, C: int, O: int) -> float:
    """Return the cost, in multiply-adds, of patches, one large product and reading the weights."""
    patches = math.prod(geometry.kernel) * C * math.prod(geometry.small) * images
    return patches * (O + MACS_PER_PATCH_ENTRY) + math.prod(geometry.kernel) * C * O * MACS_PER_WEIGHT


def winograd_cost(plan: Plan, geometry: Geometry, images: int, C: int, O: int, *, compiled: bool) -> float:
    """Return the cost, in multiply-adds, of transforming x, y and the weights, and of the n^2 products."""
    channels, points = C * math.prod(geometry.stride), plan.n**2
    tiles = images * math.prod(-(-size // plan.m) for size in geometry.small)
    products = points * channels * O * (MACS_PER_BATCHED_MAC * tiles + MACS_PER_TRANSFORMED_WEIGHT)
    per_entry = MACS_PER_TRANSFORM_ENTRY if compiled else MACS_PER_NUMPY_TRANSFORM_ENTRY
    return points * tiles * (channels + O) * per_entry + products
