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
from verify.models.dirac import orbit, radius_squared
from verify.report.plot import Point

MAX_DRAWN_RADIUS = 1e-9  # of a ball that becomes a point of a figure


def number(x: arb) -> float:
    """Return the midpoint of a ball; Undecided if its radius exceeds MAX_DRAWN_RADIUS."""
    if not (x.is_finite() and x.rad() <= MAX_DRAWN_RADIUS):
        raise Undecided(f"{x} is too wide to be drawn; expected a radius <= {MAX_DRAWN_RADIUS}")
    return float(x.mid())


@dataclass(frozen=True)
class Densities:
    """p, q and D* = p / (p + q) on a grid, with C and JSD."""

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


def densities(digits: int = 20) -> Densities:
    """Return p = N(4, 2^2), q = N(0, 1) and D* on [-5, 11], in steps of 1/10.

    >>> pair = densities()
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
    """TV(p, q_k), exactly, and JSD(p, q_k), in a ball, along q_(k+1) = (p + q_k) / 2."""

    p: tuple[Fraction, ...]
    start: tuple[Fraction, ...]
    tv: tuple[Fraction, ...]
    jsd: tuple[float, ...]


PAIR = (Fraction(1, 2), Fraction(3, 10), Fraction(1, 5)), (Fraction(1, 20), Fraction(1, 5), Fraction(3, 4))


def halving(
    p: Sequence[Fraction] = PAIR[0], start: Sequence[Fraction] = PAIR[1], *, steps: int = 10, digits: int = 30
) -> Halving:
    """Iterate the step q+ = (p + q) / 2 of Proposition 2 from q_0 = `start`, and return TV and JSD at each step.

    >>> [str(tv) for tv in halving(steps=2).tv]
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
    """The points z_k = (theta_k, psi_k) of the Dirac-GAN and their distances to the equilibrium 0."""

    points: tuple[Point, ...]
    radii: tuple[float, ...]


def dirac(
    *, alternating: bool, gamma: Fraction | int = 0, steps: int, rate: Fraction = Fraction(1, 10), digits: int = 300
) -> Orbit:
    """Return the orbit of `verify.models.dirac` from (1, 0), the one that the claims are about.

    Parameters
    ----------
    alternating : bool
        Whether theta moves with the updated psi.
    gamma : Fraction or int
        The factor of the R1 penalty; 0 is without it.
    steps : int
        The number of steps.
    rate : Fraction
        The step size h; by default 1/10.
    digits : int
        The precision.  Balls grow along the orbit, so the default of 300 is far above what is drawn.

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
        return Orbit(points, tuple(number(radius_squared(state).sqrt()) for state in states))
