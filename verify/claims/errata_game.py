r"""Claims: errata E12 and E14 to E17, about the game, its convergence, its signs and its gradients.

Each claim proves the right statement; its negative controls are the statements of the documents, which are wrong.
E15 has more parts elsewhere: P2.literal (improving steps that stall), P2.frozen-d (D must be optimal at every step)
and Dirac.* (densities are not parameters).
"""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import sympy as sp
from flint import arb

from minigan.losses import Minimax
from verify.analysis import divergences
from verify.analysis.atoms import criterion, jsd
from verify.arithmetic.balls import ball
from verify.arithmetic.decide import require_exact
from verify.densities import Normal
from verify.densities.functions import sigmoid
from verify.engine.proof import Proof
from verify.engine.registry import GOODFELLOW, Source, claim
from verify.engine.symbolic import identity
from verify.models.simplex import minimum, random_distinct

# E12: signs and zeros.


def _at_equality(proof: Proof, always_positive: bool, value: arb) -> None:
    same, other = random_distinct(proof.rng, 5, 2)
    at_equality = jsd(same, same)
    if always_positive:
        proof.positive("JSD(p, p)", at_equality)
    else:
        proof.zero("JSD(p, p)", at_equality)
    proof.positive("JSD(p, q), q != p", jsd(same, other))
    proof.zero(f"C(p, p) - ({'-log 4' if value < 0 else value.str(3)})", criterion(same, same) - value)


@claim(
    "E12.nonnegative",
    "JSD is non-negative and 0 at p_g = p_data, where C is -log 4: not always positive, and -log 4 is not zero",
    latex=r"JSD(p, q) \ge 0, \quad JSD(p, p) = 0, \quad C(p, p) = -\log 4",
    source=Source(document="S1", place="end of the proof of Theorem 1"),
    rigor="ball",
    idea="A random rational distribution against itself and against another.",
    controls={
        "JS is always positive": lambda proof: _at_equality(proof, True, -arb(4).log()),
        "the value at equality is zero": lambda proof: _at_equality(proof, False, arb(0)),
    },
)
def e12_nonnegative(proof: Proof) -> None:
    """At p = q and at p != q."""
    _at_equality(proof, False, -arb(4).log())


def _images(proof: Proof, values: int) -> None:
    largest = int.from_bytes(bytes([255]) * 32**2, "big")  # the last image, as a number in base 256
    proof.holds("one byte has that many values", len(np.unique(np.arange(10_000).astype(np.uint8))) == values)
    proof.holds("and two bytes its square", len({bytes(pair) for pair in product(range(256), repeat=2)}) == values**2)
    proof.holds(
        "32 x 32 bytes are 2^(8 1024) strings of bits",
        require_exact(values ** (32**2)) == largest + 1 == 2 ** (8 * 32**2),
    )


@claim(
    "E12.images",
    "There are 256^1024 grey images of 32 x 32 one-byte pixels, not 255^1024",
    latex=r"256^{32^2} = 2^{8192}",
    source=Source(document="S1", place="the sum over x"),
    rigor="exact-rational",
    idea="Counted for one and for two pixels, and as strings of bits.",
    controls={"255^(32^2)": lambda proof: _images(proof, 255)},
)
def e12_images(proof: Proof) -> None:
    """Whole numbers."""
    _images(proof, 256)


# E14: push-forward, not Radon-Nikodym.


Map = Callable[[Fraction], tuple[Fraction, Fraction]]


def _diagonal(proof: Proof, density: bool, G: Map = lambda z: (z, z)) -> None:
    """G(z) = (z, z), z uniform on (0, 1): x = (X, Y) with P(X > s, Y > t) = 1 - max(s, t)."""
    for k in (1, 5, 10):
        side, mass, area = Fraction(1, 2**k), Fraction(0), Fraction(0)
        for j in range(2**k):  # G is affine: it maps an interval into the cell that holds both ends
            low, high = j * side, (j + 1) * side
            inside = all(low <= coordinate <= high for z in (low, high) for coordinate in G(z))
            mass, area = mass + inside * side, area + side**2
        proof.holds(
            f"2^{k} cells on the diagonal, of area 2^-{k} together, hold all mass",
            require_exact(mass) == 1 and require_exact(area) == side,
        )
    exact = True
    for i, j in product(range(1, 6), repeat=2):
        over_noise = Fraction(1, i + j + 1)  # E z^i z^j
        # E h = integral h_xy P(X > s, Y > t) for h = x^i y^j: over s > t and s < t the maximum is s and t
        by_law = 1 - Fraction(i, i + j + 1) - Fraction(j, i + j + 1)
        by_density = Fraction(1, (i + 1) * (j + 1))  # integral of x^i y^j over the unit square
        exact &= require_exact(over_noise) == require_exact(by_density if density else by_law)
    proof.holds("E h(G(z)) = E h(x) by the " + ("uniform density on the square" if density else "law of x"), exact)


@claim(
    "E14.push-forward",
    "E_z h(G(z)) = E_x h(x) is the push-forward; G(z) = (z, z) has no density (dim z < dim x), yet the equality holds",
    latex=r"\int h(G(z))\, dP_z = \int h\, d(G_\# P_z)",
    source=Source(GOODFELLOW, "proof of Proposition 1", "S5", '"comes from the Radon-Nikodym theorem"'),
    rigor="exact-rational",
    idea="All mass lies in cells of total area 2^-k, for growing k; E x^i y^j from the law alone, in rationals.",
    controls={
        "a density, that of the marginals": lambda proof: _diagonal(proof, density=True),
        "the same cells for G(z) = (z, 1 - z)": lambda proof: _diagonal(proof, False, lambda z: (z, 1 - z)),
    },
)
def e14_push_forward(proof: Proof) -> None:
    """A line in the plane."""
    _diagonal(proof, density=False)


# E15: Proposition 2 between densities.


def _improving(proof: Proof, reached: bool) -> None:
    """p_g = N(1 + 2^-t, 1) -> N(1, 1), p_data = N(0, 1)."""
    data = Normal(0, 1)
    shifts = [1 + Fraction(1, 2**t) for t in range(proof.scale(quick=6, full=8, deep=8))]
    values = [-arb(4).log() + 2 * divergences.jsd(data, Normal(m, 1), proof.digits) for m in [*shifts, Fraction(1)]]
    proof.positive("C(p_t) - C(p_{t+1}), the smallest", minimum(a - b for a, b in pairwise(values[:-1])))
    excess = proof.enclose("C(limit) + log 4", values[-1] + arb(4).log())
    if reached:
        proof.zero("C(limit) + log 4", excess)
    else:
        proof.positive("C(limit) + log 4", excess)


@claim(
    "E15.improvement",
    "Updates of p_g that improve the criterion every time need not converge to p_data: N(1 + 2^-t, 1) against N(0, 1), "
    "checked for t = 0 ... 5 (7 in the full and deep profiles) and at the limit",
    formerly=(
        "Updates of p_g that improve the criterion every time need not converge to p_data: "
        "N(1 + 2^-t, 1) against N(0, 1)",
    ),
    latex=r"C(N(1 + 2^{-t}, 1)) \downarrow C(N(1, 1)) > -\log 4",
    source=Source(GOODFELLOW, "Proposition 2", "S1, S5", "Proposition 2, Convergence"),
    rigor="ball",
    idea="Certified integrals of JSD along the sequence, and at its limit.",
    controls={"they converge to p_data": lambda proof: _improving(proof, reached=True)},
)
def e15_improvement(proof: Proof) -> None:
    """Strict improvements, and a limit above -log 4."""
    _improving(proof, reached=False)


# E16: V and the cost of D.


def _value(s_real: list[arb], s_fake: list[arb]) -> arb:
    """V = mean log D(real) + mean log(1 - D(fake)), from the probabilities."""
    real = sum((sigmoid(s).log() for s in s_real), arb(0)) / len(s_real)
    return real + sum(((1 - sigmoid(s)).log() for s in s_fake), arb(0)) / len(s_fake)


def _sign(proof: Proof, sign: int, factor: Fraction, written: int) -> None:
    """V = sign `written` J_D for the cost J_D of the library, with its factor."""
    for n_real, n_fake in ((3, 3), (4, 7)):
        logits = [[Fraction(int(k), 32) for k in proof.rng.integers(-200, 201, n)] for n in (n_real, n_fake)]
        real, fake = ([ball(s) for s in one] for one in logits)
        arrays = (np.array(one, dtype=object) for one in (real, fake))
        cost, _, _ = Minimax(d_scale=float(factor)).discriminator(*arrays)
        proof.zero(f"V - ({sign * written}) J_D, factor {factor}", _value(real, fake) - sign * written * cost)


@claim(
    "E16.sign",
    "V = -J_D: the discriminator's cost is minus the value; with the factor 1/2 of cross-entropy V = -2 J_D",
    latex=r"V(G, D) = -J^{(D)}",
    source=Source(GOODFELLOW, "equation 1", "S4; S3", "V = J^(D); cost functions"),
    rigor="ball",
    idea="minigan's own J_D on random logits, as balls, against V from the probabilities.",
    controls={
        "V = J_D": lambda proof: _sign(proof, 1, Fraction(1), 1),
        "V = -J_D with the factor 1/2": lambda proof: _sign(proof, -1, Fraction(1, 2), 1),
    },
)
def e16_sign(proof: Proof) -> None:
    """Both conventions of the factor."""
    _sign(proof, -1, Fraction(1), 1)
    _sign(proof, -1, Fraction(1, 2), 2)


# E17: why the gradient vanishes.

S, SHIFT = sp.Symbol("s", positive=True), sp.Symbol("k", positive=True)


def _vanishing(proof: Proof, near_zero: bool) -> None:
    cost: sp.Expr = sp.log(1 - 1 / (1 + sp.exp(-S))) + SHIFT
    identity(proof, "d/ds (log(1 - sigma(s)) + k) = -sigma(s), whatever k is", sp.diff(cost, S) + 1 / (1 + sp.exp(-S)))
    at_zero = (1 - sigmoid(arb(0))).log() + arb(2).log()
    proof.zero("log(1 - sigma(0)) + log 2", at_zero)
    slope = proof.enclose("its slope there", -sigmoid(arb(0)))
    if near_zero:
        proof.zero("the slope where the cost is 0", slope)
    else:
        proof.positive("minus the slope where the cost is 0", -slope)
    far = (1 - sigmoid(arb(-80))).log() + 1
    proof.positive("cost log(1 - sigma(s)) + 1 at s = -80, minus 99/100", far - ball(Fraction(99, 100)))
    proof.at_most("|slope| at s = -80", sigmoid(arb(-80)), "1e-34")


@claim(
    "E17.vanishing",
    "The gradient vanishes because d/ds log(1 - sigma(s)) = -sigma(s) -> 0, not because the cost is near 0",
    latex=r"\frac{d}{ds}\left(\log(1 - \sigma(s)) + k\right) = -\sigma(s)",
    source=Source(document="S3", place="the disadvantage of the zero-sum cost"),
    rigor="ball",
    idea="The slope does not depend on the level: cost 0 with slope -1/2, and cost near 1 with slope below 1e-34.",
    controls={"cost 0 means slope 0": lambda proof: _vanishing(proof, near_zero=True)},
)
def e17_vanishing(proof: Proof) -> None:
    """Level and slope."""
    _vanishing(proof, near_zero=False)
