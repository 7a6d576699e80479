"""The certified integrals of the generator, of expectations of G(z) and of f-GANs against independent values."""

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from verify.analysis import divergences
from verify.arithmetic.balls import ball, precision
from verify.claims.unconscious_statistician import ABSOLUTE, RELU, SHIFTED, SQUARE
from verify.densities import Cauchy, Mixture, Normal
from verify.models import generator, unconscious_statistician
from verify.models.fgan import DUAL, FAMILY, MAX_INTEGRAND_NEAR_0, U, bound
from verify.models.generator import CauchyGame, NormalGame, jsd_gradient, pathwise
from verify.models.unconscious_statistician import by_law, by_noise

GAME = NormalGame(Fraction(4), Fraction(2), Fraction(1), Fraction(0))
rationals = st.fractions(Fraction(1, 2), Fraction(2), max_denominator=8)


@pytest.mark.parametrize("name", ["a", "b"])
def test_the_derivative_of_jsd_is_its_difference_quotient(name):
    h = Fraction(1, 10**10)
    ends = [Normal(h * k if name == "b" else 0, 1 + h * k if name == "a" else 1) for k in (1, -1)]
    up, down = (divergences.jsd(Normal(4, 2), q, 40) for q in ends)
    with precision(60):
        quotient = (up - down) / (2 * ball(h))
        assert abs(float(quotient - jsd_gradient(GAME, name, 30))) < 1e-18


@pytest.mark.parametrize("name", ["m", "g"])
def test_the_closed_form_of_cauchys_is_that_of_the_certified_integral(name):
    h, game = Fraction(1, 10**10), CauchyGame(Fraction(1), Fraction(2))
    ends = [Cauchy(1 + h * k if name == "m" else 1, 2 + h * k if name == "g" else 2) for k in (1, -1)]
    with precision(60):
        quotient = (divergences.jsd(Cauchy(), ends[0], 40) - divergences.jsd(Cauchy(), ends[1], 40)) / (2 * ball(h))
        assert abs(float(quotient - game.jsd_gradient(name))) < 1e-18
        quotient = (divergences.kl(ends[0], Cauchy(), 40) - divergences.kl(ends[1], Cauchy(), 40)) / (2 * ball(h))
        assert abs(float(quotient - game.kl_gradient(name))) < 1e-18


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", ["a", "b"])
def test_the_pathwise_gradient_is_that_of_the_float_expectation(name, sign):
    def loss(a, b, z):
        """D* frozen at (1, 0)."""
        x = a * z + b
        s = -(((x - 4) / 2) ** 2) / 2 - math.log(2) + x**2 / 2
        return -np.logaddexp(0, s) if sign > 0 else np.logaddexp(0, -s)

    z, w = np.polynomial.hermite_e.hermegauss(200)
    h = 1e-5
    da, db = (h, 0) if name == "a" else (0, h)
    difference = (loss(1 + da, db, z) - loss(1 - da, -db, z)) / (2 * h)
    expected = (w * difference).sum() / math.sqrt(2 * math.pi)
    assert float(pathwise(GAME, name, sign, 20)) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=5)
@given(rationals, rationals, rationals)
def test_both_gradients_add_up_to_that_of_kl(sigma, a, b):
    """-log D* + log(1 - D*) = log(q/p): without any JSD."""
    game = NormalGame(Fraction(0), sigma, a, b)
    for name in ("a", "b"):
        with precision(40):
            total = pathwise(game, name, 1, 25) + pathwise(game, name, -1, 25) - ball(game.kl_gradient(name))
            assert total.contains(0)
            assert total.rad() < 1e-24


@settings(max_examples=5)
@given(st.lists(rationals, min_size=3, max_size=3), rationals)
def test_the_average_of_densities_has_at_most_half_the_divergence(means, width):
    p, q = Mixture(["1/3", "2/3"], [Normal(means[0], width), Normal(means[1] - 2)]), Normal(means[2], 2)
    whole, halved = divergences.jsd(p, q, 20), divergences.jsd(p, Mixture(["1/2", "1/2"], [p, q]), 20)
    assert not halved > whole / 2


@pytest.mark.parametrize(
    ("game", "G"),
    [
        (SQUARE, lambda z: z * z),
        (ABSOLUTE, abs),
        (SHIFTED, lambda z: z if z > 0 else z + 2),
        (RELU, lambda z: max(z, 0)),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_expectations_are_those_of_quad(game, G):
    f = lambda z: -np.logaddexp(0, 1 - G(z)) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    expected = sum(integrate.quad(f, *ends)[0] for ends in ((-30, 0), (0, 30)))
    assert float(by_noise(game, 20)) == pytest.approx(expected, abs=1e-8)
    assert float(by_law(game, 20)) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", FAMILY)
def test_the_numbers_of_a_divergence_are_its_expressions(name):
    divergence = FAMILY[name]
    tangent = sp.diff(divergence.f, U)
    for u in ("1/7", "3/4", "5/3"):
        with precision(30):
            number = ball(Fraction(u))
            t = divergence.tangent(number, number.log(), False)
            assert float(t) == pytest.approx(float(tangent.subs(U, sp.Rational(u))), abs=1e-14)
            expected = divergence.conjugate.subs(DUAL, tangent.subs(U, sp.Rational(u)))
            assert float(divergence.dual(t, False)) == pytest.approx(float(expected), abs=1e-13)


@pytest.mark.parametrize("name", FAMILY)
def test_no_tempered_ratio_beats_the_bound(name):
    best = bound(name, 20)
    for power in ("9/10", "95/100", "99/100"):
        assert bound(name, 20, Fraction(power)) < best


def test_a_planted_error_in_the_score_is_refuted(monkeypatch):
    right = NormalGame.score
    monkeypatch.setattr(NormalGame, "score", lambda self, name, z: right(self, name, z) * (1 + arb(2) ** -40))
    wrong = generator.jsd_gradient.__wrapped__(GAME, "b", 30)
    assert not (pathwise(GAME, "b", 1, 30) - 2 * wrong).contains(0)


# What is cut off never shows in an identity, so the bounds on it are tested where they are large.


@pytest.mark.parametrize("cut", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("name", ["a", "b"])
def test_the_bounds_on_the_tails_of_the_gradients(name, cut):
    for game in (GAME, NormalGame(Fraction(4), Fraction(2), Fraction(3, 2), Fraction(3))):
        mu, sigma, a, b = (float(x) for x in (game.mu, game.sigma, game.a, game.b))
        phi = lambda z: math.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # noqa: E731

        def logit(z):
            u = (a * z + b - mu) / sigma  # noqa: B023
            return (z * z - u * u) / 2 - math.log(sigma / a), z / a - u / sigma  # noqa: B023

        def step(z):
            return phi(z) * abs(logit(z)[1]) * (abs(z) if name == "a" else 1)  # noqa: B023

        def score(z):
            size = abs(z * z - 1) / a if name == "a" else abs(z) / a  # noqa: B023
            return phi(z) * size * (4 + abs(float(np.logaddexp(0, logit(z)[0]))))  # noqa: B023

        for f, bound_of in ((step, generator.pathwise_bound), (score, generator.score_bound)):
            tail = sum(integrate.quad(f, *ends)[0] for ends in ((-40, -cut), (cut, 40)))
            assert tail <= float(generator.beyond(game, bound_of(game, name), arb(cut))) * (1 + 1e-9)


@pytest.mark.parametrize("cut", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("G", [lambda z: z * z, lambda z: -abs(z) - 2, lambda z: z + 2])
def test_the_bounds_on_the_tails_of_expectations(G, cut):
    f = lambda z: np.logaddexp(0, 1 - G(z)) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    tail = sum(integrate.quad(f, *ends)[0] for ends in ((-40, -cut), (cut, 40)))
    assert tail <= float(unconscious_statistician.noise_tail(arb(cut)))
    slope = lambda x: 1 / (1 + math.exp(x - 1))  # noqa: E731
    assert integrate.quad(slope, cut, 60)[0] <= float(unconscious_statistician.law_tail(arb(cut)))
    assert integrate.quad(lambda y: math.erfc(y / math.sqrt(2)), cut, 40)[0] <= float(
        unconscious_statistician.left_tail(arb(cut + 2))
    )


@pytest.mark.parametrize("power", ["9/10", "999/1000", "1"])
@pytest.mark.parametrize("name", FAMILY)
def test_the_bound_near_the_edge(name, power):
    divergence = FAMILY[name]
    with precision(60):
        for k in range(1, 200):
            y = (arb(10) ** -k) / 2
            exponent = ball(Fraction(power)) * (3 * y / 2).log()
            t = divergence.tangent(exponent.exp(), exponent, False)
            assert abs(3 * y**2 * t) + abs(2 * y * divergence.dual(t, False)) < MAX_INTEGRAND_NEAR_0
