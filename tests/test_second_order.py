"""Every layer's pushforward and the pullback of it, and gradient penalties, against the complex step."""

from fractions import Fraction

import numpy as np
import pytest
from cases import (
    BACKENDS,
    BODIES,
    LAYERS,
    LAYOUTS,
    ON_EACH_BACKEND,
    PENALISED,
    PUSHED,
    laid_out,
    layers,
    network,
    whole_gan,
)
from gradients import TENSOR_GATE, assert_tensor, cotangent
from hypothesis import assume, given
from hypothesis import strategies as st
from second_order import check_penalty, check_pushforward, check_pushforward_direction, pushforward

import minigan as mg
from minigan.gan.penalties import R1, R2, WassersteinPenalty

REFUSED = sorted(set(LAYERS) - {name for name, train in PUSHED if train})
PENALISED_AT_INFERENCE = [
    body for body, (inner, _) in BODIES.items() if not any(layer.mixes_examples(train=False) for layer in inner)
]
PENALTIES = [R1(2.0), R2(3.0), WassersteinPenalty(10.0)]


def setup(name, *, ops="reference", seed=0, n=4):
    layer, shape = LAYERS[name]
    rng = np.random.default_rng(seed)
    net = network(layer, ops=ops, seed=seed)
    x, x_dot = rng.standard_normal((2, n, *shape))
    y = net(x)
    return net, x, x_dot, cotangent(rng, y.shape), cotangent(rng, y.shape)


@ON_EACH_BACKEND
@pytest.mark.parametrize(("name", "train"), PUSHED)
def test_every_entry_by_complex_step(name, train, ops):
    check_pushforward(*setup(name, ops=ops), train=train)


@ON_EACH_BACKEND
@given(layers(), st.booleans(), st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS))
def test_direction_by_complex_step(ops, case, train, order_x, order_dy):
    layer, x, rng = case
    train = train and not layer.mixes_examples(train=True)
    assume(not layer.mixes_examples(train=train))
    net = network(layer, ops=ops, seed=int(rng.integers(2**32)))
    x_dot = rng.standard_normal(x.shape)
    shape = pushforward(net, x, x_dot, train=train)[0].shape
    dy, dy_dot = (laid_out(cotangent(rng, shape), order_dy) for _ in range(2))
    directions = [rng.standard_normal(v.shape) for v in (x, x_dot, net.theta)]
    check_pushforward_direction(
        net, laid_out(x, order_x), laid_out(x_dot, order_x), dy, dy_dot, directions, train=train
    )


@ON_EACH_BACKEND
@pytest.mark.parametrize(("name", "train"), PUSHED)
def test_contract(name, train, ops):
    """None means zero; a pullback adds to g, can be called twice, changes no argument, and is frozen without g."""
    net, x, x_dot, dy, dy_dot = setup(name, ops=ops)
    before = [v.copy() for v in (x, x_dot, dy, dy_dot)]
    y, y_dot, backward = pushforward(net, x, x_dot, train=train)
    assert y.dtype == y_dot.dtype == x.dtype
    g, both = net.zeros_like_theta(), backward(dy, dy_dot)
    for got, want in zip(backward(dy, dy_dot, g), both, strict=True):
        np.testing.assert_array_equal(got, want)
        assert got.shape == x.shape
    once = g.copy()
    assert backward(dy, dy_dot, g, need_dx=False) == (None, None)
    if once.size:
        assert_tensor(g, 2 * once, gate=1e-15)
    zero, separate = np.zeros_like(dy), net.zeros_like_theta()
    for with_none, with_zero in (((None, dy_dot), (zero, dy_dot)), ((dy, None), (dy, zero))):
        of_zero = net.zeros_like_theta()
        for got, want in zip(backward(*with_none, separate), backward(*with_zero, of_zero), strict=True):
            np.testing.assert_array_equal(got, want)
    np.testing.assert_allclose(separate, once, rtol=1e-13, atol=1e-13)
    for v, old in zip((x, x_dot, dy, dy_dot), before, strict=True):
        np.testing.assert_array_equal(v, old)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "train"), PUSHED)
def test_backends_agree(name, train, dtype):
    results = []
    for ops in BACKENDS.values():
        net, *arrays = setup(name, ops=ops)
        net, (x, x_dot, dy, dy_dot) = net.astype(dtype), (v.astype(dtype) for v in arrays)
        y, y_dot, backward = pushforward(net, x, x_dot, train=train)
        g = net.zeros_like_theta()
        results.append((y, y_dot, *backward(dy, dy_dot, g), g))
        assert {v.dtype for v in results[-1]} == {np.dtype(dtype)}
    gate = 1e-5 if dtype == "float32" else TENSOR_GATE
    for of_backend in results[1:]:
        for got, want in zip(of_backend, results[0], strict=True):
            if want.size:
                assert_tensor(got, want, scale=max(1.0, np.abs(want).max()), gate=gate)


@pytest.mark.parametrize("name", REFUSED)
def test_layers_that_mix_examples_are_refused(name):
    net, x, x_dot, *_ = setup(name)
    with pytest.raises(
        ValueError, match="layer 0 .*has no gradient penalty, because an output depends on all examples"
    ):
        pushforward(net, x, x_dot, train=True)


def test_which_layers_mix_examples():
    """Moving one example moves another one's output, or not, as `mixes_examples` says."""
    for name, (layer, _) in LAYERS.items():
        for train in (True, False):
            net, x, *_ = setup(name)
            moved = x.copy()
            moved[0] += 0.1 * np.random.default_rng(9).standard_normal(x.shape[1:])
            y, z = (
                net.forward(v, train=train, rng=np.random.default_rng(0), update_state=False)[0][1:] for v in (x, moved)
            )
            assert np.array_equal(y, z) != layer.mixes_examples(train=train), (name, train)


def test_exact_on_fractions():
    """Where f is piecewise linear, y_dot is the exact difference of two outputs, and the pullback its exact adjoint."""
    net = network(
        [mg.Conv2D(1, 2, 2), mg.ReLU(), mg.MaxPool2D(2, stride=1), mg.Flatten(), mg.Maxout(2, 3, pieces=2)],
        seed=3,
    )
    exact = net.astype(object, lambda v: Fraction(v).limit_denominator(1000))
    rng = np.random.default_rng(0)

    def fractions(shape):
        numbers = [Fraction(int(n), 7) for n in rng.integers(-9, 9, np.prod(shape))]
        return np.array(numbers, dtype=object).reshape(shape)

    x, u = fractions((2, 3, 3, 1)), fractions((2, 3, 3, 1))
    y, y_dot, backward = exact.pushforward(x, u, train=True)
    step = Fraction(1, 10**6)
    np.testing.assert_array_equal(y_dot, (exact(x + step * u) - y) / step)
    dy_dot, g = fractions(y.shape), exact.zeros_like_theta()
    _, dx_dot = backward(None, dy_dot, g)
    assert (dx_dot * u).sum() == (dy_dot * y_dot).sum()
    theta, w = exact.theta.copy(), fractions(exact.theta.shape)
    exact.theta = theta + step * w  # <dy_dot, J u> is linear in each layer's W; compare with its exact polynomial
    plus = (dy_dot * exact.pushforward(x, u, train=True)[1]).sum()
    exact.theta = theta - step * w
    minus = (dy_dot * exact.pushforward(x, u, train=True)[1]).sum()
    assert (plus - minus) / (2 * step) == (g * w).sum()  # quadratic in theta: two layers with weights


class Own(mg.Layer):
    per_example = True

    def forward(self, p, x, ctx):
        return x, lambda dy, g=None, *, need_dx=True: dy if need_dx else None


def test_errors_name_the_layer_and_the_argument():
    x = np.ones((2, 3))
    with pytest.raises(NotImplementedError, match=r"layer 1 \(Own\): Own does not define pushforward"):
        network([mg.Dense(3, 3), Own()]).pushforward(x, x, train=True)
    net = network([mg.Dense(3, 2)])
    with pytest.raises(mg.ShapeError, match=r"x_dot has shape \(2, 2\); expected \(2, 3\)"):
        net.pushforward(x, np.ones((2, 2)), train=True)
    _, _, backward = net.pushforward(x, x, train=True)
    with pytest.raises(mg.ShapeError, match=r"dy_dot has shape \(2, 3\); expected \(2, 2\)"):
        backward(None, x)
    with pytest.raises(TypeError, match="train must be True or False"):
        net.pushforward(x, x, train=1)
    net.mark_modified()
    with pytest.raises(mg.StaleBackwardError):
        backward(None, np.ones((2, 2)))


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda x: (x, x), r"pushforward returned a tuple of 2; expected \(y, y_dot, pullback\)"),
        (lambda x: (x, x[:, :1], print), r"y_dot has shape \(2, 1\); expected \(2, 3\), the shape of y"),
        (lambda x: (x, x, lambda *_, **__: (x[:1], None)), r"dx has shape \(1, 3\); expected \(2, 3\)"),
        (lambda x: (x, x, lambda *_, **__: (None, x[:1])), r"dx_dot has shape \(1, 3\); expected \(2, 3\)"),
    ],
)
def test_what_an_own_layer_returns_is_checked(result, message, monkeypatch):
    monkeypatch.setattr(Own, "pushforward", lambda self, p, x, x_dot, ctx: result(x), raising=False)
    with pytest.raises((mg.ShapeError, TypeError), match=r"layer 0 \(Own\): .*" + message):
        network([Own()]).pushforward(np.ones((2, 3)), np.ones((2, 3)), train=True)[2](np.ones((2, 3)), None)


# --- penalties ------------------------------------------------------------------------------------


@ON_EACH_BACKEND
@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@pytest.mark.parametrize("body", PENALISED)
def test_penalty_by_complex_step(body, penalty, ops):
    _, D, x_real, x_fake, _ = whole_gan(body, outputs=1, ops=ops)
    check_penalty(D, penalty, x_real[:8], x_fake)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@pytest.mark.parametrize("body", PENALISED_AT_INFERENCE)
def test_penalty_at_inference(body, penalty):
    """With batch norm too, which uses its running statistics then."""
    _, D, x_real, x_fake, _ = whole_gan(body, outputs=1)
    check_penalty(D, penalty, x_real[:8], x_fake, train=False)


@ON_EACH_BACKEND
@given(st.sampled_from(PENALISED), st.sampled_from(PENALTIES), st.integers(0, 2**32 - 1))
def test_penalty_along_a_direction(ops, body, penalty, seed):
    _, D, x_real, x_fake, _ = whole_gan(body, outputs=1, ops=ops, seed=seed)
    direction = np.random.default_rng(seed).standard_normal(D.theta.shape)
    check_penalty(D, penalty, x_real[:8], x_fake, direction=direction)


def test_penalties_in_closed_form():
    """D(x) = <w, x> + b: R1 = weight / 2 ||w||^2, and the Wasserstein penalty is weight (||w|| - 1)^2."""
    D = network([mg.Dense(3, 1)], seed=2)
    w, x = D.theta[:3], np.random.default_rng(0).standard_normal((2, 5, 3))
    norm = np.linalg.norm(w)
    for penalty, P, dw in (
        (R1(4.0), 2 * norm**2, 4 * w),
        (R2(4.0), 2 * norm**2, 4 * w),
        (WassersteinPenalty(3.0), 3 * (norm - 1) ** 2, 6 * (norm - 1) * w / norm),
    ):
        g = D.zeros_like_theta()
        got = penalty.add_gradient(D, x[0], x[1], g, rng=np.random.default_rng(0))
        np.testing.assert_allclose(got, P, rtol=1e-14)
        np.testing.assert_allclose(g, [*dw, 0], rtol=1e-13)


def test_the_norm_has_no_derivative_at_zero():
    """Where D is constant, the Wasserstein penalty is its weight, and its gradient is taken as 0, not NaN."""
    D = mg.Network([mg.Dense(2, 3, bias=False), mg.ReLU(), mg.Dense(3, 1)], rng=np.random.default_rng(0))
    D.theta = np.zeros_like(D.theta)
    g, x = D.zeros_like_theta(), np.ones((4, 2), np.float32)
    P = WassersteinPenalty(10.0).add_gradient(D, x, x, g, rng=np.random.default_rng(0))
    assert float(P) == pytest.approx(10.0)
    assert not g.any()


def test_a_penalty_does_not_move_the_running_statistics():
    D = network([mg.Dense(2, 3), mg.BatchNorm(3), mg.Dense(3, 1)])
    before = D.state_vector.copy()
    R1(1.0).add_gradient(D, np.ones((4, 2)), np.ones((4, 2)), D.zeros_like_theta(), train=False)
    np.testing.assert_array_equal(D.state_vector, before)


def test_errors_of_penalties():
    D, two, x = network([mg.Dense(2, 1)]), network([mg.Dense(2, 2)]), np.ones((4, 2))
    with pytest.raises(ValueError, match="weight"):
        R1(-1.0)
    with pytest.raises(mg.ShapeError, match=r"outputs of shape \(2,\).*expects one logit"):
        R1(1.0).add_gradient(two, x, x, two.zeros_like_theta())
    with pytest.raises(ValueError, match="got rng=None"):
        WassersteinPenalty().add_gradient(D, x, x, D.zeros_like_theta())
    with pytest.raises(mg.ShapeError, match=r"x_real has shape \(4, 2\) and x_fake \(3, 2\)"):
        WassersteinPenalty().add_gradient(D, x, x[:3], D.zeros_like_theta(), rng=np.random.default_rng(0))
