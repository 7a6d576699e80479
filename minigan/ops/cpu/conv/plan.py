"""The cost model that chooses between direct sums and the algorithms F(m, r) of Winograd's family.

A k x k kernel of stride s is an r x r kernel of stride 1 over the s x s phases of the image, r = ceil(k / s).  F(m, r)
computes m x m outputs by n x n multiplications, n = m + r - 1, instead of m^2 k^2 / s^2, at the cost of transforming
data and weights.  Its rounding error grows with n.  For n <= 4 (points 0, 1, -1, infinity) the transforms only add,
subtract and halve, and the error is a small multiple of that of direct sums; n = 5 and 6 need the points 2 and -2.
"""

import functools
import math
from typing import NamedTuple

from minigan.ops.cpu.instruction_set import compiles_for_avx512
from minigan.ops.geometry import Geometry

ORDERS_BY_ACCURACY = {
    "exact": (),
    "balanced": ((2, 2), (3, 2), (2, 3)),
    "fast": ((2, 2), (3, 2), (2, 3), (4, 2), (3, 3), (4, 3), (2, 5)),
}
"""accuracy -> the (m, r) that it allows."""
MAX_DIRECT_CHANNELS = 16
"""With at most so many input or output channels the products are too small to pay for the transforms."""


class Costs(NamedTuple):
    """The costs of Winograd's algorithms; the unit is one multiply-add (MAC) of a large product by the same kernels.

    Where products are faster, everything else costs more in this unit.

    Attributes
    ----------
    transform_entry
        To transform an entry to the points, or back.
    transformed_weight
        To transform a weight, write it, and read it for the product.
    batched_mac
        A multiply-add of the n^2 smaller products.
    call
        The passes over weights, images and points that direct sums do not have: calls from Python, waking threads.

    """

    transform_entry: float
    transformed_weight: float
    batched_mac: float
    call: float


COSTS = {
    "numpy": Costs(transform_entry=60, transformed_weight=96, batched_mac=1.1, call=0),
    "avx2": Costs(transform_entry=10, transformed_weight=40, batched_mac=1.1, call=6e7),
    "avx512": Costs(transform_entry=14, transformed_weight=60, batched_mac=1.0, call=1.6e8),
}
"""NumPy's kernels, and numba's with vector registers of 32 and of 64 bytes: fitted to times of the recipes' layers on
each of these instruction sets (docs/decisions/narrow-convolutions.md)."""
MACS_PER_PATCH_ENTRY = 8  # to copy an entry into a patch and read it again
MACS_PER_WEIGHT = 32  # to read a weight for the product


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
    costs = COSTS["numpy" if not compiled else "avx512" if compiles_for_avx512() else "avx2"]
    channels, points = C * math.prod(geometry.stride), plan.n**2
    tiles = images * math.prod(-(-size // plan.m) for size in geometry.small)
    products = points * channels * O * (costs.batched_mac * tiles + costs.transformed_weight)
    return points * tiles * (channels + O) * costs.transform_entry + products + costs.call
