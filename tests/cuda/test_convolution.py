"""Convolutions on the emulated device: against the definition, against scipy, exactly, and in every schedule."""

import math

import check_convolution
import numpy as np
import pytest
from check_convolution import OF_TILES, RTOL, SIZES, assert_close, draws, geometry_of, of_reference, of_tiles, rounded
from emulated import NEEDS_HOST_COMPILER, NEEDS_NVRTC, ON_EACH_SCHEDULE, ON_GPU, SCHEDULES, device
from hypothesis import given, settings
from hypothesis import strategies as st
from images import convolutions, transposes
from scipy import signal

from minigan.ops import reference
from minigan.ops.cuda.conv.convolution import Convolution
from minigan.ops.cuda.conv.im2col import PatchCorrelations, are_images
from minigan.ops.cuda.conv.plan import MAX_PHASES, Plan, choose_plan
from minigan.ops.cuda.conv.tiles import THREADS_BY_TILE, TileCorrelations
from minigan.ops.cuda.device import source
from minigan.ops.cuda.device.compiler import compile_source

pytestmark = NEEDS_HOST_COMPILER

SEEDS = st.integers(0, 2**32 - 1)
PRECISIONS = ("fp32", "tf32", "bf16")
IN_EACH_PRECISION = pytest.mark.parametrize("precision", PRECISIONS)
IN_EACH_TILE = pytest.mark.parametrize(
    ("tile", "precision"), [(tile, p) for tile in THREADS_BY_TILE for p in PRECISIONS]
)
ON_EACH_SIZE = pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
RANDOM = "random"
OF_LIBRARY = {"fp32": 2e-6, "tf32": 2e-3, "bf16": 2e-2}
"""cuBLAS does not say how it rounds the operands."""
FEW = settings(max_examples=20)


@st.composite
def geometries(draw):
    """Of a layer of either kind: each stride, dilation, side of the padding; the transposed one's may leave pixels."""
    layer, shape = draw(convolutions() | transposes())
    return layer.geometry(shape[:2])


# --- over patches: every geometry, in double precision ----------------------------------------------


@ON_EACH_SCHEDULE
@FEW
@given(geometries(), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.booleans(), SEEDS)
def test_over_patches_it_is_the_definition(schedule, geometry, n, C, O, biased, seed):
    x, y, W, bc, bo = draws(np.random.default_rng(seed), geometry, n, C, O)
    bc, bo = (bc, bo) if biased else (None, None)
    ops, array = Convolution(device(schedule)), device(schedule).array
    X, Y, V = map(array, (x, y, W))
    on_device = [None if b is None else array(b) for b in (bc, bo)]
    assert_close(ops.correlate(X, V, geometry, on_device[1]), reference.correlate(x, W, geometry, bo), RTOL)
    assert_close(
        ops.correlate_adjoint(Y, V, geometry, on_device[0]), reference.correlate_adjoint(y, W, geometry, bc), RTOL
    )
    assert_close(ops.correlate_weights(X, Y, geometry), reference.correlate_weights(x, y, geometry), RTOL)


@ON_EACH_SIZE
def test_the_workspace_bounds_the_patches_and_changes_nothing(size):
    geometry, n, C, O = size
    arrays = draws(np.random.default_rng(0), geometry, n, C, O)
    x, y, W, bc, bo = map(device(RANDOM).array, arrays)
    taken = math.prod(geometry.small) * math.prod(geometry.kernel) * C * 8
    whole = PatchCorrelations(device(RANDOM))
    for images in (1, 2):
        few = PatchCorrelations(device(RANDOM), workspace=images * taken)
        assert few._slices(n, geometry, C, 8)[0] == slice(0, n if are_images(geometry) else images)
        assert_close(few.correlate(x, W, geometry, bo), whole.correlate(x, W, geometry, bo).get(), RTOL)
        assert_close(few.correlate_adjoint(y, W, geometry, bc), whole.correlate_adjoint(y, W, geometry, bc).get(), RTOL)
        assert_close(few.correlate_weights(x, y, geometry), whole.correlate_weights(x, y, geometry).get(), RTOL)


@pytest.mark.parametrize(
    ("geometry", "same"),
    [
        (geometry_of((3, 4), (1, 1)), True),
        (geometry_of((3, 4), (3, 4)), True),
        (geometry_of((3, 4), (3, 4), (2, 5)), True),
        (geometry_of((1, 1), (1, 1), (2, 2)), True),
        (geometry_of((3, 4), (1, 1), (1, 2)), False),
        (geometry_of((3, 4), (1, 4)), False),
        (geometry_of((3, 4), (2, 2), (1, 1), (2, 3)), False),
        (geometry_of((3, 4), (1, 1), padding=((0, 1), (0, 0))), False),
    ],
)
def test_patches_that_are_the_images_are_not_taken(geometry, same):
    assert are_images(geometry) == same
    arrays = draws(np.random.default_rng(0), geometry, 2, 3, 5)
    ops, (x, y, W, bc, bo) = Convolution(device(RANDOM)), map(device(RANDOM).array, arrays)
    got = (
        ops.correlate(x, W, geometry, bo),
        ops.correlate_adjoint(y, W, geometry, bc),
        ops.correlate_weights(x, y, geometry),
    )
    for one, want in zip(got, of_reference(geometry, arrays), strict=True):
        assert_close(one, want, RTOL)


# --- by tiles -----------------------------------------------------------------------------------------


@ON_EACH_SCHEDULE
@IN_EACH_TILE
def test_tiles_are_the_definition_on_rounded_operands(schedule, tile, precision):
    check_convolution.assert_tiles_agree(device(schedule), tile, precision)


@IN_EACH_PRECISION
@FEW
@given(geometries(), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), SEEDS)
def test_tiles_take_every_geometry(precision, geometry, n, C, O, seed):
    arrays = draws(np.random.default_rng(seed), geometry, n, C, O, dtype="float32")
    exact = [rounded(a, precision) for a in arrays[:3]] + arrays[3:]
    for got, want in zip(
        of_tiles(device(RANDOM), 64, precision, geometry, arrays), of_reference(geometry, exact), strict=True
    ):
        assert_close(got, want, OF_TILES[precision])


@IN_EACH_TILE
def test_every_schedule_gives_the_same_bits(tile, precision):
    geometry, n, C, O = SIZES["dilated"]
    arrays = draws(np.random.default_rng(2), geometry, n, C, O, dtype="float32")
    first, *others = [of_tiles(device(schedule), tile, precision, geometry, arrays, parts=3) for schedule in SCHEDULES]
    for other in others:
        for got, want in zip(other, first, strict=True):
            np.testing.assert_array_equal(got.get(), want.get())


@pytest.mark.parametrize("parts", [2, 3, 7, 10**6])
@IN_EACH_TILE
def test_the_parts_of_the_weight_gradient_are_all_of_it(tile, precision, parts):
    geometry, n, C, O = SIZES["odd"]
    arrays = draws(np.random.default_rng(3), geometry, n, C, O, dtype="float32")
    pixels = n * math.prod(geometry.small)
    want = reference.correlate_weights(*(rounded(a, precision) for a in arrays[:2]), geometry)
    got = TileCorrelations(device(RANDOM), precision).correlate_weights(
        *map(device(RANDOM).array, arrays[:2]), geometry, tile, min(parts, pixels)
    )
    assert_close(got, want, OF_TILES[precision])


@pytest.mark.parametrize("where", ["x", "y", "W"])
@IN_EACH_TILE
def test_arrays_that_begin_anywhere(tile, precision, where):
    """A parameter is a view into the flat vector: it need not begin at a multiple of 16 bytes."""
    geometry, n, C, O = SIZES["dcgan"]
    arrays = dict(
        zip(("x", "y", "W"), draws(np.random.default_rng(4), geometry, n, C, O, dtype="float32"), strict=False)
    )
    on_device = {name: device(RANDOM).array(a) for name, a in arrays.items()}
    flat = device(RANDOM).array(np.concatenate([np.zeros(1, "float32"), arrays[where].ravel()]))
    shifted = on_device | {where: flat[1:].reshape(arrays[where].shape)}
    tiles = TileCorrelations(device(RANDOM), precision)
    for given_ in (on_device, shifted):
        x, y, W = given_["x"], given_["y"], given_["W"]
        got = (
            tiles.correlate(x, W, geometry, None, tile),
            tiles.correlate_adjoint(y, W, geometry, None, tile),
            tiles.correlate_weights(x, y, geometry, tile, 2),
        )
        if given_ is on_device:
            want = got
        for one, other in zip(got, want, strict=True):
            np.testing.assert_array_equal(one.get(), other.get())


# --- exactly, and from outside ------------------------------------------------------------------------


def integers(rng, geometry, n, C, O, dtype):
    shapes = (n, *geometry.large, C), (n, *geometry.small, O), (*geometry.kernel, C, O)
    return [rng.integers(-9, 10, shape).astype(dtype) for shape in shapes]


@FEW
@given(geometries(), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), SEEDS)
def test_adjoints_are_exact_over_patches(geometry, n, C, O, seed):
    """<A x, y> = <x, A^T y> = <W, dW>."""
    x, y, W = integers(np.random.default_rng(seed), geometry, n, C, O, "float64")
    ops, (X, Y, V) = Convolution(device(RANDOM)), map(device(RANDOM).array, (x, y, W))
    ax, ay, dW = (
        ops.correlate(X, V, geometry),
        ops.correlate_adjoint(Y, V, geometry),
        ops.correlate_weights(X, Y, geometry),
    )
    assert (ax.get() * y).sum() == (x * ay.get()).sum() == (W * dW.get()).sum()
    np.testing.assert_array_equal(ax.get(), reference.correlate(x, W, geometry))


@IN_EACH_TILE
@ON_EACH_SIZE
def test_adjoints_are_exact_by_tiles(tile, precision, size):
    """Integers below 256 are numbers of bf16 too, and their sums of float32: every precision is exact."""
    geometry, n, C, O = size
    x, y, W = integers(np.random.default_rng(5), geometry, n, C, O, "float32")
    none = [np.zeros(C, "float32"), np.zeros(O, "float32")]
    ax, ay, dW = (
        a.get().astype("float64") for a in of_tiles(device(RANDOM), tile, precision, geometry, [x, y, W, *none])
    )
    assert (ax * y).sum() == (x * ay).sum() == (W * dW).sum()
    np.testing.assert_array_equal(ax, reference.correlate(x, W, geometry))


@IN_EACH_PRECISION
def test_against_scipy(precision):
    """One image, one pair of channels: scipy's correlation, and its convolution the way back."""
    rng = np.random.default_rng(6)
    x, W = rng.standard_normal((13, 11)).astype("float32"), rng.standard_normal((4, 3)).astype("float32")
    geometry = geometry_of((13, 11), (4, 3))
    y = rng.standard_normal(geometry.small).astype("float32")
    ops = TileCorrelations(device(RANDOM), precision)
    X, Y, V = (
        device(RANDOM).array(a.reshape(shape))
        for a, shape in ((x, (1, 13, 11, 1)), (y, (1, *y.shape, 1)), (W, (4, 3, 1, 1)))
    )
    x, y, W = (rounded(a, precision) for a in (x, y, W))
    got = ops.correlate(X, V, geometry, None, 64), ops.correlate_adjoint(Y, V, geometry, None, 64)
    for one, want in zip(got, (signal.correlate2d(x, W, "valid"), signal.convolve2d(y, W)), strict=True):
        assert_close(one.reshape(want.shape), want, OF_TILES[precision])
    assert_close(
        ops.correlate_weights(X, Y, geometry, 64, 1).reshape(4, 3),
        signal.correlate2d(x, y, "valid"),
        OF_TILES[precision],
    )


@IN_EACH_PRECISION
def test_what_is_not_finite_shows_where_it_is_met(precision):
    geometry, n, C, O = SIZES["dcgan"]
    arrays = draws(np.random.default_rng(7), geometry, n, C, O, dtype="float32")
    x = arrays[0]
    x[0, 2, 3, 1], x[1, 4, 4, 0] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        want = reference.correlate(x.astype("float64"), arrays[2].astype("float64"), geometry)
    got = (
        TileCorrelations(device(RANDOM), precision)
        .correlate(*map(device(RANDOM).array, (x, arrays[2])), geometry, None, 64)
        .get()
    )
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_array_equal(np.isinf(got), np.isinf(want))


# --- what is asked for --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_images(dtype):
    geometry = geometry_of((5, 4), (3, 2), padding=((1, 1), (0, 0)))
    x, y, W, bc, bo = map(device(RANDOM).array, draws(np.random.default_rng(8), geometry, 0, 2, 3, dtype=dtype))
    ops = Convolution(device(RANDOM))
    assert ops.correlate(x, W, geometry, bo).shape == y.shape
    assert ops.correlate_adjoint(y, W, geometry, bc).shape == x.shape
    np.testing.assert_array_equal(ops.correlate_weights(x, y, geometry).get(), np.zeros(W.shape, dtype))


@IN_EACH_PRECISION
def test_each_plan_gives_the_same(precision, monkeypatch):
    """`Convolution` hands the arrays to what the plan says, and in float32 all of it agrees."""
    geometry, n, C, O = SIZES["dcgan"]
    arrays = draws(np.random.default_rng(9), geometry, n, C, O, dtype="float32")
    exact = [rounded(a, precision) for a in arrays[:3]] + arrays[3:]
    x, y, W, bc, bo = map(device(RANDOM).array, arrays)
    for plan in (Plan(0), Plan(64, 2), Plan(128, 1)):
        monkeypatch.setattr("minigan.ops.cuda.conv.convolution.choose_plan", lambda *_, plan=plan, **__: plan)
        ops = Convolution(device(RANDOM), precision)
        got = ops.correlate(x, W, geometry, bo), ops.correlate_adjoint(y, W, geometry, bc)
        for one, want in zip((*got, ops.correlate_weights(x, y, geometry)), of_reference(geometry, exact), strict=True):
            assert_close(one, want, OF_LIBRARY[precision] if ON_GPU and not plan.tile else OF_TILES[precision])


DCGAN = geometry_of((32, 32), (4, 4), (2, 2), (1, 1), ((1, 1), (1, 1)))


@pytest.mark.parametrize("kind", ["correlate", "adjoint", "weights"])
def test_wide_layers_go_by_tiles_and_others_over_patches(kind):
    """On an H200 this layer takes 0.07 to 0.13 ms by tiles and 0.11 to 0.13 ms over patches."""
    options = {"precision": "tf32", "double": False, "processors": 132}
    assert choose_plan(kind, DCGAN, 128, 64, 128, **options).tile
    assert choose_plan(
        kind, geometry_of((8, 8), (4, 4), (2, 2), (1, 1), ((1, 1), (1, 1))), 128, 256, 512, **options
    ) == Plan(0)
    assert choose_plan(kind, DCGAN, 128, 64, 128, **(options | {"double": True})) == Plan(0)
    assert choose_plan(kind, geometry_of((32, 32), (1, 1)), 128, 64, 128, **options) == Plan(0)
    assert choose_plan(kind, DCGAN, 2**15, 64, 128, **options) == Plan(0)  # more entries than 32 bits count
    assert choose_plan(kind, geometry_of((9, 9), (2, 2), (256, 256)), 128, 64, 128, **options) == Plan(0)
    assert MAX_PHASES < 256 * 256


@given(geometries(), st.integers(1, 300), st.integers(1, 300), st.integers(1, 300), st.sampled_from(["fp32", "bf16"]))
def test_the_parts_of_a_plan_are_none_too_many(geometry, n, C, O, precision):
    plan = choose_plan("weights", geometry, n, C, O, precision=precision, double=False, processors=132)
    assert 1 <= plan.parts <= max(1, n * math.prod(geometry.small) // 256)
    assert plan.tile in (0, 64, 128)


def test_errors_name_the_array():
    ops, geometry = Convolution(device(RANDOM)), geometry_of((5, 4), (3, 2))
    x, y, W, bc, bo = map(device(RANDOM).array, draws(np.random.default_rng(10), geometry, 2, 2, 3))
    for call, message in (
        (lambda: ops.correlate(x[:, 1:], W, geometry, bo), r"x has shape \(2, 4, 4, 2\); expected \(N, 5, 4, 2\)"),
        (lambda: ops.correlate(x, W[1:], geometry, bo), r"W has shape \(2, 2, 2, 3\); expected \(3, 2, C, O\)"),
        (lambda: ops.correlate(x, W, geometry, bc), r"b has shape \(2,\); expected \(3,\)"),
        (lambda: ops.correlate_adjoint(x, W, geometry, bc), r"y has shape \(2, 5, 4, 2\); expected \(N, 3, 3, 3\)"),
        (lambda: ops.correlate_weights(x, y[1:], geometry), "x has 2 images, y has 1; expected equal numbers"),
        (lambda: Convolution(device(RANDOM), "fp16"), "precision"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="a correlation of int64; expected float32 or float64"):
        ops.correlate(x.astype("int64"), W.astype("int64"), geometry)


# --- on the GPU, as far as its compiler tells ----------------------------------------------------------


@NEEDS_NVRTC
@pytest.mark.parametrize(("tile", "packed"), [(128, 1), (64, 1), (64, 0)])
@IN_EACH_PRECISION
def test_no_spill_and_two_blocks_on_a_multiprocessor(tile, packed, precision):
    """128 registers a thread: 65536 are there for the two blocks of 256 threads."""
    defines = {"TILE": tile, "PRECISION": PRECISIONS.index(precision), "PACKED": packed}
    cubin = compile_source(source.read("convolution"), defines)
    for name, used in cubin.resources.items():
        assert (used.stack, used.spill_stores, used.spill_loads) == (0, 0, 0), (name, used)
        assert used.registers <= 128, (name, used)
        assert used.shared <= 48 * 1024, (name, used)
