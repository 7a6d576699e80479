"""Which way a correlation goes: directly, or by which F(m, r) of Winograd's family.

A k x k kernel of stride s is an r x r kernel of stride 1 over the s x s phases of the image, r = ceil(k / s).  F(m, r)
makes m x m outputs of n x n multiplications, n = m + r - 1, in place of m^2 k^2 / s^2; what it adds is the transforms
of data and weights.  Its rounding error grows with n: with n <= 4 (points 0, 1, -1, infinity) the transforms add,
subtract and halve, and the error is that of direct sums to a small factor; n = 5 and 6 need the points 2 and -2.
"""

import functools
import math
from typing import NamedTuple

from minigan.ops.geometry import Geometry

ORDERS = {
    "exact": (),
    "balanced": ((2, 2), (3, 2), (2, 3)),
    "fast": ((2, 2), (3, 2), (2, 3), (4, 2), (3, 3), (4, 3), (2, 5)),
}
"""accuracy -> the (m, r) that it allows."""
LEAST = 16
"""Up to so many channels on one side there is too little to multiply for what the transforms cost."""

# The costs of one number, in multiply-adds of a large product: what a thread does in the time.  Fitted to times of the
# recipes' layers on a processor with 512-bit vectors (docs/decisions/winograd.md); where products are slower,
# transforms are cheaper in these units.
PATCH = 8  # copied into a patch and read again
TRANSFORMED = 24  # transformed to the points, or back
BY_NUMPY = 60  # the same by NumPy's bodies
WEIGHT = 32  # a weight read by the product
TRANSFORMED_WEIGHT = 96  # a weight transformed, written and read by the product
BATCHED = 1.1  # one multiply-add of the n^2 smaller products


class Plan(NamedTuple):
    """F(m, r) on both axes."""

    m: int
    r: int

    @property
    def n(self) -> int:
        """Points, and multiplications, on an axis."""
        return self.m + self.r - 1


@functools.lru_cache(maxsize=1024)
def choose(geometry: Geometry, images: int, C: int, O: int, accuracy: str, *, compiled: bool) -> Plan | None:
    """Return the cheapest plan that `accuracy` allows; None: directly.

    >>> g = Geometry((28, 28), (28, 28), (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
    >>> [choose(g, 32, 128, 128, accuracy, compiled=True) for accuracy in ("exact", "balanced", "fast")]
    [None, Plan(m=2, r=3), Plan(m=4, r=3)]
    """
    if min(C, O) <= LEAST or geometry.dilation != (1, 1):
        return None
    r = taps(geometry)
    best, cheapest = None, direct_cost(geometry, images, C, O)
    for m, of in ORDERS[accuracy]:
        cost = cost_of(Plan(m, of), geometry, images, C, O, compiled=compiled) if of == r else math.inf
        if cost < cheapest:
            best, cheapest = Plan(m, of), cost
    return best


def taps(geometry: Geometry) -> int:
    """Return r: how many taps a phase of the kernel has, on the longer axis."""
    return max(-(-k // s) for k, s in zip(geometry.kernel, geometry.stride, strict=True))


def direct_cost(geometry: Geometry, images: int, C: int, O: int) -> float:
    """Patches, one large product, the weights."""
    patches = math.prod(geometry.kernel) * C * math.prod(geometry.small) * images
    return patches * (O + PATCH) + math.prod(geometry.kernel) * C * O * WEIGHT


def cost_of(plan: Plan, geometry: Geometry, images: int, C: int, O: int, *, compiled: bool) -> float:
    """Transforms of x and y, n^2 products, the transform of the weights."""
    channels, points = C * math.prod(geometry.stride), plan.n**2
    tiles = images * math.prod(-(-size // plan.m) for size in geometry.small)
    products = points * channels * O * (BATCHED * tiles + TRANSFORMED_WEIGHT)
    return points * tiles * (channels + O) * (TRANSFORMED if compiled else BY_NUMPY) + products
