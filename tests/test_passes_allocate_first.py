"""A compiled pass allocates nothing: if memory runs out, an error is raised before any thread has begun."""

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed"),
    pytest.mark.skipif(find_spec("resource") is None, reason="this system has no limits of memory"),
]

PROGRAM = """
import resource, sys
import numpy as np
import minigan as mg
from minigan.layers import Maxout
from minigan.ops import get_ops

def used():
    return int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()

net = mg.Network([Maxout(1, 64, pieces=100)], rng=np.random.default_rng(0), ops=get_ops("cpu", threads=2))
small = np.ones((4, 1), "float32")
y, backward = net.forward(small, train=True, rng=np.random.default_rng(0))
backward(y)
big = np.ones((10_000, 1), "float32")  # y takes 2.5 MB, the products of one part 128 MB
if sys.argv[1] == "backward":
    y, backward = net.forward(big, train=True, rng=np.random.default_rng(0))
    from minigan.ops.cpu.memory import arrays
    arrays.blocks._kept.clear()
resource.setrlimit(resource.RLIMIT_AS, (used() + (64 << 20),) * 2)
try:
    if sys.argv[1] == "backward":
        backward(y)
    else:
        net.forward(big, train=True, rng=np.random.default_rng(0))
except MemoryError:
    print("MemoryError")
again, _ = net.forward(small, train=True, rng=np.random.default_rng(0))
print(bool(np.isfinite(again).all()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_pass_without_memory_raises(direction):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, direction], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["MemoryError", "True"], done.stderr
    assert "Exception ignored" not in done.stderr


def test_the_functions_that_a_team_runs_do_not_allocate():
    """What numba allocates goes through NRT, whose functions would then appear in the machine code."""
    program = """
import re
from minigan.ops.cpu.kernels.numba import dense, dense_units, matmul, norm_act, patches, shared_matmul, winograd
from minigan.ops.cpu.threads.team import address_of
functions = {dense.forward: "i i i", dense.backward: "i i i", matmul._multiply: matmul.ARGUMENTS,
    patches.correlate: "i i i", patches.correlate_adjoint: "i i i", patches.correlate_weights: "i i i",
    shared_matmul._multiply_parts: "i i i", norm_act._parts: "i i i",
    winograd._filter_tiles: "i", winograd._correlate_tiles: "i",
    **{getattr(dense_units, name): types for name, types in dense_units.SIGNATURES.items()},
    **dict.fromkeys((norm_act._pre_backward, *norm_act._FUNCTIONS.values()), norm_act.ARGUMENTS)}
for function, types in functions.items():
    address_of(function, types, "float32")
    code = b"".join(d.library._get_compiled_object() for d in function.overloads.values())
    assert not re.search(b"NRT_[A-Za-z_]*[Aa]lloc", code), function
print(len(functions))
"""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False,
            env={**os.environ, "NUMBA_CACHE_DIR": folder},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
