"""A whole step of a tiny DCGAN, launched as ever: arrays guarded, all schedules and precisions."""

import numpy as np
import pytest
from cases import mask, network
from check_convolution import rounded
from emulated import NEEDS_HOST_COMPILER, ON_EACH_SCHEDULE, ON_GPU, device, error_of

import minigan as mg
from minigan.gan import discriminator_gradient, generator_gradient
from minigan.ops import reference, to_host
from minigan.ops.cuda import CUDA

pytestmark = NEEDS_HOST_COMPILER

GATES = {("float64", "fp32"): 1e-13, ("float32", "fp32"): 5e-6, ("float32", "tf32"): 1e-3, ("float32", "bf16"): 1e-2}
"""Of the gradients, relative to their largest number; where operands are rounded, some that differ in the last bit of
float32 become neighbours, 2^-11 or 2^-8 of them apart."""
if ON_GPU:  # cuBLAS may round the operands to fewer bits or leave them as they are
    GATES |= {("float32", "tf32"): 4e-3, ("float32", "bf16"): 4e-2}


class Rounding:
    """The reference, in float64, of which every product rounds its operands."""

    name, fused, xp = "rounding", False, np

    def __init__(self, precision):
        self.round = (lambda x: x) if precision == "fp32" else lambda x: rounded(x, precision)

    def __getattr__(self, name):
        return getattr(reference, name)

    def affine(self, x, W, b=None):
        return reference.affine(self.round(x), self.round(W), b)

    def add_product(self, x, y, out, *, overwrite=False):
        reference.add_product(self.round(x), self.round(y), out, overwrite=overwrite)

    def correlate(self, x, W, geometry, b=None):
        return reference.correlate(self.round(x), self.round(W), geometry, b)

    def correlate_adjoint(self, y, W, geometry, b=None):
        return reference.correlate_adjoint(self.round(y), self.round(W), geometry, b)

    def correlate_weights(self, x, y, geometry):
        return reference.correlate_weights(self.round(x), self.round(y), geometry)


def players(dtype="float64", ops="reference"):
    up = {"stride": 2, "padding": 1, "bias": False}
    G = [
        mg.Dense(5, 32), mg.Reshape((2, 2, 8)), mg.BatchNorm(8), mg.ReLU(),
        mg.ConvTranspose2D(8, 6, 4, **up), mg.BatchNorm(6), mg.ReLU(),
        mg.ConvTranspose2D(6, 3, 4, stride=2, padding=1), mg.Tanh(),
    ]  # fmt: skip
    D = [
        mg.Conv2D(3, 6, 4, stride=2, padding=1), mg.LeakyReLU(0.2), mg.Dropout(0.3),
        mg.Conv2D(6, 8, 4, **up), mg.BatchNorm(8), mg.LeakyReLU(0.2),
        mg.Flatten(), mg.Dense(32, 1),
    ]  # fmt: skip
    return [network(chain, dtype=dtype, ops=ops, seed=seed) for seed, chain in enumerate((G, D))]


def gradients(G, D):
    """Of D and of G, and both costs."""
    rng, dtype = np.random.default_rng(3), G.dtype
    x, z = rng.uniform(-1, 1, (9, 8, 8, 3)).astype(dtype), rng.standard_normal((9, 5)).astype(dtype)
    x_fake = G.forward(z, train=True)[0]
    g_D, seen_D = discriminator_gradient(D, mg.NonSaturating(), x, x_fake, rng=mask())
    g_G, seen_G = generator_gradient(G, D, mg.NonSaturating(), z, rng=mask())
    state = [to_host(net.state_vector) for net in (G, D)]
    return [to_host(g_D), to_host(g_G), *state, np.array([float(seen_D.loss), float(seen_G.loss)])]


@ON_EACH_SCHEDULE
@pytest.mark.parametrize(("dtype", "precision"), GATES)
def test_a_step(schedule, dtype, precision):
    ops = CUDA(device=device(schedule), precision=precision)
    found = gradients(*players(dtype, ops))
    roundings = [precision, "fp32"] if ON_GPU else [precision]
    expected = [gradients(*players(ops=Rounding(rounding))) for rounding in roundings]
    for a, *by_rounding in zip(found, *expected, strict=True):
        assert min(error_of(a, b) for b in by_rounding) < GATES[dtype, precision]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_is_the_same_bit_for_bit_in_every_order(precision):
    first, *others = (
        gradients(*players("float32", CUDA(device=device(schedule), precision=precision)))
        for schedule in ("forward", "reverse", "random")
    )
    for other in others:
        for a, b in zip(other, first, strict=True):
            np.testing.assert_array_equal(a, b)
