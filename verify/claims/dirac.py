r"""Claims: gradient steps on parameters need not converge (the Dirac-GAN); with a gradient penalty they do.

Around the equilibrium the simultaneous step is [[1, h/2], [-h/2, 1 - h gamma]]: trace 2 - h gamma, determinant
1 - h gamma + h^2/4.  Its eigenvalues are inside the unit circle (Jury) if and only if |det| < 1 and
|trace| < 1 + det, that is for h/4 < gamma < 2/h + h/8.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise

import sympy as sp
from flint import arb

from verify.arithmetic.balls import ball, between, precision
from verify.engine.proof import Proof
from verify.engine.registry import Source, claim
from verify.engine.symbolic import identity
from verify.models.dirac import State, jacobian, orbit, squared_distance
from verify.models.simplex import minimum

MESCHEDER = Source("Mescheder et al. 2018, Which training methods for GANs do actually converge?", "section 2")
ROTH = Source("Mescheder et al. 2018, Which training methods for GANs do actually converge?", "section 4.1, R1")
H = Fraction(1, 10)

THETA, PSI, STEP, SIGMA, GAMMA = sp.symbols("theta psi h s gamma", positive=True)
LINEAR = sp.Matrix([[1, STEP / 2], [-STEP / 2, 1 - STEP * GAMMA]])


# Simultaneous steps.


def _identity(proof: Proof, power: int = 2) -> None:
    theta, psi = THETA + STEP * PSI * SIGMA, PSI - STEP * THETA * SIGMA
    factor = 1 + STEP**power * SIGMA**power
    identity(proof, "|z+|^2 = (1 + h^2 s^2) |z|^2", theta**2 + psi**2 - factor * (THETA**2 + PSI**2))


@claim(
    "Dirac.simultaneous.identity",
    "A simultaneous gradient step multiplies the squared distance to the equilibrium by 1 + h^2 sigma(psi theta)^2",
    latex=r"\|z^+\|^2 = (1 + h^2 \sigma(\psi\theta)^2)\, \|z\|^2",
    source=MESCHEDER,
    rigor="symbolic",
    idea="The vector field is a rotation, at right angles to z; so every step of every size leads outwards.",
    controls={"1 + h s": lambda proof: _identity(proof, power=1)},
    assumptions=("for theta or psi <= 0 the same polynomial identity holds",),
)
def simultaneous_identity(proof: Proof) -> None:
    """A polynomial identity in theta, psi, h and s = sigma(psi theta)."""
    _identity(proof)


def _outwards(proof: Proof, gamma: Fraction) -> None:
    n_steps = proof.scale(quick=500, full=1000, deep=2000)
    with precision(proof.digits + n_steps // 10 + 20):
        squares = [squared_distance(z) for z in orbit(n_steps, h=H, gamma=gamma)]
        growth = [after - before for before, after in pairwise(squares)]
        proof.positive("|z_{k+1}|^2 - |z_k|^2, the smallest", minimum(growth) + 0)
        last = squares[-1].sqrt()
    proof.at_most("width of the last radius", arb(0, last.rad()), f"1e-{proof.digits}")
    proof.positive("|z_n| - 7/4", proof.enclose(f"radius after {n_steps} steps", last + 0) - ball(Fraction(7, 4)))


@claim(
    "Dirac.simultaneous.orbit",
    "From (1, 0) with h = 1/10 the radius of simultaneous gradient descent grows at each of 500 steps, beyond 7/4",
    latex=r"\|z_0\| < \|z_1\| < \dots < \|z_{500}\|",
    source=MESCHEDER,
    rigor="ball",
    idea="The orbit in balls; they grow by about 1 + h at each step, so the precision is raised beforehand.",
    controls={"with an R1 penalty of gamma = 1/20 as well": lambda proof: _outwards(proof, Fraction(1, 20))},
)
def simultaneous_orbit(proof: Proof) -> None:
    """Without a penalty."""
    _outwards(proof, Fraction(0))


# Alternating steps.


def _alternating(proof: Proof, gamma: sp.Expr) -> None:
    theta_step = sp.Matrix([[1, STEP / 2], [0, 1]])
    psi_step = sp.Matrix([[1, 0], [-STEP / 2, 1 - STEP * gamma]])
    product = theta_step * psi_step
    identity(proof, "determinant = 1", product.det() - 1)
    identity(proof, "trace = 2 - h^2/4", product.trace() - 2 + STEP**2 / 4)
    identity(proof, "trace^2 - 4 = -(h^2/4)(4 - h^2/4), < 0 for 0 < h < 4",
             product.trace() ** 2 - 4 + STEP**2 / 4 * (4 - STEP**2 / 4))  # fmt: skip


@claim(
    "Dirac.alternating.linear",
    "The alternating step has determinant 1 and, for h < 4, eigenvalues on the unit circle: it turns, never shrinks",
    latex=r"\det = 1, \quad \mathrm{tr} = 2 - h^2/4, \quad |\lambda_{1,2}| = 1",
    source=MESCHEDER,
    rigor="symbolic",
    idea="Product of the two shears at the equilibrium; a real 2x2 matrix with det 1 and |trace| < 2 is a rotation.",
    controls={"with a penalty of gamma = 1/100 as well": lambda proof: _alternating(proof, sp.Rational(1, 100))},
    assumptions=("0 < h < 4", "the step linearised at (0, 0)"),
)
def alternating_linear(proof: Proof) -> None:
    """Two shears."""
    _alternating(proof, sp.Integer(0))


def _band(proof: Proof, low: Fraction, high: Fraction) -> None:
    n_steps = proof.scale(quick=5000, full=8000, deep=12000)
    with precision(proof.digits + n_steps // 12 + 30):
        squares = [squared_distance(z) for z in orbit(n_steps, h=H, alternating=True)]
        smallest, largest = minimum(squares).sqrt(), (-minimum([-r for r in squares])).sqrt()
    proof.note("steps", n_steps)
    proof.at_most("width of the last radius squared", arb(0, squares[-1].rad()), f"1e-{proof.digits}")
    proof.positive(f"smallest radius - {low}", proof.enclose("smallest radius", smallest + 0) - ball(low))
    proof.positive(f"{high} - largest radius", ball(high) - proof.enclose("largest radius", largest + 0))


@claim(
    "Dirac.alternating.orbit",
    "From (1, 0) with h = 1/10 alternating gradient descent stays between radius 0.993 and 1.0193 for 5,000 steps",
    latex=r"0.993 < \|z_k\| < 1.0193, \qquad k = 0, \dots, 5000",
    source=MESCHEDER,
    rigor="ball",
    idea="The orbit in balls of some 450 digits, which is what 5,000 steps use up.",
    controls={
        "radius > 0.994": lambda proof: _band(proof, Fraction("0.994"), Fraction("1.0193")),
        "radius < 1.019": lambda proof: _band(proof, Fraction("0.993"), Fraction("1.019")),
    },
)
def alternating_orbit(proof: Proof) -> None:
    """No convergence, and no escape either."""
    _band(proof, Fraction("0.993"), Fraction("1.0193"))


# With a gradient penalty.


def _jury(proof: Proof, limit: sp.Expr) -> None:
    """Check the formulas of 1 - det and 1 + det -+ trace, which Jury's criterion requires to be positive."""
    det, trace = LINEAR.det(), LINEAR.trace()
    identity(proof, "1 - det = h (gamma - h/4)", 1 - det - STEP * (GAMMA - limit))
    identity(proof, "1 + det - trace = h^2/4", 1 + det - trace - STEP**2 / 4)
    identity(proof, "1 + det + trace = 2h (2/h + h/8 - gamma)",
             1 + det + trace - 2 * STEP * (2 / STEP + STEP / 8 - GAMMA))  # fmt: skip


@claim(
    "Dirac.r1.linear",
    "With the R1 penalty the simultaneous step contracts at the equilibrium if and only if h/4 < gamma < 2/h + h/8",
    latex=r"\frac h4 < \gamma < \frac 2h + \frac h8",
    source=ROTH,
    rigor="symbolic",
    idea="Jury's criterion: |det| < 1 and |trace| < 1 + det; the last two conditions add up to 2 (1 + det) > 0.",
    controls={
        "gamma > h/2": lambda proof: _jury(proof, STEP / 2),
        "gamma > 0": lambda proof: _jury(proof, sp.Integer(0)),
    },
)
def r1_linear(proof: Proof) -> None:
    """The three factors of Jury's criterion."""
    proof.lemma("Jury: the roots of x^2 - T x + D lie inside the unit circle iff |D| < 1 and |T| < 1 + D")
    _jury(proof, STEP / 4)


Matrix = tuple[tuple[arb, arb], tuple[arb, arb]]


def lyapunov(h: Fraction, gamma: Fraction) -> tuple[Fraction, Fraction, Fraction]:
    """Return a, b, c with P = [[a, b], [b, c]] and J^T P J = P - I, for J the linear step; exact."""
    m = sp.Matrix([[1, sp.Rational(h) / 2], [-sp.Rational(h) / 2, 1 - sp.Rational(h) * sp.Rational(gamma)]])
    a, b, c = sp.symbols("a b c")
    P = sp.Matrix([[a, b], [b, c]])
    found = sp.solve(list(m.T * P * m - P + sp.eye(2)), [a, b, c])
    first, cross, last = (Fraction(int(found[x].p), int(found[x].q)) for x in (a, b, c))
    return first, cross, last


def decrease(J: Matrix, P: tuple[arb, arb, arb]) -> tuple[arb, arb]:
    """Return the first entry and the determinant of P - J^T P J, both > 0 iff it is positive definite."""
    (u, v), (w, x) = J
    a, b, c = P
    m11 = a - (u * u * a + 2 * u * w * b + w * w * c)
    m12 = b - (u * v * a + (u * x + v * w) * b + w * x * c)
    m22 = c - (v * v * a + 2 * v * x * b + x * x * c)
    return m11, m11 * m22 - m12 * m12


def _enters(states: Iterator[State], form: Callable[[State], arb], level: arb) -> int | None:
    """Return the first step at which form(z) <= level."""
    return next((k for k, z in enumerate(states) if form(z) < level), None)


def _basin(proof: Proof, gamma: Fraction) -> None:
    a, b, c = (ball(x) for x in lyapunov(H, gamma))
    proof.positive("P is positive definite: a", a)
    proof.positive("P is positive definite: a c - b^2", a * c - b * b)
    side, cells = Fraction(1, 4), 8  # |theta|, |psi| <= 1/4
    corner, det = [], []
    for i in range(-cells, cells):
        for j in range(-cells, cells):
            theta, psi = (between(ball(side * k / cells), ball(side * (k + 1) / cells)) for k in (i, j))
            first, second = decrease(jacobian(theta, psi, ball(H), ball(gamma)), (a, b, c))
            corner.append(first)
            det.append(second)
    proof.positive("P - J^T P J on the box: first entry", minimum(corner))
    proof.positive("P - J^T P J on the box: determinant", minimum(det))
    # the ellipse z^T P z < level lies in the box: theta^2 <= level c / det P, psi^2 <= level a / det P
    level = ball(side) ** 2 * (a * c - b * b) / a.max(c)
    with precision(60):
        states = orbit(400, h=H, gamma=gamma)
        step = _enters(states, lambda z: a * z[0] ** 2 + 2 * b * z[0] * z[1] + c * z[1] ** 2, level)
    if step is None:
        proof.undecided("the orbit from (1, 0) enters the ellipse")
    else:
        proof.holds(f"the orbit from (1, 0) enters the ellipse, at step {step}", True)


@claim(
    "Dirac.r1.converges",
    "With h = 1/10 and gamma = 1 the orbit from (1, 0) converges to the equilibrium",
    latex=r"z_k \to (0, 0)",
    source=ROTH,
    rigor="ball",
    idea="P - J^T P J > 0 for every Jacobian J on a box (256 balls), so the step contracts the ellipse of P inside "
    "the box by a fixed factor; the orbit enters it.",
    controls={
        "gamma = 1/50 < h/4": lambda proof: _basin(proof, Fraction(1, 50)),
        "no penalty": lambda proof: _basin(proof, Fraction(0)),
    },
)
def r1_converges(proof: Proof) -> None:
    """Lyapunov's equation in rationals, its inequality in balls."""
    proof.lemma("the mean value theorem on a convex set: |F(z) - F(0)|_P <= max |J|_P |z|_P")
    _basin(proof, Fraction(1))


def _converges(proof: Proof, gamma: Fraction) -> None:
    n_steps = 50 * proof.profile_digits + 100
    with precision(2 * proof.digits + n_steps // 20 + 40):
        *_, last = orbit(n_steps, h=H, gamma=gamma)
        distance = squared_distance(last).sqrt()
    proof.note("steps", n_steps)
    proof.at_most("radius of the last state", proof.enclose("last radius", distance + 0), f"1e-{proof.profile_digits}")


@claim(
    "Dirac.r1.orbit",
    "With h = 1/10 and gamma = 1 the orbit from (1, 0) comes within the profile's tolerance of the equilibrium",
    latex=r"\|z_n\| \le 10^{-d}, \qquad n = 50 d + 100",
    source=ROTH,
    rigor="ball",
    idea="Both eigenvalues are 0.95 there; the orbit in balls.",
    controls={
        "gamma = 1/2": lambda proof: _converges(proof, Fraction(1, 2)),
        "no penalty": lambda proof: _converges(proof, Fraction(0)),
    },
)
def r1_orbit(proof: Proof) -> None:
    """With a penalty the orbit converges: to 30, 50 or 100 digits."""
    _converges(proof, Fraction(1))
