"""Captures: N replays give the numbers of N runs; what fails on a GPU fails here too."""

import numpy as np
import pytest
from emulated import EMULATOR_ONLY, NEEDS_HOST_COMPILER, device

from minigan.ops.cuda.device.graph import CaptureError
from minigan.ops.cuda.vector import Flat

pytestmark = NEEDS_HOST_COMPILER


def vectors(seed=0, size=40):
    rng = np.random.default_rng(seed)
    return [device().array(rng.uniform(0.1, 1, size)) for _ in range(4)]


def momentum(state, flat):
    theta, g, u, total = state
    flat.momentum(theta, g, u, lr=0.1, momentum=0.9, nesterov=False)
    total += theta  # an in-place operation of the array module
    return theta * 2, total[3:5]


def test_replays_agree_with_runs():
    flat, eager, state = Flat(device()), vectors(), vectors()
    captured = device().capture(lambda: momentum(state, flat))
    for array, other in zip(state, eager, strict=True):
        np.testing.assert_array_equal(array.get(), other.get(), err_msg="a capture changes nothing")
    for _ in range(3):
        expected = momentum(eager, flat)
        found = captured.replay()
        assert found is captured.outputs
        for array, other in zip((*state, *found), (*eager, *expected), strict=True):
            np.testing.assert_array_equal(array.get(), other.get())


def test_products_views_and_new_arrays_are_replayed():
    xp = device().xp
    a, b = (device().array(np.random.default_rng(seed).standard_normal((6, 6))) for seed in (1, 2))

    def step():
        product = xp.zeros((6, 6))
        device().gemm(a, b, product, transpose_b=True, alpha=0.5)
        parts = xp.split(xp.concatenate([product, a]), 2)
        a[...] = xp.where(parts[0] > 0, parts[0], 0.25) / 3
        a[1:3] *= 2
        return product.sum(), a.T

    kept = a.get()
    step()  # compile, and allocate the library's workspace
    a[...] = device().array(kept)
    captured = device().capture(step)
    for _ in range(2):
        captured.replay()
    found = [captured.outputs[0].get(), captured.outputs[1].get()]
    a[...] = device().array(kept)
    for _ in range(2):
        expected = step()
    np.testing.assert_array_equal(found[0], expected[0].get())
    np.testing.assert_array_equal(found[1], expected[1].get())


def test_numbers_written_between_replays_are_read():
    x, y = device().xp.zeros(3), device().xp.zeros(3)

    def step():
        y[...] = x + y

    captured = device().capture(step)
    for k in range(1, 4):
        x.set(np.full(3, float(k)))
        captured.replay()
    np.testing.assert_array_equal(y.get(), 6.0)


def test_a_number_of_the_host_keeps_its_captured_value():
    """The pitfall: Adam's t is passed by value."""
    flat, eager, state = Flat(device()), vectors(), vectors()
    settings = {"lr": 0.1, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    captured = device().capture(lambda: flat.adam(*state, 1, **settings))
    for t in (1, 2):
        flat.adam(*eager, t, **settings)
        captured.replay()
        agree = np.array_equal(state[0].get(), eager[0].get())
        assert agree == (t == 1)


def test_a_replaced_array_is_not_read():
    """The pitfall: after ``theta = theta * 2`` the graph still reads the old theta."""
    state = {"theta": device().array(np.ones(3))}

    def step():
        state["theta"] = state["theta"] * 2

    captured = device().capture(step)
    for _ in range(3):
        captured.replay()
    np.testing.assert_array_equal(state["theta"].get(), 2.0)


@EMULATOR_ONLY
@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda x: x.get(), "get"),
        (lambda x: float(x[0]), "float"),
        (lambda x: bool(x[0] > 0), "bool"),
        (lambda x: int(x[0]), "int"),
        (lambda x: x.tolist(), "tolist"),
        (lambda x: x[0].item(), "item"),
        (lambda x: x.set(np.zeros(3)), "set"),
        (lambda x: x + device().array(np.zeros(3)), "array"),
        (lambda x: f"{x[0]:.3f}", "format"),
        (lambda x: device().capture(lambda: x), "a capture within a capture"),
        (lambda x: device().xp.stack(9 * [x]), "stack of 9 arrays"),
    ],
    ids=["get", "float", "bool", "int", "tolist", "item", "set", "array", "format", "capture", "join"],
)
def test_operations_that_make_the_host_wait_are_refused(ask, says):
    x = device().array(np.ones(3))

    def step():
        x[...] = x * 5
        return ask(x)

    with pytest.raises(CaptureError, match=says):
        device().capture(step)
    np.testing.assert_array_equal(x.get(), 1.0)  # unchanged, and captures are possible again
    device().capture(lambda: x.fill(3.0)).replay()
    np.testing.assert_array_equal(x.get(), 3.0)


def test_waiting_ends_the_capture():
    """On a GPU too, with another message."""
    x = device().array(np.ones(3))
    with pytest.raises(CaptureError):
        device().capture(lambda: float((x * 5).sum()))
    device().capture(lambda: x.fill(3.0)).replay()
    np.testing.assert_array_equal(x.get(), 3.0)


def test_an_exception_ends_the_capture():
    x = device().array(np.ones(3))
    with pytest.raises(CaptureError, match="ZeroDivisionError: ") as caught:
        device().capture(lambda: (x.fill(2.0), 1 // 0))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    np.testing.assert_array_equal(x.get(), 1.0)
