"""Probability densities, each in float64 (by scipy.stats) and in balls (by python-flint).

Parameters are exact: an int, a Fraction, or a text such as "1/2" or "0.1".  A float is refused, since the float 0.1 is
not one tenth.

>>> Normal(0, "1/2"), Mixture(["3/10", "7/10"], [Normal(-2), Laplace(1, 2)])
(Normal(mu=0, sigma=1/2), Mixture(weights=[3/10, 7/10], components=[Normal(mu=-2, sigma=1), Laplace(mu=1, b=2)]))
>>> Normal(0, -1)
Traceback (most recent call last):
ValueError: sigma is -1; expected a number > 0
"""

from verify.densities.base import Density
from verify.densities.bounded import Beta, Exponential, Uniform
from verify.densities.discrete import Discrete
from verify.densities.line import Laplace, Logistic, Normal
from verify.densities.mixture import Mixture
from verify.densities.power_tails import Cauchy, StudentT
from verify.densities.radial import IsotropicNormal, Radial

__all__ = [
    "Beta",
    "Cauchy",
    "Density",
    "Discrete",
    "Exponential",
    "IsotropicNormal",
    "Laplace",
    "Logistic",
    "Mixture",
    "Normal",
    "Radial",
    "StudentT",
    "Uniform",
]
