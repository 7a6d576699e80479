"""Sequences of dropout, activations and batch norm as one stage, against the separate layers on the reference."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.fusion.norm_act import FusedNormActivation
from minigan.layers.base import ShapeError
from minigan.ops import get_ops
from minigan.ops.cpu import norm_act

NAN, INF = np.nan, np.inf
BODIES = [False, True]


@cache
def cpu(compiled, threads=1):
    if compiled:
        pytest.importorskip("numba")
    return get_ops("cpu", compiled=compiled, threads=threads)


@pytest.fixture(params=BODIES, ids=["numpy", "numba"])
def compiled(request):
    cpu(request.param)
    return request.param


RUNS = [
    "drop norm relu", "norm relu drop", "leaky drop", "norm leaky drop", "relu norm", "norm leaky", "norm relu",
    "drop relu norm leaky drop", "drop leaky", "drop relu drop", "norm", "relu", "leaky", "drop", "norm drop",
    "drop norm",
]  # fmt: skip


def layers_of(run, channels, *, rates=(0.3, 0.5), slopes=(0.2, 0.2), norm=None):
    """The layers that a string such as "drop norm relu" names."""
    rates, slopes = iter(rates), iter(slopes)
    make = {
        "drop": lambda: mg.Dropout(next(rates)),
        "relu": mg.ReLU,
        "leaky": lambda: mg.LeakyReLU(next(slopes)),
        "norm": lambda: mg.BatchNorm(channels) if norm is None else norm,
    }
    return [make[name]() for name in run.split()]


def pair(layers, ops, *, dtype="float64", seed=0):
    """The layers on the reference and on `ops`, with equal parameters and statistics, not the initial ones."""
    nets = []
    for backend in ("reference", ops):
        rng = np.random.default_rng(seed)
        net = mg.Network(layers, rng=rng, dtype=dtype, ops=backend)
        net.theta = rng.standard_normal(net.theta.shape).astype(dtype)
        for name, value in net.state.items():
            value[...] = rng.uniform(0.5, 1.5, value.shape) * (-1 if name.endswith("mean") else 1)
        nets.append(net)
    return nets


def results(net, x, dy, *, seed=1, frozen=False, need_dx=True, **how):
    """y, dx, dL/dtheta, running statistics."""
    y, back = net.forward(x, rng=np.random.default_rng(seed), **how)
    g = np.ones(net.theta.shape, net.dtype)  # gradients are added
    dx = back(dy, None if frozen else g, need_dx=need_dx)
    return {"y": y, "dx": dx, "g": g, **net.state}


def assert_close(got, want, gate):
    for name, right in want.items():
        if right is None or not right.size:
            assert got[name] is None or not got[name].size
            continue
        scale = np.abs(right).max()
        assert got[name].shape == right.shape
        assert got[name].dtype == right.dtype
        assert np.abs(got[name] - right).max() <= gate * scale, name


@st.composite
def cases(draw):
    """Layers, x, dy, and how they are run."""
    lead = tuple(draw(st.lists(st.integers(1, 5), max_size=2)))
    channels, sub_batches = draw(st.integers(1, 9)), draw(st.sampled_from([1, 2]))
    n = sub_batches * draw(st.integers(2, 6)) * 4
    norm = draw(
        st.sampled_from(
            [
                mg.BatchNorm(channels),
                mg.BatchNorm.keras(channels, momentum=0.8),
                mg.BatchNorm(channels, eps=0.1, momentum=0.3, unbiased=False),
                mg.BatchNorm(channels, convention="old"),
            ]
        )
    )
    rates = draw(st.tuples(*2 * [st.sampled_from([0.0, 0.1, 0.25, 0.9])]))
    slopes = draw(st.tuples(*2 * [st.sampled_from([0.2, 0.0, 0.01, 1.0, 3.0, -0.5, -2.0])]))
    layers = layers_of(draw(st.sampled_from(RUNS)), channels, rates=rates, slopes=slopes, norm=norm)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x, dy = rng.standard_normal((2, n, *lead, channels))
    x = draw(st.sampled_from([0.1, 1.0, 30.0])) * x + draw(st.sampled_from([0.0, 5.0]))
    how = {
        "train": draw(st.booleans()),
        "sub_batches": sub_batches,
        "update_state": draw(st.booleans()),
        "frozen": draw(st.booleans()),
        "need_dx": draw(st.booleans()),
    }
    return layers, x, dy, how


@pytest.mark.parametrize("body", BODIES, ids=["numpy", "numba"])
@given(cases(), st.integers(0, 2**32 - 1))
def test_a_fused_run_is_its_layers(body, case, seed):
    layers, x, dy, how = case
    reference, fused = pair(layers, cpu(body), seed=seed)
    assert len(fused._run.layers) == 1
    assert isinstance(fused._run.layers[0], FusedNormActivation)
    before = x.copy(), dy.copy()
    want, got = (results(net, x, dy, **how) for net in (reference, fused))
    assert_close(got, want, 1e-12)
    np.testing.assert_array_equal((x, dy), before)
    if how["need_dx"] and any(isinstance(layer, mg.Dropout) for layer in layers):  # the same masks: the same zeros
        np.testing.assert_array_equal(got["y"] == 0, want["y"] == 0)


@pytest.mark.parametrize(
    "run", ["drop norm relu", "norm leaky drop", "drop leaky", "drop relu norm leaky drop", "relu"]
)
@pytest.mark.parametrize(("dtype", "gate"), [("float32", 1e-5), ("float64", 1e-12)])
def test_many_parts(run, dtype, gate, compiled, monkeypatch):
    """Matrices of several parts, with an incomplete last part, and with more channels than fit into one part."""
    monkeypatch.setattr(norm_act, "NUMPY_PART_BYTES", norm_act.PART_BYTES)
    rng = np.random.default_rng(0)
    for shape in ((2, 5000, 37), (4, 20, 9001), (2, 150001, 1)):
        x, dy = rng.standard_normal((2, *shape)).astype(dtype)
        rows = x.reshape(-1, shape[-1])
        assert cpu(compiled).norm_act._rows(rows) < len(rows) // 2
        reference, fused = pair(layers_of(run, shape[-1]), cpu(compiled), dtype=dtype)
        wide = reference.astype("float64")
        want = results(wide, x.astype("float64"), dy.astype("float64"), train=True, sub_batches=2)
        got = results(fused, x, dy, train=True, sub_batches=2)
        # The mask of an activation may differ where v is 0 up to rounding; there y is small too.
        away = np.abs(want["y"]) > 1e-4 if "norm" in run else np.ones(shape, bool)
        for name in ("y", "dx"):
            error = np.abs(got[name] - want[name])[away]
            assert error.max() <= gate * np.abs(want[name]).max(), name


@pytest.mark.parametrize("run", ["drop norm relu", "norm leaky drop", "drop leaky", "drop relu norm leaky drop"])
def test_the_number_of_threads_changes_no_bit(run, compiled):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 6, 11000, 23)).astype("float32")
    seen = []
    for threads in (1, 2, 3):
        net = pair(layers_of(run, 23), cpu(compiled, threads), dtype="float32")[1]
        got = results(net, x, dy, train=True, sub_batches=2)
        seen.append([value.tobytes() for value in got.values()])
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize(
    "run", ["relu", "leaky", "norm relu", "norm leaky", "drop relu drop", "leaky drop", "relu norm"]
)
@pytest.mark.parametrize("train", [True, False])
def test_infinities_and_nan_are_treated_as_by_the_layers(run, train, compiled):
    """A masked infinity becomes 0 in ReLU and 0 times infinity elsewhere, as in the separate layers."""
    if train and "norm" in run:
        pytest.skip("one infinity makes a batch's statistics NaN, in both")
    special = np.array([NAN, INF, -INF, -1.0, 0.0, -0.0, 1.0, 1e-300])
    x, dy = (a.reshape(-1, 2) for a in np.meshgrid(special, special))
    reference, fused = pair(layers_of(run, 2, slopes=(0.0, 0.3)), cpu(compiled))
    with np.errstate(all="ignore"):
        want, got = (results(net, x, dy, train=train) for net in (reference, fused))
    for name in ("y", "dx", "g"):
        np.testing.assert_allclose(got[name], want[name], rtol=1e-13)


def test_a_pullback_can_be_repeated_and_keeps_nothing_of_a_workspace(compiled):
    rng = np.random.default_rng(0)
    net = pair(layers_of("drop relu norm leaky drop", 5), cpu(compiled))[1]
    x, other, dy = rng.standard_normal((3, 600, 5))
    _, back = net.forward(x, train=True, rng=np.random.default_rng(1))
    first = back(dy)
    _, back_other = net.forward(other, train=True, rng=np.random.default_rng(2))
    back_other(dy)
    g = net.zeros_like_theta()
    np.testing.assert_array_equal(back(dy, g), first)
    once = g.copy()
    assert back(dy, g, need_dx=False) is None
    np.testing.assert_array_equal(g, once + once)


def test_what_a_frozen_stage_need_not_do_is_not_done(monkeypatch, compiled):
    def refuse(*args):
        raise AssertionError("useless work")

    x = np.random.default_rng(0).standard_normal((8, 5))
    net = pair(layers_of("norm relu drop", 5), cpu(compiled))[1]
    _, at_inference = net.forward(x, train=False)
    _, in_training = net.forward(x, train=True, rng=np.random.default_rng(0))
    monkeypatch.setattr(norm_act.NormActivation, "backward", refuse)
    assert in_training(x, net.zeros_like_theta(), need_dx=False) is None
    monkeypatch.undo()
    monkeypatch.setattr(norm_act.NormActivation, "sums", refuse)
    at_inference(x)


@pytest.mark.parametrize(
    ("run", "kept"),
    [
        ("norm relu drop", "x"),
        ("leaky drop", "y"),
        ("drop leaky", "y"),
        ("drop", None),
        ("relu", "y"),
        ("relu drop", "x"),
    ],
)
def test_the_pullback_keeps_one_array_and_no_mask(run, kept):
    """It keeps only x; without batch norm only y, which the next layer keeps too; for dropout alone nothing."""
    import weakref

    net = pair(layers_of(run, 40), cpu(False))[1]
    x = np.random.default_rng(0).standard_normal((500, 40))
    references = {"x": weakref.ref(x)}
    y, back = net.forward(x, train=True, rng=np.random.default_rng(0))
    references["y"] = weakref.ref(y)
    del x, y
    assert [name for name, alive in references.items() if alive() is not None] == ([kept] if kept else [])
    assert back(np.ones((500, 40))).shape == (500, 40)


def test_the_rule_takes_as_much_as_it_can():
    def stages(*layers, **kwargs):
        net = mg.Network(layers, rng=np.random.default_rng(0), **({"ops": cpu(False)} | kwargs))
        return [(stage.members if isinstance(stage, FusedNormActivation) else stage) for stage in net._run.layers]

    d, r, n, dense = mg.Dropout(0.5), mg.ReLU(), mg.BatchNorm(3), mg.Dense(3, 3)
    assert stages(dense, d, n, r, dense, n, r, d) == [dense, (d, n, r), dense, (n, r, d)]
    assert stages(r, r, n, n, d, d) == [(r,), (r, n), (n, d), (d,)]
    assert stages(d, d) == [(d,), (d,)]
    assert stages(d, r, n, mg.LeakyReLU(2), d) == [(d, r, n, mg.LeakyReLU(2), d)]
    assert stages(r, mg.Tanh(), n) == [(r,), mg.Tanh(), (n,)]
    assert stages(n, r, ops="reference") == [n, r]
    assert stages(n, r, dtype="complex128") == [n, r]

    class Mine(mg.ReLU):
        pass

    assert stages(n, Mine()) == [(n,), Mine()]


def test_errors_are_the_layers(compiled):
    net = pair(layers_of("norm relu drop", 5), cpu(compiled))[1]
    with pytest.raises(ShapeError, match=r"BatchNorm.*expected \(N, ..., 5\)"):
        net.forward(np.ones((2, 4)), train=True, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"Dropout\): training needs forward"):
        net.forward(np.ones((2, 5)), train=True)
    with pytest.raises(ShapeError, match="the unbiased variance needs 2 or more values per channel"):
        net.forward(np.ones((1, 5)), train=True, rng=np.random.default_rng(0))


def test_a_stage_that_changes_nothing_returns_x_itself(compiled):
    x = np.ones((3, 2))
    net = mg.Network([mg.Dropout(0.5)], rng=np.random.default_rng(0), dtype="float64", ops=cpu(compiled))
    assert net(x) is x
    y, back = net.forward(x, train=False)
    assert y is x
    assert back(x) is x
