r"""How far from the theory a training stopped, certified.

For a trained pair G(z) = a z + b, D = sigma(s) and data p = N(mu, sigma^2), all with their stored numbers as exact
rationals, the model density is p_g = N(b, a^2) and these are enclosed:

    JSD(p, p_g),   C(G) = V(D*) = -log 4 + 2 JSD,   V(D),   V(D*) - V(D) = integral (p + p_g) KL(D* || D) >= 0

The first three and the last are four separate integrals, so the two identities are checked, not assumed.
"""

import hashlib
import os
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
    """What is known of a trained pair: each number an enclosure to within 10^-digits, in nats."""

    p: Density  # the data
    q: Density  # the model, p_g
    D: Discriminator
    digits: int
    jsd: arb
    c: arb  # C(G) = V(D*)
    value: arb  # V(D)
    suboptimality: arb  # V(D*) - V(D), as the integral of (p + q) KL(D* || D)
    certificate: Certificate

    def __str__(self) -> str:
        shown = (
            ("JSD(p_data, p_g)", self.jsd, "0 where p_g = p_data"),
            ("C(G) = V(D*)", self.c, "-log 4 = -1.386294... where p_g = p_data"),
            ("V(D)", self.value, "what the trained D reaches"),
            ("V(D*) - V(D)", self.suboptimality, "what it lacks to the optimal one"),
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
    """Certify a run folder of the `gaussian` recipe; RunError says what is wrong with which file.

    The certificate notes the checksums of the weights, and is of them alone.
    """
    p, q, D = load(run)
    found = certify_pair(p, q, discriminator(D), digits=digits)
    sums = {name: checksum(Path(run) / name) for name in WEIGHTS}
    return replace(found, certificate=replace(found.certificate, notes={**found.certificate.notes, **sums}))


def certify_networks(p: Density, G: Network, D: Network, *, digits: int = DIGITS) -> Optimality:
    """Certify a trained pair: any p of `verify.densities`, an affine G of N(0, 1), and a D of one input.

    D may be of Dense, ReLU, LeakyReLU, Maxout, Dropout and then Dense, Tanh, Sigmoid, Softplus.
    """
    return certify_pair(p, model(G), discriminator(D), digits=digits)


def certify_pair(p: Density, q: Density, D: Discriminator, *, digits: int = DIGITS) -> Optimality:
    """Certify a discriminator of data p against model q.  Undecided if a number could not be enclosed.

    For D = D* the gap is enclosed about 0: the numbers are returned, and the certificate, which says > 0, is undecided.
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
    """Enclose JSD, V(D*), V(D) and the gap; check C = -log 4 + 2 JSD and V(D*) - V(D) = gap > 0."""
    digits = proof.digits + 1  # three numbers of radius 10^-(digits + 1)
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
    """Return the claim that a certificate of a trained D is of."""
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


# --- the run folder -------------------------------------------------------------------------------


WEIGHTS = ("generator.npz", "discriminator.npz")
FOLDER = "run folder"  # the note that says where it is, seen from the file of the certificate


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return f"SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}"


def claim_again(notes: Mapping[str, str], base_dir: Path) -> Claim:
    """Return the claim about the run that a certificate's notes name, seen from the folder of its file.

    ValueError if the run is not there, or its weights are not those that were certified.
    """
    if not {FOLDER, *WEIGHTS} <= set(notes):
        raise ValueError("it names no run folder with its weights; expected what `verify trained RUN` writes")
    run = base_dir / notes[FOLDER]
    for name in WEIGHTS:
        try:
            found = checksum(run / name)
        except OSError as error:
            raise ValueError(
                f"its weights are gone: {run / name}: {error.strerror}; expected the run folder that was certified, "
                f"at {notes[FOLDER]!r} from the file of the certificate"
            ) from None
        if found != notes[name]:
            raise ValueError(
                f"{run / name} is not the file that was certified: {found}, not {notes[name]}; "
                "expected the run folder as it was (`verify trained` certifies it anew)"
            )
    try:
        p, q, D = load(run)
    except RunError as error:
        raise ValueError(str(error)) from None
    return claim_about(p, q, discriminator(D))


def load(run: PathLike) -> tuple[Normal, Normal, Network]:
    """Return p_data, p_g and D of a run folder of `gaussian`."""
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
