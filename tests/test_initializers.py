"""Initial distributions: moments and ranges, by bounds that fail with probability 1e-9 or less."""

import math

import numpy as np
import pytest
from scipy import stats

import minigan as mg

SHAPE, FAN_IN, FAN_OUT = (300, 400), 300, 400
N = 300 * 400
# name -> (initializer, variance, largest possible |w|)
CASES = {
    "glorot uniform": (mg.GlorotUniform(), 2 / 700, math.sqrt(6 / 700)),
    "glorot normal": (mg.GlorotNormal(), 2 / 700, 2 * math.sqrt(2 / 700) / 0.8796256),
    "he uniform": (mg.HeUniform(), 2 / 300, math.sqrt(6 / 300)),
    "he normal": (mg.HeNormal(), 2 / 300, math.inf),
    "normal": (mg.Normal(0.02), 0.0004, math.inf),
    "uniform": (mg.Uniform(0.05), 0.05**2 / 3, 0.05),
}


@pytest.mark.parametrize("name", CASES)
def test_mean_variance_and_range(name):
    init, variance, limit = CASES[name]
    w = init.draw(np.random.default_rng(0), SHAPE, FAN_IN, FAN_OUT)
    assert w.shape == SHAPE
    assert w.dtype == np.float64
    assert np.abs(w).max() <= limit
    # Mean and variance of N draws: normal to far better than the 6.1 sigma that 1e-9 asks for (kurtosis <= 3).
    assert abs(w.mean()) <= 6.1 * math.sqrt(variance / N)
    assert abs(w.var() / variance - 1) <= 6.1 * math.sqrt(2 / N)


def test_uniform_and_normal_by_kolmogorov_smirnov():
    for init, law in ((mg.Uniform(0.05), stats.uniform(-0.05, 0.1)), (mg.Normal(0.02, mean=1), stats.norm(1, 0.02))):
        w = init.draw(np.random.default_rng(1), (10_000,), 1, 1)
        assert stats.kstest(w, law.cdf).statistic <= 0.0327  # Dvoretzky-Kiefer-Wolfowitz at 1e-9


def test_constants():
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(mg.Zeros().draw(rng, (2, 3), 2, 3), np.zeros((2, 3)))
    np.testing.assert_array_equal(mg.Constant(1.5).draw(rng, (2,), 2, 3), [1.5, 1.5])
