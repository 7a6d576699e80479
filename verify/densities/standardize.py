"""Standardize a pair of densities: divergences do not change under x -> (x - m) / s.

For N(10^20, 1) most digits of x describe the location, and an integral that starts from |x| <= 1 must first find the
mass.  The parameters are rational, so the change of variable is exact.
"""

from dataclasses import replace
from fractions import Fraction
from typing import Any

from verify.densities.base import Density
from verify.densities.bounded import Beta, Exponential, Uniform
from verify.densities.line import Laplace, Logistic, Normal, Symmetric
from verify.densities.mixture import Mixture
from verify.densities.power_tails import Cauchy, StudentT
from verify.densities.radial import Radial

MAX_RATIO = 1000  # of location to scale, and of scale to 1 or 1 to scale: pairs within it stay unchanged

SPREADS: dict[type, str] = {Normal: "sigma", Laplace: "b", Logistic: "b", Cauchy: "gamma", StudentT: "scale"}


def standardize(p: Density, q: Density) -> tuple[Density, Density]:
    """Shift and scale a pair so that its narrowest component is at 0 with scale 1; leave a pair that is nearly so.

    Parameters
    ----------
    p, q : Density
        Two densities on the line.  A pair with a class that is not one of `verify.densities` is returned unchanged.

    Returns
    -------
    tuple of Density
        Two densities with the same C, JSD, KL and TV.

    Examples
    --------
    >>> from verify.densities import Normal
    >>> standardize(Normal(10**20, 2), Normal(10**20 + 1, 3))
    (Normal(mu=0, sigma=1), Normal(mu=1/2, sigma=3/2))
    >>> standardize(Normal(5, 2), Normal(0, 1))
    (Normal(mu=5, sigma=2), Normal(mu=0, sigma=1))

    """
    places = [_location_and_scale(part) for density in (p, q) for part in _parts(density)]
    known = [place for place in places if place is not None]
    if len(known) < len(places):
        return p, q
    centre, spread = min(known, key=lambda place: place[1])
    farthest = max(Fraction(0) if one is None else abs(one) for one, _ in known)
    if farthest <= MAX_RATIO * spread and Fraction(1, MAX_RATIO) <= spread <= MAX_RATIO:
        return p, q
    shift = Fraction(0) if centre is None or any(one is None for one, _ in known) else centre
    return _transformed(p, shift, spread), _transformed(q, shift, spread)


def _parts(p: Density) -> list[Density]:
    if not isinstance(p, Mixture):
        return [p]
    return [part for w, inner in zip(p.weights, p.components, strict=True) if w for part in _parts(inner)]


def _location_and_scale(p: Density) -> tuple[Fraction | None, Fraction] | None:
    """Return the location and the scale, or None for a class not known here; location None: 0, not to be shifted."""
    if isinstance(p, Symmetric):
        return (p.centre, p.spread) if type(p) in SPREADS else None
    if isinstance(p, Uniform | Beta):
        return ((p.low + p.high) / 2, p.high - p.low) if type(p) in (Uniform, Beta) else None
    if isinstance(p, Exponential):
        return (None, 1 / p.rate) if type(p) is Exponential else None
    return (None, p.sigma) if isinstance(p, Radial) and type(p) is Radial else None


def _transformed(p: Density, m: Fraction, s: Fraction) -> Density:
    """Return the density of (x - m) / s."""
    if isinstance(p, Mixture):
        return Mixture(p.weights, [_transformed(part, m, s) for part in p.components])
    if isinstance(p, Uniform | Beta):
        return replace(p, low=(p.low - m) / s, high=(p.high - m) / s)
    if isinstance(p, Exponential):
        return Exponential(p.rate * s)
    if isinstance(p, Radial):
        return Radial(p.d, p.sigma / s)
    if not isinstance(p, Symmetric):
        raise TypeError(f"{p!r} cannot be shifted and scaled; expected a density of verify.densities")
    one: Any = p  # subclasses are dataclasses
    moved: Density = replace(one, mu=(p.centre - m) / s, **{SPREADS[type(p)]: p.spread / s})
    return moved
