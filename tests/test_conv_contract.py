"""The contract of the image layers: dtypes, skipped computations, configurations, initial weights."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from cases import IMAGES, ON_EACH_BACKEND, everything, network
from gradients import H
from hypothesis import given
from hypothesis import strategies as st
from images import convolutions, pools, resizings, small_images, transposes

import minigan as mg
from minigan.ops import get_ops

SEEDS = st.integers(0, 2**32 - 1)

# rational up to the last layer: padding, strides, a kink, pooling, upsampling
CHAIN = [
    mg.ZeroPad2D(((0, 1), (1, 0))),
    mg.Conv2D(2, 3, (3, 2), stride=(2, 1), padding="same"),
    mg.ReLU(),
    mg.MaxPool2D(2, stride=1),
    mg.UpSample2D((2, 1)),
    mg.ConvTranspose2D(3, 2, (2, 3), stride=2, padding=((0, 1), (1, 0)), output_padding=1),
    mg.AvgPool2D((3, 2)),
]
SHAPE = (5, 4, 2)


def data(net, n=2):
    rng = np.random.default_rng(7)
    x = rng.standard_normal((n, *SHAPE))
    return x, rng.standard_normal(net(x).shape)


# --- dtypes -----------------------------------------------------------------------------------------


@ON_EACH_BACKEND
@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 2e-5), ("float64", 0), ("complex128", 1e-14), (object, 1e-14)])
def test_every_dtype_gives_the_same_numbers_and_its_own_kind(dtype, rtol, ops):
    net = network(CHAIN, ops=ops)
    x, dy = data(net)
    twin = net.astype(object, Fraction) if dtype is object else net.astype(dtype)
    exact = np.vectorize(Fraction, otypes=[object])
    own = exact if dtype is object else lambda a: a.astype(dtype)
    for got, want in zip(everything(twin, own(x), own(dy)), everything(net, x, dy), strict=True):
        assert got.dtype == np.dtype(dtype)
        if dtype is object:
            assert {type(v) for v in got.ravel()} == {Fraction}
        numbers = got.astype("complex128" if dtype == "complex128" else "float64")
        np.testing.assert_allclose(numbers, want, rtol=rtol, atol=rtol * np.abs(want).max())


def test_complex_step_through_a_chain():
    net = network(CHAIN)
    x, dy = data(net)
    _, dx, g = everything(net, x, dy)
    rng, twin = np.random.default_rng(3), net.astype(complex)
    v, w = rng.standard_normal(x.shape), rng.standard_normal(g.shape)
    twin.theta = net.theta + 1j * H * w
    along = np.imag((dy * twin(x + 1j * H * v)).sum()) / H
    assert along == pytest.approx((dx * v).sum() + g @ w, rel=1e-13)


def test_the_input_gradient_of_fractions_is_exact():
    """Near x the chain is affine in x: <dy, y(x + e v) - y(x)> = e <dx, v> exactly, in fractions."""
    net = network(CHAIN).astype(object, Fraction)
    rng = np.random.default_rng(3)
    fractions = np.vectorize(lambda v: Fraction(int(v), 11), otypes=[object])
    x, e = fractions(rng.integers(-99, 99, (1, *SHAPE))), Fraction(1, 10**9)
    y, backward = net.forward(x, train=True)
    dy, v = fractions(rng.integers(-9, 9, y.shape)), fractions(rng.integers(-9, 9, x.shape))
    assert (dy * (net(x + e * v) - y)).sum() == e * (backward(dy) * v).sum() != 0


@ON_EACH_BACKEND
def test_balls_enclose_every_float64_run_inside_them(ops):
    """If inputs and parameters are within 1e-9, y, dx and dtheta of the float64 run lie in the balls."""
    flint = pytest.importorskip("flint", reason="python-flint is not installed")
    net = network([*CHAIN, mg.Tanh(), mg.Flatten(), mg.Dense(16, 2), mg.Softplus()], ops=ops)
    x, dy = data(net)
    balls = np.vectorize(lambda v: flint.arb(v, 1e-9), otypes=[object])
    twin = net.astype(object, lambda v: flint.arb(v, 1e-9))
    enclosures = everything(twin, balls(x), np.vectorize(flint.arb, otypes=[object])(dy))
    rng, theta = np.random.default_rng(0), net.theta.copy()
    for scale in (0, 9e-10, 9e-10, 9e-10):
        net.theta = theta + scale * rng.uniform(-1, 1, theta.shape)
        for run, ball in zip(everything(net, x + scale * rng.uniform(-1, 1, x.shape), dy), enclosures, strict=True):
            points = [flint.arb(v, 1e-13) for v in run.ravel().tolist()]  # the rounding of float64
            assert all(b.overlaps(v) for b, v in zip(ball.ravel(), points, strict=True))
            assert max(float(b.rad()) for b in ball.ravel()) < 1e-5


@pytest.mark.parametrize("name", IMAGES)
@ON_EACH_BACKEND
def test_a_real_cotangent_through_complex_parameters(name, ops):
    """The complex step through a backward pass: dy is real and W complex."""
    layer, shape = IMAGES[name]
    net = network(layer, ops=ops)
    twin = net.astype(complex)
    twin.theta = net.theta * (1 + 0.5j)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, *shape)) * (1 - 2j)
    dy = rng.standard_normal((2, *layer.output_shape(shape)))
    for got, want in zip(everything(twin, x, dy), everything(twin, x, dy.astype(complex)), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-14)


# --- skipped computations ---------------------------------------------------------------------------


@ON_EACH_BACKEND
@pytest.mark.parametrize("layer", [mg.Conv2D(2, 3, 2), mg.ConvTranspose2D(2, 3, 2)], ids=["conv", "transpose"])
def test_frozen_computes_no_weight_gradient_and_need_dx_false_no_input_gradient(layer, ops, monkeypatch):
    calls, backend = [], get_ops(ops)
    for name in ("correlate", "correlate_adjoint", "correlate_weights", "sum_rows"):
        right = getattr(backend, name)
        monkeypatch.setattr(backend, name, lambda *a, _name=name, _right=right: calls.append(_name) or _right(*a))
    to, back = ("correlate", "correlate_adjoint")[:: 1 if isinstance(layer, mg.Conv2D) else -1]
    x = np.ones((2, 4, 3, 2))
    net = network(layer, ops=backend)

    def called(call):
        calls.clear()
        result = call()
        return calls.copy(), result

    seen, (y, backward) = called(lambda: net.forward(x, train=True))
    assert seen == [to]
    dy, g = np.ones_like(y), net.zeros_like_theta()
    assert called(lambda: backward(dy, g))[0] == ["correlate_weights", "sum_rows", back]
    assert called(lambda: backward(dy))[0] == [back]
    assert called(lambda: backward(dy, g, need_dx=False)) == (["correlate_weights", "sum_rows"], None)
    assert called(lambda: backward(dy, need_dx=False)) == ([], None)


# --- shapes, configurations, initial weights --------------------------------------------------------


@st.composite
def chains(draw):
    """A chain of one to four layers, and its input shape."""
    layer, shape = draw(small_images())
    chain, size = [layer], layer.output_shape(shape)
    for _ in range(draw(st.integers(0, 3))):
        kind, c = draw(st.integers(0, 4)), size[2]
        options = {"stride": draw(st.integers(1, 2)), "padding": draw(st.sampled_from(["same", "valid"]))}
        k = [draw(st.integers(1, min(3, n))) for n in size[:2]]
        layer = [
            mg.Conv2D(c, draw(st.integers(1, 3)), k, **options),
            mg.ConvTranspose2D(c, draw(st.integers(1, 3)), k, **options),
            mg.MaxPool2D(k, stride=options["stride"]),
            mg.AvgPool2D(k),
            mg.ZeroPad2D(((0, 1), (1, 0))),
        ][kind]
        chain.append(layer)
        size = layer.output_shape(size)
    return chain, shape


@given(chains(), st.integers(1, 3), SEEDS)
def test_the_summarys_shapes_are_those_of_real_outputs(chain_and_shape, n, seed):
    chain, shape = chain_and_shape
    net = network(chain, ops="cpu", seed=seed)
    x, rows = np.random.default_rng(seed).standard_normal((n, *shape)), net.summary(shape).rows
    for i, row in enumerate(rows):
        part = network(chain[: i + 1], ops="cpu")
        assert part(x).shape == (n, *row.output_shape)
        assert all(type(size) is int for size in row.output_shape)
    assert sum(row.parameters for row in rows) == net.theta.size


@given(st.one_of(convolutions(), transposes(), pools(), resizings()))
def test_descriptions_are_jsonable_hashable_and_comparable(layer_and_shape):
    layer, _ = layer_and_shape
    described = json.loads(json.dumps(layer.to_config()))
    assert described.pop("layer") == type(layer).__name__
    given = {k: v for k, v in described.items() if not k.endswith("_init")}
    again = type(layer)(**given)  # lists as sizes: JSON turns pairs into lists
    assert again == layer
    assert hash(again) == hash(layer)
    assert repr(again) == repr(layer)
    assert repr(layer).startswith(f"{type(layer).__name__}(")


def test_sizes_are_said_in_one_way_whatever_was_given():
    two = np.int64(2)
    layer = mg.Conv2D(np.int32(3), np.uint8(4), two, stride=(two, 1), padding=two, dilation=[1, two])
    assert layer == mg.Conv2D(3, 4, (2, 2), stride=(2, 1), padding=((2, 2), (2, 2)), dilation=(1, 2))
    assert type(layer.c_in) is type(layer.kernel_size[0]) is type(layer.padding[1][0]) is int
    json.dumps(layer.to_config())
    assert mg.MaxPool2D(2) == mg.MaxPool2D((2, 2), stride=2) != mg.AvgPool2D(2)
    assert mg.Conv2D(3, 4, 2) != mg.Conv2D(3, 4, 2, padding="valid") != mg.Conv2D(3, 4, 2, padding="same")
    assert repr(mg.MaxPool2D(2)) == "MaxPool2D(pool_size=(2, 2), stride=(2, 2))"
    assert repr(mg.ZeroPad2D(two)) == "ZeroPad2D(padding=((2, 2), (2, 2)))"
    assert repr(mg.UpSample2D()) == "UpSample2D(factor=(2, 2))"


@pytest.mark.parametrize("kind", [mg.Conv2D, mg.ConvTranspose2D])
def test_parameters_and_initial_weights(kind):
    """Fans kh kw C and kh kw O; bounds at 6.1 standard deviations (1e-9)."""
    layer = kind(8, 40, (3, 5), weight_init=mg.HeNormal(), bias_init=mg.Constant(0.5))
    p = mg.Network([layer], rng=np.random.default_rng(0), dtype="float64").parameters()
    ends = (8, 40) if kind is mg.Conv2D else (40, 8)
    assert {k: v.shape for k, v in p.items()} == {"0.W": (3, 5, *ends), "0.b": (40,)}
    W = p["0.W"]
    assert abs(W.var() / (2 / (3 * 5 * 8)) - 1) <= 6.1 * math.sqrt(2 / W.size)
    assert (p["0.b"] == 0.5).all()
    limit = math.sqrt(6 / (3 * 5 * (8 + 40)))
    default = kind(8, 40, (3, 5), bias=False)
    W = mg.Network([default], rng=np.random.default_rng(0), dtype="float64").parameters()["0.W"]
    assert 0.999 * limit < np.abs(W).max() <= limit
    assert list(default.parameters()) == ["W"]
    assert (default.parameters()["W"].fan_in, default.parameters()["W"].fan_out) == (3 * 5 * 8, 3 * 5 * 40)
