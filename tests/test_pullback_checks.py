"""What layers and pullbacks return is checked before compiled code reads it; what is wrong names the layer."""

import numpy as np
import pytest
from cases import BACKENDS, emulated, network

import minigan as mg
from minigan.ops import get_ops

ON_HOST_BACKENDS = {name: ops for name, ops in BACKENDS.items() if name != "cuda-emulated"}
on_each = pytest.mark.parametrize("ops", ON_HOST_BACKENDS.values(), ids=ON_HOST_BACKENDS)


class Own(mg.Layer):
    """y = x, with what `change` makes of y and of dx."""

    y = staticmethod(lambda x: x)
    dx = staticmethod(lambda dy: dy)

    def forward(self, p, x, ctx):
        return self.y(x), lambda dy, g=None, *, need_dx=True: self.dx(dy)


def own(**changes):
    return type("Own", (Own,), {name: staticmethod(f) for name, f in changes.items()})()


def run(layer, ops, n=20, dtype="float32"):
    net = mg.Network([mg.Dense(10, 10), layer, mg.Dense(10, 1)], rng=np.random.default_rng(0), dtype=dtype, ops=ops)
    y, backward = net.forward(np.ones((n, 10), dtype), train=True)
    g = net.zeros_like_theta()
    return backward(np.ones_like(y), g), g


@on_each
@pytest.mark.parametrize("n", [1000, 100_000])
def test_dx_of_another_shape(ops, n):
    layer = own(dx=lambda dy: np.zeros((1, 1), "f4"))
    message = rf"layer 1 \(Own\): dx of its pullback has shape \(1, 1\); expected \({n}, 10\), the shape of x"
    with pytest.raises(mg.ShapeError, match=message):
        run(layer, ops, n)


@on_each
@pytest.mark.parametrize(
    ("dx", "given"),
    [
        (lambda dy: None, "None"),
        (lambda dy: dy.tolist(), "a list"),
        (lambda dy: np.ma.masked_array(dy), "a MaskedArray"),
        (lambda dy: dy.astype("complex64"), "complex64"),
        (lambda dy: dy.astype(object), "object"),
    ],
)
def test_dx_of_another_kind(ops, dx, given):
    with pytest.raises(TypeError, match=rf"layer 1 \(Own\): dx of its pullback is {given}; expected"):
        run(own(dx=dx), ops)


@on_each
@pytest.mark.parametrize("dtype", ["float64", ">f4", "float16", "int64"])
def test_what_only_rounds_is_cast(ops, dtype):
    """An ndarray of another real dtype is rounded to the network's."""
    dx, g = run(own(dx=lambda dy: np.round(dy * 64).astype(dtype)), ops)
    want_dx, want_g = run(own(dx=lambda dy: np.round(dy * 64)), ops)
    np.testing.assert_array_equal(dx, want_dx)
    np.testing.assert_array_equal(g, want_g)
    assert dx.dtype == g.dtype == np.float32
    assert dx.dtype.isnative


@on_each
@pytest.mark.parametrize(
    ("y", "given"), [(lambda x: x.tolist(), "a list"), (lambda x: x + 1j, "complex64"), (lambda x: None, "None")]
)
def test_y_of_another_kind(ops, y, given):
    with pytest.raises(TypeError, match=rf"layer 1 \(Own\): y is {given}; expected"):
        run(own(y=y), ops)


@on_each
def test_y_of_another_real_dtype_is_cast(ops):
    np.testing.assert_array_equal(run(own(y=lambda x: x.astype("float64")), ops)[1], run(own(), ops)[1])


def test_on_a_device():
    if not emulated():
        pytest.skip("no C++ compiler for the emulated device")
    ops = get_ops("cuda", device="emulated")
    with pytest.raises(TypeError, match=r"layer 1 \(Own\): dx of its pullback is a ndarray; expected"):
        run(own(dx=lambda dy: np.zeros((20, 10), "f4")), ops)
    with pytest.raises(mg.ShapeError, match=r"layer 1 \(Own\): dx of its pullback has shape \(1, 1\)"):
        run(own(dx=lambda dy: dy[:1, :1]), ops)


def test_within_layers_the_place_is_said_in_full():
    layer = mg.Residual([mg.Tanh(), own(dx=lambda dy: dy[:1])])
    with pytest.raises(mg.ShapeError, match=r"layer 1 \(Own\): dx of its pullback has shape \(1, 10\)"):
        run(layer, "cpu")
    with pytest.raises(mg.ShapeError, match=r"layer 0 \(Residual\): layer 1 \(Dense\): x has shape \(4, 3\)"):
        network(mg.Residual([mg.Tanh(), mg.Dense(5, 3)]))(np.ones((4, 3)))


class TestArguments:
    net = staticmethod(lambda: mg.Network([mg.Dense(3, 2)], rng=np.random.default_rng(0)))

    @pytest.mark.parametrize("train", ["no", 1, None, np.ones(1)])
    def test_train(self, train):
        with pytest.raises(TypeError, match="train must be True or False, got"):
            self.net().forward(np.ones((1, 3), "f4"), train=train)

    def test_gradients_into_theta(self):
        net = self.net()
        before = net.theta.copy()
        y, backward = net.forward(np.ones((1, 3), "f4"), train=True)
        for grads in (net.theta, net.theta[:], net.parameters()["0.W"].base):
            with pytest.raises(ValueError, match="grads shares its memory with theta"):
                backward(np.ones_like(y), grads)
        frozen = net.zeros_like_theta()
        frozen.flags.writeable = False
        with pytest.raises(ValueError, match="grads is read-only"):
            backward(np.ones_like(y), frozen)
        np.testing.assert_array_equal(net.theta, before)

    def test_masked_arrays(self):
        net, x = self.net(), np.ma.masked_array(np.ones((2, 3), "f4"), mask=np.eye(2, 3))
        for call in (lambda: net(x), lambda: net.forward(x, train=True)):
            with pytest.raises(TypeError, match=r"x is a masked array, whose mask would be lost; expected x.filled"):
                call()

    def test_a_dtype_that_the_formulas_do_not_support(self):
        with pytest.raises(TypeError, match="dtype float16 has too few digits for the formulas; expected float32"):
            mg.Network([mg.Dense(3, 2)], rng=np.random.default_rng(0), dtype="float16")
