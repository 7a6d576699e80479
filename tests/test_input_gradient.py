"""`Network.input_gradient`: what `forward` and `pushforward` compute, with fewer products."""

from dataclasses import dataclass

import numpy as np
import pytest
from cases import ON_EACH_BACKEND, PENALISED, mask, network, whole_gan
from gradients import assert_tensor

import minigan as mg
from minigan.layers import register_layer
from minigan.ops import reference


def both(D, x, *, train=True):
    """y, v and the parameter gradient along a random u, of `input_gradient` and of the passes of a subclass."""
    u = np.random.default_rng(4).standard_normal((x[0] if isinstance(x, tuple) else x).shape)
    found = []
    for method in (
        lambda: D.input_gradient(x, train=train, rng=mask()),
        lambda: D._input_gradient_of_passes(x, train=train, keys=D.draw_keys(len(u), mask()) if train else None),
    ):
        y, v, add = method()
        g = D.zeros_like_theta()
        add(u, g)
        found.append((y, v, g))
    return found


@ON_EACH_BACKEND
@pytest.mark.parametrize("body", PENALISED)
@pytest.mark.parametrize("train", [True, False])
def test_it_agrees_with_the_passes(body, train, ops):
    _, D, x, _, _ = whole_gan(body, outputs=1, ops=ops)
    found, want = both(D, x, train=train)
    for a, b in zip(found, want, strict=True):
        assert_tensor(a, b)


def test_products_are_not_computed_twice(monkeypatch):
    """Each weight has one product forward, one backward, one along u, and one for its gradient."""
    D = network([mg.Conv2D(1, 2, 3), mg.LeakyReLU(0.2), mg.Conv2D(2, 2, 2), mg.ReLU(), mg.Flatten(), mg.Dense(2, 1)])
    counts = dict.fromkeys(("correlate", "correlate_adjoint", "correlate_weights", "affine", "add_product"), 0)
    for name in counts:
        function = getattr(reference, name)

        def counted(*args, _name=name, _function=function, **rest):
            counts[_name] += 1
            return _function(*args, **rest)

        monkeypatch.setattr(reference, name, counted)
    mg.R1(1.0).add_gradient(D, np.ones((3, 4, 4, 1)), np.ones((3, 4, 4, 1)), D.zeros_like_theta())
    assert counts == {"correlate": 4, "correlate_adjoint": 2, "correlate_weights": 2, "affine": 3, "add_product": 1}


@register_layer
@dataclass(frozen=True)
class Squared(mg.Dense):
    """y = (x W + b)^2: curved, although its base class is linear."""

    def forward(self, p, x, ctx):
        """Return y and its pullback."""
        z, back = super().forward(p, x, ctx)
        return z * z, lambda dy, g=None, *, need_dx=True: back(2 * z * dy, g, need_dx=need_dx)

    def pushforward(self, p, x, x_dot, ctx):
        """Return y, y_dot and their pullback."""
        ctx.y = None  # the output is not that of the base class
        z, z_dot, back = super().pushforward(p, x, x_dot, ctx)

        def backward(dy, dy_dot, g=None, *, need_dx=True):
            dz = 0 if dy is None else 2 * z * dy
            dz_dot = None
            if dy_dot is not None:
                dz, dz_dot = dz + 2 * z_dot * dy_dot, 2 * z * dy_dot
            return back(dz, dz_dot, g, need_dx=need_dx)

        return z * z, 2 * z * z_dot, backward


def test_a_curved_layer_derived_from_a_linear_one():
    D = network([mg.Dense(3, 4), Squared(4, 3), mg.Dense(3, 1)])
    found, want = both(D, np.random.default_rng(0).standard_normal((5, 3)))
    for a, b in zip(found, want, strict=True):
        assert_tensor(a, b)


class Doubled(mg.Network):
    """A network with passes of its own."""

    def forward(self, x, **options):
        """Return 2 y and its pullback."""
        y, back = super().forward(x, **options)
        return 2 * y, lambda dy, grads=None, *, need_dx=True: back(2 * dy, grads, need_dx=need_dx)

    def pushforward(self, x, x_dot, **options):
        """Return 2 y, 2 y_dot and their pullback."""
        y, y_dot, back = super().pushforward(x, x_dot, **options)
        return 2 * y, 2 * y_dot, lambda dy, dy_dot, g=None, *, need_dx=True: back(dy, 2 * dy_dot, g, need_dx=need_dx)


def test_a_subclass_with_other_passes():
    layers = [mg.Dense(3, 4), mg.Tanh(), mg.Dense(4, 1)]
    D, plain = (kind(layers, rng=np.random.default_rng(0), dtype="float64") for kind in (Doubled, mg.Network))
    x, penalty = np.random.default_rng(0).standard_normal((2, 5, 3)), mg.R1(1.0)
    values, gradients = [], []
    for net in (D, plain):
        gradients.append(net.zeros_like_theta())
        values.append(penalty.add_gradient(net, *x, gradients[-1]))
    assert values[0] == pytest.approx(4 * values[1], rel=1e-13)
    assert_tensor(gradients[0], 4 * gradients[1])


def test_errors():
    D = network([mg.Dense(3, 4), mg.Dropout(0.5), mg.Dense(4, 1)])
    x = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"layer 1 \(Dropout\).*rng"):
        D.input_gradient(x, train=True)
    _, _, add = D.input_gradient(x, train=False)
    with pytest.raises(mg.ShapeError, match=r"u has shape \(2, 2\); expected \(2, 3\)"):
        add(np.zeros((2, 2)), D.zeros_like_theta())
    D.theta = D.theta + 1
    with pytest.raises(mg.network.StaleBackwardError):
        add(x, D.zeros_like_theta())
