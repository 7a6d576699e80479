"""The checks of second derivatives detect a relative error of 1e-6 planted in any pushforward or its pullback."""

import numpy as np
import pytest
from cases import LAYERS, PENALISED, PUSHED, network, whole_gan
from gradients import cotangent
from second_order import check_penalty, check_pushforward, check_pushforward_direction, pushforward
from test_mutations import innermost, must_see
from test_second_order import PENALTIES

from minigan.gan.penalties import R1, GradientPenalty


def plant(monkeypatch, layer, target, factor):
    """Scale y_dot, dx, dx_dot or one parameter gradient of one layer object."""
    layer, target = innermost(layer, target)
    right = type(layer).pushforward

    def wrong_pushforward(self, p, x, x_dot, ctx):
        y, y_dot, backward = right(self, p, x, x_dot, ctx)
        if self is not layer:
            return y, y_dot, backward

        def wrong(dy, dy_dot, g=None, *, need_dx=True):
            fresh = None if g is None else {name: np.zeros_like(view) for name, view in g.items()}
            found = dict(zip(("dx", "dx_dot"), backward(dy, dy_dot, fresh, need_dx=need_dx), strict=True))
            if found.get(target) is not None:
                found[target] = found[target] * factor
            for name, view in (g or {}).items():
                view += fresh[name] * factor if name == target else fresh[name]
            return tuple(found.values())

        return y, y_dot * factor if target == "y_dot" else y_dot, wrong

    monkeypatch.setattr(type(layer), "pushforward", wrong_pushforward)


SIMPLE = [name for name, (layer, _) in LAYERS.items() if not layer.sublayers()]
SINGLE = [
    (name, target)
    for name, (layer, _) in LAYERS.items()
    if (name, False) in PUSHED
    for target in (*(("y_dot", "dx", "dx_dot") if name in SIMPLE else ()), *layer.parameters())
]
"""Of layers that contain others, the gradients of the inner ones' parameters."""


@pytest.mark.parametrize(("name", "target"), SINGLE)
def test_in_one_layer(name, target, monkeypatch):
    layer, shape = LAYERS[name]
    rng = np.random.default_rng(0)
    net, (x, x_dot) = network(layer), rng.standard_normal((2, 4, *shape))
    train = (name, True) in PUSHED
    shape = pushforward(net, x, x_dot, train=train)[0].shape
    arrays = net, x, x_dot, cotangent(rng, shape), cotangent(rng, shape)
    directions = [rng.standard_normal(v.shape) for v in (x, x_dot, net.theta)]
    must_see(
        monkeypatch,
        lambda patch, factor: plant(patch, layer, target, factor),
        lambda: check_pushforward(*arrays, train=train),
        *([lambda: check_pushforward_direction(*arrays, directions, train=train)] if target != "y_dot" else []),
    )


def penalty_cases():
    """y_dot below the last weights, and each parameter on which the penalty depends."""
    for body in PENALISED:
        _, D, x_real, x_fake, _ = whole_gan(body, outputs=1)
        g = D.zeros_like_theta()
        R1(2.0).add_gradient(D, x_real, x_fake, g, rng=np.random.default_rng(0))
        views, last = D.views(g), max(i for i, layer in enumerate(D.layers) if layer.parameters())
        for i, layer in enumerate(D.layers):
            if layer.sublayers():
                continue
            yield from ((body, i, name) for name in layer.parameters() if views[f"{i}.{name}"].any())
            if i < last:
                yield body, i, "y_dot"


@pytest.mark.parametrize(("body", "i", "target"), list(penalty_cases()))
def test_in_a_penalty(body, i, target, monkeypatch):
    _, D, x_real, x_fake, _ = whole_gan(body, outputs=1)
    direction = np.random.default_rng(0).standard_normal(D.theta.shape)
    must_see(
        monkeypatch,
        lambda patch, factor: plant(patch, D.layers[i], target, factor),
        lambda: check_penalty(D, R1(2.0), x_real, x_fake),
        lambda: check_penalty(D, R1(2.0), x_real, x_fake, direction=direction),
    )


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_in_the_derivative_of_the_norm(penalty, monkeypatch):
    _, D, x_real, x_fake, _ = whole_gan("tanh", outputs=1)
    right = type(penalty).of_gradient

    def plant_by(patch, factor):
        def wrong(self, D, v):
            value, u = right(self, D, v)
            return value, u * factor

        patch.setattr(type(penalty), "of_gradient", wrong)

    must_see(monkeypatch, plant_by, lambda: check_penalty(D, penalty, x_real[:8], x_fake))


def test_every_kind_of_error_was_planted():
    assert {target for _, target in SINGLE} >= {"y_dot", "dx", "dx_dot", "W", "b", "gamma", "beta", "0.W", "body.0.b"}
    assert {target for *_, target in penalty_cases()} >= {"W", "b", "gamma", "w", "E", "y_dot"}
    assert all(isinstance(penalty, GradientPenalty) for penalty in PENALTIES)
