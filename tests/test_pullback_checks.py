"""The return values of custom layers and objectives are checked on every backend."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from cases import emulated

import minigan as mg
from minigan.layers.base import Layer
from minigan.ops import get_ops, to_host

BACKENDS = ["reference", "cpu"]


def same(array):
    return array


@dataclass(frozen=True)
class Own(Layer):
    """The identity, with replaced return values."""

    y: Any = same
    dx: Any = same
    result: Any = None

    def forward(self, p, x, ctx):
        def pullback(dy, g=None, *, need_dx=True):
            return self.dx(dy) if need_dx else None

        return (self.y(x), pullback) if self.result is None else self.result(x, pullback)


def network(own, ops):
    layers = [mg.Dense(10, 10), own, mg.Dense(10, 1)]
    return mg.Network(layers, rng=np.random.default_rng(0), ops=ops)


X = np.random.default_rng(1).standard_normal((1000, 10)).astype("f4")


def gradient(own, ops, x=X):
    net = network(own, ops)
    y, backward = net.forward(x, train=True)
    g = net.zeros_like_theta()
    backward(np.ones_like(to_host(y)), g)
    return g


@pytest.mark.parametrize("ops", BACKENDS)
@pytest.mark.parametrize(
    ("dx", "error", "message"),
    [
        (
            lambda d: np.zeros((1, 1), "f4"),
            mg.ShapeError,
            r"layer 1 \(Own\): dx has shape \(1, 1\); expected \(1000, 10\)",
        ),
        (lambda d: d[:-1], mg.ShapeError, r"layer 1 \(Own\): dx has shape \(999, 10\); expected \(1000, 10\)"),
        (lambda d: d.T, mg.ShapeError, r"layer 1 \(Own\): dx has shape \(10, 1000\)"),
        (lambda d: None, TypeError, r"layer 1 \(Own\): dx must be a numpy array, got NoneType"),
        (lambda d: d.tolist(), TypeError, r"layer 1 \(Own\): dx must be a numpy array, got list"),
        (lambda d: d.astype("c8"), TypeError, r"layer 1 \(Own\): dx is complex64; expected float32"),
        (lambda d: d.astype(object), TypeError, r"layer 1 \(Own\): dx is object; expected float32"),
        (lambda d: np.ma.masked_array(d), TypeError, r"layer 1 \(Own\): dx is a masked array"),
    ],
)
def test_a_wrong_dx_is_an_error_that_names_the_layer(ops, dx, error, message):
    with pytest.raises(error, match=message):
        gradient(Own(dx=dx), ops)


@pytest.mark.parametrize("ops", BACKENDS)
@pytest.mark.parametrize("dtype", ["f8", ">f4", ">f8", "f2"])
def test_where_only_rounding_is_lost_y_and_dx_are_cast(ops, dtype):
    right = gradient(Own(), ops)
    given = gradient(Own(y=lambda y: y.astype(dtype), dx=lambda d: d.astype(dtype)), ops)
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, right, rtol=0, atol=0 if dtype != "f2" else 2e-3 * np.abs(right).max())


@pytest.mark.parametrize("ops", BACKENDS)
@pytest.mark.parametrize(
    ("own", "error", "message"),
    [
        (Own(y=lambda y: y[:1]), mg.ShapeError, r"layer 1 \(Own\): y has shape \(1, 10\); expected \(1000, ...\)"),
        (Own(y=lambda y: y.sum()), TypeError, r"layer 1 \(Own\): y must be a numpy array, got float32"),
        (Own(y=lambda y: np.array(1, "f4")), mg.ShapeError, r"layer 1 \(Own\): y has shape \(\)"),
        (Own(y=lambda y: None), TypeError, r"layer 1 \(Own\): y must be a numpy array, got NoneType"),
        (Own(y=lambda y: y.tolist()), TypeError, r"layer 1 \(Own\): y must be a numpy array, got list"),
        (Own(y=lambda y: y * 1j), TypeError, r"layer 1 \(Own\): y is complex64; expected float32"),
        (Own(result=lambda x, b: x), TypeError, r"layer 1 \(Own\): forward returned ndarray; expected \(y, pullback\)"),
        (Own(result=lambda x, b: (x,)), TypeError, r"forward returned a tuple of 1; expected \(y, pullback\)"),
        (Own(result=lambda x, b: (x, None)), TypeError, r"forward returned a pullback of type NoneType"),
    ],
)
def test_a_wrong_y_is_an_error_in_training_and_at_inference(ops, own, error, message):
    net = network(own, ops)
    for call in (lambda: net.forward(X, train=True), lambda: net(X)):
        with pytest.raises(error, match=message):
            call()


def test_layers_that_run_as_one_are_counted():
    """The index counts the network's layers, even if a backend fuses several."""
    layers = [mg.Dense(2, 2), mg.ReLU(), mg.Dense(2, 1), Own(dx=lambda d: d[:1])]
    net = mg.Network(layers, rng=np.random.default_rng(0), ops="cpu")
    y, backward = net.forward(np.ones((3, 2), "f4"), train=True)
    with pytest.raises(mg.ShapeError, match=r"^layer 3 \(Own\): dx has shape"):
        backward(np.ones_like(y))


def test_within_layers_the_place_is_said_in_full():
    net = network(mg.Residual([mg.Tanh(), Own(y=lambda y: y[:1])]), "cpu")
    with pytest.raises(mg.ShapeError, match=r"^layer 1 \(Residual\): layer 1 \(Own\): y has shape \(1, 10\)"):
        net(X)
    net = network(mg.Residual([mg.Tanh(), mg.Dense(5, 10)]), "cpu")
    with pytest.raises(mg.ShapeError, match=r"^layer 1 \(Residual\): layer 1 \(Dense\): x has shape \(1000, 10\)"):
        net(X)


def test_on_a_device():
    if not emulated():
        pytest.skip("no C++ compiler for the emulated device")
    ops = get_ops("cuda", device="emulated")
    for dx, message in ((lambda d: np.zeros((1000, 10), "f4"), "dx must be a"), (lambda d: d[:1], "dx has shape")):
        with pytest.raises((TypeError, mg.ShapeError), match=rf"layer 1 \(Own\): {message}"):
            gradient(Own(dx=dx), ops, ops.device.array(X))


@dataclass(frozen=True)
class OwnObjective(mg.NonSaturating):
    change: Any = None

    def discriminator(self, s_real, s_fake, *, ops=None):
        value, ds_real, ds_fake = super().discriminator(s_real, s_fake, ops=ops)
        return (value, *self.change(ds_real, ds_fake))

    def generator(self, s_fake, *, ops=None):
        value, ds = super().generator(s_fake, ops=ops)
        return value, self.change(ds, ds)[0]

    def one_side(self, s, *, real, ops=None):
        value, ds = super().one_side(s, real=real, ops=ops)
        return value, self.change(ds, ds)[0]


@pytest.mark.parametrize("ops", BACKENDS)
@pytest.mark.parametrize("order", ["alternating", "simultaneous", "split_batch"])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        # together they have the right number of rows, so one pass for both would accept them
        (lambda a, b: (a[:1], np.concatenate([a[1:], b])), mg.ShapeError, r"OwnObjective: ds\w* has shape \(1, 1\)"),
        (lambda a, b: (a.tolist(), b), TypeError, r"OwnObjective: ds\w* must be a numpy array.*got list"),
        (lambda a, b: (a * 1j, b), TypeError, r"OwnObjective: ds\w* is complex64; expected float32"),
        (lambda a, b: (None, b), TypeError, r"OwnObjective: ds\w* must be a numpy array.*got NoneType"),
    ],
)
def test_what_an_objective_returns_is_checked(ops, order, change, error, message):
    from minigan import gan as rules

    G, D = (mg.Network([mg.Dense(3, 3), mg.Dense(3, n)], rng=np.random.default_rng(0), ops=ops) for n in (3, 1))
    game = mg.GAN(G, D, mg.Adam(G), mg.Adam(D), OwnObjective(change=change))
    x = np.ones((4, 3), "f4")
    with pytest.raises(error, match=message):
        getattr(rules, order)(game, lambda: x, lambda: x)
