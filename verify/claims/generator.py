r"""Claims: the generator's gradients against a frozen optimal discriminator, and why one of them vanishes.

    grad E_{p_g} log(1 - D*)  =  grad 2 JSD(p, p_g)                     (saturating, equation 1)
    grad E_{p_g} (-log D*)    =  grad (KL(p_g || p) - 2 JSD(p, p_g))    (non-saturating, section 3)

Both at theta = theta_0 with D* = D*_{theta_0} fixed; the second is Theorem 2.5 of Arjovsky and Bottou (2017).
"""

from collections.abc import Callable
from fractions import Fraction

import sympy as sp
from flint import arb

from verify.arithmetic.balls import ball
from verify.densities.functions import sigmoid
from verify.engine.proof import Proof
from verify.engine.registry import GOODFELLOW, Source, claim
from verify.engine.symbolic import identity, positive
from verify.models.generator import CauchyGame, NormalGame, descent, jsd_gradient, moving_D_term, pathwise

GAMES = (
    NormalGame(Fraction(4), Fraction(2), Fraction(1), Fraction(0)),
    NormalGame(Fraction(4), Fraction(2), Fraction(3, 2), Fraction(3)),
)
CAUCHYS = (CauchyGame(Fraction(1), Fraction(2)), CauchyGame(Fraction(-3), Fraction(1, 2)))
ARJOVSKY = Source("Arjovsky and Bottou 2017, Towards principled methods for training GANs", "Theorem 2.5")


def _saturating(proof: Proof, factor: int = 2, frozen: bool = True) -> None:
    for game in GAMES:
        for name in ("a", "b"):
            at = f"a = {game.a}, b = {game.b}: d/d{name}"
            gradient = pathwise(game, name, +1, proof.digits)
            if not frozen:
                gradient += moving_D_term(game, name, proof.digits)
            proof.enclose(f"{at} of the saturating loss", gradient)
            proof.zero(f"{at}, loss - {factor} JSD", gradient - factor * jsd_gradient(game, name, proof.digits + 2))


@claim(
    "Gradient.saturating.normal",
    "The pathwise gradient of E_z log(1 - D*(G(z))) with D* frozen is the gradient of 2 JSD, for N(4, 2^2) and az + b "
    "at (a, b) = (1, 0) and (3/2, 3)",
    latex=r"\mathbb E_z \nabla_\theta \log(1 - D^*(G_\theta(z))) = \nabla_\theta\, 2\, JSD(p, p_{g})",
    source=Source(GOODFELLOW, "Theorem 1 and Algorithm 1"),
    rigor="ball",
    idea="Left an integral over z, by the slope of D*; right the JSD differentiated under its integral, by densities.",
    formerly=(
        "The pathwise gradient of E_z log(1 - D*(G(z))) with D* frozen is the gradient of 2 JSD, "
        "for N(4, 2^2) and az + b",
    ),
    controls={
        "grad JSD": lambda proof: _saturating(proof, factor=1),
        "D* moves with theta": lambda proof: _saturating(proof, frozen=False),
    },
    assumptions=("D* = p / (p + p_g) at the current theta, then frozen",),
)
def saturating_normal(proof: Proof) -> None:
    """At two points (a, b), by both parameters."""
    proof.lemma("tails: sigma < 1, q softplus(s) <= q e^s = p, and the moments of normals in closed form")
    _saturating(proof)


def _non_saturating(proof: Proof, kl: Callable[[NormalGame, str], Fraction], jsds: int = 2) -> None:
    for game in GAMES:
        for name in ("a", "b"):
            at = f"a = {game.a}, b = {game.b}: d/d{name}"
            gradient = proof.enclose(f"{at} of the non-saturating loss", pathwise(game, name, -1, proof.digits))
            target = ball(kl(game, name)) - jsds * jsd_gradient(game, name, proof.digits + 2)
            proof.zero(f"{at}, loss - (KL - {jsds} JSD)", gradient - target)


@claim(
    "Gradient.non-saturating.normal",
    "The pathwise gradient of E_z (-log D*(G(z))) with D* frozen is the gradient of KL(p_g || p) - 2 JSD, for "
    "N(4, 2^2) and az + b at (a, b) = (1, 0) and (3/2, 3)",
    latex=r"\mathbb E_z \nabla_\theta (-\log D^*(G_\theta(z))) = \nabla_\theta (KL(p_g \| p) - 2\, JSD(p, p_g))",
    source=ARJOVSKY,
    rigor="ball",
    idea="-log D* = log(q/p) - log(q/(p+q)); the KL of normals is in closed form, the JSD differentiated by densities.",
    formerly=("The pathwise gradient of E_z (-log D*(G(z))) with D* frozen is the gradient of KL(p_g || p) - 2 JSD",),
    controls={
        "KL(p || p_g)": lambda proof: _non_saturating(proof, NormalGame.kl_gradient_reverse),
        "without the JSD": lambda proof: _non_saturating(proof, NormalGame.kl_gradient, jsds=0),
        "one JSD": lambda proof: _non_saturating(proof, NormalGame.kl_gradient, jsds=1),
    },
    assumptions=("D* = p / (p + p_g) at the current theta, then frozen",),
)
def non_saturating_normal(proof: Proof) -> None:
    """At two points (a, b), by both parameters."""
    proof.lemma("tails: sigma < 1, q softplus(s) <= q e^s = p, and the moments of normals in closed form")
    _non_saturating(proof, NormalGame.kl_gradient)


def _cauchy(proof: Proof, factor: int = 2, kls: int = 1) -> None:
    for game in CAUCHYS:
        for name in ("m", "g"):
            at = f"m = {game.m}, g = {game.g}: d/d{name}"
            jsd, kl = factor * game.jsd_gradient(name), kls * game.kl_gradient(name)
            minimax, alternative = (descent(game, name, sign, proof.digits) for sign in (1, -1))
            proof.zero(f"{at}, saturating - {factor} JSD", minimax - jsd)
            proof.zero(f"{at}, non-saturating - (KL - {factor} JSD)", alternative - (kl - jsd))


@claim(
    "Gradient.cauchy",
    "Both identities against closed forms: Cauchy(0, 1) against Cauchy(m, g), by m and by g, at (m, g) = (1, 2) and "
    "(-3, 1/2)",
    latex=r"JSD = \log\frac{2r}{r + 2\sqrt g}, \quad KL = \log\frac{r^2}{4g}, \quad r^2 = m^2 + (1 + g)^2",
    source=ARJOVSKY,
    rigor="ball",
    idea="E_q score h over the angle of x = m + g tan(phi), an integral without tails; the right side has no integral.",
    formerly=("Both identities against closed forms: Cauchy(0, 1) against Cauchy(m, g), by m and by g",),
    controls={
        "one JSD": lambda proof: _cauchy(proof, factor=1),
        "two KL": lambda proof: _cauchy(proof, kls=2),
    },
)
def cauchy(proof: Proof) -> None:
    """At two points (m, g)."""
    _cauchy(proof)


# Saturation.

S, E = sp.Symbol("s", positive=True), sp.Symbol("E", positive=True)
SIGMOID = 1 / (1 + sp.exp(-S))


def _slopes(proof: Proof, minimax: sp.Expr, alternative: sp.Expr) -> None:
    identity(proof, "d/ds log(1 - sigma(s)) = -sigma(s)", sp.diff(sp.log(1 - SIGMOID), S) - minimax)
    identity(proof, "d/ds (-log sigma(s)) = -(1 - sigma(s))", sp.diff(-sp.log(SIGMOID), S) - alternative)
    sigma = E / (1 + E)  # E = e^s
    positive(proof, "0 < sigma(s)", sigma)
    positive(proof, "sigma(s) < e^s, which tends to 0 for s -> -infinity", E - sigma)
    for s in (-5, -20, -40):
        value = proof.enclose(f"sigma({s})", sigmoid(arb(s)))
        proof.positive(f"e^{s} - |slope of log(1 - D)| at s = {s}", arb(s).exp() - value)
        proof.positive(f"|slope of -log D| - (1 - e^{s}) at s = {s}", (1 - value) - (1 - arb(s).exp()))


@claim(
    "Gradient.saturation",
    "d/ds log(1 - sigma(s)) = -sigma(s) tends to 0 where D rejects the fakes, d/ds (-log sigma(s)) tends to -1",
    latex=r"\tfrac{d}{ds}\log(1 - \sigma(s)) = -\sigma(s) \to 0, \; \tfrac{d}{ds}(-\log\sigma(s)) = -\sigma(-s) \to -1",
    source=Source(GOODFELLOW, "section 3"),
    rigor="symbolic",
    idea="SymPy differentiates; sigma(s) < e^s as e^s - sigma(s) = e^2s / (1 + e^s); values down to s = -40 in balls.",
    controls={
        "the slopes exchanged": lambda proof: _slopes(proof, SIGMOID - 1, -SIGMOID),
        "-sigma (1 - sigma)": lambda proof: _slopes(proof, -SIGMOID * (1 - SIGMOID), SIGMOID - 1),
    },
    assumptions=("both sides are analytic in s, so s > 0 in the symbolic part is enough",),
)
def saturation(proof: Proof) -> None:
    """The slopes by the logit, and their limits."""
    _slopes(proof, -SIGMOID, SIGMOID - 1)
