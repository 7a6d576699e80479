r"""Claims: the law of the unconscious statistician, E_z f(G(z)) = E_{x ~ p_g} f(x), used to prove Proposition 1.

It follows from the definition of the push-forward p_g, and needs no inverse of G, no Jacobian and no density of G(z).
The textbook formula p_z(G^-1(x)) |dG^-1/dx| with one branch is wrong for maps that fold, and there is no formula at
all where G maps an interval to a point.
"""

from typing import Any

from flint import arb

from verify.densities.functions import log, phi
from verify.engine.proof import Proof
from verify.engine.registry import GOODFELLOW, Source, claim
from verify.models.unconscious_statistician import Generator, by_density, by_law, by_noise, log1m_D, normal_upper_tail

PLACE = Source(GOODFELLOW, "proof of Proposition 1", "S5", "The Annotated Proof")


def _square_root(x: Any, analytic: bool) -> Any:
    """Return sqrt(x) as e^(log(x) / 2), off the branch cut of log."""
    return (log(x, analytic) / 2).exp()


SQUARE = Generator(
    "z^2", "chi-square with one degree of freedom", [(None, None, lambda z: z * z)],
    above=lambda x, analytic, at: 2 * normal_upper_tail(_square_root(x, analytic)), singular_at_0=True,
)  # fmt: skip

ABSOLUTE = Generator(
    "|z|", "half-normal", [(None, 0, lambda z: -z), (0, None, lambda z: z)],
    above=lambda x, analytic, at: 2 * normal_upper_tail(x),
)  # fmt: skip

SHIFTED = Generator(
    "z for z > 0, z + 2 for z < 0", "two branches that overlap on (0, 2)",
    [(None, 0, lambda z: z + 2), (0, None, lambda z: z)],
    # P(X > x) = P(Z > x) + P(x - 2 < Z < 0) for 0 < x < 2;    P(X < x) = P(Z < x - 2) for x < 0
    above=lambda x, analytic, at: normal_upper_tail(x) + (normal_upper_tail(x - 2) - arb(1) / 2 if at < 2 else 0),
    below=lambda x, analytic, at: normal_upper_tail(2 - x), breaks=(2,),
)  # fmt: skip

RELU = Generator(
    "max(z, 0)", "half its mass at the point 0", [(None, 0, lambda z: 0 * z), (0, None, lambda z: z)],
    above=lambda x, analytic, at: normal_upper_tail(x),
)  # fmt: skip


def _noise_and_law(proof: Proof, g: Generator) -> arb:
    """Check that the expectations over the noise and by the law agree; return the first."""
    proof.lemma("f(X) - f(0) is the integral of f' from 0 to X; Fubini; tails by |f(x)| <= |x| + 2, f'(x) < e^(1 - x)")
    over_noise = proof.enclose(f"E f(G(z)), G(z) = {g.formula}", by_noise(g, proof.digits + 1))
    proof.zero("E_z f(G(z)) - E_x f(x) by the law of x", over_noise - by_law(g, proof.digits + 1))
    return over_noise


def chi_square(x: Any, analytic: bool) -> Any:
    """Return x^(-1/2) e^(-x/2) / sqrt(2 pi), the density of both branches z = -sqrt x and sqrt x."""
    return (-x / 2).exp() / (_square_root(x, analytic) * (2 * arb.pi()).sqrt())


def _square(proof: Proof, branches: int) -> None:
    """Compare E f(Z^2) over the noise and by the law with the integral against `branches` of the two branches of p."""
    expectation = _noise_and_law(proof, SQUARE)
    share = (
        by_density(chi_square, arb(0), proof.digits + 1, lambda e: 1 - 2 * normal_upper_tail(e.sqrt())) * branches / 2
    )
    proof.zero(f"E_z f(z^2) - the integral of f over {branches} branches", expectation - share)


@claim(
    "Lotus.square",
    "G(z) = z^2: the expectation over z, by the law of x and by the chi-square density are one number",
    latex=r"\mathbb E_z f(z^2) = \int_0^\infty f(x)\, \frac{e^{-x/2}}{\sqrt{2\pi x}}\, dx",
    source=PLACE,
    rigor="ball",
    idea="Three integrals with different integrands; the density sums both branches z = -sqrt x, sqrt x.",
    controls={"one branch of G^-1": lambda proof: _square(proof, 1)},
)
def square(proof: Proof) -> None:
    """Check with both branches of G^-1."""
    _square(proof, 2)


def _absolute(proof: Proof, branches: int) -> None:
    """Compare E f(|Z|) over the noise and by the law with the integral against `branches` of the two branches of p."""
    expectation = _noise_and_law(proof, ABSOLUTE)
    share = by_density(lambda x, analytic: branches * phi(x), arb(0), proof.digits + 1)
    proof.zero(f"E_z f(|z|) - the integral of f over {branches} branches", expectation - share)


@claim(
    "Lotus.absolute",
    "G(z) = |z|: the expectation over z, by the law of x and by the half-normal density are one number",
    latex=r"\mathbb E_z f(|z|) = \int_0^\infty f(x)\, 2\varphi(x)\, dx",
    source=PLACE,
    rigor="ball",
    idea="Three integrals with different integrands; G has a kink and two branches.",
    controls={"one branch of G^-1": lambda proof: _absolute(proof, 1)},
)
def absolute(proof: Proof) -> None:
    """Check with both branches of G^-1."""
    _absolute(proof, 2)


def _shifted(proof: Proof, second: bool) -> None:
    """Compare E f(G(Z)) with the sum over the branch z > 0 and, if `second`, the branch z < 0."""
    expectation = _noise_and_law(proof, SHIFTED)
    share = by_density(lambda x, analytic: phi(x), arb(0), proof.digits + 1)
    if second:  # the branch z = x - 2 < 0, in the variable y = 2 - x > 0: f(2 - y) phi(-y)
        share += by_noise(Generator("", "", [(None, 0, lambda z: z + 2)], SHIFTED.above), proof.digits + 1)
    proof.zero("E_z f(G(z)) - the sum over branches", expectation - share)


@claim(
    "Lotus.piecewise",
    "G(z) = z for z > 0 and z + 2 for z < 0 folds the line over (0, 2): still E_z f(G(z)) = E_x f(x)",
    latex=r"p_g(x) = \varphi(x)\,1[x > 0] + \varphi(x - 2)\,1[x < 2]",
    source=PLACE,
    rigor="ball",
    idea="A discontinuous map; the law of x from P(X > x) and P(X < x), the density from both branches.",
    controls={"the branch z > 0 alone": lambda proof: _shifted(proof, second=False)},
)
def piecewise(proof: Proof) -> None:
    """Check with both branches."""
    _shifted(proof, second=True)


def _relu(proof: Proof, atom: bool) -> None:
    """Compare E f(max(Z, 0)) with the integral over x > 0 and, if `atom`, the atom at 0."""
    expectation = _noise_and_law(proof, RELU)
    share = by_density(lambda x, analytic: phi(x), arb(0), proof.digits + 1)
    if atom:
        share += log1m_D(arb(0), False) / 2
    proof.zero("E_z f(G(z)) - integral f phi" + (" - f(0)/2" if atom else ""), expectation - share)
    proof.zero("P(X = 0) - 1/2", 1 - normal_upper_tail(arb(0)) - arb(1) / 2)


@claim(
    "Lotus.relu",
    "G(z) = max(z, 0) has no density: half its mass is at 0, and E_z f(G(z)) = f(0)/2 + integral_0^oo f phi",
    latex=r"\mathbb E_z f(\max(z, 0)) = \tfrac12 f(0) + \int_0^\infty f(x)\,\varphi(x)\, dx",
    source=PLACE,
    rigor="ball",
    idea="The law of x includes the atom at 0, which the integral of any density would miss.",
    controls={"the density without the atom": lambda proof: _relu(proof, atom=False)},
)
def relu(proof: Proof) -> None:
    """Check with the atom at 0."""
    _relu(proof, atom=True)
