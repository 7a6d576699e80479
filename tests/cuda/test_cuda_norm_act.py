"""Stages of rows on the device are their layers on the reference."""

import check_norm_act
import numpy as np
import pytest
from emulated import NEEDS_HOST_COMPILER, ON_EACH_SCHEDULE, device
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fused_norm_act import RUNS, layers_of
from test_fused_norm_act import cases as runs_of_layers

from minigan.ops import reference
from minigan.ops.cuda.norm_act import NormActivation
from minigan.ops.cuda.tiles import MAX_SUM_BLOCKS, Tiles, tiles_of
from minigan.ops.norm_act import IDENTITY_MASK, ActivationMask

pytestmark = NEEDS_HOST_COMPILER

NAN, INF = np.nan, np.inf


@ON_EACH_SCHEDULE
@pytest.mark.parametrize("dtype", check_norm_act.TOLERANCES)
@pytest.mark.parametrize(
    "name", ["statistics", "norm", "far", "momentum", "everything", "flat", "keyed", "sums", "dropout", "repeated"]
)
def test_the_kernels(name, dtype, schedule):
    getattr(check_norm_act, name)(device(schedule), dtype)


@settings(max_examples=40)
@given(runs_of_layers(), st.integers(0, 2**32 - 1))
def test_a_stage_is_its_layers(case, seed):
    layers, x, dy, how = case
    before = x.copy(), dy.copy()
    found, expected = check_norm_act.fused(device(), layers, x, dy, seed=seed, **how)
    for name, right in expected.items():
        if right is None:
            assert found[name] is None
        else:
            assert found[name].shape == right.shape
            assert abs(found[name] - right).max(initial=0) <= 1e-12 * abs(right).max(initial=1e-300), name
    np.testing.assert_array_equal((x, dy), before)


@pytest.mark.parametrize(
    "run", ["relu", "leaky", "norm relu", "norm leaky", "drop relu drop", "leaky drop", "relu norm"]
)
def test_infinities_and_nan_are_treated_as_by_the_layers(run):
    special = np.array([NAN, INF, -INF, -1.0, 0.0, -0.0, 1.0, 1e-300])
    x, dy = (a.reshape(-1, 2) for a in np.meshgrid(special, special))
    with np.errstate(all="ignore"):
        found, expected = check_norm_act.fused(device(), layers_of(run, 2, slopes=(0.0, 0.3)), x, dy, train=False)
    for name in ("y", "dx", "g"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-13)


@pytest.mark.parametrize("run", RUNS)
def test_rows_that_begin_anywhere_in_memory(run):
    """Views that no wide load fits, behind others that it fits, as sub-batches of an odd number of channels are."""
    x, dy = check_norm_act.data((6, 5, 3))
    check_norm_act.compare(
        *check_norm_act.fused(device(), layers_of(run, 3), x, dy, train=True, sub_batches=2), "float64"
    )


@settings(max_examples=25)
@given(
    M=st.integers(1, 3000),
    C=st.integers(1, 70),
    offset=st.sampled_from([0.0, 1.0, 1e8]),
    dtype=st.sampled_from(["float32", "float64"]),
    slope=st.sampled_from([1.0, 0.2]),
    rate=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 2**32 - 1),
)
def test_statistics(M, C, offset, dtype, slope, rate, seed):
    """A mean 1e8 times the spread (or, in float32, as far as its digits go) takes nothing from the variance."""
    M = min(M, 20_000 // C)
    x = (np.random.default_rng(seed).standard_normal((M, C)) + offset).astype(dtype)
    mask = ActivationMask(slope=slope, rate=rate, key=seed)
    mu, var = NormActivation(device()).statistics(device().array(x), mask)
    u = reference.dropout(x, rate, mask.key)
    u = np.where(u > 0, u, x.dtype.type(slope) * u).astype(np.longdouble)
    right_mu, right_var = u.mean(axis=0), u.var(axis=0)
    eps = np.finfo(dtype).eps
    assert abs(mu.get() - right_mu).max() <= 4 * eps * abs(u).max()
    assert abs(var.get() - right_var).max() <= 10 * eps * max(right_var.max(), 1e-300)


@settings(max_examples=40)
@given(
    rate=st.floats(0, 1, exclude_max=True),
    key=st.integers(0, 2**64 - 1),
    size=st.integers(1, 900),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_dropout_is_the_references_bit_for_bit(rate, key, size, dtype):
    x = np.random.default_rng(size).standard_normal(size).astype(dtype)
    found = NormActivation(device()).dropout(device().array(x), rate, key)
    np.testing.assert_array_equal(found.get(), reference.dropout(x, rate, key))


def test_nothing_at_all():
    """No rows: sums are 0, moments are not defined, and nothing is launched."""
    norm_act, x = NormActivation(device()), device().xp.zeros((0, 3))
    assert norm_act.sum_rows(x).tolist() == [0, 0, 0]
    assert all(np.isnan(v.get()).all() for v in norm_act.moments(x))
    assert norm_act.dropout(x, 0.5, 1).shape == (0, 3)
    norm_act.backward(x, x, x, IDENTITY_MASK, None, IDENTITY_MASK)


def test_other_dtypes_are_refused():
    with pytest.raises(TypeError, match="sum_columns: dtype int64 given; expected float32 or float64"):
        NormActivation(device()).sum_rows(device().xp.zeros((2, 3), dtype="int64"))


@given(M=st.integers(1, 10**7), C=st.integers(1, 70_000), width=st.sampled_from([1, 2, 4]))
def test_tiles_cover_the_matrix_and_fit_a_grid(M, C, width):
    C *= width
    tiles = Tiles(M, C, width)
    assert (tiles.parts - 1) * tiles.rows_per_part < M <= tiles.parts * tiles.rows_per_part
    assert (tiles.blocks_across - 1) << tiles.log_lanes < C // width <= tiles.blocks_across << tiles.log_lanes
    assert 1 <= tiles.parts <= max(MAX_SUM_BLOCKS, 1) <= 65535
    assert 1 <= tiles.grid[1] <= 65535
    assert tiles.threads_per_column << tiles.log_lanes == 256


def test_wide_loads_where_every_row_begins_at_16_bytes():
    xp = device().xp
    assert tiles_of(xp.zeros((3, 8))).width == 2
    assert tiles_of(xp.zeros((3, 8), dtype="float32")).width == 4
    assert tiles_of(xp.zeros((3, 6), dtype="float32")).width == 1
    assert tiles_of(xp.zeros((3, 8)), xp.zeros(9)[1:]).width == 1
