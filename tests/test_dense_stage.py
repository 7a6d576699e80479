"""Dense networks in one compiled call each way (`minigan.ops.cpu.dense`), compared with the layers of the reference."""

import functools
import threading
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import minigan as mg
from minigan.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    LeakyReLU,
    Maxout,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from minigan.ops import get_ops
from minigan.ops.cpu.threads.pool import cores

pytestmark = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


@st.composite
def networks(draw):
    """Return layers that one stage replaces, the number of features of x, and the stage's widest product."""
    features = n_in = draw(st.integers(1, 70))
    layers = [Dropout(0.3)] if draw(st.booleans()) else []
    for i in range(draw(st.integers(1, 3))):
        width = draw(st.integers(64, 150) if i == 0 else st.integers(1, 150))
        if draw(st.integers(0, 2)) == 0:
            layers.append(Maxout(features, width, pieces=draw(st.integers(1, 5))))
        else:
            layers.append(Dense(features, width, bias=draw(st.booleans())))
            layers += draw(st.sampled_from([[], [ReLU()], [LeakyReLU(0.2)], [Tanh()], [Sigmoid()]]))
            if draw(st.booleans()):
                layers.append(draw(st.sampled_from([BatchNorm(width), BatchNorm.keras(width)])))
                layers += draw(st.sampled_from([[], [ReLU()], [LeakyReLU(0.1)]]))
        layers += [Dropout(0.5)] if draw(st.integers(0, 2)) == 0 else []
        features = width
    return layers, n_in


DENSE = [Dense(20, 70), ReLU(), BatchNorm.keras(70), Dense(70, 33), ReLU(), BatchNorm(33), LeakyReLU(0.2), Dropout(0.3)]
MAXOUT = [Dropout(0.2), Maxout(20, 30, pieces=5), Dropout(0.5), Maxout(30, 40, pieces=3), Dropout(0.5), Dense(40, 1)]


def pair(layers, dtype, ops="cpu"):
    """Return the same network on the reference and on `ops`, with random parameters."""
    rng = np.random.default_rng(0)
    reference = mg.Network(layers, rng=rng, dtype=dtype, ops="reference")
    reference.theta = reference.theta + rng.uniform(-0.1, 0.1, reference.theta.shape).astype(dtype)
    net = mg.Network(layers, rng=rng, dtype=dtype, ops=ops)
    net.theta = reference.theta
    return reference, net


def results(net, x, dy, *, train, sub_batches, overwrite):
    y, backward = net.forward(x, train=train, rng=np.random.default_rng(5), sub_batches=sub_batches)
    g = np.full_like(net.theta, np.nan if overwrite else 0)
    dx = backward(dy, g, overwrite=overwrite)
    again = g.copy()
    assert backward(dy, again, need_dx=False) is None  # a pullback may run twice; the second adds
    return {"y": y, "dx": dx, "g": g, "g + g": again / 2, "frozen dx": backward(dy), "state": net.state_vector}


@given(networks(), st.sampled_from([1, 2, 3]), st.integers(2, 70), st.booleans(), st.booleans())
@example((DENSE, 20), 1, 67, True, True)
@example((MAXOUT, 20), 2, 33, True, False)
@example((DENSE, 20), 1, 1000, False, True)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_stage_computes_what_its_layers_do(dtype, network, sub_batches, n, train, overwrite):
    layers, n_in = network
    reference, net = pair(layers, dtype)
    assert len(net._run.layers) == 1
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n * sub_batches, n_in)).astype(dtype)
    dy = rng.standard_normal((len(x), net(x).shape[1])).astype(dtype)
    options = {"train": train, "sub_batches": sub_batches, "overwrite": overwrite}
    want, got = results(reference, x, dy, **options), results(net, x, dy, **options)
    for name, expected in want.items():
        if expected.size:
            scale = 1 + np.abs(expected).max()
            np.testing.assert_allclose(got[name] / scale, expected / scale, rtol=0, atol=TOLERANCE[dtype], err_msg=name)


@pytest.mark.parametrize(
    ("layers", "stages"),
    [
        (DENSE, 1),
        (MAXOUT, 1),
        ([Dense(5, 63)], 0),  # too narrow
        ([Dense(3000, 1500)], 0),  # too large for the cache
        ([Maxout(5, 64, pieces=128)], 0),  # too many pieces
        ([Dense(5, 64), LeakyReLU(-0.5)], 1),  # without the activation, whose sign is not that of its input
        ([Dense(5, 64), Softmax()], 1),
        ([Conv2D(1, 4, 3), Flatten(), Dense(64, 64), Tanh()], 1),
    ],
)
def test_what_is_fused(layers, stages):
    net = mg.Network(layers, rng=np.random.default_rng(0))
    assert sum(type(layer).__name__ == "DenseStage" for layer in net._run.layers) == stages


@pytest.mark.parametrize("layers", [DENSE, MAXOUT])
@pytest.mark.parametrize("sub_batches", [1, 2])
def test_the_number_of_threads_changes_no_bit(layers, sub_batches):
    """Also if several Python threads compute at once, of which only one gets the team."""
    x = np.random.default_rng(0).standard_normal((120, 20)).astype("float32")
    found = {}

    def compute(key, threads):
        net = pair(layers, "float32", get_ops("cpu", threads=threads))[1]
        dy = np.ones((120, net(x).shape[1]), "float32")
        for _ in range(5):
            found[key] = results(net, x, dy, train=True, sub_batches=sub_batches, overwrite=True)

    compute("alone", 1)
    callers = [threading.Thread(target=compute, args=(i, i + 1)) for i in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for key in range(4):
        assert {name: a.tobytes() for name, a in found[key].items()} == {
            name: a.tobytes() for name, a in found["alone"].items()
        }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_mean_far_above_the_standard_deviation_costs_no_digits(dtype):
    rng = np.random.default_rng(0)
    net = mg.Network([Dense(3, 64), BatchNorm(64)], rng=rng, dtype=dtype)
    p = net.parameters()
    p["0.W"][:] = rng.integers(-4, 5, (3, 64))
    p["0.b"][:] = 1e4
    net.mark_modified()
    x = (rng.integers(-8, 9, (200, 3)) / 8).astype(dtype)  # x W + b is exact in float32
    dy = rng.standard_normal((200, 64)).astype(dtype)
    got = results(net, x, dy, train=True, sub_batches=1, overwrite=True)
    exact = mg.Network(net.layers, rng=rng, dtype="longdouble", ops="reference")
    exact.load_parameters({name: v.astype("longdouble") for name, v in p.items()})
    want = results(exact, x.astype("longdouble"), dy.astype("longdouble"), train=True, sub_batches=1, overwrite=True)
    for name in ("y", "dx", "g"):
        scale = np.abs(want[name]).max()
        error = np.abs(got[name] - want[name]).max() / scale
        assert error < (3e-6 if dtype == "float32" else 1e-14), name


def test_infinite_and_undefined_numbers_go_where_the_layers_send_them():
    x = np.ones((4, 20), "float32")
    for layers in (DENSE[:2], MAXOUT[1:2], [Dense(20, 64), Tanh(), Dropout(0.5)]):
        reference, net = pair(layers, "float32")
        for bad in (np.inf, -np.inf, np.nan):
            for where in ("x", "dy"):
                arrays = {"x": x.copy(), "dy": np.ones((4, net(x).shape[1]), "float32")}
                arrays[where][1, 2] = bad
                options = {"train": True, "sub_batches": 1, "overwrite": True}
                with np.errstate(invalid="ignore"):
                    want, got = (results(n, arrays["x"], arrays["dy"], **options) for n in (reference, net))
                for name in ("y", "dx", "g"):
                    np.testing.assert_array_equal(np.isnan(got[name]), np.isnan(want[name]), err_msg=name)
                    np.testing.assert_array_equal(np.isinf(got[name]), np.isinf(want[name]), err_msg=name)


@pytest.mark.parametrize("ops", ["reference", "cpu", get_ops("cpu", compiled=False)])
def test_overwrite_replaces_whatever_the_gradient_holds(ops):
    """In a network of which only some layers can write, and in one of which none can."""
    for layers in ([Conv2D(1, 4, 3), Flatten(), Dense(64, 70), ReLU(), Dense(70, 3)], [Conv2D(1, 2, 3)]):
        net = mg.Network(layers, rng=np.random.default_rng(0), dtype="float64", ops=ops)
        x = np.random.default_rng(1).standard_normal((5, 6, 6, 1))
        y, backward = net.forward(x, train=True)
        added, written = net.zeros_like_theta(), np.full_like(net.theta, np.nan)
        backward(np.ones_like(y), added)
        backward(np.ones_like(y), written, overwrite=True)
        np.testing.assert_array_equal(added, written)
        g, overwrite = net.new_gradient()
        g[:] = np.nan if overwrite else 0
        backward(np.ones_like(y), g, overwrite=overwrite)
        np.testing.assert_array_equal(added, g)


@pytest.mark.skipif(cores() < 2, reason="threads that share a core sleep at once")
def test_a_worker_that_gets_no_core_holds_nobody_up():
    """Its mailbox says that it listens, but it never reads it: the caller does all the work and takes the call back."""
    from minigan.ops.cpu.threads.team import LISTENING, MAILBOX_SIZE

    class Deaf:
        def __init__(self):
            self.mailbox = np.zeros(MAILBOX_SIZE, np.int64)
            self.mailbox[0] = LISTENING

        def team(self):
            return np.array([self.mailbox.ctypes.data])

    net = mg.Network(DENSE, rng=np.random.default_rng(0))
    stage, deaf = net._run.layers[0], Deaf()
    network, x = stage._plan[1], np.random.default_rng(1).standard_normal((40, 20)).astype("float32")
    options = {"train": False, "update_state": False, "sub_batches": 1, "keys": []}
    y, done = network.forward(net.theta, net.state_vector, x, deaf, **options)
    np.testing.assert_array_equal(y, net(x))
    g = np.empty_like(net.theta)
    dx = network.backward(net.theta, done, np.ones_like(y), g, deaf, need_dx=True, overwrite=True)
    want = np.empty_like(g)
    np.testing.assert_array_equal(dx, net.forward(x, train=False)[1](np.ones_like(y), want, overwrite=True))
    np.testing.assert_array_equal(g, want)
    assert deaf.mailbox[0] == LISTENING


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_gradient_vector_may_lie_anywhere_in_memory(overwrite):
    """Every second number of a longer vector, a reversed one, and one at an odd address."""
    net = mg.Network(DENSE, rng=np.random.default_rng(0))
    P = net.theta.size
    x = np.random.default_rng(1).standard_normal((40, 20)).astype("float32")
    y, backward = net.forward(x, train=False)
    want = np.ones(P, "float32")
    backward(np.ones_like(y), want, overwrite=overwrite)
    odd = np.frombuffer(bytearray(4 * P + 1), np.uint8)[1:].view("float32")
    for whole, g in ((np.ones(2 * P, "float32"),) * 2, (np.ones(P, "float32"),) * 2, (odd, odd)):
        view = {2 * P: g[::2], P: g if g is odd else g[::-1]}[len(g)]
        view[...] = 1
        backward(np.ones_like(y), view, overwrite=overwrite)
        rounding = 0 if overwrite else 4e-6  # adding afterwards rounds in another order
        np.testing.assert_allclose(view, want, rtol=rounding, atol=rounding)
        if len(whole) == 2 * P:
            assert (whole[1::2] == 1).all()


def test_one_example_needs_no_unbiased_variance_unless_the_statistics_are_updated():
    """As a frozen D in training mode with a batch of one."""
    reference, net = pair([Dense(20, 64), BatchNorm(64)], "float64")
    x = np.random.default_rng(0).standard_normal((1, 20))
    want, got = (n.forward(x, train=True, update_state=False)[0] for n in (reference, net))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-9)
    with pytest.raises(mg.layers.ShapeError, match="unbiased"):
        net.forward(x, train=True)


@pytest.mark.parametrize("ops", ["reference", "cpu"])
def test_sub_batches_divide_the_batch_at_inference_too(ops):
    net = pair(DENSE, "float64", ops)[1]
    with pytest.raises(ValueError, match="sub_batches=3 with 10 examples"):
        net.forward(np.ones((10, 20)), train=False, sub_batches=3)


def test_an_infinite_input_at_inference_leaves_the_gradient_finite():
    reference, net = pair([Dense(20, 64), BatchNorm(64)], "float64")
    x = np.ones((3, 20))
    x[1] = np.inf
    with np.errstate(invalid="ignore"):
        dx = [n.forward(x, train=False)[1](np.ones((3, 64))) for n in (reference, net)]
    assert np.isfinite(dx[0]).all()
    np.testing.assert_allclose(dx[1], dx[0], rtol=0, atol=1e-12)


def test_a_wrapped_pullback_of_a_batching_function_need_not_overwrite():
    def d_batching(D, x_real, x_fake, *, rng=None):
        s_real, s_fake, back = mg.combined(D, x_real, x_fake, rng=rng)

        @functools.wraps(back)
        def backward(ds_real, ds_fake, g):
            back(ds_real, ds_fake, g)

        return s_real, s_fake, backward

    D = mg.Network([*DENSE, Dense(33, 1)], rng=np.random.default_rng(0), dtype="float64")
    x = np.random.default_rng(1).standard_normal((2, 6, 20))
    found = []
    for batching in (d_batching, mg.combined):
        rng = np.random.default_rng(2)
        found.append(mg.gan.discriminator_gradient(D, mg.NonSaturating(), *x, rng=rng, d_batching=batching)[0])
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-12)


class Doubled(Dense):
    """A subclass with another pullback, which cannot write."""

    def forward(self, p, x, ctx):
        y, backward = super().forward(p, x, ctx)
        return 2 * y, lambda dy, g=None, *, need_dx=True: backward(2 * dy, g, need_dx=need_dx)


def test_a_subclass_does_not_inherit_that_its_pullback_can_write():
    net = mg.Network([Doubled(3, 4), Dense(4, 2)], rng=np.random.default_rng(0), dtype="float64")
    y, backward = net.forward(np.ones((2, 3)), train=True)
    added, written = net.zeros_like_theta(), np.full_like(net.theta, np.nan)
    backward(np.ones_like(y), added)
    backward(np.ones_like(y), written, overwrite=True)
    np.testing.assert_array_equal(added, written)
