"""Winograd's convolutions against the reference: every F(m, r), stride and padding; adjoints; exactness; threads."""

import itertools
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.ops import get_ops, reference
from minigan.ops.cpu.conv import plan as costs
from minigan.ops.cpu.conv import winograd, winograd_weights
from minigan.ops.cpu.conv.flipped import flipped_geometry
from minigan.ops.cpu.conv.plan import ORDERS_BY_ACCURACY, Plan, choose_plan, taps
from minigan.ops.geometry import Geometry, small_size

COMPILED = (False, pytest.param(True, marks=pytest.mark.skipif(not find_spec("numba"), reason="numba is not there")))
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True)
def transforms_cost_little(monkeypatch):
    """Lower the costs of transforms, so that the cost model chooses Winograd for small layers too."""
    cheap = costs.Costs(transform_entry=12, transformed_weight=96, batched_mac=1.1, call=0)
    monkeypatch.setattr(costs, "COSTS", dict.fromkeys(costs.COSTS, cheap))
    choose_plan.cache_clear()
    yield
    choose_plan.cache_clear()


# n = m + r - 1 -> the greatest error of float32, in eps times the number of terms times the greatest term
ROUNDING = {3: 2, 4: 4, 5: 20, 6: 40}


@st.composite
def problems(draw, *, orders=ORDERS_BY_ACCURACY["fast"]):
    """F(m, r), a geometry that fits r with any strides, padding and output padding, channels and images."""
    m, r = draw(st.sampled_from(orders))
    strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    long = [draw(st.integers(s * (r - 1) + 1, s * r)) for s in strides]
    short = draw(st.integers(0, 1))  # the other axis may have fewer taps
    kernel = tuple(k if axis != short else draw(st.integers(1, k)) for axis, k in enumerate(long))
    padding = tuple(draw(st.tuples(st.integers(0, 3), st.integers(0, 3))) for _ in range(2))
    large = tuple(max(1, k - sum(p)) + draw(st.integers(0, 9)) for k, p in zip(kernel, padding, strict=True))
    axes = zip(large, kernel, strides, padding, strict=True)
    small = tuple(small_size(n, k, stride=s, dilation=1, padding=p) for n, k, s, p in axes)
    geometry = Geometry(large, small, kernel, strides, (1, 1), padding)
    assert taps(geometry) <= r
    C, O, n = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return Plan(m, r), geometry, C, O, n


def arrays(problem, seed, draw):
    _, geometry, C, O, n = problem
    rng = np.random.default_rng(seed)
    shapes = ((n, *geometry.large, C), (n, *geometry.small, O), (*geometry.kernel, C, O), (O,), (C,))
    return [draw(rng, shape) for shape in shapes]


def normal(rng, shape):
    return rng.standard_normal(shape)


def integers(rng, shape):
    return rng.integers(-9, 10, shape).astype(float)


def three(plan, geometry, data, cpu):
    """Forward pass, input gradient and weight gradient of the same arrays."""
    x, y, W, b, c = data
    return (
        winograd.correlate(x, W, geometry, b, plan, cpu),
        winograd.correlate_adjoint(y, W, geometry, c, plan, cpu),
        winograd_weights.correlate_weights(x, y, geometry, plan, cpu),
    )


def want(geometry, data):
    x, y, W, b, c = data
    return (
        reference.correlate(x, W, geometry, b),
        reference.correlate_adjoint(y, W, geometry, c),
        reference.correlate_weights(x, y, geometry),
    )


@pytest.mark.parametrize("compiled", COMPILED)
@given(problems(orders=[*ORDERS_BY_ACCURACY["fast"], (3, 4), (2, 4)]), SEEDS)
@settings(max_examples=200)
def test_against_the_reference(compiled, problem, seed):
    """float64 to 1e-12 of the greatest entry; float32 to a few eps of the largest possible sum."""
    plan, geometry, *_ = problem
    data, cpu = arrays(problem, seed, normal), get_ops("cpu", compiled=compiled, threads=2)
    for got, true in zip(three(plan, geometry, data, cpu), want(geometry, data), strict=True):
        np.testing.assert_allclose(got, true, rtol=0, atol=1e-12 * max(1, np.abs(true).max()))
    singles, sizes = [a.astype("float32") for a in data], bounds(plan, geometry, data)
    for got, true, size in zip(three(plan, geometry, singles, cpu), want(geometry, data), sizes, strict=True):
        assert got.dtype == np.float32
        assert got.flags.c_contiguous
        assert np.abs(got - true).max() <= ROUNDING[plan.n] * np.finfo("float32").eps * size


def bounds(plan, geometry, data):
    """Bounds of y, dx and dW, for all taps of all phases, with a few roundings of the input."""
    (x, y, W, b, c), (sh, sw) = (np.abs(a).max() for a in data), geometry.stride
    taps, (C, O), (n, h, w) = plan.r**2 * sh * sw, data[2].shape[2:], data[1].shape[:3]
    return taps * C * x * W + b, taps * O * y * W + c, n * (h + plan.m) * (w + plan.m) * x * y


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("compiled", COMPILED)
@given(problems(orders=ORDERS_BY_ACCURACY["balanced"]), SEEDS)
def test_balanced_is_exact_on_integers(compiled, dtype, problem, seed):
    """Halves and quarters of small integers are exact in floating point, so the results and both adjoints are equal."""
    plan, geometry, *_ = problem
    data = [a.astype(dtype) for a in arrays(problem, seed, integers)]
    data[3][...], data[4][...] = 0, 0
    got = three(plan, geometry, data, get_ops("cpu", compiled=compiled))
    for a, b in zip(got, want(geometry, data), strict=True):
        np.testing.assert_array_equal(a, b)
    x, y, W, *_ = data
    assert (got[0] * y).sum() == (got[1] * x).sum() == (got[2] * W).sum()


@pytest.mark.parametrize("compiled", COMPILED)
@given(problems(), SEEDS)
def test_adjoints(compiled, problem, seed):
    """<A x, y> = <x, A^t y> = <W, dW> for every F(m, r)."""
    plan, geometry, *_ = problem
    data = arrays(problem, seed, normal)
    data[3][...], data[4][...] = 0, 0
    x, y, W, *_ = data
    forwards, back, weights = three(plan, geometry, data, get_ops("cpu", compiled=compiled))
    scale = np.linalg.norm(forwards) * np.linalg.norm(y) + 1
    assert abs((forwards * y).sum() - (back * x).sum()) <= 1e-12 * scale
    assert abs((forwards * y).sum() - (weights * W).sum()) <= 1e-12 * scale


LAYERS = {  # geometry, C, O of layers that Winograd takes: stride 1, and 2 with k = 3, 4, 5
    "k3 s1": (Geometry((9, 8), (9, 8), (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1))), 32, 48),
    "k4 s2": (Geometry((16, 14), (8, 7), (4, 4), (2, 2), (1, 1), ((1, 1), (1, 1))), 32, 40),
    "k5 s2": (Geometry((24, 24), (12, 12), (5, 5), (2, 2), (1, 1), ((1, 2), (1, 2))), 64, 72),
    "k5 s1": (Geometry((12, 12), (12, 12), (5, 5), (1, 1), (1, 1), ((2, 2), (2, 2))), 32, 32),
}


@pytest.mark.parametrize("compiled", COMPILED)
@pytest.mark.parametrize("parts", [1, 3, 8])
def test_parts_of_many_tiles(parts, compiled, monkeypatch):
    """More tiles than a thread processes at a time, with a remainder; images in parts of several sizes."""
    geometry, C, O, n = Geometry((21, 20), (21, 20), (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1))), 20, 24, 9
    monkeypatch.setattr(winograd, "N_PARTS", parts)
    monkeypatch.setattr(winograd_weights, "N_PARTS", parts)
    monkeypatch.setattr(winograd, "TARGET_TILES_PER_PART", 1000)
    data = [a.astype("float64") for a in arrays((None, geometry, C, O, n), 0, normal)]
    x, y, W, b, c = data
    assert winograd.image_parts(n, winograd.tiles_of(geometry, Plan(2, 3))[0]) is not None
    cpu = get_ops("cpu", threads=2, compiled=compiled)
    plan = Plan(2, 3)
    got = (
        winograd.correlate(x, W, geometry, b, plan, cpu),
        winograd.correlate_adjoint(y, W, geometry, c, plan, cpu),
        winograd_weights.correlate_weights(x, y, geometry, plan, cpu),
    )
    for found, true in zip(got, want(geometry, data), strict=True):
        np.testing.assert_allclose(found, true, rtol=0, atol=1e-12 * np.abs(true).max())


@pytest.mark.parametrize("accuracy", ["exact", "balanced"])
@pytest.mark.parametrize("compiled", COMPILED)
def test_what_does_not_fit_is_refused(compiled, accuracy):
    """They raise an error before a compiled kernel reads outside an array."""
    geometry, C, O = LAYERS["k3 s1"]
    cpu = get_ops("cpu", compiled=compiled, accuracy=accuracy)
    x, y, W, b, c = (a.astype("float32") for a in arrays((None, geometry, C, O, 3), 0, normal))
    for call in (
        lambda: cpu.correlate(x[:, 1:], W, geometry, b), lambda: cpu.correlate(x[..., 1:], W, geometry, b),
        lambda: cpu.correlate(x, W[1:], geometry, b), lambda: cpu.correlate(x, W, geometry, b[1:]),
        lambda: cpu.correlate_adjoint(y[:, 1:], W, geometry, c), lambda: cpu.correlate_adjoint(y, W, geometry, c[1:]),
        lambda: cpu.correlate_adjoint(y[..., 1:], W, geometry, c), lambda: cpu.correlate_weights(x[1:], y, geometry),
        lambda: cpu.correlate_weights(x[:, 1:], y, geometry), lambda: cpu.correlate_weights(x, y[:, 1:], geometry),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"expected |broadcast"):
            call()
    one = np.array([2.5], "float32")
    np.testing.assert_array_equal(
        cpu.correlate(x, W, geometry, one), cpu.correlate(x, W, geometry, np.full(O, 2.5, "float32"))
    )


@pytest.mark.parametrize("accuracy", ORDERS_BY_ACCURACY)
@pytest.mark.parametrize("compiled", COMPILED)
@pytest.mark.parametrize("name", LAYERS)
def test_the_same_bits_on_any_number_of_threads(name, compiled, accuracy, monkeypatch):
    """With several chunks of images and several parts of each."""
    geometry, C, O = LAYERS[name]
    monkeypatch.setattr(winograd, "MIN_TILES_PER_PART", 32)
    data = [a.astype("float32") for a in arrays((None, geometry, C, O, 21), 0, normal)]
    x, y, W, b, c = data
    plan = choose_plan(geometry, 21, C, O, accuracy, compiled=compiled)
    assert plan is None or plan in ORDERS_BY_ACCURACY[accuracy]
    if accuracy == "fast":
        assert plan is not None
    results = []
    for threads in (1, 2, 3):
        cpu = get_ops("cpu", threads=threads, accuracy=accuracy, compiled=compiled)
        results.append(
            (
                cpu.correlate(x, W, geometry, b),
                cpu.correlate_adjoint(y, W, geometry, c),
                cpu.correlate_weights(x, y, geometry),
            )
        )
    for run, again in itertools.pairwise(results):
        for a, b in zip(run, again, strict=True):
            np.testing.assert_array_equal(a, b)
    for got, true in zip(results[0], want(geometry, data), strict=True):
        np.testing.assert_allclose(got, true, rtol=0, atol=2e-5 * np.abs(true).max())


def refuse(*args, **kwargs):
    raise AssertionError("Winograd where it may not be")


@pytest.mark.parametrize("name", LAYERS)
def test_exact_is_direct(name, monkeypatch):
    geometry, C, O = LAYERS[name]
    x, y, W, b, c = arrays((None, geometry, C, O, 21), 0, normal)
    for module, body in (
        (winograd, "correlate"), (winograd, "correlate_adjoint"), (winograd_weights, "correlate_weights")
    ):  # fmt: skip
        monkeypatch.setattr(module, body, refuse)
    cpu, fast = get_ops("cpu", accuracy="exact"), get_ops("cpu", accuracy="fast")
    for method, args in (
        ("correlate", (x, W, geometry, b)), ("correlate_adjoint", (y, W, geometry, c)),
        ("correlate_weights", (x, y, geometry)),
    ):  # fmt: skip
        getattr(cpu, method)(*args)
        with pytest.raises(AssertionError, match="Winograd"):
            getattr(fast, method)(*args)


def test_few_channels_dilation_and_no_images_are_direct():
    geometry, C, O = LAYERS["k3 s1"]
    assert choose_plan(geometry, 64, C, O, "fast", compiled=True)
    assert choose_plan(geometry, 64, 16, O, "fast", compiled=True) is None
    assert choose_plan(geometry, 64, C, 3, "fast", compiled=True) is None
    assert choose_plan(geometry, 0, C, O, "fast", compiled=True) is None
    dilated = Geometry((9, 8), (5, 4), (3, 3), (1, 1), (2, 2), ((0, 0), (0, 0)))
    assert choose_plan(dilated, 64, C, O, "fast", compiled=True) is None


@pytest.mark.parametrize("compiled", COMPILED)
@pytest.mark.parametrize("name", LAYERS)
def test_what_is_not_finite_is_not_hidden_and_stays_in_its_image(name, compiled):
    """A NaN in image 2 appears at least where the reference has NaN, and in no other image."""
    geometry, C, O = LAYERS[name]
    x, y, W, b, c = arrays((None, geometry, C, O, 21), 0, normal)
    x[2, 4, 4, 3], y[2, 3, 3, 1] = np.nan, np.nan
    cpu = get_ops("cpu", compiled=compiled, accuracy="fast")
    for got, true in (
        (cpu.correlate(x, W, geometry, b), reference.correlate(x, W, geometry, b)),
        (cpu.correlate_adjoint(y, W, geometry, c), reference.correlate_adjoint(y, W, geometry, c)),
    ):
        assert np.isnan(got[np.isnan(true)]).all()
        assert np.isfinite(np.delete(got, 2, axis=0)).all()
    true = reference.correlate_weights(x, y, geometry)
    assert np.isnan(cpu.correlate_weights(x, y, geometry)[np.isnan(true)]).all()


@pytest.mark.parametrize("compiled", COMPILED)
def test_results_are_fresh_and_inputs_stay(compiled):
    """A second call changes neither the first call's results nor its arguments, which may be read-only."""
    geometry, C, O = LAYERS["k4 s2"]
    data = arrays((None, geometry, C, O, 21), 0, normal)
    copies = [a.copy() for a in data]
    for a in data:
        a.flags.writeable = False
    cpu = get_ops("cpu", compiled=compiled)

    def run(x, y, W, b, c):
        return (
            cpu.correlate(x, W, geometry, b),
            cpu.correlate_adjoint(y, W, geometry, c),
            cpu.correlate_weights(x, y, geometry),
        )

    first = run(*data)
    kept = [a.copy() for a in first]
    run(*(2 * a for a in data))
    for a, b in zip([*data, *first], [*copies, *kept], strict=True):
        np.testing.assert_array_equal(a, b)
    assert choose_plan(geometry, 21, C, O, "balanced", compiled=True)
    assert flipped_geometry(geometry) is None  # the adjoint adds overlapping tiles
