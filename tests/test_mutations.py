"""The gradient checks bite: a relative error of 1e-6 planted in any backward is caught.

Each gradient that a layer returns (dx, and each parameter's) is scaled by 1 + 1e-6 in turn; the checks of
test_layer_gradients must then fail.  So must those of the objectives' cotangents.
"""

import numpy as np
import pytest
from cases import LAYERS, OBJECTIVES, forward, network, outputs_of
from gradients import H, assert_tensor, complex_step, cotangent

WRONG = 1 + 1e-6


def targets(name):
    layer, _ = LAYERS[name]
    return ["dx", *layer.parameters()]


CASES = [(name, target) for name in LAYERS for target in targets(name)]


@pytest.mark.parametrize("train", [True, False], ids=["train", "infer"])
@pytest.mark.parametrize(("name", "target"), CASES)
def test_a_planted_error_is_caught(name, target, train, monkeypatch):
    layer, shape = LAYERS[name]
    rng = np.random.default_rng(0)
    net, x = network(layer), rng.standard_normal((4, *shape))
    right = type(layer).forward

    def mutant(self, p, x, ctx):
        y, backward = right(self, p, x, ctx)

        def wrong(dy, g=None, *, need_dx=True):
            dx = backward(dy, g, need_dx=need_dx)
            if target == "dx":
                return dx * WRONG
            g[target][...] *= WRONG
            return dx

        return y, wrong

    y, backward = forward(net, x, train=train)
    dy = cotangent(rng, y.shape)
    monkeypatch.setattr(type(layer), "forward", mutant)
    _, backward = forward(net, x, train=train)
    g = net.zeros_like_theta()
    dx = backward(dy, g)
    twin = net.astype(complex)

    def loss(x, theta):
        twin.theta = theta
        return (dy * forward(twin, x.astype(complex), train=train)[0]).sum()

    if target == "dx":
        got, want = dx, complex_step(lambda z: loss(z, net.theta), x)
    else:
        key = f"0.{target}"
        got, want = net.views(g)[key], net.views(complex_step(lambda t: loss(x, t), net.theta))[key]
    assert_tensor(got / WRONG, want)  # without the planted error the check passes
    with pytest.raises(AssertionError, match="relative error"):
        assert_tensor(got, want)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_a_planted_error_in_a_cotangent_is_caught(objective):
    s = np.random.default_rng(0).standard_normal((5, outputs_of(objective)))
    _, ds = objective.generator(s)
    want = complex_step(lambda s: objective.generator(s)[0], s)
    assert_tensor(ds, want)
    with pytest.raises(AssertionError, match="relative error"):
        assert_tensor(ds * WRONG, want)


def test_an_all_ones_cotangent_is_blind_behind_batch_norm():
    """Why the cotangents are random: of all ones, batch norm's dx is zero whatever the formula."""
    layer, shape = LAYERS["batch norm"]
    net, x = network(layer), np.random.default_rng(0).standard_normal((4, *shape))
    y, backward = forward(net, x)
    assert np.abs(backward(np.ones_like(y))).max() < 1e-14
    assert np.abs(backward(cotangent(np.random.default_rng(1), y.shape))).max() > 0.1


def test_the_step_is_small_enough_and_not_too_small():
    """At 1e-200 the derivative of the sigmoid at -300 comes out as 0; at 1e-30 it is right."""
    from minigan.ops.reference import sigmoid

    x = np.array([-300.0])
    assert sigmoid(x + 1e-200j).imag[0] / 1e-200 == 0
    assert sigmoid(x + 1j * H).imag[0] / H == pytest.approx(np.exp(-300), rel=1e-12)
