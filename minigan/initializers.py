"""Initial weights.  Each draws float64 on the host, so that every backend and dtype starts from the same numbers.

fan_in and fan_out are the numbers of inputs and outputs that one unit sees.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Initializer:
    """A distribution of initial weights: ``draw(rng, shape, fan_in, fan_out)``."""

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        """Return an array of `shape`."""
        raise NotImplementedError(f"{type(self).__name__} does not define draw")


@dataclass(frozen=True)
class Zeros(Initializer):
    """w = 0."""

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        """Return zeros."""
        return np.zeros(shape)


@dataclass(frozen=True)
class Constant(Initializer):
    """w = value."""

    value: float

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        """Return a constant array."""
        return np.full(shape, float(self.value))


@dataclass(frozen=True)
class Normal(Initializer):
    """w ~ N(mean, std^2).  DCGAN: Normal(0.02) for weights, Normal(0.02, mean=1) for gamma."""

    std: float
    mean: float = 0.0

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        """Return normal draws."""
        return rng.normal(self.mean, self.std, shape)


@dataclass(frozen=True)
class Uniform(Initializer):
    """w ~ U(-limit, limit): the `irange` of the 2014 code."""

    limit: float

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        """Return uniform draws."""
        return rng.uniform(-self.limit, self.limit, shape)


@dataclass(frozen=True)
class GlorotUniform(Initializer):
    """w ~ U(-r, r), r = sqrt(6 / (fan_in + fan_out))   (Glorot and Bengio 2010, eq. 16; the default of Keras)."""

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        """Return uniform draws."""
        limit = math.sqrt(6 / (fan_in + fan_out))
        return rng.uniform(-limit, limit, shape)


@dataclass(frozen=True)
class GlorotNormal(Initializer):
    """w ~ N(0, 2 / (fan_in + fan_out)) cut at two standard deviations, as Keras draws it.

    Cutting shrinks the standard deviation by 0.87962566; it is divided out, so that the variance
    of w is 2 / (fan_in + fan_out) as in Glorot and Bengio 2010, eq. 12.
    """

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        """Return truncated normal draws."""
        w = rng.standard_normal(shape)
        while (outside := np.abs(w) > 2).any():
            w[outside] = rng.standard_normal(int(outside.sum()))
        return w * (math.sqrt(2 / (fan_in + fan_out)) / 0.87962566103423978)


@dataclass(frozen=True)
class HeNormal(Initializer):
    """w ~ N(0, 2 / fan_in)   (He et al. 2015, eq. 10: for ReLU).

    The whole normal distribution, as in the paper and in PyTorch (kaiming_normal_); Keras cuts its he_normal at two
    standard deviations, as it does its glorot_normal.
    """

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        """Return normal draws."""
        return rng.normal(0, math.sqrt(2 / fan_in), shape)


@dataclass(frozen=True)
class HeUniform(Initializer):
    """w ~ U(-r, r), r = sqrt(6 / fan_in)   (He et al. 2015)."""

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        """Return uniform draws."""
        limit = math.sqrt(6 / fan_in)
        return rng.uniform(-limit, limit, shape)
