"""Bounds of rounding errors against float64 on the same float32 numbers."""

import math

import numpy as np
import pytest

import minigan as mg
from minigan.ops import get_ops
from minigan.ops.reference import dropout_threshold


def normed(x):
    wide = x.astype("f8")
    axes = tuple(range(x.ndim - 1))
    return (wide - wide.mean(axes)) / np.sqrt(wide.var(axes) + 1e-5)


@pytest.mark.parametrize(
    "ops", ["reference", get_ops("cpu", compiled=False), get_ops("cpu")], ids=["ref", "numpy", "cpu"]
)
@pytest.mark.parametrize("offset", [0, 1, 1e4, -1e4])
def test_batch_norm_of_values_far_from_zero(ops, offset):
    x = (offset + 0.01 * np.random.default_rng(0).standard_normal((64, 8, 8, 4))).astype("f4")
    net = mg.Network([mg.BatchNorm(4), mg.LeakyReLU(0.2)], rng=np.random.default_rng(0), ops=ops)
    y, backward = net.forward(x, train=True)
    right = normed(x)
    right = np.where(right > 0, right, 0.2 * right)
    np.testing.assert_allclose(y, right, rtol=0, atol=1e-5)
    wide = net.astype("float64")
    dy = np.random.default_rng(1).standard_normal(x.shape).astype("f4")
    right = wide.forward(x, train=True)[1](dy.astype("f8"))
    np.testing.assert_allclose(backward(dy), right, rtol=0, atol=1e-5 * np.abs(right).max())


@pytest.mark.parametrize("ops", [get_ops("cpu", compiled=False), get_ops("cpu")], ids=["numpy", "cpu"])
def test_batch_norm_of_many_values_far_from_zero(ops):
    x = (10001.3 + 0.01 * np.random.default_rng(0).standard_normal((20000, 8))).astype("f4")
    net = mg.Network([mg.BatchNorm(8)], rng=np.random.default_rng(0), ops=ops)
    np.testing.assert_allclose(net.forward(x, train=True)[0], normed(x), rtol=0, atol=1e-5)


BACKENDS = pytest.mark.parametrize(
    "ops", [get_ops("reference"), get_ops("cpu", compiled=False), get_ops("cpu")], ids=["ref", "numpy", "cpu"]
)
TEN_MILLION = 10**7


@BACKENDS
@pytest.mark.parametrize("M", [20000, 60000])
@pytest.mark.parametrize("sub_batches", [1, 2])
def test_batch_norm_of_many_values_far_from_zero_in_groups(ops, M, sub_batches):
    x = (10001.3 + 0.01 * np.random.default_rng(0).standard_normal((M, 8))).astype("f4")
    net = mg.Network([mg.BatchNorm(8)], rng=np.random.default_rng(0), ops=ops)
    right = np.concatenate([normed(part) for part in np.split(x, sub_batches)])
    np.testing.assert_allclose(
        net.forward(x, train=True, sub_batches=sub_batches)[0], right, rtol=0, atol=1e-5 if M == 20000 else 1.5e-5
    )


@BACKENDS
@pytest.mark.parametrize("channels", [1, 2])
def test_sums_of_ten_million_numbers(ops, channels):
    x = np.random.default_rng(0).random((TEN_MILLION // channels, channels), dtype="f4")
    right = [math.fsum(x[:, c].tolist()) for c in range(channels)]
    np.testing.assert_allclose(ops.sum_rows(x), right, rtol=2e-6)


@BACKENDS
@pytest.mark.parametrize("rows", [2**18 - 1, TEN_MILLION])
@pytest.mark.parametrize("channels", [1, 2])
def test_means_and_variances_of_many_images_in_bytes(ops, channels, rows):
    x = np.random.default_rng(0).integers(0, 256, (rows, channels)).astype("f4")
    mu, var = ops.moments(x)
    wide = x.astype("f8")
    np.testing.assert_allclose(mu, wide.mean(axis=0), rtol=0, atol=255 * 2**-20)
    np.testing.assert_allclose(var, wide.var(axis=0), rtol=1e-5 if rows >= 2**18 else 1e-4)


@BACKENDS
@pytest.mark.parametrize("sign", [-1, 1])
def test_softplus_sums_at_logits_of_ten_thousand(ops, sign):
    s = (1e4 * np.random.default_rng(0).standard_normal((10**6, 1))).astype("f4")
    value, ds = ops.mean_softplus(s, sign, 1.0)
    wide = sign * s.astype("f8")
    np.testing.assert_allclose(value, np.logaddexp(0, wide).mean(), rtol=1e-6)
    np.testing.assert_allclose(ds, sign * np.exp(-np.logaddexp(0, -wide)) / len(s), rtol=2e-6, atol=1e-44)


@BACKENDS
@pytest.mark.parametrize("objective", [mg.losses.Minimax(), mg.losses.NonSaturating(), mg.losses.SoftmaxTwoClass()])
def test_objectives_at_logits_of_ten_thousand(ops, objective):
    columns = 2 if isinstance(objective, mg.losses.SoftmaxTwoClass) else 1
    real, fake = (1e4 * np.random.default_rng(0).standard_normal((2, 10**5, columns))).astype("f4")
    found = *objective.discriminator(real, fake, ops=ops), *objective.generator(fake, ops=ops)
    wide = real.astype("f8"), fake.astype("f8")
    right = *objective.discriminator(*wide), *objective.generator(wide[1])
    for one, other in zip(found, right, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-6, atol=1e-44)


@BACKENDS
@pytest.mark.parametrize("convention", ["new", "old"])
@pytest.mark.parametrize("momentum", [1 - 1e-7, 1e-7, 1.0, 0.0])
@pytest.mark.parametrize("start", [1.0, 1e8])
def test_momentum_of_running_statistics_near_its_ends(ops, convention, momentum, start):
    x = np.random.default_rng(0).standard_normal((64, 3)).astype("f4") * np.float32(0.03)
    layer = mg.BatchNorm(3, momentum=momentum, convention=convention, unbiased=False)
    net = mg.Network([layer], rng=np.random.default_rng(0), ops=ops)
    for running in net.state.values():
        running[...] = start
    net.forward(x, train=True)
    step = momentum if convention == "new" else 1 - momentum
    wide = x.astype("f8")
    for (_, running), batch in zip(sorted(net.state.items()), (wide.mean(axis=0), wide.var(axis=0)), strict=True):
        right = start + step * (batch - start) if step <= 0.5 else batch + (1 - step) * (start - batch)
        np.testing.assert_allclose(running, right, rtol=1e-6, atol=1e-9)


@BACKENDS
def test_adam_at_its_ten_millionth_step(ops):
    """With a constant gradient, m_hat / sqrt(v_hat) = 1: every step is lr."""
    net = mg.Network([mg.Dense(4, 4)], rng=np.random.default_rng(0), ops=ops)
    for beta2 in (0.999, 1 - 1e-7):
        adam, g = mg.Adam(net, lr=1.0, eps=0.0, beta2=beta2), np.full_like(net.theta, 3e-3)
        adam.t = TEN_MILLION - 1
        t = np.longdouble(TEN_MILLION)
        adam.state["m"][...] = g * (1 - np.longdouble(0.9) ** (t - 1))
        adam.state["v"][...] = g * g * (1 - np.longdouble(beta2) ** (t - 1))
        net.theta[...] = 0
        adam.step(g)
        np.testing.assert_allclose(net.theta, -1, rtol=1e-6)


@BACKENDS
def test_adam_keeps_its_step_length_over_many_steps(ops):
    """After 20000 rounded updates of m and v with a constant gradient, every step is still lr."""
    net = mg.Network([mg.Dense(2, 2)], rng=np.random.default_rng(0), ops=ops)
    adam, g = mg.Adam(net, lr=1.0, eps=0.0), np.full_like(net.theta, 3e-3)
    adam.t = TEN_MILLION
    adam.state["m"][...], adam.state["v"][...] = g, g * g
    for _ in range(20000):
        adam.step(g)
    net.theta[...] = 0
    adam.step(g)
    np.testing.assert_allclose(net.theta, -1, rtol=5e-5)


def test_cross_entropy_at_logits_of_ten_thousand():
    rng = np.random.default_rng(0)
    s, labels = (1e4 * rng.standard_normal((10**5, 3))).astype("f4"), rng.integers(0, 3, 10**5)
    found, right = (mg.losses.softmax_cross_entropy(one, labels) for one in (s, s.astype("f8")))
    np.testing.assert_allclose(found[0], right[0], rtol=1e-6)
    np.testing.assert_allclose(found[1], right[1], rtol=0, atol=1e-3 / len(s))


@BACKENDS
@pytest.mark.parametrize("rate", [1e-7, 1 - 1e-7])
def test_dropout_rates_near_their_ends(ops, rate):
    """The share of zeros is within Hoeffding's bound for a failure in 10^9; the rest is scaled by 1 / (1 - rate)."""
    zeros, n, scale = 0, TEN_MILLION, np.float32(1 / (1 - rate))
    ones = np.ones(n, "f4")
    for key in range(3):
        y = ops.dropout(ones, rate, 2**40 + key)
        zeros += int((y == 0).sum())
        np.testing.assert_array_equal(y[y != 0], scale)
    bound = math.sqrt(math.log(2e9) / (2 * 3 * n))
    assert abs(zeros / (3 * n) - rate) <= bound
    assert abs(int(dropout_threshold(rate)) / 2**32 - rate) <= 2**-33


def test_means_of_metrics_over_a_million_examples_in_float32():
    """Means along the first axis, along which NumPy adds one number after another."""
    from minigan import metrics

    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(10), 10**6).astype("f4")
    x, y = ((rng.random((10**6, 2)) + low).astype("f4") for low in (0.0, 0.5))
    for function, arrays in (
        (metrics.mean_confidence, (p,)),
        (metrics.classifier_score, (p,)),
        (metrics.frechet_distance, (x, y)),
    ):
        right = function(*(a.astype("f8") for a in arrays))
        np.testing.assert_allclose(function(*arrays), right, rtol=1e-6)
