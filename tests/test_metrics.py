"""Divergences and the value of the game against closed forms and scipy's quadrature."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate as scipy_integrate

from minigan.data import Gaussian, Laplace, Mixture
from minigan.metrics import integrate, jsd, kl, optimal_discriminator, value, value_at_point

P = Gaussian(4, 2)


def test_the_constants_of_the_gaussian_system():
    """p_data = N(4, 2^2) against N(0, 1): JSD, C, D*, and the points with D* = 1/2."""
    q = Gaussian(0, 1)
    assert jsd(P, q) == pytest.approx(0.474307, abs=5e-7)
    c = value(P, q, lambda x: P.logpdf(x) - q.logpdf(x))
    assert c == pytest.approx(-0.437680, abs=5e-7)
    assert c == pytest.approx(-math.log(4) + 2 * jsd(P, q), abs=1e-13)
    np.testing.assert_allclose(optimal_discriminator(P, q, [0, 2, 4]), [0.063379, 0.691438, 0.999330], atol=5e-7)
    np.testing.assert_allclose(optimal_discriminator(P, q, [-4.32658, 1.65991]), 0.5, atol=3e-6)  # 5e-6 |D*'|


normals = st.builds(Gaussian, st.floats(-10, 10), st.floats(0.05, 10))


@given(normals, normals)
def test_kl_of_normals_is_its_closed_form(p, q):
    want = math.log(q.sigma / p.sigma) + (p.sigma**2 + (p.mu - q.mu) ** 2) / (2 * q.sigma**2) - 0.5
    assert kl(p, q) == pytest.approx(want, rel=1e-10, abs=1e-12)


@given(normals, normals)
def test_jsd_is_symmetric_bounded_and_zero_on_the_diagonal(p, q):
    got = jsd(p, q)
    assert -1e-14 <= got <= math.log(2) + 1e-14
    assert got == pytest.approx(jsd(q, p), abs=1e-14)
    assert jsd(p, p) == pytest.approx(0, abs=1e-15)


@given(normals, normals, st.floats(-3, 3), st.floats(-1, 1))
def test_no_discriminator_beats_the_optimal_one(p, q, intercept, slope):
    best = value(p, q, lambda x: p.logpdf(x) - q.logpdf(x))
    assert value(p, q, lambda x: intercept + slope * x) <= best + 1e-12


def test_a_blind_discriminator_has_minus_log_4():
    assert value(P, Gaussian(-3, 0.5), np.zeros_like) == pytest.approx(-math.log(4), abs=1e-13)


def test_a_point_mass_is_the_limit_of_narrow_normals():
    def s(x):
        return np.tanh(x)

    assert value_at_point(P, 1.5, s) == pytest.approx(value(P, Gaussian(1.5, 1e-6), s), abs=1e-9)


def test_kinks_and_mixtures_against_scipy():
    p, q = Laplace(0, 1), Mixture([Gaussian(-1, 0.3), Gaussian(2, 1)], [0.4, 0.6])

    def f(x):
        a, b = float(p.pdf(x)), float(q.pdf(x))
        m = (a + b) / 2
        return (a * math.log(a / m) if a else 0) / 2 + (b * math.log(b / m) if b else 0) / 2

    want, _ = scipy_integrate.quad(f, -40, 40, points=[-1, 0, 2], epsabs=1e-13, limit=500)
    assert jsd(p, q) == pytest.approx(want, abs=1e-11)


def test_integrate_is_exact_on_polynomials():
    assert integrate(lambda x: x**7 - 3 * x**2, [-1, 0, 2]) == pytest.approx((2**8 - 1) / 8 - 9, rel=1e-14)
