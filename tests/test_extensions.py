"""A custom layer, kernel and fusion rule, defined outside the package, on every backend."""

from dataclasses import dataclass

import numpy as np
import pytest
from cases import emulated, network
from gradients import check_layer

import minigan as mg
from minigan.layers import Fused, Layer, from_config, register_layer
from minigan.ops import get_ops, register_kernel, register_rule, to_host, unregister_kernel, unregister_rule

# --- user code: y = x sigmoid(x), its fast version, and the fusion of Dense with it -----------------


@register_layer
@dataclass(frozen=True)
class Swish(Layer):
    """y = x s,  s = 1 / (1 + exp(-x)).    dx = (s + y (1 - s)) dy    (Ramachandran, Zoph and Le 2017)"""

    per_example = True

    def forward(self, p, x, ctx):
        y, slope = ctx.ops.kernel("example.swish")(x)
        return y, lambda dy, g=None, *, need_dx=True: slope * dy if need_dx else None


def swish(x):
    """The definition: y and dy/dx, for every dtype."""
    s = 1 / (1 + np.exp(-x))
    return x * s, s + x * s * (1 - s)


def swish_on_threads(ops, x):
    """The same, with the rows split among the threads."""
    y, slope = np.empty_like(x), np.empty_like(x)
    parts = np.array_split(np.arange(len(x)), 4)

    def part(i):
        y[parts[i]], slope[parts[i]] = swish(x[parts[i]])

    ops.parallel_for(part, len(parts))
    return y, slope


SWISH_CU = """
#include "minigan.cuh"
extern "C" __global__ void __launch_bounds__(128)
swish(const real* __restrict__ x, real* __restrict__ y, real* __restrict__ slope, long long n) {
  for (long long i = thread_of_grid(); i < n; i += threads_of_grid()) {
    const real s = 1 / (1 + exp(-x[i]));
    y[i] = x[i] * s;
    slope[i] = s + y[i] * (1 - s);
  }
}
"""


def swish_on_a_gpu(ops, x):
    """The same, by a CUDA kernel in the user's own file."""
    x, y, slope = ops.xp.ascontiguousarray(x), ops.xp.empty(x.shape, x.dtype), ops.xp.empty(x.shape, x.dtype)
    real = {"float32": "float", "float64": "double"}[str(x.dtype)]
    ops.device.launch("swish", "swish", 8, 128, x, y, slope, x.size, REAL=real)
    return y, slope


@dataclass(frozen=True)
class DenseSwish(Fused):
    """Dense and Swish as one stage: no intermediate array is kept."""

    def forward(self, p, x, ctx):
        u, back = self.members[0].forward(p, x, ctx)
        y, slope = ctx.ops.kernel("example.swish")(u)
        return y, lambda dy, g=None, *, need_dx=True: back(slope * dy, g, need_dx=need_dx)


def dense_swish(layers, _ops):
    """Fuse a Dense that is followed by a Swish."""
    fits = len(layers) > 1 and type(layers[0]) is mg.Dense and type(layers[1]) is Swish
    return (DenseSwish(tuple(layers[:2])), 2) if fits else None


# --- tests ----------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def registered():
    register_kernel("example.swish", reference=swish, cpu=swish_on_threads, cuda=swish_on_a_gpu)
    for ops in ("cpu", "cuda"):
        register_rule(dense_swish, ops=ops)
    yield
    unregister_kernel("example.swish")
    for ops in ("cpu", "cuda"):
        unregister_rule(dense_swish, ops=ops)


LAYERS = [mg.Dense(3, 5), Swish(), mg.Residual([mg.Dense(5, 5), Swish()]), mg.Dense(5, 2)]


@pytest.mark.parametrize("train", [True, False])
def test_the_layer_has_the_gradient_that_complex_step_has(train):
    rng = np.random.default_rng(0)
    check_layer(network(LAYERS), rng.standard_normal((4, 3)), rng.standard_normal((4, 2)), train=train)


def test_every_backend_runs_its_own_kernel_and_the_fused_rule(tmp_path):
    (tmp_path / "swish.cu").write_text(SWISH_CU)
    backends = [get_ops("cpu", threads=2), get_ops("cpu", threads=2, compiled=False)]
    if emulated():
        from minigan.ops.cuda.device.emulator import EmulatedDevice

        backends.append(get_ops("cuda", device=EmulatedDevice(folders=[tmp_path])))
    x, dy = np.random.default_rng(1).standard_normal((9, 3)), np.random.default_rng(2).standard_normal((9, 2))
    found = []
    for ops in ("reference", *backends):
        net = network(LAYERS, ops=ops)
        g = net.zeros_like_theta()
        y, back = net.forward(x, train=True)
        dx = back(net.ops.xp.asarray(dy), g)
        found.append([np.asarray(to_host(a)) for a in (y, dx, g)])
        if ops != "reference":
            assert isinstance(net._run.layers[0], DenseSwish)
            assert isinstance(net._run.layers[1].body.layers[0], DenseSwish)
    for other in found[1:]:
        for want, got in zip(found[0], other, strict=True):
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-13 * np.abs(want).max())


def test_it_trains_and_is_rebuilt():
    rng = np.random.default_rng(0)
    net = mg.Network(from_config([layer.to_config() for layer in LAYERS]), rng=rng)
    x, adam = rng.standard_normal((64, 3), dtype="float32"), mg.Adam(net, lr=0.03)
    costs = []
    for _ in range(60):
        y, back = net.forward(x, train=True)
        g = net.zeros_like_theta()
        back((y - x[:, :2]) / len(x), g, need_dx=False)
        adam.step(g)
        costs.append(float(((y - x[:, :2]) ** 2).mean()))
    assert costs[-1] < 0.05 * costs[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: register_rule(dense_swish, ops="cpu"), "is registered for ops='cpu' already"),
        (lambda: register_rule(dense_swish, ops="reference"), "unknown ops 'reference'"),
        (lambda: unregister_rule(swish, ops="cpu"), "is not registered for ops='cpu'"),
        (lambda: register_kernel("example.swish", reference=swish), "a kernel 'example.swish' is registered already"),
        (lambda: get_ops("cpu").kernel("example.swosh"), r"unknown kernel 'example.swosh' \(did you mean"),
        (lambda: unregister_kernel("swosh"), "unknown kernel 'swosh'"),
    ],
)
def test_mistakes(call, message):
    with pytest.raises(ValueError, match=message):
        call()
