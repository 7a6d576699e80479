"""Check the kernels of norm_act.cu through the stages that use them, against the layers on the reference."""

from types import SimpleNamespace

import numpy as np
from emulated import error_of
from test_fused_norm_act import layers_of

import minigan as mg
from minigan.fusion.norm_act import FusedNormActivation, fuse_norm_act
from minigan.layers.base import Context
from minigan.ops import reference
from minigan.ops.cuda.norm_act import NormActivation
from minigan.ops.norm_act import ActivationMask

TOLERANCES = {"float32": 3e-6, "float64": 1e-13}
MANY = 9100, 64
"""Rows in more parts than the second pass has threads for a column."""


def fused(device, layers, x, dy, *, keyed=False, seed=0, frozen=False, need_dx=True, **how):
    """(found, expected): y, dx, dL/dtheta and the running statistics, of a stage on the device and in float64."""
    net = mg.Network(layers, rng=np.random.default_rng(seed), dtype="float64", ops="reference")
    rng = np.random.default_rng(seed)
    net.theta = rng.standard_normal(net.theta.shape).astype(x.dtype).astype(float)
    for name, value in net.state.items():
        value[...] = (rng.uniform(0.5, 1.5, value.shape) * (-1 if name.endswith("mean") else 1)).astype(x.dtype)
    norm_act = NormActivation(device)
    ops = SimpleNamespace(name="cuda", xp=device.xp, norm_act=norm_act)
    stage, taken = fuse_norm_act(layers, ops)
    assert isinstance(stage, FusedNormActivation)
    assert taken == len(layers)
    sub_batches, drops = (
        how.get("sub_batches", 1),
        sum(isinstance(layer, mg.Dropout) and layer.rate > 0 for layer in layers),
    )
    keys = np.random.default_rng(seed + 1).integers(2**64, size=(sub_batches, drops), dtype=np.uint64)

    state = {name.rpartition(".")[2]: device.array(value.astype(x.dtype)) for name, value in net.state.items()}
    theta, g = (device.array(vector.astype(x.dtype)) for vector in (net.theta, np.ones_like(net.theta)))
    ctx = Context(ops, how["train"], np.random.default_rng(0), state, how.get("update_state", True), sub_batches)
    ctx.predrawn_keys = iter(keys.T.tolist())
    if keyed:
        norm_act.keys = device.array(keys.reshape(-1))
        ctx.predrawn_keys = iter(np.arange(keys.size).reshape(keys.shape).T.tolist())
    y, back = stage.forward(stage.parameter_views(theta), device.array(x), ctx)
    dx = back(device.array(dy), None if frozen else stage.parameter_views(g), need_dx=need_dx)
    found = {"y": y, "dx": dx, "g": g, **state}

    net_y, net_back = net.forward(x.astype(float), rng=Keys(keys), **how)
    net_g = np.ones_like(net.theta)
    net_dx = net_back(dy.astype(float), None if frozen else net_g, need_dx=need_dx)
    names = {name.rpartition(".")[2]: value for name, value in net.state.items()}
    expected = {"y": net_y, "dx": net_dx, "g": net_g, **names}
    return {name: None if value is None else device.host(value) for name, value in found.items()}, expected


class Keys(np.random.Generator):
    """A stream that draws these keys (groups, layers), all at once or one by one."""

    def __init__(self, keys):
        super().__init__(np.random.PCG64(0))
        self._keys, self._each = keys, iter(keys[0])

    def integers(self, _, size=None, **kwargs):
        assert size in (None, self._keys.shape)
        return self._keys if size else next(self._each)


def compare(found, expected, dtype):
    for name, right in expected.items():
        if right is None:
            assert found[name] is None
            continue
        assert found[name].dtype == dtype
        assert found[name].shape == right.shape
        error = error_of(found[name], right)
        assert error < TOLERANCES[dtype], (name, error)


def data(shape, dtype="float64", seed=0):
    """x and dy; x is away from 0, where rounding would decide what an activation does."""
    x, dy = np.random.default_rng(seed).standard_normal((2, *shape))
    return (x + np.copysign(0.05, x)).astype(dtype), dy.astype(dtype)


def run(device, layers, shape, dtype="float64", **how):
    x, dy = data(shape, dtype)
    compare(*fused(device, layers, x, dy, **({"train": True} | how)), dtype)


def statistics(device, dtype="float64"):
    """Several parts of the rows, an incomplete one, columns that do and do not fit wide loads, and a far mean."""
    for M, C in ((1, 3), (700, 1), (1000, 8), (300, 130), MANY):
        for mean in (0, 1e4):
            x = (np.random.default_rng(M).standard_normal((M, C)) + mean).astype(dtype)
            mu, var = map(device.host, NormActivation(device).moments(device.array(x)))
            right_mu, right_var = reference.moments(x.astype(np.longdouble))
            eps = np.finfo(dtype).eps
            assert abs(mu - right_mu).max() <= 2 * eps * abs(right_mu).max() + 4 * eps
            assert abs(var - right_var).max() <= 8 * eps * right_var.max()


def norm(device, dtype="float64"):
    for M, C in ((12, 5), (1000, 3), (700, 8)):
        run(device, layers_of("norm", C), (M, C), dtype)


def far(device, dtype="float64"):
    """Columns far from 0, where what rounding leaves of the mean counts, beside one near it; also in two groups."""
    offsets = {"float32": 10001.3, "float64": 1e12 + 0.3}[dtype]
    x, dy = data((600, 8), "float64")
    x = (offsets + 1e-6 * offsets * x).astype(dtype)
    x[:, 3] -= np.asarray(offsets, dtype)
    for how in ({}, {"sub_batches": 2}):
        compare(*fused(device, layers_of("norm leaky", 8), x, dy.astype(dtype), train=True, **how), dtype)


def momentum(device, dtype="float64"):
    """Steps near 1 of running statistics that are far above the batch's."""
    for momentum in (1.0, 1 - 1e-7, 1e-7):
        layer = mg.BatchNorm(5, momentum=momentum)
        x = data((40, 5))[0].astype(dtype)
        state = {name: device.array(np.full(5, 1e8, dtype)) for name in ("running_mean", "running_var")}
        p = {name: device.array(np.ones(5, dtype)) for name in ("gamma", "beta")}
        NormActivation(device).normalise(device.array(x), ActivationMask(), layer, p, state)
        wide = x.astype(np.longdouble)
        for name, batch in (("running_mean", wide.mean(axis=0)), ("running_var", wide.var(axis=0, ddof=1))):
            right = batch + (1 - np.longdouble(momentum)) * (1e8 - batch)
            assert abs(device.host(state[name]) / right - 1).max() < TOLERANCES[dtype], (name, momentum)


def everything(device, dtype="float64"):
    run(device, layers_of("drop relu norm leaky drop", 8), (600, 8), dtype, train=False)
    run(device, layers_of("drop leaky norm relu drop", 8), (600, 8), dtype, sub_batches=2)


def flat(device, dtype="float64"):
    for shape in ((7, 5), (700, 3)):
        run(device, layers_of("drop leaky drop", 3), shape, dtype)
        run(device, layers_of("relu drop", 3), shape, dtype)


def keyed(device, dtype="float64"):
    """Keys in memory of the device, and masks with their indices, forwards and backwards."""
    run(device, layers_of("drop norm relu drop", 4), (40, 4), dtype, keyed=True, sub_batches=2)
    run(device, layers_of("drop leaky", 4), (40, 4), dtype, keyed=True)


def sums(device, dtype="float64"):
    for shape in ((1, 1), (3, 700, 3), MANY):
        x = np.random.default_rng(1).standard_normal(shape).astype(dtype)
        found = device.host(NormActivation(device).sum_rows(device.array(x)))
        assert found.dtype == dtype
        assert error_of(found, reference.sum_rows(x.astype(float))) < TOLERANCES[dtype]


def dropout(device, dtype="float64"):
    """The reference's masks, bit for bit, whatever the address, and beyond what 16 bits count."""
    for size, offset in ((1, 0), (1000, 0), (777, 1), (70_001, 0)):
        for rate, key in ((0.3, 2**63 + 12345), (0.9, 2**64 - 1), (0.0, 7), (1e-12, 5), (0.42, 6)):
            x = np.random.default_rng(size).standard_normal(size + offset).astype(dtype)
            found = NormActivation(device).dropout(device.array(x)[offset:], rate, key)
            np.testing.assert_array_equal(device.host(found), reference.dropout(x[offset:], rate, key))


def repeated(device, dtype="float64"):
    """The same bits again: every sum has one order."""
    x = device.array(np.random.default_rng(0).standard_normal((3000, 5)).astype(dtype))
    norm_act, seen = NormActivation(device), set()
    for _ in range(2):
        mu, var = norm_act.statistics(x, ActivationMask(slope=0.2, rate=0.5, key=3))
        seen.add(b"".join(device.host(v).tobytes() for v in (mu, var, norm_act.sum_rows(x))))
    assert len(seen) == 1
