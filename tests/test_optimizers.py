"""Optimizers against literal float64 transcriptions of their papers (against PyTorch: test_torch.py)."""

import math

import numpy as np
import pytest
from cases import ON_EACH_BACKEND
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg


def net_of(theta, dtype="float64", ops="cpu"):
    net = mg.Network([mg.Dense(1, 2)], rng=np.random.default_rng(0), dtype=dtype, ops=ops)
    net.theta = np.asarray(theta)
    return net


def constant(value):
    return lambda t: value


def adam_literally(theta, gradients, lr, beta1, beta2, eps):
    """Algorithm 1 of Kingma and Ba 2015 at the rates lr(1), lr(2), ..., one float64 number at a time."""
    m, v = [0.0] * len(theta), [0.0] * len(theta)
    theta = [float(value) for value in theta]
    for t, g in enumerate(gradients.tolist(), start=1):
        for i in range(len(theta)):
            m[i] = beta1 * m[i] + (1 - beta1) * g[i]
            v[i] = beta2 * v[i] + (1 - beta2) * g[i] ** 2
            m_hat = m[i] / (1 - beta1**t)
            v_hat = v[i] / (1 - beta2**t)
            theta[i] = theta[i] - lr(t) * m_hat / (math.sqrt(v_hat) + eps)
    return theta


def rmsprop_literally(theta, gradients, lr, rho, eps):
    """v <- rho v + (1 - rho) g^2, theta <- theta - lr g / (sqrt(v) + eps), one number at a time."""
    v, theta = [0.0] * len(theta), [float(value) for value in theta]
    for t, g in enumerate(gradients.tolist(), start=1):
        for i in range(len(theta)):
            v[i] = rho * v[i] + (1 - rho) * g[i] ** 2
            theta[i] = theta[i] - lr(t) * g[i] / (math.sqrt(v[i]) + eps)
    return theta


def sgd_literally(theta, gradients, lr, momentum, nesterov):
    """u <- momentum u - lr g, theta <- theta + u; Nesterov: theta + momentum u - lr g."""
    u, theta = [0.0] * len(theta), [float(value) for value in theta]
    for t, g in enumerate(gradients.tolist(), start=1):
        for i in range(len(theta)):
            u[i] = momentum(t) * u[i] - lr(t) * g[i]
            theta[i] = theta[i] + (momentum(t) * u[i] - lr(t) * g[i] if nesterov else u[i])
    return theta


def decay(base):
    """A rate that halves every 40 steps, so that no two steps have the same rate."""
    return lambda t: base * 0.5 ** (t / 40)


def warm_up(t):
    """A momentum from 0.5 towards 0.9 over 100 steps."""
    return 0.5 + 0.4 * min(t / 100, 1)


def played(make, theta, gradients, *, ops):
    """theta after one step for each gradient."""
    net = net_of(theta, ops=ops)
    optimizer = make(net)
    for g in gradients:
        optimizer.step(g)
    assert optimizer.t == len(gradients)
    return net.theta


def assert_close(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-13)


ADAMS = [(1e-3, 0.9, 0.999, 1e-8), (1e-3, 0.9, 0.999, 1e-7), (2e-4, 0.5, 0.999, 1e-8), (1.0, 0.0, 0.9, 0.1)]


@ON_EACH_BACKEND
@pytest.mark.parametrize("schedule", [constant, decay])
@given(st.integers(0, 2**32 - 1), st.sampled_from(ADAMS), st.sampled_from([1e-12, 1e-3, 1.0, 1e6]))
def test_adam_is_algorithm_1_over_120_steps(ops, schedule, seed, setting, scale):
    rng = np.random.default_rng(seed)
    theta, gradients = rng.standard_normal(4), scale * rng.standard_normal((120, 4))
    base, beta1, beta2, eps = setting
    lr = schedule(base)
    got = played(lambda net: mg.Adam(net, lr=lr, beta1=beta1, beta2=beta2, eps=eps), theta, gradients, ops=ops)
    assert_close(got, adam_literally(theta, gradients, lr, beta1, beta2, eps))


@pytest.mark.parametrize("make", [mg.SGD, mg.RMSProp, mg.Adam])
def test_a_number_is_the_constant_schedule(make):
    theta, gradients = np.ones(4), np.random.default_rng(0).standard_normal((5, 4))
    one, two = (played(lambda net, lr=lr: make(net, lr=lr), theta, gradients, ops="cpu") for lr in (0.1, constant(0.1)))
    np.testing.assert_array_equal(one, two)


def test_eps_stands_outside_the_square_root():
    net = net_of(np.zeros(4))
    mg.Adam(net, lr=1.0, eps=1.0).step(np.full(4, 3.0))
    np.testing.assert_allclose(net.theta, -3 / (3 + 1), rtol=1e-15)  # inside it would be -3 / sqrt(9 + 1)


@ON_EACH_BACKEND
@pytest.mark.parametrize("nesterov", [False, True])
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([constant(0.0), constant(0.9), warm_up]),
    st.sampled_from([constant, decay]),
)
def test_sgd_is_its_recurrence_over_120_steps(ops, nesterov, seed, momentum, schedule):
    rng = np.random.default_rng(seed)
    theta, gradients, lr = rng.standard_normal(4), rng.standard_normal((120, 4)), schedule(0.1)
    got = played(lambda net: mg.SGD(net, lr=lr, momentum=momentum, nesterov=nesterov), theta, gradients, ops=ops)
    assert_close(got, sgd_literally(theta, gradients, lr, momentum, nesterov))


@ON_EACH_BACKEND
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([constant, decay]),
    st.sampled_from([(0.9, 1e-6), (0.99, 1e-8), (0.0, 0.1)]),
)
def test_rmsprop_is_its_recurrence_over_120_steps(ops, seed, schedule, setting):
    rng = np.random.default_rng(seed)
    theta, gradients, lr = rng.standard_normal(4), rng.standard_normal((120, 4)), schedule(0.01)
    rho, eps = setting
    got = played(lambda net: mg.RMSProp(net, lr=lr, rho=rho, eps=eps), theta, gradients, ops=ops)
    assert_close(got, rmsprop_literally(theta, gradients, lr, rho, eps))


@pytest.mark.parametrize("make", [mg.SGD, mg.RMSProp, mg.Adam])
def test_schedules_are_asked_once_a_step_from_1(make):
    net, seen = net_of(np.zeros(4)), []

    def lr(t):
        seen.append(t)
        return 0.1 / t

    optimizer = make(net, lr=lr)
    for _ in range(4):
        optimizer.step(np.ones(4))
    assert seen == [1, 2, 3, 4]


def test_the_momentum_schedule_is_that_of_the_same_step():
    """u_2 = momentum(2) u_1 - lr(2) g."""
    net = net_of(np.zeros(4))
    optimizer = mg.SGD(net, lr=lambda t: 1 / t, momentum=lambda t: {1: 0.5, 2: 0.25}[t])
    for _ in range(2):
        optimizer.step(np.ones(4))
    np.testing.assert_array_equal(net.theta, -1 + (0.25 * -1 - 0.5))


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
        (lambda net: mg.Adam(net).step(np.zeros(3)), r"g has shape \(3,\); expected \(4,\)"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call(net_of(np.zeros(4)))


@pytest.mark.parametrize("kind", [mg.SGD, mg.RMSProp, mg.Adam])
@pytest.mark.parametrize(
    ("g", "error", "message"),
    [
        ([0.0] * 6, TypeError, "g must be a numpy array, got list"),
        (np.zeros(5), mg.ShapeError, r"g has shape \(5,\); expected \(6,\)"),
        (np.full(6, 1j), TypeError, "g is complex128 but the network is float64"),
    ],
)
def test_a_gradient_that_does_not_fit_moves_nothing(kind, g, error, message):
    net = mg.Network([mg.Dense(2, 2)], rng=np.random.default_rng(0), dtype="float64")
    optimizer = kind(net, lr=0.1)
    theta = net.theta.copy()
    with pytest.raises(error, match=message):
        optimizer.step(g)
    np.testing.assert_array_equal(net.theta, theta)
    assert optimizer.t == 0
    assert not any(vector.any() for vector in optimizer.state.values())
