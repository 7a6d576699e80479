r"""Claims: every f-divergence is the value of a game, which the discriminator T = f'(p/q) attains.

    D_f(p, q) = max_T E_p T - E_q f*(T),    T* = f'(p/q)

f-GAN (Nowozin et al. 2016) derives a GAN from each; the original GAN is f(u) = u log u - (u + 1) log(u + 1), T = log D.
"""

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise

import sympy as sp

from verify.arithmetic.balls import ball
from verify.engine.proof import Proof
from verify.engine.registry import Source, claim
from verify.engine.symbolic import identity, positive
from verify.models.fgan import DUAL, FAMILY, FDivergence, U, bound

NOWOZIN = Source("Nowozin, Cseke and Tomioka 2016, f-GAN", "equation 4, table 2", "S1", "reference 1")
TEMPERED = Fraction(9, 10)


def _fenchel(proof: Proof, names: Iterable[str], shift: sp.Expr, power: int = 1) -> None:
    w = sp.Symbol("w", positive=True)
    for name in names:
        divergence = FAMILY[name]
        tangent = sp.diff(divergence.f, U)
        conjugate = (divergence.conjugate + shift).subs(DUAL, tangent)
        identity(proof, f"{name}: f*(f'(u)) = u f'(u) - f(u)", conjugate - U**power * tangent + divergence.f)
        positive(proof, f"{name}: f''(u) > 0", sp.diff(divergence.f, U, 2).subs(U, w**2))


@claim(
    "FGan.fenchel-young",
    "f is strictly convex and f*(f'(u)) = u f'(u) - f(u): E_p T - E_q f*(T) <= D_f with equality only at T = f'(p/q)",
    latex=r"f^*(f'(u)) = u f'(u) - f(u), \qquad f'' > 0",
    source=NOWOZIN,
    rigor="symbolic",
    idea="u t - f(u) has one critical point u, t = f'(u), a maximum as f'' > 0; so f(u) + f*(t) >= u t pointwise.",
    controls={
        "GAN: f* larger by 1/1000": lambda proof: _fenchel(proof, ["GAN"], sp.Rational(1, 1000)),
        "Pearson: u^2 f'(u) - f(u)": lambda proof: _fenchel(proof, ["Pearson chi-square"], sp.Integer(0), power=2),
    },
    assumptions=("u > 0", "t in the domain of f*"),
)
def fenchel_young(proof: Proof) -> None:
    """For the smooth members; total variation is FGan.tv."""
    _fenchel(proof, FAMILY, sp.Integer(0))


def _attained(proof: Proof, divergence: FDivergence, power: Fraction = Fraction(1), swapped: bool = False) -> None:
    proof.lemma("Fenchel-Young (FGan.fenchel-young); beyond x the integrand adds at most 8 e^-x")
    closed = divergence.swapped if swapped and divergence.swapped is not None else divergence.closed
    target = proof.enclose("D_f", closed(proof.digits))
    proof.zero("D_f - (E_p T - E_q f*(T)) at T = f'(p/q)", target - bound(divergence.name, proof.digits + 1, power))
    worse = bound(divergence.name, proof.digits + 1, TEMPERED)
    proof.positive(f"D_f - the bound at T = f'((p/q)^({TEMPERED}))", target - worse)


def _register(claim_id: str, name: str, closed: str) -> None:
    divergence = FAMILY[name]
    controls = {
        "T = f'((p/q)^(999/1000)) is tight": lambda proof: _attained(proof, divergence, Fraction(999, 1000)),
    }
    if divergence.swapped is not None:
        controls["D_f(q, p)"] = lambda proof: _attained(proof, divergence, swapped=True)
    claim(
        claim_id,
        f"{name}: for p = Exp(3), q = Exp(2) the bound is {closed} at T = f'(p/q), and strict beside it",
        latex=rf"D_f(p, q) = \max_T \mathbb E_p T - \mathbb E_q f^*(T), \quad f(u) = {sp.latex(divergence.f)}",
        source=NOWOZIN,
        rigor="ball",
        idea="Left the closed form of the divergence, right the integral of 3 e^-3x T - 2 e^-2x f*(T) over x > 0, "
        f"where f*(t) = {divergence.conjugate}.",
        controls=controls,
    )(lambda proof: _attained(proof, divergence))


_register("FGan.kl", "Kullback-Leibler", "log(3/2) - 1/3")
_register("FGan.reverse-kl", "reverse Kullback-Leibler", "1/2 - log(3/2)")
_register("FGan.pearson", "Pearson chi-square", "1/8")
_register("FGan.neyman", "Neyman chi-square", "1/3")
_register("FGan.hellinger", "squared Hellinger", "2 - 4 sqrt(6)/5")
_register("FGan.js", "Jensen-Shannon", "2 JSD")
_register("FGan.gan", "GAN", "C(G) = -log 4 + 2 JSD")


# p - q has the mass (b^3 - a^3) - (b^2 - a^2) on a < y < b: twelve equal cells of (0, 1), in units of 1/12^3
EXCESS = [b**3 - a**3 - 12 * (b**2 - a**2) for a, b in pairwise(range(13))]


def _step_bound(twelfths: list[int], limit: Fraction) -> Fraction:
    """Return E_p T - E_q T for the step function T = limit k/6 on each cell, k = -6 ... 6."""
    return limit * Fraction(sum(k * m for k, m in zip(twelfths, EXCESS, strict=True)), 6 * 12**3)


def _variation(proof: Proof, limit: Fraction, threshold: Fraction = Fraction(2, 3)) -> None:
    total = Fraction(4, 27)
    proof.zero("TV - (E_p T - E_q T) at T = sign(p/q - 1)/2", ball(total - (threshold**2 - threshold**3)))
    smallest = total
    for _ in range(proof.scale(quick=500, full=1000, deep=2000)):
        draws = [int(k) for k in proof.rng.integers(-6, 7, 12)]
        if proof.rng.random() < 0.5:  # close to the optimum
            changed = draws[0] % 12
            draws = [min(draws[k], 5) if k == changed else 6 if k >= 8 else -6 for k in range(12)]
            draws[changed] = max(draws[changed], -5)
        smallest = min(smallest, total - _step_bound(draws, limit))
    proof.positive("TV - the bound at random steps T in [-1/2, 1/2], the smallest", ball(smallest))


@claim(
    "FGan.tv",
    "Total variation, f(u) = |u - 1|/2, f*(t) = t on [-1/2, 1/2]: tight at T = sign(p/q - 1)/2 with 4/27, else strict",
    latex=r"TV(p, q) = \max_{|T| \le 1/2} \mathbb E_p T - \mathbb E_q T = \tfrac{4}{27}",
    source=NOWOZIN,
    rigor="exact-rational",
    idea="p = 3y^2 and q = 2y cross at y = 2/3; integrals of step functions against them are rational.",
    controls={
        "the sign changes at 3/5": lambda proof: _variation(proof, Fraction(1, 2), Fraction(3, 5)),
        "T in [-3/5, 3/5]": lambda proof: _variation(proof, Fraction(3, 5)),
    },
)
def total_variation(proof: Proof) -> None:
    """The optimum, and hundreds of other step functions."""
    _variation(proof, Fraction(1, 2))
