"""Nested layers: a residual network as a user writes it, and properties of every nesting."""

import json
from fractions import Fraction

import numpy as np
import pytest
from cases import network
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.layers import Context, Layer, from_config, register_layer
from minigan.ops import get_ops


def residual_classifier(channels=4):
    """Images (8, 8, 1) -> one logit, with two residual blocks; the second halves the image size."""
    return [
        mg.Conv2D(1, channels, 3, padding="same"),
        mg.Residual(
            [
                mg.BatchNorm(channels),
                mg.ReLU(),
                mg.Conv2D(channels, channels, 3, padding="same"),
                mg.Residual([mg.LeakyReLU(0.2), mg.Conv2D(channels, channels, 1)]),
            ]
        ),
        mg.Residual(
            [mg.ReLU(), mg.Conv2D(channels, 2 * channels, 3, stride=2, padding="same"), mg.Dropout(0.2)],
            shortcut=[mg.AvgPool2D(2), mg.Conv2D(channels, 2 * channels, 1)],
        ),
        mg.ReLU(),
        mg.Flatten(),
        mg.Dense(16 * 2 * channels, 1),
    ]


def test_a_nested_residual_network_learns():
    """It learns to distinguish bright from dark images by the logistic cost."""
    rng = np.random.default_rng(0)
    net = mg.Network(residual_classifier(), rng=rng)
    adam, objective = mg.Adam(net, lr=0.01), mg.NonSaturating()
    dark, bright = rng.random((2, 64, 8, 8, 1), dtype="float32") * 0.5
    bright += 0.1
    losses = []
    for _ in range(40):
        step = mg.discriminator_step(net, adam, objective, bright, dark, rng=rng)
        losses.append(float(step.loss))
    assert losses[-1] < 0.1 * losses[0]


OPS = [get_ops("cpu", threads=2), get_ops("cpu", compiled=False)]


@pytest.mark.parametrize("ops", OPS, ids=["compiled", "numpy"])
@pytest.mark.parametrize("train", [True, False])
def test_fused_stages_within_layers_agree_with_the_layers(ops, train):
    """Layers in nested chains are fused, too, and the results do not change."""
    x, dy = np.random.default_rng(0).standard_normal((6, 8, 8, 1)), np.random.default_rng(1).standard_normal((6, 1))
    found = []
    for net in (network(residual_classifier(), ops="reference"), network(residual_classifier(), ops=ops)):
        g = net.zeros_like_theta()
        y, back = net.forward(x, train=train, rng=np.random.default_rng(2))
        found.append([y, back(dy, g), g, net.state_vector.copy()])
    for want, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12 * np.abs(want).max())
    inner = net._run.layers[1].body.layers
    assert [type(stage).__name__ for stage in inner][:1] == ["FusedNormActivation"]


def test_groups_are_what_each_batch_would_give():
    x = np.random.default_rng(0).standard_normal((8, 8, 8, 1))
    net, twin = (network(residual_classifier(), ops="cpu") for _ in range(2))
    stream, other = (np.random.default_rng(3) for _ in range(2))
    y, _ = net.forward(x, train=True, rng=stream, sub_batches=2)
    each = [twin.forward(half, train=True, rng=other)[0] for half in (x[:4], x[4:])]
    np.testing.assert_allclose(y, np.concatenate(each), rtol=1e-12)
    np.testing.assert_allclose(net.state_vector, twin.state_vector, rtol=1e-12)
    assert stream.bit_generator.state == other.bit_generator.state


def test_fractions_go_through_nested_layers_exactly():
    """<J x, dy> = <x, J^T dy> for the linear parts, in exact rationals."""
    body = [mg.Dense(3, 2, bias=False), mg.Residual([mg.Dense(2, 2, bias=False)]), mg.Dense(2, 3, bias=False)]
    net = mg.Network([mg.Residual(body)], rng=np.random.default_rng(0), dtype="float64").astype(object, Fraction)
    rng = np.random.default_rng(1)
    x, dy = (np.array([[Fraction(int(v), 7) for v in row] for row in rng.integers(-9, 9, (2, 3))]) for _ in "xy")
    y, back = net.forward(x, train=True)
    assert (y * dy).sum() == (x * back(dy)).sum()


def test_names_descriptions_and_the_table():
    net = mg.Network(residual_classifier(), rng=np.random.default_rng(0))
    names = list(net.parameters())
    assert names[2:6] == ["1.body.0.gamma", "1.body.0.beta", "1.body.2.W", "1.body.2.b"]
    assert names[6:8] == ["1.body.3.body.1.W", "1.body.3.body.1.b"]
    assert "2.shortcut.1.W" in names
    assert list(net.state) == ["1.body.0.running_mean", "1.body.0.running_var"]
    assert from_config(json.loads(json.dumps(net.to_config()))) == list(net.layers)
    table = net.summary((8, 8, 1))
    assert table.total == net.theta.size + net.state_size
    lines = str(table).splitlines()
    assert "1 Residual            (N, 8, 8, 4)                   184" in lines
    assert "    3 Residual        (N, 8, 8, 4)                    20" in lines


def test_a_wrong_shape_is_said_with_the_place():
    with pytest.raises(mg.ShapeError, match=r"^layer 0 \(Residual\): the body gives shape \(4,\) and"):
        mg.Network([mg.Residual([mg.Dense(3, 4)])], rng=np.random.default_rng(0)).summary(3)
    with pytest.raises(mg.ShapeError, match=r"the body gives shape \(4,\) and the shortcut \(3,\)"):
        mg.Network([mg.Residual([mg.Dense(3, 4)])], rng=np.random.default_rng(0))(np.ones((2, 3), "f4"))
    with pytest.raises(ValueError, match="body is empty; expected one layer or more"):
        mg.Residual([])
    with pytest.raises(TypeError, match=r"shortcut\[0\] must be a minigan Layer, got 3"):
        mg.Residual([mg.Tanh()], [3])


@st.composite
def nested(draw, width, depth=2):
    """A list of layers (width,) -> (width,), some of them nested."""
    inner = nested(width, depth - 1) if depth else st.just([mg.Tanh()])
    one = st.one_of(
        st.just(mg.Dense(width, width)),
        st.sampled_from([mg.LeakyReLU(0.2), mg.Tanh(), mg.BatchNorm(width), mg.Dropout(0.4)]),
        inner.map(mg.Chain),
        inner.map(mg.Residual),
        st.tuples(inner, inner).map(lambda pair: mg.Residual(*pair)),
    )
    return draw(st.lists(one, min_size=1, max_size=3))


@given(nested(3), st.booleans(), st.integers(0, 2**16))
def test_any_nesting_agrees_on_the_backends_and_with_its_description(layers, train, seed):
    rng = np.random.default_rng(seed)
    x, dy = rng.standard_normal((2, 9, 3))
    found = []
    for ops in ("reference", *OPS):
        net = network(from_config(json.loads(json.dumps([layer.to_config() for layer in layers]))), ops=ops, seed=seed)
        g = net.zeros_like_theta()
        y, back = net.forward(x, train=train, rng=np.random.default_rng(seed))
        found.append([y, back(dy, g), g])
    for other in found[1:]:
        for want, got in zip(found[0], other, strict=True):
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-9 * max(1, np.abs(want).max(initial=0)))


class TestKeys:
    """A layer declares the number of random keys that it draws."""

    @staticmethod
    def noisy(n_keys):
        """y = x + noise: a custom stochastic layer."""

        class Noise(Layer):
            per_example = True

            def forward(self, p, x, ctx):
                keys = ctx.keys() if ctx.train else None
                if keys is None:
                    return x, lambda dy, g=None, *, need_dx=True: dy
                parts = ctx.ops.xp.split(x, len(keys))
                y = [part + np.random.default_rng(k).random(part.shape) for part, k in zip(parts, keys, strict=True)]
                return ctx.ops.xp.concatenate(y), lambda dy, g=None, *, need_dx=True: dy

        if n_keys is not None:
            Noise.n_keys = n_keys
        return Noise()

    @pytest.mark.parametrize("ops", ["reference", "cpu"])
    def test_equal_batches_run_as_one(self, ops):
        """D with such a layer takes real and fake in one pass, with the keys that two passes would draw."""
        layers = [mg.Dropout(0.5), mg.Chain([self.noisy(1)]), mg.Dense(3, 1)]
        D = mg.Network(layers, rng=np.random.default_rng(0), dtype="float64", ops=ops)
        real, fake = np.random.default_rng(1).standard_normal((2, 5, 3))
        s_real, s_fake, _ = mg.separate(D, real, fake, rng=np.random.default_rng(2))
        stream = np.random.default_rng(2)
        np.testing.assert_allclose(s_real, D.forward(real, train=True, rng=stream)[0], rtol=1e-14)
        np.testing.assert_allclose(s_fake, D.forward(fake, train=True, rng=stream)[0], rtol=1e-14)

    @pytest.mark.parametrize("sub_batches", [1, 2])
    def test_a_layer_that_draws_more_than_it_says(self, sub_batches):
        net = mg.Network([mg.Tanh(), self.noisy(None)], rng=np.random.default_rng(0))
        with pytest.raises(RuntimeError, match=r"layer 1 \(Noise\) draws more random keys than its n_keys=0"):
            net.forward(np.ones((4, 3), "f4"), train=True, rng=np.random.default_rng(0), sub_batches=sub_batches)

    def test_without_a_stream(self):
        net = mg.Network([self.noisy(1)], rng=np.random.default_rng(0))
        with pytest.raises(ValueError, match="training draws random numbers and needs forward"):
            net.forward(np.ones((4, 3), "f4"), train=True)


def test_layers_of_ones_own_are_registered_to_be_rebuilt():
    class Centre(Layer):
        """y = x - mean(x)."""

        def forward(self, p, x, ctx: Context):
            return x - x.mean(axis=0), lambda dy, g=None, *, need_dx=True: dy - dy.mean(axis=0)

    with pytest.raises(ValueError, match="unknown layer 'Centre'"):
        from_config(Centre().to_config())
    register_layer(Centre)
    assert from_config([Centre().to_config()]) == [Centre()]
    with pytest.raises(ValueError, match="a layer named 'Centre' is registered already"):
        register_layer(type("Centre", (Layer,), {}))


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (3, "'3' describes no layer"),
        ({"layer": "Danse"}, r"unknown layer 'Danse' \(did you mean 'Dense'\?\)"),
        ({"layer": "Dense", "n_in": 3}, "Dense: .*n_out"),
        ({"layer": "Dense", "n_in": 3, "n_out": 0}, "n_out must be"),
        ({"layer": "Dense", "n_in": 3, "n_out": 1, "size": 1}, "Dense has no field 'size'; expected bias"),
        ({"layer": "Dense", "n_in": 3, "n_out": 1, "weight_init": {"initializer": "Ones"}}, "unknown initializer"),
    ],
)
def test_wrong_descriptions(description, message):
    with pytest.raises(ValueError, match=message):
        from_config(description)
