"""Weight decay and clipping by the norm of the gradient, on every backend (PyTorch: test_optimizers_torch.py)."""

import math
from fractions import Fraction

import numpy as np
import pytest
from cases import ON_EACH_BACKEND
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan as mg
from minigan.ops import get_ops, reference, to_host
from minigan.ops.cpu import vector
from minigan.training import Experiment, train

MAKERS = [mg.SGD, mg.RMSProp, mg.Adam]
ON_EACH_OPTIMIZER = pytest.mark.parametrize("make", MAKERS)
SEEDS = st.integers(0, 2**32 - 1)
LARGE = 3 * vector.NUMPY_BLOCK_NUMBERS + 5


def net_of(n_in=3, dtype="float64", ops="cpu"):
    return mg.Network([mg.Dense(n_in, 4)], rng=np.random.default_rng(0), dtype=dtype, ops=ops)


def clipped(g, c):
    """Algorithm 1 of Pascanu et al. 2013, with Python's own hypot, which neither over- nor underflows."""
    norm = math.hypot(*g.tolist())
    return g if norm <= c else np.array([x / norm * c for x in g.tolist()])


# --- weight decay ---------------------------------------------------------------------------------


@ON_EACH_BACKEND
@ON_EACH_OPTIMIZER
@settings(max_examples=20)
@given(seed=SEEDS, weight_decay=st.floats(0, 10), base=st.floats(0, 0.1))
def test_a_step_is_the_decay_and_then_the_step_without_it(make, ops, seed, weight_decay, base):
    """theta <- theta - lr(t) w theta, on which neither g nor the moments depend, at the rate of the step."""
    rng, decayed, free = np.random.default_rng(seed), net_of(ops=ops), net_of(ops=ops)

    def lr(t):
        return base / t

    one, other = make(decayed, lr=lr, weight_decay=weight_decay), make(free, lr=lr)
    for t in (1, 2, 3):
        g = rng.standard_normal(16)
        free.theta = free.theta * (1 - lr(t) * weight_decay)
        one.step(g), other.step(g)
        np.testing.assert_allclose(decayed.theta, free.theta, rtol=1e-13, atol=1e-15)
        for name in one.state:
            np.testing.assert_array_equal(one.state[name], other.state[name])


@ON_EACH_BACKEND
@ON_EACH_OPTIMIZER
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_without_decay_and_clipping_no_bit_changes(make, dtype, ops):
    ends = []
    for options in ({}, {"weight_decay": 0.0, "clip_norm": 1e30}):
        net, rng = net_of(50, dtype=dtype, ops=ops), np.random.default_rng(1)
        optimizer = make(net, lr=0.1, **options)
        for _ in range(3):
            optimizer.step(rng.standard_normal(204).astype(dtype))
        ends.append(net.theta.tobytes())
    assert ends[0] == ends[1]


@ON_EACH_BACKEND
def test_small_decays_are_not_rounded_together_in_float32(ops):
    """lr w = 1e-6 is 17 units in the last place of 1, and 1 - 1e-6 in float32 is 1.3 % off."""
    net = net_of(1000, "float32", ops)
    theta = np.random.default_rng(0).uniform(1, 2, net.theta.size)
    net.theta = theta
    before = net.theta.astype(float)
    mg.SGD(net, lr=1e-3, weight_decay=1e-3).step(net.zeros_like_theta())
    np.testing.assert_allclose((before - net.theta).sum(), 1e-6 * before.sum(), rtol=2e-3)


def test_decay_is_exact_in_exact_arithmetic():
    net = net_of(1).astype(object, Fraction)
    net.theta = np.array([Fraction(k) for k in range(8)], dtype=object)
    g = np.array([Fraction(1)] * 8, dtype=object)
    mg.SGD(net, lr=Fraction(1, 3), momentum=0, weight_decay=Fraction(1, 2)).step(g)
    assert net.theta.tolist() == [k * (1 - Fraction(1, 6)) - Fraction(1, 3) for k in range(8)]


def test_theta_is_bounded_after_the_decay():
    net = net_of()
    net.theta = np.full(16, 4.0)
    mg.SGD(net, lr=0.5, weight_decay=1.0, clip=1.5).step(np.zeros(16))
    np.testing.assert_array_equal(net.theta, 1.5)


# --- clipping by the norm -------------------------------------------------------------------------


@ON_EACH_BACKEND
@given(
    st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=40),
    st.one_of(st.floats(1e-3, 1e3), st.floats(1e-30, 1e300)),
)
def test_a_clipped_gradient_points_where_it_did(ops, numbers, c):
    g = np.array(numbers)
    ops = reference if ops == "reference" else ops
    before = g.tobytes()
    found = to_host(ops.clip_norm(g, c))
    assert g.tobytes() == before
    np.testing.assert_allclose(found, clipped(g, c), rtol=1e-13, atol=1e-13 * min(c, np.abs(g).max()))


@pytest.mark.parametrize("compiled", [False, None], ids=["numpy", "compiled"])
@given(
    st.lists(st.floats(0.1, 1), min_size=1, max_size=9), st.sampled_from([1e-160, 1e-163, 1e-180]), st.floats(0.1, 4)
)
def test_squares_that_underflow(compiled, numbers, scale, relative_bound):
    g, c = scale * np.array(numbers), scale * relative_bound
    for ops in (reference, get_ops("cpu", compiled=compiled)):
        np.testing.assert_allclose(ops.clip_norm(g, c), clipped(g, c), rtol=1e-13, atol=1e-13 * c)


@ON_EACH_BACKEND
@pytest.mark.parametrize("size", [1, 7, 300, LARGE])
@pytest.mark.parametrize(("dtype", "gate"), [("float32", 1e-6), ("float64", 1e-13)])
def test_the_norm_of_a_clipped_gradient(size, dtype, gate, ops):
    ops = reference if ops == "reference" else ops
    g = np.random.default_rng(size).standard_normal(size).astype(dtype)
    norm = float(np.sqrt(np.square(g, dtype=np.longdouble).sum()))
    for scale in (1.0, 1e30):
        scaled = g * g.dtype.type(scale)  # in float32 the squares of 1e30 overflow
        found = to_host(ops.clip_norm(scaled, 0.5 * norm))
        assert found.dtype == g.dtype
        np.testing.assert_allclose(found, 0.5 * g, rtol=gate)
    np.testing.assert_array_equal(to_host(ops.clip_norm(g, 1.001 * norm)), g)


def test_a_gradient_on_the_bound_is_not_clipped():
    g = np.array([3.0, 4.0])
    for ops in (reference, get_ops("cpu"), get_ops("cpu", compiled=False)):
        assert ops.clip_norm(g, 5.0) is g


@pytest.mark.parametrize("compiled", [False, None], ids=["numpy", "compiled"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bits_do_not_depend_on_threads(dtype, compiled):
    seen = set()
    for threads in (1, 2, 3):
        net = net_of(LARGE // 4, dtype, get_ops("cpu", compiled=compiled, threads=threads))
        g = np.random.default_rng(0).standard_normal(net.theta.size).astype(dtype)
        mg.Adam(net, weight_decay=0.1, clip_norm=0.5, groups={"*.b": {"weight_decay": 0.0}}).step(g)
        seen.add(net.theta.tobytes())
    assert len(seen) == 1


@ON_EACH_BACKEND
@ON_EACH_OPTIMIZER
def test_a_step_along_the_clipped_gradient(make, ops):
    one, other, rng = net_of(ops=ops), net_of(ops=ops), np.random.default_rng(2)
    first, second = make(one, lr=0.1, clip_norm=1.0), make(other, lr=0.1)
    for scale in (0.01, 1.0, 100.0):
        g = scale * rng.standard_normal(16)
        kept = g.copy()
        first.step(g), second.step(clipped(g, 1.0))
        np.testing.assert_array_equal(g, kept)
        np.testing.assert_allclose(one.theta, other.theta, rtol=1e-12)


def test_a_gradient_of_another_dtype_is_cast_before_its_norm_is_taken():
    net = net_of()
    net.theta = np.zeros(16)
    g = np.full(16, 100, dtype="int8")  # 100^2 overflows in int8
    mg.SGD(net, lr=1.0, clip_norm=4.0).step(g)
    np.testing.assert_array_equal(net.theta, -1.0)
    assert (g == 100).all()


@ON_EACH_BACKEND
@ON_EACH_OPTIMIZER
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_stays_visible_in_theta(make, value, dtype, ops):
    net = net_of(dtype=dtype, ops=ops)
    g = np.ones(16, dtype)
    g[5] = value
    make(net, lr=0.1, clip_norm=1.0).step(g)
    assert math.isnan(net.theta[5])


def test_a_large_gradient_is_clipped_and_no_divergence():
    """Its squares overflow in float32, the step is finite nevertheless."""
    net = net_of(dtype="float32")
    net.theta = np.zeros(16)
    mg.SGD(net, lr=1.0, clip_norm=1.0).step(np.full(16, 1e38, "float32"))
    np.testing.assert_allclose(net.theta, -0.25, rtol=1e-6)


def test_a_run_with_clipping_ends_as_diverged():
    rng = np.random.default_rng(0)
    G, D = (mg.Network([mg.Dense(1, 1)], rng=rng) for _ in range(2))
    gan = mg.GAN(G, D, mg.Adam(G, clip_norm=1.0), mg.Adam(D, clip_norm=1.0), mg.NonSaturating())
    draws = [lambda: rng.normal(size=(4, 1))] * 2
    played = []
    step = gan.optimizer_D.step

    def poisoned(g):
        played.append(1)
        if len(played) == 3:
            g[0] = np.nan
        step(g)

    object.__setattr__(gan.optimizer_D, "step", poisoned)
    summary = train(
        Experiment("clipped", gan, lambda: mg.alternating(gan, *draws), iterations=6, streams={"draws": rng})
    )
    assert summary["status"] == "diverged"
    assert summary["divergence"]["iteration"] == 3


@pytest.mark.parametrize("c", [0.5, 100.0])
def test_the_derivative_of_a_step_by_complex_step(c):
    """d/dh of g + h v: v where g is short, c / ||g|| (v - g <g, v> / ||g||^2) where it is clipped."""
    rng, h = np.random.default_rng(0), 1e-30
    g, v = rng.standard_normal((2, 16))
    theta = rng.standard_normal(16)
    net = net_of(dtype="complex128", ops="reference")
    net.theta = theta
    mg.SGD(net, lr=0.25, weight_decay=0.5, clip_norm=c).step(g + 1j * h * v)
    norm = np.linalg.norm(g)
    want = v if norm <= c else c / norm * (v - g * (g @ v) / norm**2)
    np.testing.assert_allclose(net.theta.imag / h, -0.25 * want, rtol=1e-13)
    np.testing.assert_allclose(net.theta.real, (1 - 0.125) * theta - 0.25 * clipped(g, c), rtol=1e-13)


# --- arguments ------------------------------------------------------------------------------------


@ON_EACH_OPTIMIZER
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("weight_decay", -0.1, r"in \[0, inf\), got -0.1"),
        ("weight_decay", math.nan, "finite, got nan"),
        ("weight_decay", None, "a number, got None"),
        ("clip_norm", 0, "> 0, got 0"),
        ("clip_norm", -1.0, "> 0, got -1.0"),
        ("clip_norm", math.inf, "finite, got inf"),
        ("clip_norm", "1", "a number, got '1'"),
    ],
)
def test_values_are_checked_when_they_are_set(make, name, value, expected):
    with pytest.raises(ValueError, match=f"^{name} must be {expected}$"):
        make(net_of(), lr=0.1, **{name: value})
    optimizer = make(net_of(), lr=0.1)
    with pytest.raises(ValueError, match=f"^{name} must be {expected}$"):
        setattr(optimizer, name, value)


def test_changed_values_are_used():
    net = net_of()
    net.theta = np.ones(16)
    sgd = mg.SGD(net, lr=0.5)
    sgd.weight_decay, sgd.clip_norm = np.float32(0.5), 2
    assert type(sgd.weight_decay) is float
    sgd.step(np.full(16, 8.0))
    np.testing.assert_array_equal(net.theta, 1 - 0.25 - 0.5 * 0.5)
    sgd.weight_decay, sgd.clip_norm = 0.0, None
    sgd.step(np.full(16, 8.0))
    np.testing.assert_array_equal(net.theta, 0.5 - 4)


def test_what_is_used_is_printed():
    net = net_of()
    text = repr(mg.Adam(net, weight_decay=1e-2, clip_norm=1, clip=0.5))
    assert text == (
        "Adam(lr=0.001, beta1=0.9, beta2=0.999, eps=1e-08, clip=0.5, clip_norm=1.0, weight_decay=0.01, t=0, "
        "parameters=16)"
    )


def test_an_invalid_rate_moves_nothing():
    net = net_of()
    before = net.theta.copy()
    optimizer = mg.SGD(net, lr=0.1, momentum=lambda t: 2.0, weight_decay=0.5, clip_norm=1.0)
    with pytest.raises(ValueError, match=r"momentum\(1\) must be in"):
        optimizer.step(np.ones(16))
    np.testing.assert_array_equal(net.theta, before)
    assert optimizer.t == 0
