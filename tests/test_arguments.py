"""Numbers and sizes: NumPy scalars become Python numbers, exact numbers stay exact, invalid values raise errors."""

import json
import math
import re
from fractions import Fraction

import numpy as np
import pytest

import minigan as mg
from minigan._arguments import number

FLOAT = np.float64
NOT_FINITE_NUMBERS = [float("nan"), float("inf"), "0.1", None, True, 1j]


def net_of(layers, dtype="float32", ops="cpu"):
    return mg.Network(layers, rng=np.random.default_rng(0), dtype=dtype, ops=ops)


@pytest.mark.parametrize("ops", ["reference", "cpu"])
@pytest.mark.parametrize(
    "layer",
    [
        mg.LeakyReLU(FLOAT(0.2)),
        mg.LeakyReLU(Fraction(1, 5)),
        mg.Dropout(FLOAT(0.5)),
        mg.Dropout(Fraction(1, 2)),
        mg.BatchNorm(4, eps=FLOAT(1e-5), momentum=FLOAT(0.1)),
        mg.BatchNorm.keras(4, eps=Fraction(1, 1000), momentum=Fraction(99, 100)),
    ],
    ids=repr,
)
def test_numbers_of_any_kind_leave_a_float32_network_float32(layer, ops):
    net = net_of([layer], ops=ops)
    x = np.random.default_rng(1).standard_normal((6, 4)).astype("float32")
    for train in (True, False):
        y, backward = net.forward(x, train=train, rng=np.random.default_rng(2))
        assert (y.dtype, backward(y).dtype) == (np.float32, np.float32)
    assert all(value.dtype == np.float32 for value in net.state.values())


@pytest.mark.parametrize("kind", [mg.Minimax, mg.NonSaturating, mg.SoftmaxTwoClass])
@pytest.mark.parametrize("mean_over_all", [False, True])
def test_factors_of_any_kind_leave_float32_logits_float32(kind, mean_over_all):
    s = np.ones((3, 2 if kind is mg.SoftmaxTwoClass else 1), dtype="float32")
    for half in (FLOAT(0.5), Fraction(1, 2)):
        objective = kind(d_scale=half, g_scale=half, mean_over_all=mean_over_all)
        for result in (*objective.discriminator(s, s), *objective.generator(s)):
            assert result.dtype == np.float32


@pytest.mark.parametrize("make", [mg.SGD, mg.RMSProp, mg.Adam])
def test_optimizers_hold_plain_numbers(make):
    for lr in (FLOAT(0.5), np.float32(0.5), Fraction(1, 2)):
        optimizer = make(net_of([mg.Dense(1, 2)]), lr=lr)
        assert type(optimizer.lr) is float
        optimizer.step(np.ones(4, dtype="float32"))
        assert optimizer.net.theta.dtype == np.float32
    exact = mg.SGD(net_of([mg.Dense(1, 2)]).astype(object, Fraction), lr=Fraction(1, 3), momentum=Fraction(1, 2))
    exact.net.theta = np.array([Fraction(1)] * 4)
    for _ in range(2):
        exact.step(np.array([Fraction(1)] * 4))
    assert exact.net.theta.tolist() == [1 - Fraction(1, 3) - Fraction(1, 2)] * 4


def test_exact_numbers_stay_exact():
    assert number("a", Fraction(1, 3)) == Fraction(1, 3)
    assert type(number("a", 2)) is int
    assert type(number("a", np.int64(2))) is int
    assert type(number("a", np.float64(2))) is float
    net = net_of([mg.LeakyReLU(Fraction(1, 3))]).astype(object, Fraction)
    assert net(np.array([[Fraction(-1, 2)]], dtype=object)).tolist() == [[Fraction(-1, 6)]]


def test_sizes_may_be_numpy_integers():
    n = np.int64(3)
    layers = [mg.Dense(n, n), mg.Maxout(n, n, pieces=n), mg.BatchNorm(n), mg.Reshape((n, np.uint8(1))), mg.Flatten()]
    plain = [mg.Dense(3, 3), mg.Maxout(3, 3, pieces=3), mg.BatchNorm(3), mg.Reshape((3, 1)), mg.Flatten()]
    assert layers == plain
    assert repr(layers) == repr(plain)
    assert json.dumps(net_of(layers).to_config()) == json.dumps(net_of(plain).to_config())
    assert mg.Reshape(n) == mg.Reshape((3,))


@pytest.mark.parametrize("bad", NOT_FINITE_NUMBERS, ids=repr)
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("slope", mg.LeakyReLU),
        ("rate", mg.Dropout),
        ("eps", lambda v: mg.BatchNorm(3, eps=v)),
        ("momentum", lambda v: mg.BatchNorm(3, momentum=v)),
        ("d_scale", lambda v: mg.Minimax(d_scale=v)),
        ("d_scale", lambda v: mg.SoftmaxTwoClass(d_scale=v)),
        ("g_scale", lambda v: mg.NonSaturating(g_scale=v)),
        ("g_scale", lambda v: mg.SoftmaxTwoClass(g_scale=v)),
        ("lr", lambda v: mg.SGD(net_of([mg.Dense(1, 1)]), lr=v)),
        ("momentum", lambda v: mg.SGD(net_of([mg.Dense(1, 1)]), lr=0.1, momentum=v)),
        ("rho", lambda v: mg.RMSProp(net_of([mg.Dense(1, 1)]), rho=v)),
        ("eps", lambda v: mg.RMSProp(net_of([mg.Dense(1, 1)]), eps=v)),
        ("beta1", lambda v: mg.Adam(net_of([mg.Dense(1, 1)]), beta1=v)),
        ("beta2", lambda v: mg.Adam(net_of([mg.Dense(1, 1)]), beta2=v)),
        ("eps", lambda v: mg.Adam(net_of([mg.Dense(1, 1)]), eps=v)),
    ],
)
def test_an_error_names_the_argument_that_is_not_a_finite_number(name, make, bad):
    kind = "finite" if isinstance(bad, float) else "a number"
    with pytest.raises(ValueError, match=rf"^{name} must be {kind}, got {bad!r}$"):
        make(bad)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mg.Dense(True, 3), "n_in must be an int >= 1, got True"),
        (lambda: mg.Dense(np.float64(2), 3), "n_in must be an int >= 1, got np.float64"),
        (lambda: mg.Maxout(3, 2, pieces=np.int64(0)), "pieces must be an int >= 1, got np.int64"),
        (lambda: mg.Reshape((3, 2.0)), r"shape\[1\] must be an int >= 1, got 2.0"),
        (lambda: mg.Dropout(np.float64(1)), r"rate must be in \[0, 1\), got np.float64"),
        (lambda: mg.BatchNorm(3, eps=np.float64(-1)), "eps must be > 0, got np.float64"),
        (lambda: mg.RMSProp(net_of([mg.Dense(1, 1)]), rho=Fraction(3, 2)), r"rho must be in \[0, 1\), got Fraction"),
    ],
)
def test_numbers_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("wrong", ["no", None, 0, 1.0, []], ids=repr)
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("bias", lambda v: mg.Dense(1, 1, bias=v)),
        ("bias", lambda v: mg.Conv2D(1, 1, 1, bias=v)),
        ("bias", lambda v: mg.ConvTranspose2D(1, 1, 1, bias=v)),
        ("unbiased", lambda v: mg.BatchNorm(1, unbiased=v)),
    ],
)
def test_flags_must_be_true_or_false(name, make, wrong):
    with pytest.raises(ValueError, match=re.escape(f"{name} must be True or False, got {wrong!r}")):
        make(wrong)
    assert vars(make(np.bool_(False)))[name] is False


def test_a_schedule_is_checked_at_its_step_before_any_update():
    net = net_of([mg.Dense(1, 2)])
    optimizer = mg.SGD(net, lr=lambda t: 0.1 if t < 2 else math.nan, momentum=lambda t: np.float64(0.5))
    g = np.ones(4, dtype="float32")
    optimizer.step(g)
    theta, u, version = net.theta.copy(), optimizer.state["u"].copy(), net.version
    with pytest.raises(ValueError, match=r"lr\(2\) must be finite, got nan"):
        optimizer.step(g)
    np.testing.assert_array_equal(net.theta, theta)
    np.testing.assert_array_equal(optimizer.state["u"], u)
    assert (optimizer.t, net.version) == (1, version)
    optimizer.lr, optimizer.momentum = 0.1, lambda t: 1.5
    with pytest.raises(ValueError, match=r"momentum\(2\) must be in \[0, 1\), got 1.5"):
        optimizer.step(g)


def test_an_error_names_the_missing_method():
    net = net_of([mg.Dense(1, 1)])
    with pytest.raises(NotImplementedError, match="Layer does not define forward"):
        net_of([mg.Layer()])(np.ones((1, 1)))
    with pytest.raises(NotImplementedError, match="Optimizer does not define _update"):
        mg.optimizers.Optimizer(net, lr=0.1).step(net.zeros_like_theta())
    with pytest.raises(NotImplementedError, match="Initializer does not define draw"):
        mg.initializers.Initializer().draw(np.random.default_rng(0), (1,), 1, 1)
