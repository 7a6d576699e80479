r"""Certify how far a trained pair is from the optimum of the theory.

For a trained pair G(z) = a z + b, D = sigma(s) and data p = N(mu, sigma^2), with the stored numbers as exact rationals,
the model density is p_g = N(b, a^2), and these are enclosed:

    JSD(p, p_g),   C(G) = V(D*) = -log 4 + 2 JSD,   V(D),   V(D*) - V(D) = integral (p + p_g) KL(D* || D) >= 0

JSD, V(D*), V(D) and V(D*) - V(D) are four separate integrals, so the two identities are checked, not assumed.
"""

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from flint import arb

from minigan.network import Network
from minigan.recipes import RunOptions, get_recipe
from minigan.training import RunError, read_arrays, read_json
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
PathLike = str | os.PathLike[str]


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


def certify_run(run: PathLike, *, digits: int = DIGITS) -> Optimality:
    """Certify a run folder of the recipe `gaussian`.

    Parameters
    ----------
    run : str or Path
        The run folder.
    digits : int
        The largest radius is 10^-digits; by default 30.

    Returns
    -------
    Optimality
        The numbers, and a certificate that contains the checksums of the weights it is about.

    Raises
    ------
    RunError
        If a file is missing or invalid, or the run is of another recipe.
    NotCertifiable
        If the logit of D cannot be split exactly.
    Undecided
        If a number could not be enclosed so narrowly.

    """
    p, q, D = load(run)
    found = certify_pair(p, q, discriminator(D), digits=digits)
    sums = {name: checksum(Path(run) / name) for name in WEIGHTS}
    return replace(found, certificate=replace(found.certificate, notes={**found.certificate.notes, **sums}))


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


# The run folder.


WEIGHTS = ("generator.npz", "discriminator.npz")
FOLDER = "run folder"  # key of the note with its path, relative to the file of the certificate


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file as the text of a note."""
    return f"SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}"


def claim_about_run(notes: Mapping[str, str], base_dir: Path) -> Claim:
    """Return the claim about the run that the notes of a certificate name, relative to the folder of its file.

    ValueError if the run folder is missing, or its weights are not those that were certified.
    """
    if not {FOLDER, *WEIGHTS} <= set(notes):
        raise ValueError("its notes name no run folder with weights; expected what `verify trained RUN` writes")
    run = base_dir / notes[FOLDER]
    for name in WEIGHTS:
        try:
            found = checksum(run / name)
        except OSError as error:
            raise ValueError(
                f"its weights cannot be read: {run / name}: {error.strerror}; expected the certified run folder, "
                f"{notes[FOLDER]!r} relative to the file of the certificate"
            ) from None
        if found != notes[name]:
            raise ValueError(
                f"{run / name} is not the file that was certified: {found}, not {notes[name]}; "
                "expected the unchanged run folder (`verify trained` certifies it again)"
            )
    try:
        p, q, D = load(run)
    except RunError as error:
        raise ValueError(str(error)) from None
    return claim_about(p, q, discriminator(D))


def load(run: PathLike) -> tuple[Normal, Normal, Network]:
    """Return p_data, p_g and D of a run folder of `gaussian`; RunError names the file that is missing or wrong."""
    folder = Path(run)
    stored = read_json(folder / "config.json")
    try:
        name, settings, dtype = stored["recipe"], stored["settings"], stored["dtype"]
        if name != "gaussian":
            raise RunError(f"{folder}: a run of {name!r}; expected a run of 'gaussian'")
        recipe = get_recipe(name)
        config = recipe.configure({key: str(value) for key, value in settings.items()})
        p = Normal(Fraction(config.mu), Fraction(config.sigma))
        G, D = recipe.networks(config, RunOptions(dtype=dtype))
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise RunError(f"{folder / 'config.json'}: not the configuration of a run ({error})") from None
    for net, file in ((G, "generator.npz"), (D, "discriminator.npz")):
        try:
            net.load_parameters(read_arrays(folder / file))
        except ValueError as error:
            raise RunError(f"{folder / file}: {error}") from None
        if not np.isfinite(net.theta).all():
            raise RunError(f"{folder / file}: parameters that are not finite; expected finite numbers")
    try:
        return p, model(G), D
    except ValueError as error:
        raise RunError(f"{folder / 'generator.npz'}: {error}") from None


def model(G: Network) -> Normal:
    """Return p_g = N(b, a^2) of G(z) = a z + b, z ~ N(0, 1)."""
    parameters = G.parameters()
    if set(parameters) != {"0.W", "0.b"} or len(G.layers) != 1 or parameters["0.W"].shape != (1, 1):
        raise ValueError(f"G is {G!r}; expected Network([Dense(1, 1)]), which makes a normal p_g of z ~ N(0, 1)")
    a, b = (Fraction(float(parameters[name].item())) for name in ("0.W", "0.b"))
    if a == 0:
        raise ValueError("G(z) = a z + b has a = 0: p_g is a point mass without a density; expected a != 0")
    return Normal(b, abs(a))
