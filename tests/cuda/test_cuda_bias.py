"""A linear layer fused with its bias and activation agrees with the two layers on the reference backend."""

from functools import cache

import numpy as np
import pytest
from emulated import NEEDS_HOST_COMPILER, device, error_of
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan as mg
from minigan.ops.cuda import CUDA
from minigan.ops.cuda.rules import Biased

pytestmark = NEEDS_HOST_COMPILER

LINEAR = {
    "dense": (lambda: mg.Dense(5, 4), (5,)),
    "dense 3": (lambda: mg.Dense(2, 3), (2,)),
    "conv": (lambda: mg.Conv2D(2, 4, 3, stride=2, padding=1), (5, 4, 2)),
    "conv transpose": (lambda: mg.ConvTranspose2D(3, 3, 4, stride=2, padding=1), (3, 2, 3)),
}
ACTIVATIONS = {
    "relu": mg.ReLU(),
    "leaky": mg.LeakyReLU(0.2),
    "flat": mg.LeakyReLU(0.0),
    "tanh": mg.Tanh(),
    "sigmoid": mg.Sigmoid(),
}


@cache
def ops():
    return CUDA(device=device(), graphs=False)


def pair(layers, seed=0):
    """Return networks on the reference backend and on the device, with the same parameters."""
    nets = [mg.Network(layers, rng=np.random.default_rng(seed), dtype="float64", ops=o) for o in ("reference", ops())]
    theta = np.random.default_rng(seed).standard_normal(nets[0].theta.shape)
    nets[0].theta, nets[1].theta = theta, device().array(theta)
    return nets


def host(x):
    return device().host(x) if isinstance(x, device().xp.ndarray) else x


def results(net, x, dy, *, frozen=False, need_dx=True):
    y, back = net.forward(x, train=True)
    g = net.ops.xp.asarray(np.ones(net.theta.shape))  # gradients are added
    dx = back(dy, None if frozen else g, need_dx=need_dx)
    return {"y": host(y), "dx": None if dx is None else host(dx), "g": host(g)}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("linear", LINEAR)
@settings(max_examples=4)
@given(n=st.integers(1, 40), frozen=st.booleans(), need_dx=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_a_fused_stage_agrees_with_its_layers(linear, activation, n, frozen, need_dx, seed):
    make, shape = LINEAR[linear]
    layers = [make(), ACTIVATIONS[activation]]
    reference, fused = pair(layers, seed)
    assert [type(stage) for stage in fused._run.layers] == [Biased]
    rng = np.random.default_rng(seed)
    x, dy = rng.standard_normal((n, *shape)), rng.standard_normal((n, *layers[0].output_shape(shape)))
    before = x.copy(), dy.copy()
    expected, found = (results(net, x, dy, frozen=frozen, need_dx=need_dx) for net in (reference, fused))
    for name, right in expected.items():
        if right is None:
            assert found[name] is None
        else:
            assert error_of(found[name], right) < 1e-13, name
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(dy, before[1])


def test_a_frozen_stage_computes_no_bias_gradient(monkeypatch):
    (_, fused), rng = pair([mg.Dense(5, 4), mg.Tanh()]), np.random.default_rng(0)
    _, back = fused.forward(rng.standard_normal((3, 5)), train=True)
    monkeypatch.setattr(ops().norm_act, "merged", lambda partial: pytest.fail("a bias gradient"))
    assert back(rng.standard_normal((3, 4))).shape == (3, 5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_infinities_and_nan_agree_with_the_layers(activation):
    special = np.array([np.nan, np.inf, -np.inf, -1.0, 0.0, -0.0, 1.0, 1e-300])
    x, dy = (a.reshape(-1, 1) for a in np.meshgrid(special, special))
    nets = pair([mg.Dense(1, 1), ACTIVATIONS[activation]])
    for net in nets:
        net.theta[...] = net.ops.xp.asarray(np.array([1.0, 0.0]))
    with np.errstate(all="ignore"):
        expected, found = (results(net, x, dy) for net in nets)
    for name in ("y", "dx", "g"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-13)


def test_a_pullback_can_be_repeated():
    net = pair([mg.Dense(5, 4), mg.LeakyReLU(0.2)])[1]
    x, dy = (device().array(np.random.default_rng(0).standard_normal((7, n))) for n in (5, 4))
    _, back = net.forward(x, train=True)
    g = net.zeros_like_theta()
    first = host(back(dy, g))
    once = host(g)
    np.testing.assert_array_equal(host(back(dy)), first)
    assert back(dy, g, need_dx=False) is None
    np.testing.assert_array_equal(host(g), 2 * once)


def test_the_rule():
    def stages(*layers, **kwargs):
        net = mg.Network(layers, rng=np.random.default_rng(0), **({"ops": ops()} | kwargs))
        return [len(getattr(stage, "members", "1")) for stage in net._run.layers]

    dense, relu, drop, norm = mg.Dense(3, 3), mg.ReLU(), mg.Dropout(0.5), mg.BatchNorm(3)
    assert stages(dense, relu, dense, mg.Tanh(), dense) == [2, 2, 1]
    assert stages(dense, mg.Tanh(), drop) == [2, 1]
    assert stages(dense, relu, drop, dense) == [1, 2, 1]  # the activation is fused with the layer after it
    assert stages(dense, relu, norm) == [1, 2]
    assert stages(dense, mg.LeakyReLU(-0.1)) == [1, 1]  # the sign of x does not follow from y
    assert stages(mg.Dense(3, 3, bias=False), relu) == [1, 1]
    assert stages(mg.Maxout(3, 3, pieces=2), relu) == [1, 1]
    assert stages(dense, mg.Softplus()) == [1, 1]
    assert stages(dense, relu, ops="reference") == [1, 1]
    assert stages(dense, relu, ops=mg.ops.get_ops("cpu", compiled=False)) == [1, 1]


def test_errors_agree_with_the_layers():
    net = pair([mg.Dense(5, 4), mg.ReLU()])[1]
    with pytest.raises(ValueError, match=r"^layers 0 to 1 \(Dense, ReLU\): x has shape \(2, 4\); expected \(N, 5\)"):
        net.forward(np.ones((2, 4)), train=True)
