"""What a process computed before does not decide whether memory is reused; the memory that is kept is bounded."""

import subprocess
import sys

import numpy as np
import pytest

import minigan as mg
from minigan.ops import get_ops
from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.memory.arrays import MAX_KEPT_BYTES, MIN_POOLED_BYTES


@pytest.fixture(autouse=True)
def nothing_kept():
    arrays.blocks.clear()
    yield
    arrays.blocks.clear()


@pytest.fixture
def made(monkeypatch):
    """The sizes of all new blocks."""
    sizes, aligned = [], arrays.aligned
    monkeypatch.setattr(arrays, "aligned", lambda size: sizes.append(size) or aligned(size))
    return sizes


def kept_bytes():
    return sum(block.nbytes for block in arrays.blocks._kept.values())


def passes(channels, n, accuracy, **options):
    """n passes, forward and backward, of a convolution with large workspaces."""
    ops = get_ops("cpu", threads=1, accuracy=accuracy, **options)
    layers = [mg.Conv2D(channels, channels, 3, padding="same")]
    net = mg.Network(layers, rng=np.random.default_rng(0), ops=ops)
    x = np.random.default_rng(1).standard_normal((32, 14, 14, channels), dtype="float32")
    for _ in range(n):
        y, backward = net.forward(x, train=True)
        backward(y, net.zeros_like_theta())


@pytest.mark.parametrize("accuracy", ["exact", "fast"])
def test_a_second_network_reuses_its_memory_too(made, accuracy, monkeypatch):
    """The first one has filled what may be kept, with blocks of sizes that the second does not need."""
    monkeypatch.setattr(arrays, "MAX_KEPT_BYTES", 1 << 26)
    filled = [arrays.empty((MIN_POOLED_BYTES + 64 * k,), "uint8") for k in range(63)]
    del filled
    assert kept_bytes() > (1 << 26) - 2 * MIN_POOLED_BYTES
    passes(128, 2, accuracy, compiled=False)
    assert made
    made.clear()
    passes(128, 2, accuracy, compiled=False)
    assert made == []
    assert kept_bytes() <= 1 << 26


def test_workspaces_of_any_size_are_reused(made):
    for _ in range(3):
        for size in (MAX_KEPT_BYTES // 3 + 1, MAX_KEPT_BYTES // 2):
            arrays.empty((size,), "uint8")
    assert made == [MAX_KEPT_BYTES // 3 + 1, MAX_KEPT_BYTES // 2]


def test_memory_in_use_never_overlaps():
    """Blocks of the same sizes are taken and given back in an irregular order."""
    rng, held = np.random.default_rng(0), {}
    for k in range(500):
        if len(held) > 20 or (held and rng.random() < 0.4):
            key = list(held)[rng.integers(len(held))]
            x = held.pop(key)
            assert (x[::4096] == key % 251).all()
            del x
        held[k] = arrays.empty((MIN_POOLED_BYTES + 4096 * int(rng.integers(3)),), "uint8")
        held[k][::4096] = k % 251
    assert all((x[::4096] == key % 251).all() for key, x in held.items())


def test_an_array_that_lives_until_the_interpreter_ends_is_no_error():
    program = "import builtins, minigan.ops.cpu.memory.arrays as a; builtins.x = x = a.empty((1 << 22,), 'uint8')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
