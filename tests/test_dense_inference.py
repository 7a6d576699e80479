"""Inference through a dense stage keeps nothing for a pullback: less memory, and the same bits."""

from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_dense_stage import DENSE, MAXOUT, networks, pair

import minigan as mg
from minigan.layers import BatchNorm, Dense, Maxout, ReLU
from minigan.layers.base import Context
from minigan.ops.cpu.memory import arrays

pytestmark = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")

WIDTH, SAMPLES = 128, 4096
PART_WIDTH = 32  # how many units of a layer a thread computes at a time, in float32
DEEP = {
    "dense": [layer for _ in range(8) for layer in (Dense(WIDTH, WIDTH), ReLU(), BatchNorm(WIDTH))],
    "maxout": [Maxout(WIDTH, WIDTH, pieces=2) for _ in range(8)],
}


@given(networks(), st.integers(1, 70))
@example((DENSE, 20), 67)
@example((MAXOUT, 20), 33)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inference_has_the_bits_of_a_pass_with_a_pullback(dtype, network, n):
    layers, n_in = network
    net = pair([*layers, Dense(net_width(layers), 70), Dense(70, 65)], dtype)[1]
    x = np.random.default_rng(1).standard_normal((n, n_in)).astype(dtype)
    want, backward = net.forward(x, train=False)
    before = backward(np.ones_like(want))
    np.testing.assert_array_equal(net(x), want)
    np.testing.assert_array_equal(backward(np.ones_like(want)), before)  # what the other pass has kept is its own


def net_width(layers):
    return next(layer.n_out for layer in reversed(layers) if hasattr(layer, "n_out"))


@pytest.mark.parametrize("name", DEEP)
def test_inference_takes_the_memory_of_two_layers_and_y(name, monkeypatch):
    net = mg.Network(DEEP[name], rng=np.random.default_rng(0))
    x, taken = np.zeros((SAMPLES, WIDTH), "float32"), []
    empty, numpy_empty = arrays.empty, np.empty
    monkeypatch.setattr(arrays, "empty", lambda *args: taken.append(empty(*args)) or taken[-1])
    monkeypatch.setattr(np, "empty", lambda *args, **kwargs: taken.append(numpy_empty(*args, **kwargs)) or taken[-1])

    def nbytes(function):
        taken.clear()
        function()
        return sum(array.nbytes for array in taken) / x.nbytes

    parts = 1 if name == "dense" else 3  # of PART_WIDTH units for each thread: y, and with pieces two of products
    workspaces = net.ops.threads * parts * PART_WIDTH / WIDTH
    assert 3 <= nbytes(lambda: net(x)) - workspaces < 3.3
    assert nbytes(lambda: net.forward(x, train=False)) > 9


def test_a_pass_that_kept_nothing_has_no_pullback():
    net = pair(DENSE, "float64")[1]
    stage = net._run.layers[0]
    y, backward = stage.forward(net.theta, np.ones((4, 20)), Context(net.ops, state=net.state_vector, keep=False))
    with pytest.raises(RuntimeError, match="keep=True"):
        backward(np.ones_like(y))
