"""Layers against oracles from other libraries, and exactly on integers and fractions."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.special
from cases import LAYOUTS, ON_EACH_BACKEND, forward, laid_out, network
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import minigan as mg


def exact(shape):
    """Arrays of quarters in [-2, 2]: their products and sums are exact in float32; ties and zeros are frequent."""
    return arrays(np.int8, shape, elements=st.integers(-8, 8)).map(lambda a: a / 4)


def fractions(a):
    return np.vectorize(Fraction, otypes=[object])(a)


@st.composite
def linear_layers(draw):
    """A (piecewise) linear layer, its theta, an input x and the mode."""
    n, m, pieces, examples = (draw(st.integers(1, 4)) for _ in range(4))
    lead = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    choices = [
        (mg.Dense(n, m, bias=draw(st.booleans())), (n,)),
        (mg.Maxout(n, m, pieces=pieces), (n,)),
        (mg.Flatten(), (*lead, n)),
        (mg.Reshape((m, n)), (n * m,)),
        (mg.ReLU(), (*lead, n)),
        (mg.LeakyReLU(0.25), (*lead, n)),
        (mg.Dropout(draw(st.sampled_from([0.0, 0.5, 0.75]))), (*lead, n)),
    ]
    layer, shape = draw(st.sampled_from(choices))
    theta = draw(exact(network(layer).theta.shape))
    return layer, theta, draw(exact((examples, *shape))), draw(st.booleans())


def linear_pass(layer, theta, x, dy, *, ops, train, order_x="C", order_dy="C"):
    """y, dx, dtheta and <b, db> of the layer in the dtype of x."""
    net = network(layer, ops=ops).astype(x.dtype, Fraction if x.dtype == object else None)
    net.theta = fractions(theta) if x.dtype == object else theta
    y, backward = forward(net, laid_out(x, order_x), train=train)
    g = net.zeros_like_theta()
    dx = backward(laid_out(dy, order_dy), g)
    b_db = sum((b * net.views(g)[key]).sum() for key, b in net.parameters().items() if key.endswith(".b"))
    return y, dx, g, b_db


@ON_EACH_BACKEND
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", object])
@given(linear_layers(), st.data(), st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS))
def test_linear_layers_are_exact_and_their_pullbacks_adjoint(dtype, ops, case, data, order_x, order_dy):
    """Around x, y = A x + b and y is linear in theta: <A x, dy> == <x, dx> and <y, dy> == <theta, g>, exactly.

    In every dtype and memory layout; complex adjoints are transposed, not conjugated.  Real results equal fractions.
    """
    layer, theta, x, train = case
    dy = data.draw(exact(forward(network(layer), x, train=train)[0].shape))
    if dtype == "complex128":
        given_x, given_dy = x + 1j * data.draw(exact(x.shape)), dy + 1j * data.draw(exact(dy.shape))
    else:
        given_x, given_dy = ((fractions(a) if dtype is object else a.astype(dtype)) for a in (x, dy))
    y, dx, g, b_db = linear_pass(
        layer, theta, given_x, given_dy, ops=ops, train=train, order_x=order_x, order_dy=order_dy
    )
    assert y.dtype == dx.dtype == g.dtype == np.dtype(dtype)
    assert (y * given_dy).sum() == (given_x * dx).sum() + b_db
    if g.size:
        assert (y * given_dy).sum() == (g * theta).sum()
    if dtype != "complex128":
        want = linear_pass(layer, theta, fractions(x), fractions(dy), ops="reference", train=train)
        for got, right in zip((y, dx, g), want, strict=False):
            np.testing.assert_array_equal(got, right)


@given(seed=st.integers(0, 2**32 - 1))
def test_dense_parameter_gradient_is_exact_on_fractions(seed):
    """<dW, V> + <db, v> == <dy, x V + v>, because the map is linear in W and b."""
    rng = np.random.default_rng(seed)

    def ratios(*shape):
        return np.array(
            [Fraction(int(a), int(b)) for a, b in rng.integers(1, 9, (int(np.prod(shape)), 2))], object
        ).reshape(shape)

    net = network(mg.Dense(2, 3)).astype(object, Fraction)
    x, dy = ratios(4, 2), ratios(4, 3)
    _, backward = net.forward(x, train=True)
    g = net.zeros_like_theta()
    backward(dy, g, need_dx=False)
    v = ratios(g.size)
    V = net.views(v)
    assert (g * v).sum() == (dy * (x @ V["0.W"] + V["0.b"])).sum()
    assert all(isinstance(value, Fraction) for value in g)


@ON_EACH_BACKEND
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-3, 1.0, 30.0, 700.0]))
def test_activations_against_scipy(ops, seed, scale):
    x = scale * np.random.default_rng(seed).standard_normal((3, 4))
    for layer, oracle in (
        (mg.Sigmoid(), scipy.special.expit),
        (mg.Softmax(), lambda x: scipy.special.softmax(x, axis=-1)),
        (mg.Softplus(), lambda x: np.logaddexp(0, x)),
        (mg.Tanh(), np.tanh),
        (mg.ReLU(), lambda x: np.maximum(x, 0)),
        (mg.LeakyReLU(0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
    ):
        np.testing.assert_allclose(network(layer, ops=ops)(x), oracle(x), rtol=1e-14, atol=2.3e-308)


def test_maxout_against_its_definition():
    net = network(mg.Maxout(3, 4, pieces=5))
    x = np.random.default_rng(0).standard_normal((6, 3))
    W, b = net.parameters()["0.W"].reshape(3, 4, 5), net.parameters()["0.b"].reshape(4, 5)
    want = [[max(x[n] @ W[:, o, p] + b[o, p] for p in range(5)) for o in range(4)] for n in range(6)]
    np.testing.assert_allclose(net(x), want, rtol=1e-14)


@ON_EACH_BACKEND
def test_derivatives_at_the_kinks_are_the_documented_ones(ops):
    """At 0 the derivative of ReLU is 0 and that of LeakyReLU its slope; the first of tied maxout pieces wins."""
    for layer, want in ((mg.ReLU(), 0), (mg.LeakyReLU(0.2), 0.2)):
        _, backward = forward(network(layer, ops=ops), np.zeros((1, 3)))
        np.testing.assert_array_equal(backward(np.ones((1, 3))), np.full((1, 3), want))
    net = network(mg.Maxout(1, 1, pieces=3), ops=ops)
    net.theta = np.array([1.0, 2.0, 2.0, 0.0, 0.0, 0.0])
    _, backward = forward(net, np.ones((1, 1)))
    g = net.zeros_like_theta()
    backward(np.ones((1, 1)), g)
    np.testing.assert_array_equal(net.views(g)["0.W"], [[0, 1, 0]])


@ON_EACH_BACKEND
@pytest.mark.parametrize("x", [np.nan, np.inf])
def test_relu_hides_no_nan(ops, x):
    net = network(mg.ReLU(), ops=ops)
    assert str(net(np.full((1, 1), x))[0, 0]) == str(x)


class TestBatchNorm:
    x = np.random.default_rng(3).normal(2, 3, (5, 2, 4, 3))

    @ON_EACH_BACKEND
    def test_training_output_is_standardised(self, ops):
        net = mg.Network([mg.BatchNorm(3, eps=1e-12)], rng=np.random.default_rng(0), dtype="float64", ops=ops)
        y, _ = net.forward(self.x, train=True)
        np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-14)
        np.testing.assert_allclose(y.var((0, 1, 2)), 1, rtol=1e-11)

    def test_running_statistics_by_both_conventions(self):
        """PyTorch: new value times momentum, unbiased.  Keras: old value times momentum, biased."""
        mean, var, M = self.x.mean((0, 1, 2)), self.x.var((0, 1, 2)), 40
        for layer, want_mean, want_var in (
            (mg.BatchNorm(3), 0.1 * mean, 0.9 + 0.1 * var * M / (M - 1)),
            (mg.BatchNorm.keras(3, momentum=0.8), 0.2 * mean, 0.8 + 0.2 * var),
        ):
            net = mg.Network([layer], rng=np.random.default_rng(0), dtype="float64")
            net.forward(self.x, train=True)
            np.testing.assert_allclose(net.state["0.running_mean"], want_mean, rtol=1e-13)
            np.testing.assert_allclose(net.state["0.running_var"], want_var, rtol=1e-13)

    def test_defaults_of_both_frameworks(self):
        assert (mg.BatchNorm(3).eps, mg.BatchNorm(3).momentum) == (1e-5, 0.1)
        assert (mg.BatchNorm.keras(3).eps, mg.BatchNorm.keras(3).momentum) == (1e-3, 0.99)

    def test_inference_uses_and_keeps_the_running_statistics(self):
        net = network(mg.BatchNorm(3))
        before = {k: v.copy() for k, v in net.state.items()}
        y, p = net(self.x), net.parameters()
        want = (self.x - before["0.running_mean"]) / np.sqrt(before["0.running_var"] + 1e-5) * p["0.gamma"] + p[
            "0.beta"
        ]
        np.testing.assert_allclose(y, want, rtol=1e-12)
        for key, value in before.items():
            np.testing.assert_array_equal(net.state[key], value)

    def test_update_state_false_keeps_them_in_training(self):
        net = network(mg.BatchNorm(3))
        before = {k: v.copy() for k, v in net.state.items()}
        net.forward(self.x, train=True, update_state=False)
        for key, value in before.items():
            np.testing.assert_array_equal(net.state[key], value)

    def test_an_inference_pullback_survives_a_later_update_of_the_statistics(self):
        net = network(mg.BatchNorm(3))
        y, backward = net.forward(self.x, train=False)
        g, g_later = net.zeros_like_theta(), net.zeros_like_theta()
        backward(np.ones_like(y), g)
        net.forward(self.x, train=True)
        backward(np.ones_like(y), g_later)
        np.testing.assert_array_equal(g, g_later)

    def test_one_value_has_no_unbiased_variance(self):
        net = network(mg.BatchNorm(3))
        with pytest.raises(mg.ShapeError, match="needs 2 or more values per channel"):
            net.forward(np.ones((1, 3)), train=True)


class TestDropout:
    def test_rate_and_scale(self):
        net = network(mg.Dropout(0.25))
        y, _ = net.forward(np.ones((1000, 100)), train=True, rng=np.random.default_rng(0))
        values, counts = np.unique(y, return_counts=True)
        np.testing.assert_array_equal(values, [0, 1 / 0.75])
        # Hoeffding: |share - 0.25| <= sqrt(log(2 / alpha) / (2 n)) = .0104 at alpha = 1e-9, n = 1e5
        assert abs(counts[0] / 1e5 - 0.25) <= 0.0104

    def test_same_mask_in_every_dtype_and_in_both_directions(self):
        x = np.ones((20, 30))
        masks = []
        for dtype in ("float32", "float64", "complex128"):
            net = network(mg.Dropout(0.5), dtype=dtype)
            y, backward = net.forward(x.astype(dtype), train=True, rng=np.random.default_rng(5))
            np.testing.assert_array_equal(backward(x.astype(dtype)), y)
            masks.append(y.real)
        np.testing.assert_array_equal(masks[0], masks[1])
        np.testing.assert_array_equal(masks[1], masks[2])

    def test_identity_at_inference(self):
        x = np.ones((2, 3))
        np.testing.assert_array_equal(network(mg.Dropout(0.9))(x), x)

    def test_training_without_rng_is_an_error(self):
        with pytest.raises(ValueError, match=r"layer 0 \(Dropout\): training needs forward"):
            network(mg.Dropout(0.5)).forward(np.ones((2, 3)), train=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mg.Dense(0, 3), "n_in must be an int >= 1, got 0"),
        (lambda: mg.Dense(3, 2.5), "n_out must be an int >= 1, got 2.5"),
        (lambda: mg.Maxout(3, 2, pieces=0), "pieces must be an int >= 1, got 0"),
        (lambda: mg.BatchNorm(3, eps=0), "eps must be > 0, got 0"),
        (lambda: mg.BatchNorm(3, momentum=1.5), r"momentum must be in \[0, 1\], got 1.5"),
        (lambda: mg.BatchNorm(3, convention="olt"), "unknown convention 'olt' .did you mean 'old'"),
        (lambda: mg.Dropout(1.0), r"rate must be in \[0, 1\), got 1.0"),
        (lambda: mg.Reshape((3, 0)), r"shape\[1\] must be an int >= 1, got 0"),
    ],
)
def test_wrong_descriptions_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
