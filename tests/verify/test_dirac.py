"""The Dirac-GAN: orbits against floats, the Jacobian against differences, and steps with planted errors."""

import math
from fractions import Fraction

import pytest
from flint import arb

from verify.arithmetic.balls import ball, precision
from verify.claims.dirac import H, decrease, lyapunov
from verify.models import dirac
from verify.models.dirac import jacobian, orbit, squared_distance


def in_floats(n_steps, *, gamma, alternating):
    theta, psi, h = 1.0, 0.0, 0.1
    sigma = lambda t: 1 / (1 + math.exp(-t))  # noqa: E731
    for _ in range(n_steps):
        ascended = psi - h * theta * sigma(psi * theta) - h * gamma * psi
        seen = ascended if alternating else psi
        theta, psi = theta + h * seen * sigma(seen * theta), ascended
    return theta, psi


@pytest.mark.parametrize("alternating", [False, True])
@pytest.mark.parametrize("gamma", [Fraction(0), Fraction(1, 2)])
def test_the_orbit_holds_the_float_orbit(alternating, gamma):
    with precision(60):
        *_, state = orbit(200, h=H, gamma=gamma, alternating=alternating)
        expected = in_floats(200, gamma=float(gamma), alternating=alternating)
        assert [float(x) for x in state] == pytest.approx(expected, abs=1e-11)
        assert max(float(x.rad()) for x in state) < 1e-20


def test_a_simultaneous_step_turns_outwards_by_the_stated_factor():
    with precision(50):
        before, after = orbit(1, h=H, start=(Fraction(-2), Fraction(3, 7)))
        s = dirac.sigmoid(before[0] * before[1])
        assert (squared_distance(after) - (1 + ball(H) ** 2 * s**2) * squared_distance(before)).contains(0)


def test_the_jacobian_is_the_derivative_of_the_step():
    theta, psi, gamma, eps = Fraction(1, 3), Fraction(-1, 5), Fraction(1, 4), Fraction(1, 10**20)
    with precision(80):
        J = jacobian(ball(theta), ball(psi), ball(H), ball(gamma))
        for column, (up, down) in enumerate(
            (((theta + eps, psi), (theta - eps, psi)), ((theta, psi + eps), (theta, psi - eps)))
        ):
            ends = [list(orbit(1, h=H, gamma=gamma, start=start))[1] for start in (up, down)]
            for row in range(2):
                difference = (ends[0][row] - ends[1][row]) / (2 * ball(eps))
                assert abs(float(difference - J[row][column])) < 1e-35


def test_lyapunov_solves_its_equation_exactly():
    P = tuple(ball(x) for x in lyapunov(H, Fraction(1)))
    first, det = decrease(jacobian(arb(0), arb(0), ball(H), arb(1)), P)
    assert first.contains(1)
    assert det.contains(1)


@pytest.mark.parametrize(("gamma", "stable"), [("1/41", False), ("1/39", True), ("20", True), ("201/10", False)])
def test_the_limits_of_the_penalty(gamma, stable):
    """h/4 = 1/40 and 2/h + h/8 = 20.0125."""
    a, b, c = lyapunov(H, Fraction(gamma))
    assert (a > 0 and a * c > b * b) is stable
