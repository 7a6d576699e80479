"""The gradient checks detect a relative error of 1e-6 planted in any backward pass.

Each test scales the dx or one parameter gradient of one layer, or one cotangent of an objective, by 1 + 1e-6.
Then the functions that the gradient tests call (tests/gradients.py) must fail on the same networks.  With the same
wrapper and factor 1 they pass.
"""

import numpy as np
import pytest
from cases import BODIES, LAYERS, OBJECTIVES, forward, network, outputs_of, whole_gan
from gradients import (
    H,
    check_discriminator,
    check_generator,
    check_layer,
    check_layer_direction,
    check_objective,
    check_steps_along,
    cotangent,
    zero_tensors,
)

import minigan as mg
from minigan.gan import eval_mode, train_mode, train_mode_tracking

WRONG = 1 + 1e-6
JUDGES = [train_mode, eval_mode, train_mode_tracking]


def innermost(layer, target):
    """The layer that has a parameter, and the parameter's name there: for "body.0.W" layer "0" in "body", and "W"."""
    for prefix, inner in layer.sublayers().items():
        if target.startswith(f"{prefix}."):
            return innermost(inner, target.removeprefix(f"{prefix}."))
    return layer, target


def plant(monkeypatch, layer, target, factor):
    """Scale one gradient of one layer object inside its pullback."""
    layer, target = innermost(layer, target)
    right = type(layer).forward

    def forward(self, p, x, ctx):
        y, backward = right(self, p, x, ctx)
        if self is not layer:
            return y, backward

        def wrong(dy, g=None, *, need_dx=True, **overwrite):
            if g is None or target == "dx":
                dx = backward(dy, g, need_dx=need_dx, **overwrite)
                return dx * factor if need_dx and target == "dx" else dx
            fresh = {name: np.zeros_like(view) for name, view in g.items()}
            dx = backward(dy, fresh, need_dx=need_dx)
            for name, view in g.items():
                if overwrite:
                    view[...] = 0
                view += fresh[name] * factor if name == target else fresh[name]
            return dx

        return y, wrong

    monkeypatch.setattr(type(layer), "forward", forward)


def must_see(monkeypatch, plant_by, *checks):
    """Every check passes with factor 1 and fails with 1 + 1e-6."""
    for factor in (1.0, WRONG):
        with monkeypatch.context() as patch:
            plant_by(patch, factor)
            for check in checks:
                if factor == 1.0:
                    check()
                else:
                    with pytest.raises(AssertionError, match="relative error"):
                        check()


# --- layers ---------------------------------------------------------------------------------------

SINGLE = [(name, target) for name, (layer, _) in LAYERS.items() for target in ("dx", *layer.parameters())]


@pytest.mark.parametrize("train", [True, False], ids=["train", "infer"])
@pytest.mark.parametrize(("name", "target"), SINGLE)
def test_in_one_layer(name, target, train, monkeypatch):
    layer, shape = LAYERS[name]
    rng = np.random.default_rng(0)
    net, x = network(layer), rng.standard_normal((4, *shape))
    dy = cotangent(rng, forward(net, x)[0].shape)
    v, w = rng.standard_normal(x.shape), rng.standard_normal(net.theta.shape)
    must_see(
        monkeypatch,
        lambda patch, factor: plant(patch, layer, target, factor),
        lambda: check_layer(net, x, dy, train=train),
        lambda: check_layer_direction(net, x, dy, v, w, train=train),
    )


# --- whole steps ----------------------------------------------------------------------------------


def parameters(net):
    """(layer, name) of each parameter gradient that is not zero for all data."""
    keys = [key.split(".", 1) for key in net.parameters() if key not in zero_tensors(net)]
    return [(int(i), name) for i, name in keys]


def inputs(net):
    """(layer, "dx") of each input gradient that a step of the network needs: after its first parameters."""
    first = next(i for i, layer in enumerate(net.layers) if layer.parameters())
    return [(i, "dx") for i in range(first + 1, len(net.layers))]


def everywhere(net):
    return [(i, "dx") for i in range(len(net.layers))]


def step_cases():
    for body in BODIES:
        G, D, *_ = whole_gan(body, outputs=1)
        yield from ((body, "D", i, target) for i, target in parameters(D) + inputs(D))
        yield from ((body, "G", i, target) for i, target in parameters(G) + inputs(G))
        yield from ((body, "frozen D", i, target) for i, target in everywhere(D))


@pytest.mark.parametrize(("body", "player", "i", "target"), list(step_cases()))
def test_in_a_whole_step(body, player, i, target, monkeypatch):
    """D's step with both ways of batching; G's step, with errors in G and in the frozen D, in every mode of D."""
    objective = mg.NonSaturating()
    G, D, x_real, x_fake, z = whole_gan(body, outputs=1)
    if player == "D":
        checks = [
            lambda d_batching=d_batching: check_discriminator(D, objective, x_real, x_fake, d_batching=d_batching)
            for d_batching in (mg.separate, mg.combined)
        ]
    else:
        checks = [
            lambda frozen_d_mode=frozen_d_mode: check_generator(
                G, D, objective, z, frozen_d_mode=frozen_d_mode, x_real=x_real
            )
            for frozen_d_mode in JUDGES
        ]
    rng = np.random.default_rng(3)
    v, w = rng.standard_normal(D.theta.shape), rng.standard_normal(G.theta.shape)
    checks.append(
        lambda: check_steps_along(
            G, D, objective, x_real, x_fake, z, v, w, d_batching=mg.separate, frozen_d_mode=train_mode
        )
    )
    layer = (G if player == "G" else D).layers[i]
    must_see(monkeypatch, lambda patch, factor: plant(patch, layer, target, factor), *checks)


# --- objectives -----------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["ds_real", "ds_fake", "ds of G"])
@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_in_a_cotangent(objective, which, monkeypatch):
    method, place = {"ds_real": ("discriminator", 1), "ds_fake": ("discriminator", 2), "ds of G": ("generator", 1)}[
        which
    ]
    right = getattr(type(objective), method)

    def plant_by(patch, factor):
        def wrong(self, *logits, ops=None):
            results = right(self, *logits, ops=ops)
            return tuple(r * factor if i == place and self is objective else r for i, r in enumerate(results))

        patch.setattr(type(objective), method, wrong)

    G, D, x_real, x_fake, z = whole_gan("tanh", outputs=outputs_of(objective))
    s_real, s_fake = D(x_real), D(x_fake)
    if method == "generator":
        steps = [
            lambda frozen_d_mode=frozen_d_mode: check_generator(
                G, D, objective, z, frozen_d_mode=frozen_d_mode, x_real=x_real
            )
            for frozen_d_mode in JUDGES
        ]
    else:
        steps = [
            lambda d_batching=d_batching: check_discriminator(D, objective, x_real, x_fake, d_batching=d_batching)
            for d_batching in (mg.separate, mg.combined)
        ]
    must_see(monkeypatch, plant_by, lambda: check_objective(objective, s_real, s_fake), *steps)


# --- why the checks use random cotangents and this step -------------------------------------------


def test_an_all_ones_cotangent_is_blind_behind_batch_norm():
    """Why the cotangents are random: for all ones, batch norm's dx is zero even with a wrong formula."""
    layer, shape = LAYERS["batch norm"]
    net, x = network(layer), np.random.default_rng(0).standard_normal((4, *shape))
    y, backward = forward(net, x)
    assert np.abs(backward(np.ones_like(y))).max() < 1e-14
    assert np.abs(backward(cotangent(np.random.default_rng(1), y.shape))).max() > 0.1


def test_the_step_is_small_enough_and_not_too_small():
    """At 1e-200 the derivative of the sigmoid at -300 is computed as 0; at 1e-30 it is correct."""
    from minigan.ops.reference import sigmoid

    x = np.array([-300.0])
    assert sigmoid(x + 1e-200j).imag[0] / 1e-200 == 0
    assert sigmoid(x + 1j * H).imag[0] / H == pytest.approx(np.exp(-300), rel=1e-12)
