r"""Gradients of the two generator losses as certified integrals: normal games with tail bounds, Cauchy games without.

With D* = sigma(s), s = log p - log q, held fixed, and x = G(z) = a z + b, the gradients that training computes are

    saturating       E_z d/dtheta log(1 - D*(G(z))) = -E_z sigma(s) s'(x) dG/dtheta
    non-saturating   E_z d/dtheta (-log D*(G(z)))   = -E_z sigma(-s) s'(x) dG/dtheta

with dG/db = 1, dG/da = z.  They equal derivatives of divergences, which are taken under the integral by the density q:
dq/db = q t / a,  dq/da = q (t^2 - 1) / a,  t = (x - b) / a.  Integration by parts turns one into the other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from flint import arb

from verify.analysis.integrate import Integrand, enclose_to, integral
from verify.arithmetic.balls import ball, between, power_of_ten
from verify.densities import Normal
from verify.densities.functions import log, phi, sigmoid, softplus
from verify.densities.tails import Moments, Tail

Bound = Callable[
    [Moments, Moments], arb
]  # (moments of the data, moments of the noise) in a tail, both over z -> bound on the integral


@dataclass(frozen=True)
class NormalGame:
    """Data p = N(mu, sigma^2), generator G(z) = a z + b with z ~ N(0, 1), a > 0: q = N(b, a^2)."""

    mu: Fraction
    sigma: Fraction
    a: Fraction
    b: Fraction

    def logit(self, z: Any) -> tuple[Any, Any]:
        """Return s = (z^2 - u^2)/2 - log(sigma/a) and s' = ds/dx = z/a - u/sigma at x = a z + b, u = (x - mu)/sigma."""
        a, sigma = ball(self.a), ball(self.sigma)
        u = (a * z + ball(self.b - self.mu)) / sigma
        return (z * z - u * u) / 2 - (sigma / a).log(), z / a - u / sigma

    def score(self, parameter: str, z: Any) -> Any:
        """Return d log q / dtheta at x = a z + b."""
        return (z * z - 1) / ball(self.a) if parameter == "a" else z / ball(self.a)

    def kl_gradient(self, parameter: str) -> Fraction:
        """Return d/dtheta KL(q || p), from its closed form log(sigma/a) + (a^2 + (b - mu)^2) / (2 sigma^2) - 1/2."""
        return self.a / self.sigma**2 - 1 / self.a if parameter == "a" else (self.b - self.mu) / self.sigma**2

    def kl_gradient_reverse(self, parameter: str) -> Fraction:
        """Return d/dtheta KL(p || q), from log(a/sigma) + (sigma^2 + (b - mu)^2) / (2 a^2) - 1/2."""
        square = self.sigma**2 + (self.b - self.mu) ** 2
        return 1 / self.a - square / self.a**3 if parameter == "a" else (self.b - self.mu) / self.a**2


@cache
def pathwise(game: NormalGame, parameter: str, sign: int, digits: int) -> arb:
    """Enclose -E_z sigma(sign s) s'(x) dG/dtheta, with sign +1 for the saturating loss, -1 for the non-saturating."""

    def f(z: Any, analytic: bool) -> Any:
        s, slope = game.logit(z)
        return -phi(z) * sigmoid(sign * s) * slope * (z if parameter == "a" else 1)

    return _over_noise(game, f, pathwise_bound(game, parameter), digits, "the gradient of the generator")


@cache
def jsd_gradient(game: NormalGame, parameter: str, digits: int) -> arb:
    """Enclose d/dtheta JSD = 1/2 integral -p q'/(p+q) + q' log(2q/(p+q)) + q (q'/q - q'/(p+q)), with q' = dq/dtheta."""

    def f(z: Any, analytic: bool) -> Any:
        s, _ = game.logit(z)
        D, change = sigmoid(s), game.score(parameter, z) * phi(z)  # dx q'(x) = dz phi(z) score
        terms = -D * change + change * (arb(2).log() - softplus(s, analytic)) + change - (1 - D) * change
        return terms / 2

    return _over_noise(game, f, score_bound(game, parameter), digits, "the derivative of a divergence")


@cache
def moving_D_term(game: NormalGame, parameter: str, digits: int) -> arb:
    """Enclose E_q d/dtheta log(1 - D*_theta) = integral q' D*, the additional term if D* moves with theta."""

    def f(z: Any, analytic: bool) -> Any:
        return game.score(parameter, z) * phi(z) * sigmoid(game.logit(z)[0])

    return _over_noise(game, f, score_bound(game, parameter), digits, "the derivative of D*")


def pathwise_bound(game: NormalGame, parameter: str) -> Bound:
    """Return the bound |f| <= phi (k0 + k1 |z|) |dG|, since s' is affine in z and sigma < 1."""
    k0, k1 = abs(ball((game.b - game.mu) / game.sigma**2)), abs(ball(1 / game.a - game.a / game.sigma**2))

    def bound(p: Moments, q: Moments) -> arb:
        return k0 * q.linear + k1 * q.square if parameter == "a" else k0 * q.mass + k1 * q.linear

    return bound


def score_bound(game: NormalGame, parameter: str) -> Bound:
    """Return the bound |f| <= |score| (4 q + p), since q softplus(s) <= p and |score| <= (z^2 + 1) / a or |z| / a."""

    def bound(p: Moments, q: Moments) -> arb:
        terms = [4 * (q.square + q.mass), p.square + p.mass] if parameter == "a" else [4 * q.linear, p.linear]
        return sum(terms, arb(0)) / ball(game.a)

    return bound


def _over_noise(game: NormalGame, f: Integrand, bound: Bound, digits: int, name: str) -> arb:
    """Enclose the integral of f over z; `bound` bounds the integral of |f| over a tail."""

    def compute(d: int) -> arb:
        cut, lost = arb(4), arb(1)
        while not lost <= power_of_ten(-d):
            cut = cut * 5 / 4
            lost = beyond(game, bound, cut)
        return integral(f, -cut, cut, d) + between(-lost.upper(), lost.upper())

    return enclose_to(compute, digits, name)


def beyond(game: NormalGame, bound: Bound, cut: arb) -> arb:
    """Return the bound on the integral over |z| > cut."""
    p, q = Normal((game.mu - game.b) / game.a, game.sigma / game.a), Normal(0, 1)
    tails = [Tail(side, cut, Fraction(0)) for side in (-1, 1)]
    return sum((bound(p.moments(tail), q.moments(tail)) for tail in tails), arb(0))


@dataclass(frozen=True)
class CauchyGame:
    """Data p = Cauchy(0, 1), model q = Cauchy(m, g): every divergence has a closed form.    r^2 = m^2 + (1 + g)^2

    JSD = log(2r / (r + 2 sqrt g))        KL(q || p) = KL(p || q) = log(r^2 / (4g))
    """

    m: Fraction
    g: Fraction

    def jsd_gradient(self, parameter: str) -> arb:
        """Return d JSD = dr/r - (dr + d(2 sqrt g)) / (r + 2 sqrt g)."""
        m, g, r = ball(self.m), ball(self.g), self._r()
        dr, droot = (m / r, arb(0)) if parameter == "m" else ((1 + g) / r, 1 / g.sqrt())
        return dr / r - (dr + droot) / (r + 2 * g.sqrt())

    def kl_gradient(self, parameter: str) -> arb:
        """Return d KL = 2 dr / r - dg / g."""
        m, g, r = ball(self.m), ball(self.g), self._r()
        return 2 * m / r**2 if parameter == "m" else 2 * (1 + g) / r**2 - 1 / g

    def _r(self) -> arb:
        return (ball(self.m) ** 2 + (1 + ball(self.g)) ** 2).sqrt()


@cache
def descent(game: CauchyGame, parameter: str, sign: int, digits: int) -> arb:
    """Enclose d/dtheta E_q h = E_q score h for h = log(1 - D*) (sign +1) or -log D* (sign -1), held fixed.

    With x = m + g tan(angle) the mass of q is d angle / pi on (-pi/2, pi/2), where p/q is analytic: there are no tails.
    """

    def compute(d: int) -> arb:
        m, g = ball(game.m), ball(game.g)

        def f(angle: Any, analytic: bool) -> Any:
            sin, cos = angle.sin(), angle.cos()
            ratio = g / (cos * cos + (m * cos + g * sin) ** 2)  # p/q
            h = -log(1 + ratio, analytic) if sign > 0 else log(1 + 1 / ratio, analytic)
            score = (2 * angle).sin() / g if parameter == "m" else -(2 * angle).cos() / g
            return score * h / arb.pi()

        return integral(f, -arb.pi() / 2, arb.pi() / 2, d)

    return enclose_to(compute, digits, "the gradient of the generator")
