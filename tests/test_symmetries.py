"""`Symmetries` in a discriminator with a gradient penalty: its pushforward, and a penalty through it."""

import numpy as np
import pytest
from cases import ON_EACH_BACKEND, network
from gradients import assert_gradient, complex_step
from second_order import check_pushforward, penalty_of

import minigan as mg
from minigan.recipes.symmetries import Symmetries


@ON_EACH_BACKEND
@pytest.mark.parametrize("train", [True, False])
def test_the_pushforward_by_complex_step(ops, train):
    x, x_dot = np.random.default_rng(0).standard_normal((2, 2, 3, 3, 2))
    dy, dy_dot = np.random.default_rng(1).standard_normal((2, 2, 3, 3, 16))
    check_pushforward(network(Symmetries(), ops=ops), x, x_dot, dy, dy_dot, train=train)


def test_the_derivative_is_the_layer_itself():
    net, rng = network(Symmetries()), np.random.default_rng(0)
    x, x_dot = rng.standard_normal((2, 2, 4, 4, 1))
    y, y_dot, _ = net.pushforward(x, x_dot, train=True)
    np.testing.assert_array_equal(y, net(x))
    np.testing.assert_array_equal(y_dot, net(x_dot))


@ON_EACH_BACKEND
def test_a_penalty_through_all_positions(ops):
    D = network([Symmetries(), mg.Conv2D(8, 2, 2), mg.Tanh(), mg.Flatten(), mg.Dense(18, 1)], ops=ops)
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 4, 1))
    g, penalty = D.zeros_like_theta(), mg.R1(2.0)
    penalty.add_gradient(D, *x, g)
    assert_gradient(D, g, complex_step(penalty_of(D, penalty, *x, train=True), D.theta), zeros={"4.b"})
