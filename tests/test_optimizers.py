"""Optimizers against literal float64 transcriptions of their papers (and PyTorch's, in test_torch.py)."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg


def net_of(theta, dtype="float64", ops="cpu"):
    net = mg.Network([mg.Dense(1, 2)], rng=np.random.default_rng(0), dtype=dtype, ops=ops)
    net.theta = np.asarray(theta)
    return net


def adam_literally(theta, gradients, lr, beta1, beta2, eps):
    """Algorithm 1 of Kingma and Ba 2015, one number at a time."""
    m, v = [0.0] * len(theta), [0.0] * len(theta)
    theta = list(theta)
    for t, g in enumerate(gradients, start=1):
        for i in range(len(theta)):
            m[i] = beta1 * m[i] + (1 - beta1) * g[i]
            v[i] = beta2 * v[i] + (1 - beta2) * g[i] ** 2
            m_hat = m[i] / (1 - beta1**t)
            v_hat = v[i] / (1 - beta2**t)
            theta[i] = theta[i] - lr * m_hat / (math.sqrt(v_hat) + eps)
    return theta


@pytest.mark.parametrize("ops", ["reference", "cpu"])
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(
        [(1e-3, 0.9, 0.999, 1e-8), (1e-3, 0.9, 0.999, 1e-7), (2e-4, 0.5, 0.999, 1e-8), (1.0, 0.0, 0.9, 0.1)]
    ),
    st.sampled_from([1e-12, 1e-3, 1.0, 1e6]),
)
def test_adam_is_algorithm_1(ops, seed, settings, scale):
    rng = np.random.default_rng(seed)
    theta, gradients = rng.standard_normal(4), scale * rng.standard_normal((20, 4))
    lr, beta1, beta2, eps = settings
    net = net_of(theta, ops=ops)
    optimizer = mg.Adam(net, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    for g in gradients:
        optimizer.step(g)
    np.testing.assert_allclose(net.theta, adam_literally(theta, gradients, *settings), rtol=1e-13, atol=1e-13)


def test_eps_stands_outside_the_square_root():
    net = net_of(np.zeros(4))
    mg.Adam(net, lr=1.0, eps=1.0).step(np.full(4, 3.0))
    np.testing.assert_allclose(net.theta, -3 / (3 + 1), rtol=1e-15)  # inside it would be -3 / sqrt(9 + 1)


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.99), st.booleans())
def test_sgd_is_its_recurrence(seed, momentum, nesterov):
    rng = np.random.default_rng(seed)
    theta, gradients, u = rng.standard_normal(4), rng.standard_normal((10, 4)), np.zeros(4)
    net = net_of(theta)
    optimizer = mg.SGD(net, lr=0.1, momentum=momentum, nesterov=nesterov)
    for g in gradients:
        optimizer.step(g)
        u = momentum * u - 0.1 * g
        theta = theta + (momentum * u - 0.1 * g if nesterov else u)
    np.testing.assert_allclose(net.theta, theta, rtol=1e-13, atol=1e-14)


@given(st.integers(0, 2**32 - 1))
def test_rmsprop_is_its_recurrence(seed):
    rng = np.random.default_rng(seed)
    theta, gradients, v = rng.standard_normal(4), rng.standard_normal((10, 4)), np.zeros(4)
    net = net_of(theta)
    optimizer = mg.RMSProp(net, lr=0.01, rho=0.9, eps=1e-6)
    for g in gradients:
        optimizer.step(g)
        v = 0.9 * v + 0.1 * g**2
        theta = theta - 0.01 * g / (np.sqrt(v) + 1e-6)
    np.testing.assert_allclose(net.theta, theta, rtol=1e-13, atol=1e-14)


def test_schedules_see_the_step_from_1():
    net = net_of(np.zeros(4))
    seen = []

    def lr(t):
        seen.append(t)
        return 1 / t

    optimizer = mg.SGD(net, lr=lr)
    for _ in range(3):
        optimizer.step(np.ones(4))
    assert seen == [1, 2, 3]
    np.testing.assert_allclose(net.theta, -(1 + 1 / 2 + 1 / 3))


@pytest.mark.parametrize("make", [mg.SGD, mg.RMSProp, mg.Adam])
def test_a_step_stays_in_dtype_leaves_g_alone_and_raises_the_version(make):
    net = net_of(np.ones(4), dtype="float32")
    optimizer = make(net, lr=0.1)
    g = np.full(4, 2, dtype="float32")
    version = net.version
    optimizer.step(g)
    assert net.version == version + 1
    assert net.theta.dtype == np.float32
    assert all(v.dtype == np.float32 for v in optimizer.state.values())
    np.testing.assert_array_equal(g, 2)
    assert (net.theta < 1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: mg.Adam(net, lr=-1), r"lr must be in \[0, inf\), got -1"),
        (lambda net: mg.Adam(net, beta1=1.0), r"beta1 must be in \[0, 1\), got 1.0"),
        (lambda net: mg.Adam(net, eps=-1e-8), "eps must be in"),
        (lambda net: mg.SGD(net, lr=0.1, momentum=1), "momentum must be in"),
        (lambda net: mg.RMSProp(net, rho=2), "rho must be in"),
        (lambda net: mg.Adam(net).step(np.zeros(3)), r"g has shape \(3,\); accepted: \(4,\)"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call(net_of(np.zeros(4)))
