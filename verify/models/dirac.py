"""The Dirac-GAN (Mescheder et al. 2018): data at 0, a generator at theta, a discriminator with logit psi x.

    V(theta, psi) = log sigma(0) + log(1 - sigma(psi theta)) = -log 2 - softplus(psi theta)

The only equilibrium is (0, 0): p_g = p_data and D = 1/2.  With sigma = sigma(psi theta), step size h and the R1 penalty
gamma/2 (d logit/dx)^2 = gamma/2 psi^2 (on the logit, as in Mescheder et al.), a step of gradient descent-ascent is

    theta+ = theta + h psi sigma        psi+ = psi - h theta sigma - h gamma psi

The two parameters are updated together (simultaneous), or psi first, and then theta with psi+ in place of psi
(alternating, as in Algorithm 1).
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
        Whether theta is updated with the new psi; by default both are updated together.
    start : tuple of Fraction
        theta and psi at step 0; by default (1, 0), at distance 1 from the equilibrium.

    Yields
    ------
    tuple of arb
        theta and psi.  The radius of each ball (the error bound) grows by a factor of about 1 + h per step; choose the
        precision accordingly.

    """
    theta, psi = ball(start[0]), ball(start[1])
    step, penalty = ball(h), ball(gamma)
    yield theta, psi
    for _ in range(n_steps):
        new_psi = psi - step * theta * sigmoid(psi * theta) - step * penalty * psi
        psi_of_theta = new_psi if alternating else psi
        theta, psi = theta + step * psi_of_theta * sigmoid(psi_of_theta * theta), new_psi
        yield theta, psi


def squared_distance(state: State) -> arb:
    """Return theta^2 + psi^2, the squared distance of a state to the equilibrium."""
    return state[0] ** 2 + state[1] ** 2


def jacobian(theta: arb, psi: arb, h: arb, gamma: arb) -> tuple[tuple[arb, arb], tuple[arb, arb]]:
    """Return d(theta+, psi+) / d(theta, psi) of the simultaneous step, with sigma' = sigma (1 - sigma).

        [ 1 + h psi^2 sigma'                  h (sigma + psi theta sigma')      ]
        [ -h (sigma + psi theta sigma')       1 - h gamma - h theta^2 sigma'    ]

    theta+, psi+ is the state after one step.

    Parameters
    ----------
    theta, psi : arb
        The state before the step; balls that enclose a box give the Jacobians at all its points.
    h : arb
        The step size.
    gamma : arb
        The factor of the R1 penalty; 0 means no penalty.

    Returns
    -------
    tuple of tuple of arb
        The two rows of the matrix: the derivatives of theta+, then those of psi+.

    """
    sigma = sigmoid(psi * theta)
    slope = sigma * (1 - sigma)
    cross = h * (sigma + psi * theta * slope)
    return (1 + h * psi**2 * slope, cross), (-cross, 1 - h * gamma - h * theta**2 * slope)
