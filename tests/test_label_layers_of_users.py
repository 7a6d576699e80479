"""A user's layer reads the labels of a batch: nested, between fused layers, on every backend."""

from dataclasses import dataclass

import numpy as np
import pytest
from cases import ENGINES, ON_EACH_BACKEND, network
from gradients import H, assert_direction

import minigan as mg
from minigan.layers import Layer, from_config, register_layer
from minigan.layers.base import Parameter
from minigan.layers.embedding import add_rows, require_labels, rows_of


@register_layer
@dataclass(frozen=True)
class ScaledByClass(Layer):
    """y_n = E[k_n] x_n."""

    classes: int
    features: int

    per_example = True

    @property
    def n_classes(self):
        return self.classes

    def parameters(self):
        return {"E": Parameter((self.classes, self.features), mg.Normal(1.0), 1, 1)}

    def forward(self, p, x, ctx):
        k, xp = require_labels(ctx, len(x)), ctx.ops.xp
        v = rows_of(p["E"], k, xp)

        def backward(dy, g=None, *, need_dx=True):
            if g is not None:
                add_rows(g["E"], k, dy * x, xp)
            return dy * v if need_dx else None

        return x * v, backward


def layers():
    return [
        mg.Dense(3, 70), mg.BatchNorm(70), mg.LeakyReLU(0.2), ScaledByClass(4, 70),
        mg.Residual([mg.Dense(70, 70), mg.Tanh(), ScaledByClass(5, 70)]), mg.Dropout(0.3), mg.Dense(70, 2),
    ]  # fmt: skip


X, K = np.random.default_rng(0).standard_normal((9, 3)), np.arange(9) % 4


@ON_EACH_BACKEND
def test_between_fused_stages_and_nested(ops):
    net = network(layers(), ops=ops)
    assert net.n_classes == 4
    assert net.per_example
    assert from_config(net.to_config()) == list(net.layers)
    rng = np.random.default_rng(1)
    v, w, dy = rng.standard_normal(X.shape), rng.standard_normal(net.theta.shape), rng.standard_normal((9, 2))
    how = {"train": True, "update_state": False}
    _, backward = net.forward((X, K), rng=np.random.default_rng(2), **how)
    g = net.zeros_like_theta()
    dx, twin = backward(dy, g), net.astype(complex)
    twin.theta = net.theta + 1j * H * w
    along = twin.forward((X + 1j * H * v, K), rng=np.random.default_rng(2), **how)[0].imag / H
    assert_direction(np.concatenate([dx.ravel(), g]), np.concatenate([v.ravel(), w]), (dy * along).sum())


@pytest.mark.parametrize("ops", [*ENGINES.values()], ids=[*ENGINES])
def test_layers_without_labels_are_fused_as_before(ops):
    """The stages before and after the readers are those of a network of these layers alone."""

    def stages(of):
        return [type(stage).__name__ for stage in network(of, ops=ops)._run.layers]

    found = stages(layers())
    assert found == [*stages(layers()[:3]), "ScaledByClass", "Residual", *stages(layers()[5:])]
    assert len(found) < len(layers())


def test_an_error_names_the_layer():
    net = network(layers())
    with pytest.raises(ValueError, match=r"layer 3 \(ScaledByClass\): reads labels, but the batch has none"):
        net(X)
