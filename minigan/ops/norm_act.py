"""The parts of a stage of rows (M, C), see `minigan.fusion.norm_act`: a gate before and after batch norm, and the norm.

    u = f0(mask0 x)        v = (u - mu) scale + beta        y = mask1 f1(v)          each part of it may be absent

Every backend that runs such stages takes these.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.ops import reference
from minigan.ops.protocol import Array


@dataclass(frozen=True, slots=True)
class ActivationMask:
    """f(x) = x where x > 0, else slope x, or 0 (relu); and the mask of dropout with `rate` and `key`."""

    relu: bool = False
    slope: float = 1.0
    rate: float = 0.0
    key: int = 0

    @property
    def idle(self) -> bool:
        """Whether it changes nothing."""
        return not self.relu and self.slope == 1 and self.rate == 0

    def at(self, first: int, dtype: np.dtype[Any]) -> tuple[Any, ...]:
        """Return what the CPU's bodies take, for a part that begins with the number `first` of its array."""
        slope, threshold, low, high, kept = constants(self, dtype)
        return self.relu, slope, self.rate > 0, np.uint32(first & 0xFFFFFFFF), threshold, low, high, kept


@functools.lru_cache(maxsize=256)
def constants(gate: ActivationMask, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Return slope, threshold, the two words of the key, and 1 / (1 - rate), as numbers of the kernels' types."""
    real = dtype.type
    low, high = np.uint32(gate.key & 0xFFFFFFFF), np.uint32(gate.key >> 32)
    return real(gate.slope), reference.dropout_threshold(gate.rate), low, high, real(1) / real(1 - gate.rate)


OPEN = ActivationMask()


@dataclass(frozen=True, slots=True)
class Norm:
    """v = (u - mu) inverse gamma + beta.    mu, inverse = 1 / sqrt(var + eps), scale = gamma inverse, beta (C,)"""

    mu: Array
    inverse: Array
    scale: Array
    beta: Array
    rest: Array | None = None
    """(C,): what rounding left of mu; None where it is too small to count.

    On the CPU float64, and `beta` holds it already; on a device of x's dtype, and the kernels subtract it from u - mu.
    """

    @property
    def vectors(self) -> tuple[Array, Array, Array]:
        """mu, scale and beta."""
        return self.mu, self.scale, self.beta
