"""The numbers that the figures show, computed in balls or rationals; a ball that is too wide is not drawn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from flint import arb

from verify.analysis import atoms
from verify.analysis.divergences import criterion, jsd
from verify.arithmetic.balls import ball, precision
from verify.arithmetic.decide import Undecided
from verify.densities import Discrete, Normal
from verify.densities.functions import softplus
from verify.models.dirac import orbit, squared_distance
from verify.report.plot import Point

MAX_DRAWN_RADIUS = 1e-9  # largest ball radius that may be drawn as a point, in data units


def number(x: arb) -> float:
    """Return the midpoint of x; raise Undecided if x is not finite or its radius exceeds MAX_DRAWN_RADIUS."""
    if not (x.is_finite() and x.rad() <= MAX_DRAWN_RADIUS):
        raise Undecided(f"{x} is too wide to be drawn; expected a radius <= {MAX_DRAWN_RADIUS}")
    return float(x.mid())


@dataclass(frozen=True)
class Densities:
    """p, q and D* = p / (p + q) on a grid, with C and JSD.

    Attributes
    ----------
    p, q
        The densities of the data and of the generator.
    x
        The grid.
    p_values, q_values, d_star
        p, q and D* at the points of the grid, as the float64 midpoints of balls.
    c, jsd
        Enclosures of C = 2 JSD(p, q) - log 4 and of JSD(p, q).

    """

    p: Normal
    q: Normal
    x: tuple[Fraction, ...]
    p_values: tuple[float, ...]
    q_values: tuple[float, ...]
    d_star: tuple[float, ...]
    c: arb
    jsd: arb

    def curve(self, values: Iterable[float]) -> list[Point]:
        """Return the points (x, value)."""
        return list(zip(map(float, self.x), values, strict=True))


def density_curves(digits: int = 20) -> Densities:
    """Return p = N(4, 2^2), q = N(0, 1) and D* on [-5, 11], in steps of 1/10.

    Parameters
    ----------
    digits : int
        Working precision in decimal digits; by default 20, above the float64 that is drawn.

    Returns
    -------
    Densities
        The curves, and enclosures of C and JSD to `digits` digits.

    Raises
    ------
    Undecided
        If a ball is too wide to be drawn.

    Examples
    --------
    >>> pair = density_curves()
    >>> round(pair.d_star[pair.x.index(0)], 6)
    0.063379

    """
    p, q = Normal(4, 2), Normal(0, 1)
    x = tuple(Fraction(k, 10) for k in range(-50, 111))
    with precision(digits):
        log_p, log_q = p.log_density(), q.log_density()
        logs = [(log_p(ball(at), at), log_q(ball(at), at)) for at in x]
        ps, qs = ([number(one.exp()) for one in side] for side in zip(*logs, strict=True))
        d_star = [number((-softplus(b - a)).exp()) for a, b in logs]
        return Densities(p, q, x, tuple(ps), tuple(qs), tuple(d_star), criterion(p, q, digits), jsd(p, q, digits))


@dataclass(frozen=True)
class Halving:
    """TV(p, q_k), exactly, and the float64 midpoint of an enclosure of JSD(p, q_k), along q_(k+1) = (p + q_k) / 2.

    Attributes
    ----------
    p
        The limit, a distribution on n points.
    start
        q_0, a distribution on the same points.
    tv, jsd
        TV(p, q_k) and JSD(p, q_k) for k = 0, 1, ...

    """

    p: tuple[Fraction, ...]
    start: tuple[Fraction, ...]
    tv: tuple[Fraction, ...]
    jsd: tuple[float, ...]


DEFAULT_P = (Fraction(1, 2), Fraction(3, 10), Fraction(1, 5))
DEFAULT_START = (Fraction(1, 20), Fraction(1, 5), Fraction(3, 4))


def halving_path(
    p: Sequence[Fraction] = DEFAULT_P, start: Sequence[Fraction] = DEFAULT_START, *, steps: int = 10, digits: int = 30
) -> Halving:
    """Iterate q_(k+1) = (p + q_k) / 2, the step of Proposition 2, and return TV and JSD after each step.

    Parameters
    ----------
    p : sequence of Fraction
        A distribution (n,), the limit; by default the one of the figure, on three points.
    start : sequence of Fraction
        q_0 (n,); by default the one of the figure.
    steps : int
        The number of steps; by default 10, which multiply TV by 1/1024.
    digits : int
        Working precision of JSD in decimal digits; by default 30, above the float64 that is drawn.

    Returns
    -------
    Halving
        TV(p, q_k) and JSD(p, q_k) for k = 0, ..., `steps`.

    Raises
    ------
    ValueError
        If p or start is not a distribution, or their lengths differ.
    Undecided
        If a ball is too wide to be drawn.

    Examples
    --------
    >>> [str(tv) for tv in halving_path(steps=2).tv]
    ['11/20', '11/40', '11/80']

    """
    q, tv, divergence = list(start), [], []
    for _ in range(steps + 1):
        tv.append(atoms.tv(tuple(p), tuple(q)))
        divergence.append(number(jsd(Discrete(p), Discrete(q), digits)))
        q = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return Halving(tuple(p), tuple(start), tuple(tv), tuple(divergence))


@dataclass(frozen=True)
class Orbit:
    """The points z_k = (theta_k, psi_k) of the Dirac-GAN and their distances to the equilibrium (0, 0).

    Attributes
    ----------
    points
        z_0, z_1, ...
    distances
        |z_0|, |z_1|, ...

    """

    points: tuple[Point, ...]
    distances: tuple[float, ...]


def dirac_orbit(
    *, alternating: bool, gamma: Fraction | int = 0, steps: int, rate: Fraction = Fraction(1, 10), digits: int = 300
) -> Orbit:
    """Return the orbit of `verify.models.dirac` from (1, 0), from which the orbits of the claims start too.

    Parameters
    ----------
    alternating : bool
        Whether theta is updated with the new psi; otherwise both are updated together.
    gamma : Fraction or int
        The factor of the R1 penalty; by default 0, which means no penalty.
    steps : int
        The number of steps.
    rate : Fraction
        The step size h; by default 1/10.
    digits : int
        Working precision in decimal digits.  Ball radii grow at every step; 300 digits leave them below
        MAX_DRAWN_RADIUS for the steps that are drawn.

    Returns
    -------
    Orbit
        The `steps` + 1 points (theta, psi) and their distances to the equilibrium.

    Raises
    ------
    Undecided
        If a ball is too wide to be drawn.

    """
    with precision(digits):
        states = list(orbit(steps, h=rate, gamma=Fraction(gamma), alternating=alternating))
        points = tuple((number(theta), number(psi)) for theta, psi in states)
        return Orbit(points, tuple(number(squared_distance(state).sqrt()) for state in states))
