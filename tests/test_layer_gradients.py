"""Every layer's pullback against the complex step, per parameter and for x, and its contract."""

import numpy as np
import pytest
from cases import BACKENDS, LAYERS, forward, layers, network
from gradients import DIRECTION_GATE, H, assert_tensor, complex_step, cotangent, direction_error
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg

MODES = [True, False]


def setup(layer, shape, *, ops="reference", seed=0, n=4):
    rng = np.random.default_rng(seed)
    net = network(layer, ops=ops, seed=seed)
    x = rng.standard_normal((n, *shape))
    return net, x, rng


def loss(net, dy, x, theta=None, *, train):
    """<dy, net(x; theta)> with complex x or theta."""
    twin = net.astype(complex)
    if theta is not None:
        twin.theta = theta
    return (dy * forward(twin, x.astype(complex), train=train)[0]).sum()


@pytest.mark.parametrize("train", MODES, ids=["train", "infer"])
@pytest.mark.parametrize("ops", BACKENDS)
@pytest.mark.parametrize("name", LAYERS)
def test_every_entry_by_complex_step(name, ops, train):
    layer, shape = LAYERS[name]
    net, x, rng = setup(layer, shape, ops=ops)
    y, backward = forward(net, x, train=train)
    dy = cotangent(rng, y.shape)
    g = net.zeros_like_theta()
    dx = backward(dy, g)
    assert_tensor(dx, complex_step(lambda z: loss(net, dy, z, train=train), x))
    if g.size:
        want = complex_step(lambda t: loss(net, dy, x, t, train=train), net.theta)
        for key, dp in net.views(g).items():
            assert_tensor(dp, net.views(want)[key])


@given(layers(), st.integers(1, 5), st.integers(0, 2**32 - 1), st.sampled_from(MODES))
def test_direction_by_complex_step(layer_and_shape, n, seed, train):
    layer, shape = layer_and_shape
    if isinstance(layer, mg.BatchNorm) and train:
        n += 2  # of one or two rows nothing is left after the mean and the scale
    net, x, rng = setup(layer, shape, seed=seed, n=n)
    y, backward = forward(net, x, train=train)
    dy, g = cotangent(rng, y.shape), net.zeros_like_theta()
    dx = backward(dy, g)
    v, w = rng.standard_normal(x.shape), rng.standard_normal(g.shape)
    derivative = np.imag(loss(net, dy, x + 1j * H * v, net.theta + 1j * H * w, train=train)) / H
    both, along = np.concatenate([dx.ravel(), g]), np.concatenate([v.ravel(), w])
    if not both.any():  # every kink is off: the derivative must be zero too
        assert derivative == 0
        return
    # Where the gradient nearly cancels (batch norm of a few rows), dy is the scale of what was added up.
    assert direction_error(both, along, derivative, at_least=np.linalg.norm(dy)) <= DIRECTION_GATE


@pytest.mark.parametrize("ops", BACKENDS)
@pytest.mark.parametrize("name", LAYERS)
def test_contract(name, ops):
    """A pullback can be repeated, adds to g, leaves dy alone, keeps x's dtype, and freezes without g."""
    layer, shape = LAYERS[name]
    net, x, rng = setup(layer, shape, ops=ops)
    y, backward = forward(net, x)
    dy = cotangent(rng, y.shape)
    before = dy.copy()
    g = net.zeros_like_theta()
    dx = backward(dy, g)
    once = g.copy()
    np.testing.assert_array_equal(backward(dy, g), dx)
    np.testing.assert_array_equal(g, once + once)
    np.testing.assert_array_equal(backward(dy), dx)
    np.testing.assert_array_equal(g, once + once)
    assert backward(dy, g, need_dx=False) is None
    assert backward(dy, need_dx=False) is None
    np.testing.assert_array_equal(dy, before)
    assert y.dtype == dx.dtype == x.dtype
    assert dx.shape == x.shape


@pytest.mark.parametrize("ops", BACKENDS)
@pytest.mark.parametrize("name", LAYERS)
def test_two_forwards_then_both_backwards(name, ops):
    layer, shape = LAYERS[name]
    net, x, rng = setup(layer, shape, ops=ops)
    other = rng.standard_normal(x.shape)
    y, back = forward(net, x, seed=1)
    dy = cotangent(rng, y.shape)
    alone = back(dy)
    _, back_x = forward(net, x, seed=1)
    _, back_other = forward(net, other, seed=2)
    net(other)
    back_other(dy)
    np.testing.assert_array_equal(back_x(dy), alone)


@pytest.mark.parametrize("order", ["C", "F", "strided", "reversed"])
@pytest.mark.parametrize("ops", BACKENDS)
@pytest.mark.parametrize("name", LAYERS)
def test_memory_order_does_not_matter(name, ops, order):
    layer, shape = LAYERS[name]
    net, x, rng = setup(layer, shape, ops=ops, n=6)
    y, backward = forward(net, x)
    dy = cotangent(rng, y.shape)
    g = net.zeros_like_theta()
    dx = backward(dy, g)

    def laid_out(a):
        if order == "F":
            return np.asfortranarray(a)
        if order == "strided":
            return np.repeat(a, 2, axis=-1)[..., ::2]
        return a[::-1].copy()[::-1] if order == "reversed" else a

    y2, backward2 = forward(net, laid_out(x))
    g2 = net.zeros_like_theta()
    dx2 = backward2(laid_out(dy), g2)
    for got, want in ((y2, y), (dx2, dx), (g2, g)):
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("train", MODES, ids=["train", "infer"])
def test_backends_agree(name, dtype, train):
    layer, shape = LAYERS[name]
    results = []
    for ops in BACKENDS:
        net, x, rng = setup(layer, shape, ops=ops)
        net = net.astype(dtype)
        y, backward = forward(net, x.astype(dtype), train=train)
        g = net.zeros_like_theta()
        dx = backward(cotangent(rng, y.shape).astype(dtype), g)
        assert y.dtype == dx.dtype == g.dtype == np.dtype(dtype)
        results.append((y, dx, g))
    rtol = 1e-5 if dtype == "float32" else 1e-13
    for got, want in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol)
