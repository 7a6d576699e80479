r"""Certify how far a trained pair is from the optimum of the theory.

For a trained pair G(z) = a z + b, D = sigma(s) and data p = N(mu, sigma^2), with the stored numbers as exact rationals,
the model density is p_g = N(b, a^2), and these are enclosed:

    JSD(p, p_g),   C(G) = V(D*) = -log 4 + 2 JSD,   V(D),   V(D*) - V(D) = integral (p + p_g) KL(D* || D) >= 0

JSD, V(D*), V(D) and V(D*) - V(D) are four separate integrals, so the two identities are checked, not assumed.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

from flint import arb

from minigan.network import Network
from verify.analysis.divergences import criterion, jsd
from verify.analysis.game_value import Discriminator, suboptimality, value
from verify.arithmetic.balls import check_digits
from verify.arithmetic.decide import Undecided, Verdict
from verify.densities import Density, Normal
from verify.engine.certificate import Certificate
from verify.engine.certify import certificate
from verify.engine.proof import Profile, Proof
from verify.engine.registry import GOODFELLOW, Claim, Source
from verify.trained.logit import discriminator

DIGITS = 30


@dataclass(frozen=True)
class Optimality:
    """The certified numbers of a trained pair, in nats, each an enclosure of radius at most 10^-digits.

    Attributes
    ----------
    p, q
        The data and the model p_g.
    D
        The discriminator.
    digits
        The largest radius is 10^-digits.
    jsd
        JSD(p, q).
    c
        C(G) = V(D*).
    value
        V(D).
    suboptimality
        V(D*) - V(D), as the integral of (p + q) KL(D* || D).
    certificate
        The certificate of these numbers.

    """

    p: Density
    q: Density
    D: Discriminator
    digits: int
    jsd: arb
    c: arb
    value: arb
    suboptimality: arb
    certificate: Certificate

    @property
    def gap(self) -> arb:
        """The name of `suboptimality` in the version before."""
        warnings.warn("Optimality.gap is now called Optimality.suboptimality", DeprecationWarning, stacklevel=2)
        return self.suboptimality

    def __str__(self) -> str:
        shown = (
            ("JSD(p_data, p_g)", self.jsd, "0 where p_g = p_data"),
            ("C(G) = V(D*)", self.c, "-log 4 = -1.386294... where p_g = p_data"),
            ("V(D)", self.value, "of the trained D"),
            ("V(D*) - V(D)", self.suboptimality, "by which the trained D misses the optimum"),
        )
        lines = [
            f"p_data  {self.p}",
            f"p_g     {self.q}",
            f"D       {len(self.D.edges)} breakpoints" + self._breakpoints(),
        ]
        lines += [f"{name:<18}{x.str(min(self.digits, 25)):<44}  {about}" for name, x, about in shown]
        lines.append(f"{self.certificate.verdict.value}, {self.certificate.seconds:.2f} s")
        return "\n".join(lines)

    def _breakpoints(self) -> str:
        if not self.D.edges:
            return ": an analytic logit"
        return " from " + " to ".join(f"{float(x):.6g}" for x in (self.D.edges[0], self.D.edges[-1]))


def certify_networks(p: Density, G: Network, D: Network, *, digits: int = DIGITS) -> Optimality:
    """Certify a trained pair of networks.

    Parameters
    ----------
    p : Density
        The data.
    G : Network
        Network([Dense(1, 1)], ...), whose input is z ~ N(0, 1), so that p_g is normal.
    D : Network
        A discriminator of one input, with layers as in `discriminator`.
    digits : int
        The largest radius is 10^-digits; by default 30.

    Returns
    -------
    Optimality
        The numbers and their certificate.

    Raises
    ------
    ValueError
        If G is another network or constant, p is no density on the line, or digits is no whole number from 1 to 10000.
    NotCertifiable
        If the logit of D cannot be split exactly; a kind of ValueError.
    Undecided
        If a number could not be enclosed so narrowly.

    """
    return certify_pair(p, model(G), discriminator(D), digits=digits)


def certify_pair(p: Density, q: Density, D: Discriminator, *, digits: int = DIGITS) -> Optimality:
    """Certify a discriminator between data p and model q.

    Parameters
    ----------
    p, q : Density
        The data and the model, on the line.
    D : Discriminator
        Any discriminator whose V is finite.
    digits : int
        The largest radius is 10^-digits; by default 30.

    Returns
    -------
    Optimality
        The numbers and their certificate.  For D = D*, V(D*) - V(D) is enclosed about 0, and the certificate, which
        states that it is > 0, is undecided.

    Raises
    ------
    ValueError
        If p or q is no density on the line, or digits is no whole number from 1 to 10000.
    Undecided
        If a number could not be enclosed so narrowly.

    """
    check_digits(digits)
    for name, density in (("p", p), ("q", q)):
        if not isinstance(density, Density):
            raise ValueError(f"{name} is {density!r}; expected a density on the line, of verify.densities")
    found = certificate(claim_about(p, q, D), Profile("quick", digits))
    if not set(NAMES) <= set(found.enclosures):
        reasons = "; ".join(check.name for check in found.checks if check.verdict is Verdict.UNDECIDED)
        raise Undecided(f"{D.name} could not be certified to {digits} digits: {reasons}")
    jensen, best, reached, lacking = (found.enclosures[name].arb() for name in NAMES)
    return Optimality(p, q, D, digits, jensen, best, reached, lacking, found)


RUN_ID = "Trained.run"
NAMES = ("JSD", "V(D*)", "V(D)", "V(D*) - V(D)")


def optimality(
    proof: Proof, p: Density, q: Density, D: Discriminator, *, factor: int = 1, constant: int = 4,
    other: Callable[[], Discriminator] | None = None,
) -> None:  # fmt: skip
    """Enclose JSD, V(D*), V(D) and V(D*) - V(D); check C = -log 4 + 2 JSD, the difference, and that it is > 0."""
    digits = proof.digits + 1  # the identities add up to three numbers of radius 10^-(digits + 1)
    jensen, best = jsd(p, q, digits), criterion(p, q, digits)
    reached = value(p, q, D, digits=digits)
    lacking = suboptimality(p, q, other() if other is not None else D, digits=digits)
    for name, x in zip(NAMES, (jensen, best, reached, lacking), strict=True):
        proof.enclose(name, x)
    proof.zero("C(G) + log 4 - 2 JSD", best + arb(constant).log() - 2 * jensen)
    proof.zero("V(D*) - V(D) - integral (p + q) KL(D* || D)", best - reached - factor * lacking)
    proof.positive("V(D*) - V(D): D is not optimal", lacking)
    proof.lemma(
        "log D = -softplus(-s), log(1 - D) = -softplus(s); tails: |s| <= const + slope |x|, moments of p and q."
    )
    proof.note("breakpoints of s", ", ".join(map(str, D.edges)) or "none")


def claim_about(p: Density, q: Density, D: Discriminator, claim_id: str = RUN_ID) -> Claim:
    """Return the claim about a trained D that its certificate states."""
    check = partial(optimality, p=p, q=q, D=D)
    return Claim(
        claim_id,
        f"{D.name}, between {p} and {q}: V(D*) - V(D) > 0 and C(G) = -log 4 + 2 JSD, each number enclosed.",
        r"V(D^*) - V(D) = \int (p + p_g)\,\mathrm{KL}(D^* \| D)\,\mathrm dx > 0,\quad C(G) = -\log 4 + 2\,\mathrm{JSD}",
        Source(GOODFELLOW, "Proposition 1 and Theorem 1"),
        "ball",
        "The logit is split exactly at the breakpoints of the layers; every piece is integrated in balls.",
        check,
        {
            "log 2 in place of log 4": partial(check, constant=2),
            "half of the gap": partial(check, factor=2),
            "the gap of D with its labels swapped": partial(check, other=lambda: swapped(D)),
        },
        ("D and G are the real functions of their stored weights; their evaluation in floats is not part of it",),
    )


def swapped(D: Discriminator) -> Discriminator:
    """Return 1 - D."""

    def logit(x: Any, at: Fraction, analytic: bool = False) -> Any:
        return -D.logit(x, at, analytic)

    return Discriminator(f"1 - {D.name}", logit, D.bound, D.edges)


def model(G: Network) -> Normal:
    """Return p_g = N(b, a^2) of G(z) = a z + b, z ~ N(0, 1)."""
    parameters = G.parameters()
    if set(parameters) != {"0.W", "0.b"} or len(G.layers) != 1 or parameters["0.W"].shape != (1, 1):
        raise ValueError(f"G is {G!r}; expected Network([Dense(1, 1)]), which makes a normal p_g of z ~ N(0, 1)")
    a, b = (Fraction(float(parameters[name].item())) for name in ("0.W", "0.b"))
    if a == 0:
        raise ValueError("G(z) = a z + b has a = 0: p_g is a point mass without a density; expected a != 0")
    return Normal(b, abs(a))
