"""Bounds of rounding errors against float64 on the same float32 numbers."""

import numpy as np
import pytest

import minigan as mg
from minigan.ops import get_ops


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
