"""The fans (numbers of inputs and outputs) that layers pass to their initializers, for layers far from square."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

import minigan as mg
from minigan.initializers import Initializer


def weights(layer):
    return mg.Network([layer], rng=np.random.default_rng(0), dtype="float64").parameters()["0.W"]


CASES = {  # layer -> fan_in, fan_out
    "dense wide": (lambda init: mg.Dense(5, 4000, weight_init=init), 5, 4000),
    "dense narrow": (lambda init: mg.Dense(4000, 5, weight_init=init), 4000, 5),
    "maxout wide": (lambda init: mg.Maxout(5, 800, pieces=5, weight_init=init), 5, 4000),
    "maxout narrow": (lambda init: mg.Maxout(2000, 2, pieces=5, weight_init=init), 2000, 10),
}


@pytest.mark.parametrize("name", CASES)
def test_the_deviation_of_drawn_weights_has_the_fans_of_the_layer(name):
    """With 20,000 draws the bound on the variance fails with probability 1e-9 or less (kurtosis <= 3)."""
    make, fan_in, fan_out = CASES[name]
    for init, variance in (
        (mg.HeNormal(), 2 / fan_in),
        (mg.HeUniform(), 2 / fan_in),
        (mg.GlorotNormal(), 2 / (fan_in + fan_out)),
        (mg.GlorotUniform(), 2 / (fan_in + fan_out)),
    ):
        W = weights(make(init))
        assert W.shape == (fan_in, fan_out)
        assert abs(W.var() / variance - 1) <= 6.1 * math.sqrt(2 / W.size)


@dataclass(frozen=True)
class Seen(Initializer):
    """An initializer that returns fan_in + 1e-6 fan_out."""

    def draw(self, rng, shape, fan_in, fan_out):
        return np.full(shape, fan_in + 1e-6 * fan_out)


@pytest.mark.parametrize("name", CASES)
def test_each_fan_is_told_as_it_is(name):
    make, fan_in, fan_out = CASES[name]
    np.testing.assert_allclose(weights(make(Seen())), fan_in + 1e-6 * fan_out, rtol=1e-15)


def test_biases_are_told_the_fans_of_their_weights():
    for layer in (mg.Dense(5, 40, bias_init=Seen()), mg.Maxout(5, 8, pieces=5, bias_init=Seen())):
        b = mg.Network([layer], rng=np.random.default_rng(0), dtype="float64").parameters()["0.b"]
        np.testing.assert_allclose(b, 5 + 40e-6, rtol=1e-15)


def test_he_normal_is_not_cut():
    """Of 20,000 draws 4.6 % lie beyond two standard deviations; truncated Glorot-normal has none beyond its bound."""
    assert 700 < (np.abs(weights(mg.Dense(5, 4000, weight_init=mg.HeNormal()))) > 2 * math.sqrt(2 / 5)).sum() < 1150
