"""A pair of densities in a better place: divergences do not change under x -> (x - m) / s.

At N(10^20, 1) the digits of x are spent on the location, and an integral that starts from |x| <= 1 must first find
the mass.  The parameters are rationals, so the change of variable is exact.
"""

from dataclasses import replace
from fractions import Fraction
from typing import Any

from verify.densities.base import Density
from verify.densities.bounded import Beta, Exponential, Uniform
from verify.densities.line import Cauchy, Laplace, Logistic, Normal, StudentT, Symmetric
from verify.densities.mixture import Mixture
from verify.densities.radial import Radial

FAR = 1000  # scales from the origin, or between the unit and the scale: nearer pairs stay where they are

SPREADS: dict[type, str] = {Normal: "sigma", Laplace: "b", Logistic: "b", Cauchy: "gamma", StudentT: "scale"}


def placed(p: Density, q: Density) -> tuple[Density, Density]:
    """Return the pair with the narrowest part at 0 with scale 1, if it is far from there, else the pair as it is.

    Parameters
    ----------
    p, q : Density
        Two densities on the line.  A pair with a class that is not one of `verify.densities` stays as it is.

    Returns
    -------
    tuple of Density
        Two densities with the same C, JSD, KL and TV.

    Examples
    --------
    >>> from verify.densities import Normal
    >>> placed(Normal(10**20, 2), Normal(10**20 + 1, 3))
    (Normal(mu=0, sigma=1), Normal(mu=1/2, sigma=3/2))
    >>> placed(Normal(5, 2), Normal(0, 1))
    (Normal(mu=5, sigma=2), Normal(mu=0, sigma=1))

    """
    places = [_place(part) for density in (p, q) for part in _parts(density)]
    known = [place for place in places if place is not None]
    if len(known) < len(places):
        return p, q
    centre, spread = min(known, key=lambda place: place[1])
    farthest = max(Fraction(0) if one is None else abs(one) for one, _ in known)
    if farthest <= FAR * spread and Fraction(1, FAR) <= spread <= FAR:
        return p, q
    shift = Fraction(0) if centre is None or any(one is None for one, _ in known) else centre
    return _moved(p, shift, spread), _moved(q, shift, spread)


def _parts(p: Density) -> list[Density]:
    if not isinstance(p, Mixture):
        return [p]
    return [part for w, inner in zip(p.weights, p.components, strict=True) if w for part in _parts(inner)]


def _place(p: Density) -> tuple[Fraction | None, Fraction] | None:
    """Return the location (None: 0, and it must stay there) and the scale, or None for a class not known here."""
    if isinstance(p, Symmetric):
        return (p.centre, p.spread) if type(p) in SPREADS else None
    if isinstance(p, Uniform | Beta):
        return ((p.low + p.high) / 2, p.high - p.low) if type(p) in (Uniform, Beta) else None
    if isinstance(p, Exponential):
        return (None, 1 / p.rate) if type(p) is Exponential else None
    return (None, p.sigma) if isinstance(p, Radial) and type(p) is Radial else None


def _moved(p: Density, m: Fraction, s: Fraction) -> Density:
    """Return the density of (x - m) / s."""
    if isinstance(p, Mixture):
        return Mixture(p.weights, [_moved(part, m, s) for part in p.components])
    if isinstance(p, Uniform | Beta):
        return replace(p, low=(p.low - m) / s, high=(p.high - m) / s)
    if isinstance(p, Exponential):
        return Exponential(p.rate * s)
    if isinstance(p, Radial):
        return Radial(p.d, p.sigma / s)
    if not isinstance(p, Symmetric):
        raise TypeError(f"{p!r} cannot be moved; expected a density of verify.densities")
    one: Any = p  # a dataclass
    moved: Density = replace(one, mu=(p.centre - m) / s, **{SPREADS[type(p)]: p.spread / s})
    return moved
