"""Layer, group, instance and pixel norm, spectral normalisation and the minibatch standard deviation by definition."""

import json

import numpy as np
import pytest
from cases import LAYERS, ON_EACH_BACKEND, forward, network
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg

NEW = ["layer norm", "layer norm of maps", "group norm", "group norm of rows", "instance norm", "pixel norm",
       "spectral dense", "spectral conv", "spectral conv transpose", "minibatch stddev", "minibatch stddev of groups",
       "reflection pad", "pixel shuffle", "pixel unshuffle"]  # fmt: skip
RNG = np.random.default_rng


def plain(layer, **kwargs):
    return mg.Network([layer], rng=RNG(0), dtype="float64", **kwargs)


@ON_EACH_BACKEND
class TestDefinitions:
    x = RNG(3).normal(2, 3, (5, 2, 4, 6))

    def norm(self, x, axes, eps=1e-5):
        return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)

    def test_layer_norm(self, ops):
        for shape, axes in ((6, 3), ((4, 6), (2, 3)), ((2, 4, 6), (1, 2, 3))):
            net = network(mg.LayerNorm(shape, eps=0.1), ops=ops)
            gamma, beta = net.parameters().values()
            np.testing.assert_allclose(net(self.x), self.norm(self.x, axes, 0.1) * gamma + beta, rtol=1e-12, atol=1e-12)

    def test_group_norm(self, ops):
        net = network(mg.GroupNorm(3, 6), ops=ops)
        gamma, beta = net.parameters().values()
        groups = [self.norm(self.x[..., k : k + 2], (1, 2, 3)) for k in (0, 2, 4)]
        want = np.concatenate(groups, axis=-1) * gamma + beta
        np.testing.assert_allclose(net(self.x), want, rtol=1e-12, atol=1e-12)

    def test_instance_norm(self, ops):
        net = network(mg.InstanceNorm2D(6), ops=ops)
        gamma, beta = net.parameters().values()
        np.testing.assert_allclose(net(self.x), self.norm(self.x, (1, 2)) * gamma + beta, rtol=1e-12, atol=1e-12)

    def test_pixel_norm(self, ops):
        want = self.x / np.sqrt((self.x**2).mean(3, keepdims=True) + 1e-8)
        np.testing.assert_allclose(plain(mg.PixelNorm(), ops=ops)(self.x), want, rtol=1e-13)

    def test_minibatch_stddev(self, ops):
        """The groups of the published code: of 6 examples in groups of 2, examples 0 and 3, 1 and 4, 2 and 5."""
        x = RNG(3).normal(2, 3, (6, 2, 4, 3))
        y = plain(mg.MinibatchStdDev(group_size=2), ops=ops)(x)
        np.testing.assert_array_equal(y[..., :3], x)
        for m in range(3):
            want = np.sqrt(x[[m, m + 3]].var(0) + 1e-8).mean()
            np.testing.assert_allclose(y[[m, m + 3], ..., 3], want, rtol=1e-12)
        for layer in (mg.MinibatchStdDev(), mg.MinibatchStdDev(group_size=8)):  # 6 examples are one group
            want = np.sqrt(x.var(0) + 1e-8).mean()
            np.testing.assert_allclose(plain(layer, ops=ops)(x)[..., 3], want, rtol=1e-12)

    def test_reflection(self, ops):
        y = plain(mg.ReflectionPad2D(((1, 0), (3, 2))), ops=ops)(self.x)
        np.testing.assert_array_equal(y, np.pad(self.x, ((0, 0), (1, 0), (3, 2), (0, 0)), mode="reflect"))

    def test_pixel_shuffle(self, ops):
        y = plain(mg.PixelShuffle((3, 2)), ops=ops)(RNG(0).standard_normal((5, 2, 4, 12)))
        x = plain(mg.PixelUnshuffle((3, 2)), ops=ops)(y)
        for i in range(3):
            for j in range(2):
                np.testing.assert_array_equal(x[..., 2 * i + j :: 6], y[:, i::3, j::2])
        np.testing.assert_array_equal(plain(mg.PixelShuffle((3, 2)), ops=ops)(x), y)


@ON_EACH_BACKEND
@pytest.mark.parametrize("name", NEW)
def test_two_sub_batches_are_two_passes(name, ops):
    """Outputs, gradients and running statistics."""
    layer, shape = LAYERS[name]
    net, x = network(layer, ops=ops), RNG(1).standard_normal((8, *shape))
    start = {key: value.copy() for key, value in net.state.items()}
    parts = [net.forward(part, train=True) for part in np.split(x, 2)]
    want = np.concatenate([y for y, _ in parts])
    dy, g = RNG(2).standard_normal(want.shape), net.zeros_like_theta()
    dx = np.concatenate([back(part, g) for (_, back), part in zip(parts, np.split(dy, 2), strict=True)])
    after = {key: value.copy() for key, value in net.state.items()}
    net.load_state(start)
    y, backward = net.forward(x, train=True, sub_batches=2)
    once = net.zeros_like_theta()
    np.testing.assert_allclose(y, want, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(backward(dy, once), dx, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(once, g, rtol=1e-12, atol=1e-12)
    for key, value in after.items():
        np.testing.assert_allclose(net.state[key], value, rtol=1e-13)


@ON_EACH_BACKEND
@pytest.mark.parametrize("layer", [mg.LayerNorm(6), mg.GroupNorm(2, 6), mg.InstanceNorm2D(6), mg.MinibatchStdDev()])
def test_values_far_from_zero_keep_their_digits(layer, ops):
    """At a mean of 1e4 standard deviations, float32 differs from float64 by the rounding of x alone."""
    x = (1e4 + RNG(0).standard_normal((16, 8, 8, 6))).astype("float32")
    wide = mg.Network([layer], rng=RNG(0), dtype="float64", ops=ops)(x.astype("float64"))
    narrow = mg.Network([layer], rng=RNG(0), ops=ops)(x)
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, wide, rtol=1e-6, atol=1e-5)


def test_constant_examples_have_finite_outputs_and_gradients():
    for layer in (mg.LayerNorm(3), mg.GroupNorm(1, 3), mg.InstanceNorm2D(3), mg.MinibatchStdDev()):
        y, backward = plain(layer).forward(np.full((4, 2, 2, 3), 7.0), train=True)
        assert np.isfinite(y).all()
        assert np.isfinite(backward(RNG(0).standard_normal(y.shape))).all()


WEIGHTED = {
    "dense": (mg.Dense(7, 5), (7,)),
    "conv": (mg.Conv2D(3, 4, (2, 3)), (4, 5, 3)),
    "conv transpose": (mg.ConvTranspose2D(3, 4, (2, 3)), (4, 5, 3)),
}


class TestSpectralNorm:
    def matrix(self, layer, W):
        """W with a row for each output feature or channel."""
        if isinstance(layer, mg.ConvTranspose2D):
            return np.moveaxis(W, 2, 0).reshape(W.shape[2], -1)
        return np.moveaxis(W, -1, 0).reshape(W.shape[-1], -1)

    @ON_EACH_BACKEND
    @pytest.mark.parametrize("name", WEIGHTED)
    def test_sigma_becomes_the_largest_singular_value(self, name, ops):
        """After many passes y is that of W / sigma with LAPACK's sigma; b is not divided."""
        layer, shape = WEIGHTED[name]
        net, x = network(mg.SpectralNorm(layer, iterations=20), ops=ops), RNG(1).standard_normal((2, *shape))
        for _ in range(30):
            net.forward(x, train=True)
        W = net.parameters()["0.W"]
        inner = plain(layer)
        sigma = np.linalg.svd(self.matrix(layer, W), compute_uv=False)[0]
        inner.load_parameters({"0.W": W / sigma, "0.b": net.parameters()["0.b"]})
        np.testing.assert_allclose(net(x), inner(x), rtol=1e-12, atol=1e-13)

    @given(seed=st.integers(0, 2**32 - 1), iterations=st.integers(1, 4))
    def test_iterations_are_those_of_algorithm_1(self, seed, iterations):
        net = network(mg.SpectralNorm(mg.Dense(4, 3), iterations=iterations), seed=seed)
        W, u = net.parameters()["0.W"].T, net.state["0.u"].copy()
        for _ in range(iterations):
            v = W.T @ u / np.linalg.norm(W.T @ u)
            u = W @ v / np.linalg.norm(W @ v)
        x = RNG(seed).standard_normal((2, 4))
        y, _ = net.forward(x, train=True)
        np.testing.assert_allclose(net.state["0.u"], u, rtol=1e-12, atol=1e-14)
        want = x @ W.T / np.linalg.norm(W.T @ u) + net.parameters()["0.b"]
        np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(net(x), y, rtol=1e-14)  # inference uses the same sigma

    def test_the_norm_is_approached_from_below(self):
        net = plain(mg.SpectralNorm(mg.Dense(6, 5)))
        W, found = net.parameters()["0.W"], []
        for _ in range(50):
            found.append(np.linalg.norm(W @ net.state["0.u"]) / np.linalg.norm(net.state["0.u"]))
            net.forward(np.ones((1, 6)), train=True)
        sigma = np.linalg.svd(W, compute_uv=False)[0]
        assert np.all(np.diff(found) >= -1e-14)
        assert sigma * 0.99 < found[-1] <= sigma * (1 + 1e-14)

    def test_only_training_passes_that_may_write_the_state_do(self):
        net = network(mg.SpectralNorm(mg.Dense(3, 4)))
        before, x = net.state["0.u"].copy(), np.ones((2, 3))
        net(x)
        net.forward(x, train=True, update_state=False)
        np.testing.assert_array_equal(net.state["0.u"], before)
        net.forward(x, train=True)
        assert not np.array_equal(net.state["0.u"], before)

    @ON_EACH_BACKEND
    def test_a_pullback_survives_a_later_update_of_u(self, ops):
        net = network(mg.SpectralNorm(mg.Dense(3, 4)), ops=ops)
        y, backward = forward(net, RNG(0).standard_normal((5, 3)))
        g, later = net.zeros_like_theta(), net.zeros_like_theta()
        backward(np.ones_like(y), g)
        net.forward(np.ones((5, 3)), train=True)
        backward(np.ones_like(y), later)
        np.testing.assert_array_equal(g, later)

    def test_the_gradient_is_orthogonal_to_the_weights(self):
        """Scaling W changes nothing, so that <dW, W> = 0."""
        net = network(mg.SpectralNorm(mg.Dense(3, 4)))
        y, backward = net.forward(RNG(0).standard_normal((5, 3)), train=True)
        g = net.zeros_like_theta()
        backward(RNG(1).standard_normal(y.shape), g)
        dW = net.views(g)["0.W"]
        assert abs((dW * net.parameters()["0.W"]).sum()) < 1e-14
        assert np.abs(dW).max() > 0.1

    def test_a_discriminator_is_limited_to_slope_1(self):
        """Dense layers of norm 1 with LeakyReLU: |D(x) - D(x')| <= |x - x'|, once u has converged."""
        layers = [mg.SpectralNorm(mg.Dense(4, 8), iterations=50), mg.LeakyReLU(0.2),
                  mg.SpectralNorm(mg.Dense(8, 1), iterations=50)]  # fmt: skip
        D, (a, b) = network(layers), 3 * RNG(0).standard_normal((2, 100, 4))
        for _ in range(20):
            D.forward(a, train=True)
        assert (np.abs(D(a) - D(b))[:, 0] <= np.linalg.norm(a - b, axis=1) * (1 + 1e-9)).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: mg.LayerNorm(()), ValueError, "shape is empty; expected one size or more"),
        (lambda: mg.LayerNorm((3, 0)), ValueError, r"shape\[1\] must be an int >= 1, got 0"),
        (lambda: mg.LayerNorm(3, eps=0), ValueError, "eps must be > 0, got 0"),
        (lambda: mg.GroupNorm(4, 6), ValueError, "groups=4 with channels=6; expected a divisor of 6"),
        (lambda: mg.GroupNorm(0, 6), ValueError, "groups must be an int >= 1, got 0"),
        (lambda: mg.InstanceNorm2D(2.5), ValueError, "channels must be an int >= 1, got 2.5"),
        (lambda: mg.PixelNorm(eps=-1), ValueError, "eps must be > 0, got -1"),
        (lambda: mg.SpectralNorm(mg.ReLU()), TypeError, "inner must be one of Dense, Conv2D, ConvTranspose2D, got"),
        (lambda: mg.SpectralNorm(mg.Dense(2, 2), iterations=0), ValueError, "iterations must be an int >= 1, got 0"),
        (lambda: mg.MinibatchStdDev(group_size=0), ValueError, "group_size must be an int >= 1, got 0"),
        (lambda: mg.ReflectionPad2D(-1), ValueError, "padding must be an int >= 0"),
        (lambda: mg.PixelShuffle(0), ValueError, "factor must be an int >= 1"),
    ],
)
def test_wrong_descriptions_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (mg.LayerNorm((4, 3)), (4, 2), r"input shape \(4, 2\); expected \(..., 4, 3\)"),
        (mg.LayerNorm((4, 3)), (3,), r"input shape \(3,\); expected \(..., 4, 3\)"),
        (mg.GroupNorm(2, 4), (3, 6), r"input shape \(3, 6\); expected \(..., 4\)"),
        (mg.InstanceNorm2D(3), (1, 1, 3), "images of 1 x 1 given; expected two pixels or more"),
        (mg.InstanceNorm2D(3), (5, 3), r"images have shape \(5, 3\); expected \(H, W, 3\)"),
        (mg.SpectralNorm(mg.Dense(2, 2)), (3,), r"\(3,\); expected \(2,\)"),
        (mg.ReflectionPad2D(2), (2, 3, 1), "images of 2 x 3 given; expected at least 3 x 3"),
        (mg.PixelShuffle((2, 3)), (2, 2, 8), "images of 8 channels given; expected a multiple of 2 x 3"),
        (mg.PixelUnshuffle((2, 3)), (4, 4, 1), "images of 4 x 4 given; expected multiples of 2 x 3"),
    ],
)
def test_inputs_that_do_not_fit(layer, shape, message):
    with pytest.raises(mg.ShapeError, match=message):
        layer.output_shape(shape)
    if not isinstance(layer, mg.SpectralNorm):
        with pytest.raises(mg.ShapeError, match=r"layer 0 .*" + message):
            plain(layer)(np.ones((2, *shape)))


def test_a_batch_that_is_not_a_multiple_of_the_group():
    net = plain(mg.MinibatchStdDev(group_size=4))
    with pytest.raises(mg.ShapeError, match="6 examples in a batch; expected a multiple of group_size=4, or at most"):
        net(np.ones((6, 3)))
    with pytest.raises(mg.ShapeError, match="6 examples in a batch"):
        net.forward(np.ones((12, 3)), train=True, sub_batches=2)


@pytest.mark.parametrize("name", NEW)
def test_a_description_gives_the_layer_back(name):
    layer, shape = LAYERS[name]
    assert mg.layers.from_config(json.loads(json.dumps(layer.to_config()))) == layer
    net = network(layer)
    assert net.summary(shape).rows[0].output_shape == net(np.ones((2, *shape)) + RNG(0).random((2, *shape))).shape[1:]
