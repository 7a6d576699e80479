"""Iterations with layers that keep no kernel of their own are captured too, and replay the same bits."""

import warnings

import numpy as np
import pytest
from emulated import NAME, NEEDS_HOST_COMPILER

import minigan as mg
from minigan.ops import get_ops, to_host
from minigan.ops.cuda.capture.iterations import CaptureWarning

pytestmark = NEEDS_HOST_COMPILER

G = [mg.Dense(3, 8), mg.LayerNorm(8), mg.PixelNorm(), mg.Reshape((1, 2, 4)), mg.PixelShuffle((2, 1)),
     mg.InstanceNorm2D(2), mg.ReflectionPad2D(((0, 1), (1, 0)))]  # fmt: skip
D = [mg.SpectralNorm(mg.Conv2D(2, 4, 2)), mg.LeakyReLU(0.2), mg.GroupNorm(2, 4), mg.PixelUnshuffle((2, 1)),
     mg.MinibatchStdDev(group_size=4), mg.Flatten(), mg.SpectralNorm(mg.Dense(18, 1))]  # fmt: skip


def trained(graphs):
    """The vectors of both networks after five iterations, and whether any was captured."""
    ops = get_ops("cuda", device=NAME, graphs=graphs)
    rng = np.random.default_rng(0)
    nets = [mg.Network(layers, rng=np.random.default_rng(1), dtype="float64", ops=ops) for layers in (G, D)]
    gan = mg.GAN(*nets, *(mg.Adam(net, lr=0.01) for net in nets), mg.NonSaturating())
    draws = {"real": lambda: rng.standard_normal((8, 3, 3, 2)), "noise": lambda: rng.standard_normal((8, 3))}
    for _ in range(5):
        mg.alternating(gan, **draws)
    iteration = ops.iterations._find(gan)
    return [to_host(v) for net in nets for v in (net.theta, net.state_vector)], iteration.captured is not None


def test_replays_have_the_bits_of_iterations():
    with warnings.catch_warnings():
        warnings.simplefilter("error", CaptureWarning)
        replayed, was_captured = trained(True)
    stepped, _ = trained(False)
    assert was_captured
    for a, b in zip(replayed, stepped, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("layers", [G, D], ids="GD")
def test_the_layers_fit(layers):
    shape = (3,) if layers is G else (3, 3, 2)
    assert mg.Network(layers, rng=np.random.default_rng(0)).chain.output_shape(shape) == (
        (3, 3, 2) if layers is G else (1,)
    )
