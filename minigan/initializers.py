"""Distributions of initial weights.

All draw float64 on the host, so that every backend and dtype starts from the same numbers.  fan_in and fan_out are the
numbers of inputs and of outputs of one unit: I and O of a Dense, kh kw C and kh kw O of a convolution.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Initializer:
    """The base class: a subclass is a frozen dataclass that defines `draw`."""

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        """Draw initial weights.

        Parameters
        ----------
        rng : numpy.random.Generator
            The random stream; it is not used by constant distributions.
        shape : tuple of int
            The shape of the parameter.
        fan_in, fan_out : int
            The numbers of inputs and of outputs of one unit.

        Returns
        -------
        array of float64, `shape`
            The weights.

        """
        raise NotImplementedError(f"{type(self).__name__} does not define draw")


@dataclass(frozen=True)
class Zeros(Initializer):
    """w = 0."""

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        """Return zeros."""
        return np.zeros(shape)


@dataclass(frozen=True)
class Constant(Initializer):
    """w = value.

    Parameters
    ----------
    value : float
        The value of every weight.

    """

    value: float

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        """Return an array filled with `value`."""
        return np.full(shape, float(self.value))


@dataclass(frozen=True)
class Normal(Initializer):
    """w ~ N(mean, std^2).  DCGAN: Normal(0.02) for weights, Normal(0.02, mean=1) for gamma.

    Parameters
    ----------
    std : float
        The standard deviation, >= 0.
    mean : float
        The mean, 0 by default.

    """

    std: float
    mean: float = 0.0

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        """Return normal draws."""
        return rng.normal(self.mean, self.std, shape)


@dataclass(frozen=True)
class Uniform(Initializer):
    """w ~ U(-limit, limit), which the code of the 2014 paper calls `irange`.

    Parameters
    ----------
    limit : float
        Half the width of the interval, >= 0.

    """

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
    """A normal distribution truncated at two standard deviations, with variance 2 / (fan_in + fan_out), as in Keras.

    Truncation multiplies the standard deviation by 0.87962566.  The draws are divided by this number, so that the
    variance of w is that of Glorot and Bengio 2010, eq. 12.
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

    The distribution is not truncated, as in the paper and in PyTorch (kaiming_normal_); Keras truncates its he_normal
    at two standard deviations.
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
