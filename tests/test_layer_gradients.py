"""Every layer's pullback against the complex step, per parameter and for x, and its contract."""

import numpy as np
import pytest
from cases import BACKENDS, LAYERS, LAYOUTS, ON_EACH_BACKEND, forward, laid_out, layers, network
from gradients import (
    TENSOR_GATE,
    H,
    assert_tensor,
    check_layer,
    check_layer_direction,
    cotangent,
)
from hypothesis import given
from hypothesis import strategies as st

MODES = [True, False]
SMOOTH = ["tanh", "sigmoid", "softplus", "softmax", "batch norm", "batch norm 4-D", "batch norm keras"]


def setup(name, *, ops="reference", seed=0, n=4):
    """A network with one of LAYERS, x, dy, and the random stream that generated them."""
    layer, shape = LAYERS[name]
    rng = np.random.default_rng(seed)
    net = network(layer, ops=ops, seed=seed)
    x = rng.standard_normal((n, *shape))
    return net, x, cotangent(rng, forward(net, x)[0].shape), rng


def gradients(net, x, dy, *, train=True):
    """y, dx and dtheta."""
    y, backward = forward(net, x, train=train)
    g = np.zeros(net.theta.shape, dtype=np.result_type(net.dtype, dy.dtype))
    return y, backward(dy, g), g


@pytest.mark.parametrize("train", MODES, ids=["train", "infer"])
@ON_EACH_BACKEND
@pytest.mark.parametrize("name", LAYERS)
def test_every_entry_by_complex_step(name, ops, train):
    net, x, dy, _ = setup(name, ops=ops)
    check_layer(net, x, dy, train=train)


@ON_EACH_BACKEND
@given(layers(), st.booleans(), st.booleans(), st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS))
def test_direction_by_complex_step(ops, case, train, complex_dy, order_x, order_dy):
    """For any sizes, values and memory layouts; the pullback is the same linear map for a complex dy."""
    layer, x, rng = case
    net = network(layer, ops=ops, seed=int(rng.integers(2**32)))
    shape = forward(net, x, train=train)[0].shape
    dy = cotangent(rng, shape) + (1j * cotangent(rng, shape) if complex_dy else 0)
    v, w = rng.standard_normal(x.shape), rng.standard_normal(net.theta.shape)
    check_layer_direction(net, laid_out(x, order_x), laid_out(dy, order_dy), v, w, train=train)


@pytest.mark.parametrize("layout", LAYOUTS)
@ON_EACH_BACKEND
@pytest.mark.parametrize("name", LAYERS)
def test_memory_layout_does_not_matter(name, ops, layout):
    net, x, dy, _ = setup(name, ops=ops, n=6)
    want = gradients(net, x, dy)
    for got, right in zip(gradients(net, laid_out(x, layout), laid_out(dy, layout)), want, strict=True):
        if right.size:
            assert_tensor(got, right)


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@ON_EACH_BACKEND
@given(layers(), st.booleans(), st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS))
def test_other_dtypes_give_the_same_gradients(ops, dtype, case, train, order_x, order_dy):
    """Gradients in the requested dtype agree to 450 of its eps, which is the tensor gate in units of eps."""
    layer, x, rng = case
    net = network(layer, ops=ops, seed=int(rng.integers(2**32))).astype("float32").astype("float64")
    x = x.astype("float32").astype("float64")
    dy = cotangent(rng, forward(net, x, train=train)[0].shape).astype("float32").astype("float64")
    want_y, *want = gradients(net, x, dy, train=train)
    x, dy = laid_out(x.astype(dtype), order_x), laid_out(dy.astype(dtype), order_dy)
    y, *got = gradients(net.astype(dtype), x, dy, train=train)
    assert {a.dtype for a in (y, *got)} == {np.dtype(dtype)}
    gate = TENSOR_GATE * np.finfo(dtype).eps / np.finfo("float64").eps
    if dtype == "float32":  # the real part of NumPy's complex log1p is only as accurate as log |1 + z|
        assert_tensor(y, want_y, gate=gate)
    assert_tensor(*(np.concatenate([a.ravel() for a in pair]) for pair in (got, want)), gate=gate)


@pytest.mark.parametrize("name", SMOOTH)
@given(seed=st.integers(0, 2**32 - 1))
def test_second_derivatives_through_the_pullback(name, seed):
    """At complex x, the pullback gives Hessian products H u = Im dx(x + i h u) / h, and <v, H u> = <u, H v>."""
    layer, shape = LAYERS[name]
    rng = np.random.default_rng(seed)
    net = network(layer, seed=seed).astype(complex)
    x = rng.uniform(-1, 1, (8, *shape))
    dy, u, v = (rng.standard_normal(x.shape) for _ in range(3))
    Hu, Hv = (gradients(net, x + 1j * H * a, dy.astype(complex))[1].imag / H for a in (u, v))
    scale = np.linalg.norm(Hu) * np.linalg.norm(v) + np.linalg.norm(Hv) * np.linalg.norm(u)
    assert_tensor((v * Hu).sum(), (u * Hv).sum(), scale=scale)
    assert scale > 0


@ON_EACH_BACKEND
@pytest.mark.parametrize("name", LAYERS)
def test_contract(name, ops):
    """A pullback can be called twice, adds to g, does not change dy, keeps x's dtype, and is frozen without g."""
    net, x, dy, _ = setup(name, ops=ops)
    y, backward = forward(net, x)
    before = dy.copy()
    g = net.zeros_like_theta()
    dx = backward(dy, g)
    once = g.copy()
    np.testing.assert_array_equal(backward(dy, g), dx)
    np.testing.assert_array_equal(g, once + once)
    np.testing.assert_array_equal(backward(dy), dx)
    np.testing.assert_array_equal(g, once + once)
    assert backward(dy, g, need_dx=False) is None
    np.testing.assert_allclose(g, once + once + once, rtol=1e-15)
    assert backward(dy, need_dx=False) is None
    np.testing.assert_array_equal(dy, before)
    assert y.dtype == dx.dtype == x.dtype
    assert dx.shape == x.shape


@ON_EACH_BACKEND
@pytest.mark.parametrize("name", LAYERS)
def test_two_forwards_then_both_backwards(name, ops):
    net, x, dy, rng = setup(name, ops=ops)
    other = rng.standard_normal(x.shape)
    alone = forward(net, x, seed=1)[1](dy)
    _, back_x = forward(net, x, seed=1)
    _, back_other = forward(net, other, seed=2)
    net(other)
    back_other(dy)
    np.testing.assert_array_equal(back_x(dy), alone)


@pytest.mark.parametrize("train", MODES, ids=["train", "infer"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_backends_agree(name, dtype, train):
    results = []
    for ops in BACKENDS.values():
        net, x, dy, _ = setup(name, ops=ops)
        y, dx, g = gradients(net.astype(dtype), x.astype(dtype), dy.astype(dtype), train=train)
        assert y.dtype == dx.dtype == g.dtype == np.dtype(dtype)
        results.append((y, dx, g))
    rtol = 1e-5 if dtype == "float32" else 1e-13
    for of_backend in results[1:]:
        for got, want in zip(of_backend, results[0], strict=True):
            np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol)
