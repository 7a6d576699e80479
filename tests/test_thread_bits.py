"""The number of threads changes no bit: every layer at sizes where the pool has work for several threads."""

import numpy as np
import pytest

import minigan as mg
from minigan.ops import get_ops
from minigan.ops.cpu import CPU
from minigan.ops.cpu.norm_act import NormActivation

CASES = {
    "dense": ([mg.Dense(384, 512)], (512, 384)),
    "maxout": ([mg.Maxout(256, 128, pieces=4)], (512, 256)),
    "rows": ([mg.Dropout(0.3), mg.ReLU(), mg.BatchNorm(64), mg.LeakyReLU(0.2), mg.Dropout(0.2)], (32, 40, 40, 64)),
    "batch norm": ([mg.BatchNorm(32)], (64, 32, 32, 32)),
    "conv": ([mg.Conv2D(16, 24, 3, padding="same")], (32, 28, 28, 16)),
    "conv stride 2": ([mg.Conv2D(8, 32, 4, stride=2, padding=1)], (32, 32, 32, 8)),
    "conv 5": ([mg.Conv2D(8, 16, 5, stride=2, padding="same")], (32, 28, 28, 8)),
    "conv transpose": ([mg.ConvTranspose2D(16, 8, 4, stride=2, padding=1)], (32, 16, 16, 16)),
    "residual": ([mg.Residual([mg.Conv2D(16, 16, 3, padding="same"), mg.BatchNorm(16), mg.ReLU()])], (32, 28, 28, 16)),
    "spectral": (
        [
            mg.SpectralNorm(mg.Conv2D(16, 64, 3, padding="same")),
            mg.GroupNorm(4, 64),
            mg.SpectralNorm(mg.Conv2D(64, 8, 1)),
        ],
        (32, 28, 28, 16),
    ),
    "spectral dense": ([mg.SpectralNorm(mg.Dense(384, 512)), mg.LayerNorm(512), mg.MinibatchStdDev()], (512, 384)),
}


def everything(layers, shape, ops):
    """y, dx, dL/dtheta, the running statistics and theta after a step of Adam, as bytes."""
    rng = np.random.default_rng(0)
    net = mg.Network(layers, rng=np.random.default_rng(1), ops=ops)
    x = rng.standard_normal(shape, dtype="float32")
    y, backward = net.forward(x, train=True, rng=np.random.default_rng(2))
    dy, g = rng.standard_normal(y.shape, dtype="float32"), net.zeros_like_theta()
    found = [y, backward(dy, g), g, net.state_vector]
    if net.theta.size:
        mg.Adam(net).step(g)
    return [np.ascontiguousarray(a).tobytes() for a in (*found, net.theta)]


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "numpy"])
@pytest.mark.parametrize("name", CASES)
def test_the_number_of_threads_changes_no_bit(name, compiled, monkeypatch):
    if compiled:
        pytest.importorskip("numba")
    parts, run = [], CPU.parallel_for
    monkeypatch.setattr(CPU, "parallel_for", lambda ops, job, n: (parts.append(n), run(ops, job, n))[1])
    norm_act = NormActivation._run
    monkeypatch.setattr(
        NormActivation, "_run", lambda self, work: (parts.append(-(-len(work.x) // work.rows)), norm_act(self, work))[1]
    )
    one, *others = (everything(*CASES[name], get_ops("cpu", threads=n, compiled=compiled)) for n in (1, 2, 3))
    assert max(parts) > 1  # otherwise a second thread had no work
    for other in others:
        assert other == one
