"""The Dirac-GAN (Mescheder et al. 2018): data at 0, a generator at theta, a discriminator with logit psi x.

    V(theta, psi) = log sigma(0) + log(1 - sigma(psi theta)) = -log 2 - softplus(psi theta)

The only equilibrium is (0, 0): p_g = p_data and D = 1/2.  With s = sigma(psi theta), step h and R1 penalty
gamma/2 |dD/dx|^2 = gamma/2 psi^2, gradient descent-ascent is

    theta+ = theta + h psi s        psi+ = psi - h theta s - h gamma psi

either both at once (simultaneous), or first psi, and then theta with the new psi (alternating, as in Algorithm 1).
"""

from collections.abc import Iterator
from fractions import Fraction

from flint import arb

from verify.arithmetic.balls import ball
from verify.densities.functions import sigmoid

State = tuple[arb, arb]  # theta, psi


def orbit(
    n_steps: int, *, h: Fraction, gamma: Fraction = Fraction(0), alternating: bool = False,
    start: tuple[Fraction, Fraction] = (Fraction(1), Fraction(0)),
) -> Iterator[State]:  # fmt: skip
    """Yield the state after 0, 1, ..., n_steps steps.

    Parameters
    ----------
    n_steps : int
        The number of steps.
    h : Fraction
        The step size.
    gamma : Fraction
        The factor of the R1 penalty; by default 0, no penalty.
    alternating : bool
        Whether theta moves with the new psi; by default both move at once.
    start : tuple of Fraction
        theta and psi at step 0; by default (1, 0), at distance 1 from the equilibrium.

    Yields
    ------
    tuple of arb
        theta and psi.  The radius grows by a factor of about 1 + h a step, so the precision must be set for it.

    """
    theta, psi = ball(start[0]), ball(start[1])
    step, penalty = ball(h), ball(gamma)
    yield theta, psi
    for _ in range(n_steps):
        new_psi = psi - step * theta * sigmoid(psi * theta) - step * penalty * psi
        used = new_psi if alternating else psi
        theta, psi = theta + step * used * sigmoid(used * theta), new_psi
        yield theta, psi


def radius_squared(state: State) -> arb:
    """Return theta^2 + psi^2."""
    return state[0] ** 2 + state[1] ** 2


def jacobian(theta: arb, psi: arb, h: arb, gamma: arb) -> tuple[tuple[arb, arb], tuple[arb, arb]]:
    """Return d(theta+, psi+) / d(theta, psi) of the simultaneous step as two rows, with s' = s (1 - s):

    [ 1 + h psi^2 s'             h (s + psi theta s')          ]
    [ -h (s + psi theta s')      1 - h gamma - h theta^2 s'    ]
    """
    s = sigmoid(psi * theta)
    slope = s * (1 - s)
    cross = h * (s + psi * theta * slope)
    return (1 + h * psi**2 * slope, cross), (-cross, 1 - h * gamma - h * theta**2 * slope)
