"""Memory is reused: a second pass allocates none, whatever ran before it in the process."""

import numpy as np
import pytest
from test_thread_bits import CASES

import minigan as mg
from minigan.ops import get_ops
from minigan.ops.cpu.memory import arrays


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "numpy"])
@pytest.mark.parametrize("name", [*CASES, "wide conv"])
def test_the_second_pass_allocates_no_memory(name, compiled, monkeypatch):
    if compiled:
        pytest.importorskip("numba")
    layers, shape = {**CASES, "wide conv": ([mg.Conv2D(128, 128, 3, padding="same")], (32, 28, 28, 128))}[name]
    made, aligned = [], arrays.aligned
    monkeypatch.setattr(arrays, "aligned", lambda size: made.append(size) or aligned(size))
    net = mg.Network(layers, rng=np.random.default_rng(0), ops=get_ops("cpu", threads=1, compiled=compiled))
    x = np.random.default_rng(1).standard_normal(shape, dtype="float32")
    for passes in range(3):
        if passes == 2:
            made.clear()  # by now the largest of each name exists
        y, backward = net.forward(x, train=True, rng=np.random.default_rng(2))
        backward(y, net.zeros_like_theta())
    assert made == []
