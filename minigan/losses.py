"""The objectives of D and G on logits: value and cotangents.

s is a logit, D(x) = sigma(s) = 1 / (1 + e^-s), so that with softplus(s) = log(1 + e^s)

    log D = -softplus(-s)        log(1 - D) = -softplus(s)

exactly and without overflow for any s: sigma is never formed before a logarithm.  Each objective has

    discriminator(s_real, s_fake) -> value, ds_real, ds_fake     the cost J_D that D minimises
    generator(s_fake) -> value, ds_fake                          the cost J_G that G minimises
    probability(s) -> D(x)

Two conventions for J_D are in use: ``factor=1`` adds the two means (Goodfellow et al. 2014, Algorithm 1: J_D = -V),
``factor=1/2`` averages them (binary cross-entropy over a batch that is half real and half fake).
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Protocol

import numpy as np

from minigan.layers.base import ShapeError
from minigan.ops import Array
from minigan.ops.cpu import sigmoid, softplus_sigmoid
from minigan.ops.reference import real

Value = Any  # a scalar of the logits' dtype


class Objective(Protocol):
    """What Algorithm 1 asks of an objective."""

    def discriminator(self, s_real: Array, s_fake: Array) -> tuple[Value, Array, Array]:
        """Return J_D, dJ_D/ds_real and dJ_D/ds_fake."""

    def generator(self, s_fake: Array) -> tuple[Value, Array]:
        """Return J_G and dJ_G/ds_fake."""

    def probability(self, s: Array) -> Array:
        """Return D(x) (N,)."""


@dataclass(frozen=True)
class _CrossEntropy:
    """J_D = factor (mean softplus(-s_real) + mean softplus(s_fake)).    s_real (N, 1) or (N,)   s_fake (M, 1) or (M,)

    With `pooled`, each mean is over all N + M examples, times 2: what one labelled batch gives when
    its halves differ in size (for N = M the two are the same).
    """

    _: KW_ONLY
    factor: float = 1.0
    pooled: bool = False

    def __post_init__(self) -> None:
        if not self.factor > 0:
            raise ValueError(f"factor must be > 0, got {self.factor!r}")

    def discriminator(self, s_real: Array, s_fake: Array) -> tuple[Value, Array, Array]:
        """Return J_D, ds_real = -factor sigma(-s_real) / N, ds_fake = factor sigma(s_fake) / M."""
        n_real, n_fake = _size(s_real), _size(s_fake)
        f_real = f_fake = self.factor
        if self.pooled:
            f_real, f_fake = (2 * self.factor * n / (n_real + n_fake) for n in (n_real, n_fake))
        cost_real, slope_real = softplus_sigmoid(-s_real)
        cost_fake, slope_fake = softplus_sigmoid(s_fake)
        value = f_real * _mean(cost_real) + f_fake * _mean(cost_fake)
        return value, -f_real * slope_real / n_real, f_fake * slope_fake / n_fake

    def probability(self, s: Array) -> Array:
        """Return D = sigma(s)."""
        return sigmoid(s).reshape(-1)


@dataclass(frozen=True)
class Minimax(_CrossEntropy):
    """G minimises mean log(1 - D(G(z)))   (Goodfellow et al. 2014, eq. 1 and Algorithm 1).

    J_G = -mean softplus(s_fake), ds = -sigma(s_fake) / M: it vanishes where D is sure, s -> -infinity.
    """

    def generator(self, s_fake: Array) -> tuple[Value, Array]:
        """Return J_G = mean log(1 - D) and its gradient."""
        n = _size(s_fake)
        cost, slope = softplus_sigmoid(s_fake)
        return -_mean(cost), -slope / n


@dataclass(frozen=True)
class NonSaturating(_CrossEntropy):
    """G minimises -mean log D(G(z))   (Goodfellow et al. 2014, end of section 3).

    J_G = mean softplus(-s_fake), ds = -sigma(-s_fake) / M: it tends to -1 / M where D is sure.
    """

    def generator(self, s_fake: Array) -> tuple[Value, Array]:
        """Return J_G = -mean log D and its gradient."""
        n = _size(s_fake)
        cost, slope = softplus_sigmoid(-s_fake)
        return _mean(cost), -slope / n


@dataclass(frozen=True)
class SoftmaxTwoClass:
    """Categorical cross-entropy of a D with two softmax outputs.    s (N, 2): column 0 fake, column 1 real

    log softmax(s)_1 = -softplus(s_0 - s_1): it is the cross-entropy of the one logit s_1 - s_0, and
    ds_0 = -ds_1.  G trains non-saturating, on the labels "real".  `factor` and `pooled` as above.
    """

    _: KW_ONLY
    factor: float = 0.5
    pooled: bool = False

    def discriminator(self, s_real: Array, s_fake: Array) -> tuple[Value, Array, Array]:
        """Return J_D, ds_real (N, 2), ds_fake (M, 2)."""
        one_logit = NonSaturating(factor=self.factor, pooled=self.pooled)
        value, d_real, d_fake = one_logit.discriminator(_difference(s_real), _difference(s_fake))
        return value, _columns(d_real), _columns(d_fake)

    def generator(self, s_fake: Array) -> tuple[Value, Array]:
        """Return J_G = -mean log softmax(s_fake)_1 and ds_fake (M, 2)."""
        value, d = NonSaturating().generator(_difference(s_fake))
        return value, _columns(d)

    def probability(self, s: Array) -> Array:
        """Return D = softmax(s)_1."""
        return sigmoid(_difference(s))


def _size(s: Array) -> int:
    """Return N, after checking that s holds one logit an example."""
    if s.size == 0 or s.size != len(s):
        raise ShapeError(f"logits have shape {s.shape}; accepted: (N,) or (N, 1) with N >= 1")
    return len(s)


def _mean(x: Array) -> Value:
    return x.sum() / len(x)


def _difference(s: Array) -> Array:
    if s.ndim != 2 or s.shape[1] != 2 or len(s) == 0:
        raise ShapeError(f"logits have shape {s.shape}; accepted: (N, 2) with N >= 1")
    return s[:, 1] - s[:, 0]


def _columns(d: Array) -> Array:
    return np.stack([-d, d], axis=1)


OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "minimax": Minimax,
    "non-saturating": NonSaturating,
    "softmax": SoftmaxTwoClass,
}


def accuracy(probability_real: Array, probability_fake: Array) -> float:
    """Return the share of examples on the right side of D = 1/2."""
    right = (real(probability_real) > 0.5).sum() + (real(probability_fake) <= 0.5).sum()
    return float(right) / (len(probability_real) + len(probability_fake))
