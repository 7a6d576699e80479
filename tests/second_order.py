"""Checks of second derivatives: pushforwards, their pullbacks, and gradient penalties, against the complex step.

The functions compared with are computed by `forward` and its pullback alone, in complex numbers:

    y_dot             against the derivative of y along x_dot
    its pullback      against the derivatives of <dy, y> + <x_dot, J^T dy_dot>, where J^T dy_dot is the pullback's
    a penalty         against the derivatives of P itself, whose grad_x D is the pullback's

`test_second_order_mutations` runs these functions on pushforwards with a planted error.
"""

import numpy as np
from gradients import H, assert_direction, assert_tensor, assert_tensors, complex_step

from minigan.gradient_check import pushforward_pairs

KEYS_SEED = 1


def keys(net, x):
    """The same masks in every pass."""
    return net.draw_keys(len(x), np.random.default_rng(KEYS_SEED))


def pushforward(net, x, x_dot, *, train):
    return net.pushforward(x, x_dot, train=train, keys=keys(net, x))


def check_pushforward(net, x, x_dot, dy, dy_dot, *, train):
    """Check every entry of y_dot, dx, dx_dot and of every parameter gradient."""
    pairs = pushforward_pairs(net, x, x_dot, dy, dy_dot, train=train, stream=lambda: np.random.default_rng(KEYS_SEED))
    y, y_dot, dx, dx_dot, *parameters = pairs
    for pair in (y, y_dot, dx, dx_dot):
        assert_tensor(pair.got, pair.want)
    assert_tensors(net, [(pair.name, pair.got, pair.want) for pair in parameters])


def through_the_pullback(net, x, x_dot, dy, dy_dot, *, train):
    """<dy, y> + <x_dot, J^T dy_dot> as a function of (x, x_dot, theta)."""
    twin = net.astype(complex)

    def loss(z, z_dot, theta):
        twin.theta = theta
        y, backward = twin.forward(z.astype(complex), train=train, keys=keys(net, x), update_state=False)
        return (dy * y).sum() + (z_dot * backward(dy_dot.astype(complex))).sum()

    return loss


def check_pushforward_direction(net, x, x_dot, dy, dy_dot, directions, *, train):
    """Compare <dx, a> + <dx_dot, b> + <g, c> with the derivative along the directions (a, b, c)."""
    _, _, backward = pushforward(net, x, x_dot, train=train)
    g = net.zeros_like_theta()
    dx, dx_dot = backward(dy, dy_dot, g)
    a, b, c = directions
    loss = through_the_pullback(net, x, x_dot, dy, dy_dot, train=train)
    derivative = loss(x + 1j * H * a, x_dot + 1j * H * b, net.theta + 1j * H * c).imag / H
    got, along = (np.concatenate([v.ravel() for v in vs]) for vs in ((dx, dx_dot, g), (a, b, c)))
    assert_direction(got, along, derivative)


def penalty_of(D, penalty, x_real, x_fake, *, train, seed=KEYS_SEED):
    """P as a function of theta, in complex numbers."""
    twin = D.astype(complex)

    def value(theta):
        twin.theta = theta
        rng = np.random.default_rng(seed)
        x = penalty.points(twin, x_real.astype(complex), x_fake.astype(complex), rng=rng)
        drawn = twin.draw_keys(len(x), rng) if train else None
        s, backward = twin.forward(x, train=train, rng=rng, keys=drawn, update_state=False)
        return penalty.of_gradient(twin, backward(np.ones_like(s)))[0]

    return value


def check_penalty(D, penalty, x_real, x_fake, *, train=True, direction=None):
    """Check P, and every entry of dP/dtheta; with a direction, the derivative along it."""
    g = D.zeros_like_theta()
    P = penalty.add_gradient(D, x_real, x_fake, g, rng=np.random.default_rng(KEYS_SEED), train=train)
    value = penalty_of(D, penalty, x_real, x_fake, train=train)
    assert_tensor(P, value(D.theta).real)
    if direction is None:
        want = complex_step(value, D.theta)
        assert_gradient_or_zero(D, g, want)
    else:
        assert_direction(g, direction, value(D.theta + 1j * H * direction).imag / H)


def assert_gradient_or_zero(net, got, want):
    """`assert_gradient`; a tensor whose gradient is 0 for all data (the last bias) must be exactly 0."""
    for key, tensor in net.views(got).items():
        right = net.views(want)[key]
        if right.any():
            assert_tensor(tensor, right)
        else:
            assert not tensor.any(), key
