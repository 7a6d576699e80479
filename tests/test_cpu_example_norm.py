"""Layer, group and instance norm by compiled kernels agree with the reference, for any number of threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.ops import get_ops
from minigan.ops.cpu.example_norm import ExampleNormStage, Sets, sets_of

pytest.importorskip("numba")


def both(layer, shape, n, dtype, *, seed=0, mean=0.0, need_dx=True, need_g=True):
    """y, dx and dL/dtheta of the reference in float64, and of the compiled kernels."""
    rng, found = np.random.default_rng(seed), []
    x = (mean + rng.standard_normal((n, *shape))).astype(dtype)
    dy = rng.standard_normal(x.shape).astype(dtype)
    theta = rng.uniform(0.5, 1.5, sum(map(np.size, mg.Network([layer], rng=rng).parameters().values()))).astype(dtype)
    for ops, kind in (("reference", "float64"), (get_ops("cpu", compiled=True, threads=2), dtype)):
        net = mg.Network([layer], rng=rng, dtype=kind, ops=ops)
        net.theta = theta.astype(kind)
        y, backward = net.forward(x.astype(kind), train=True)
        g = net.zeros_like_theta() if need_g else None
        dx = backward(dy.astype(kind), g, need_dx=need_dx)
        found.append([a for a in (y, dx, g) if a is not None])
        assert all(a.dtype == kind for a in found[-1])
    return found


def assert_close(want, got, tolerance):
    for a, b in zip(want, got, strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=tolerance * max(np.abs(a).max(), 1))


SHAPES = [
    (mg.LayerNorm(2), (2,)), (mg.LayerNorm(63), (63,)), (mg.LayerNorm(64), (64,)), (mg.LayerNorm(321), (321,)),
    (mg.LayerNorm(1025), (1025,)), (mg.LayerNorm(4096 + 300), (4396,)), (mg.LayerNorm((6, 5, 7)), (6, 5, 7)),
    (mg.LayerNorm(9), (5, 9)), (mg.GroupNorm(1, 3), (5, 5, 3)), (mg.GroupNorm(3, 6), (8, 8, 6)),
    (mg.GroupNorm(2, 1026), (3, 1026)), (mg.GroupNorm(4, 2048), (2048,)), (mg.GroupNorm(8, 64), (10, 13, 64)),
    (mg.InstanceNorm2D(1), (9, 9, 1)), (mg.InstanceNorm2D(5), (7, 11, 5)), (mg.InstanceNorm2D(1500), (2, 3, 1500)),
    (mg.InstanceNorm2D(16), (28, 28, 16)), (mg.GroupNorm(2, 4), (4,)),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-6), ("float64", 1e-13)])
@pytest.mark.parametrize(("layer", "shape"), SHAPES, ids=[f"{x[0]}"[:30] for x in SHAPES])
def test_they_agree_with_the_reference_in_float64(layer, shape, dtype, tolerance):
    assert_close(*both(layer, shape, 7, dtype), tolerance)


@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(1, 40), groups=st.integers(1, 4), width=st.integers(1, 4),
    height=st.integers(1, 20), mean=st.floats(-100, 100), need_dx=st.booleans(),
)  # fmt: skip
def test_any_size(seed, n, groups, width, height, mean, need_dx):
    for layer in (mg.GroupNorm(groups, groups * width), mg.LayerNorm((2, groups * width))):
        shape = (height, 2, groups * width)
        if height * 2 * width > 1:
            found = both(
                layer, shape, n, "float64", seed=seed, mean=mean, need_dx=need_dx, need_g=n % 3 > 0 or not need_dx
            )
            assert_close(*found, 1e-10)


def test_a_set_of_one_number_has_the_output_beta_and_no_gradient():
    (_, dx, _), (y, got, _) = both(mg.LayerNorm(1), (1,), 5, "float32")
    assert (y == y[0]).all()
    assert (dx == 0).all()
    assert np.abs(got).max() < 1e-4  # the rounding of terms of size 1 / sqrt(eps) = 316


@pytest.mark.parametrize("mean", [1e3, -1e5])
@pytest.mark.parametrize("layer", [mg.LayerNorm((16, 8, 6)), mg.GroupNorm(2, 6), mg.InstanceNorm2D(6)])
def test_a_first_pixel_far_from_the_mean_costs_no_digits(layer, mean):
    """x is given in float32, so that both see the same numbers; the first ones are outliers by 1e4 deviations."""
    rng = np.random.default_rng(0)
    x = (mean + rng.standard_normal((3, 16, 8, 6))).astype("float32")
    x[:, :2] = 0
    want = mg.Network([layer], rng=rng, dtype="float64", ops="reference")(x.astype("float64"))
    got = mg.Network([layer], rng=rng, ops=get_ops("cpu", compiled=True))(x)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("layer", [mg.LayerNorm(6), mg.GroupNorm(2, 6), mg.InstanceNorm2D(6)])
def test_a_number_that_is_not_finite_makes_its_set_nan_and_no_other(layer, wrong):
    x = np.random.default_rng(0).standard_normal((4, 3, 3, 6)).astype("float32")
    x[1, 2, 0, 4] = wrong
    nets = (mg.Network([layer], rng=np.random.default_rng(0), ops=ops) for ops in ("reference", "cpu"))
    with np.errstate(invalid="ignore"):
        want, got = (net(x) for net in nets)
    assert np.isnan(want).any()
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))


def test_a_pullback_may_be_called_twice_and_adds_to_the_gradient():
    net = mg.Network([mg.GroupNorm(2, 6)], rng=np.random.default_rng(0), ops=get_ops("cpu", compiled=True))
    x, dy = np.random.default_rng(0).standard_normal((2, 4, 3, 3, 6)).astype("float32")
    _, backward = net.forward(x, train=True)
    once, twice, before = net.zeros_like_theta(), net.zeros_like_theta(), dy.copy()
    first = backward(dy, once)
    for _ in range(2):
        np.testing.assert_array_equal(backward(dy, twice), first)
    np.testing.assert_array_equal(twice, 2 * once)
    np.testing.assert_array_equal(dy, before)


def test_views_that_are_not_contiguous():
    net = mg.Network([mg.InstanceNorm2D(4)], rng=np.random.default_rng(0), ops=get_ops("cpu", compiled=True))
    x, dy = np.random.default_rng(0).standard_normal((2, 5, 4, 6, 6)).astype("float32").transpose(0, 1, 3, 4, 2)
    y, backward = net.forward(x, train=True)
    same, backward_same = net.forward(np.ascontiguousarray(x), train=True)
    np.testing.assert_array_equal(y, same)
    np.testing.assert_array_equal(backward(dy), backward_same(np.ascontiguousarray(dy)))


def test_the_rule_takes_these_layers_alone():
    class Own(mg.LayerNorm):
        pass

    net = mg.Network([mg.LayerNorm(4), Own(4)], rng=np.random.default_rng(0), ops=get_ops("cpu", compiled=True))
    assert [type(stage) for stage in net._run.layers] == [ExampleNormStage, Own]


def test_small_rows_are_folded():
    """256 numbers at most, and only where the pixels divide."""
    assert sets_of(mg.GroupNorm(4, 16), (3, 28, 28, 16)) == Sets(3, 49, 256, 4, 16)
    assert sets_of(mg.InstanceNorm2D(16), (3, 7, 11, 16)) == Sets(3, 7, 176, 16, 11)
    assert sets_of(mg.InstanceNorm2D(300), (3, 2, 2, 300)) == Sets(3, 4, 300, 300, 1)
    assert sets_of(mg.GroupNorm(4, 16), (3, 16)) == Sets(3, 1, 16, 4, 1)
    assert sets_of(mg.LayerNorm((5, 6)), (3, 4, 5, 6)) == Sets(12, 1, 30, 1, 1)


def test_an_input_of_another_shape_is_refused():
    net = mg.Network([mg.GroupNorm(2, 6)], rng=np.random.default_rng(0), ops=get_ops("cpu", compiled=True))
    with pytest.raises(ValueError, match=r"layer 0 \(GroupNorm\): input shape \(3, 4\); expected \(..., 6\)"):
        net(np.zeros((2, 3, 4), "float32"))
