"""The CPU backend's three correlations: parts, shortcuts, the flipped kernel, and types left to the reference."""

from importlib.util import find_spec

import numpy as np
import pytest
from cases import IMAGES, everything, network
from hypothesis import example, given
from hypothesis import strategies as st
from images import convolutions, pools, resizings, transposes

import minigan as mg
from minigan.ops import get_ops, reference
from minigan.ops.cpu.conv import convolution, direct
from minigan.ops.cpu.conv.flipped import flipped_geometry
from minigan.ops.geometry import Geometry

SEEDS = st.integers(0, 2**32 - 1)


COMPILED = (False, pytest.param(True, marks=pytest.mark.skipif(not find_spec("numba"), reason="numba is not there")))


@pytest.fixture
def blas(monkeypatch):
    """With BLAS for direct sums, on every machine."""
    monkeypatch.setattr(convolution, "MIN_BLAS_WEIGHTS", 0)
    monkeypatch.setattr(convolution, "compiled_products_are_faster", lambda: False)


def assert_agrees(layer, shape, n, seed, *, compiled=None, **options):
    """Compare both backends in float32 and float64."""
    cpu = get_ops("cpu", compiled=compiled, **options)
    for dtype, rtol in (("float64", 1e-13), ("float32", 3e-5)):
        runs = []
        for ops in (cpu, "reference"):
            net, rng = network(layer, ops=ops, seed=seed).astype(dtype), np.random.default_rng(seed)
            x = rng.standard_normal((n, *shape)).astype(dtype)
            runs.append(everything(net, x, rng.standard_normal((n, *layer.output_shape(shape))).astype(dtype)))
        for got, want in zip(*runs, strict=True):
            assert got.dtype == want.dtype == np.dtype(dtype)
            assert got.flags.c_contiguous
            assert want.flags.c_contiguous
            np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * max(1, np.abs(want).max(initial=0)))


@pytest.mark.parametrize("compiled", COMPILED)
@given(st.one_of(convolutions(), transposes(), pools(), resizings()), st.integers(1, 4), SEEDS)
def test_backends_agree(compiled, layer_and_shape, n, seed):
    assert_agrees(*layer_and_shape, n, seed, compiled=compiled)


@pytest.mark.parametrize("compiled", COMPILED)
def test_no_images(compiled):
    """A network refuses an empty batch; the functions give empty images, and dW = 0."""
    cpu = get_ops("cpu", compiled=compiled)
    geometry, W = mg.Conv2D(2, 3, 2).geometry((4, 3)), np.ones((2, 2, 2, 3))
    x, y = np.ones((0, 4, 3, 2)), np.ones((0, 3, 2, 3))
    assert cpu.correlate(x, W, geometry).shape == y.shape
    assert cpu.correlate_adjoint(y, W, geometry).shape == x.shape
    np.testing.assert_array_equal(cpu.correlate_weights(x, y, geometry), 0 * W)


@pytest.mark.parametrize("compiled", COMPILED)
@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("images", [1, 2, 3])
@pytest.mark.usefixtures("blas")
def test_parts_of_images(name, images, compiled, monkeypatch):
    """7 images in parts of 1, 2 or 3, so that the last part can be smaller; dW has several partial sums."""
    (layer, shape), seen = IMAGES[name], []

    def some(n, *rest):
        seen.append(n)
        return direct.slices(n, images)

    monkeypatch.setattr(direct, "_parts", some)
    assert_agrees(layer, shape, 7, 0, compiled=compiled)
    assert set(seen) == ({7} if layer.parameters() else set())


@given(st.integers(1, 70), st.integers(1, 9), st.integers(1, 9), st.integers(1, 40), st.integers(1, 40))
def test_parts_cover_all_images_once_and_are_large_enough(n, h, w, C, O):
    geometry = Geometry((h + 2, w + 2), (h, w), (3, 3), (1, 1), (1, 1), ((0, 0), (0, 0)))
    parts = direct._parts(n, geometry, C, O, 4)
    assert [i for part in parts for i in range(n)[part]] == list(range(n))
    sizes = [part.stop - part.start for part in parts]
    assert sizes[0] == max(sizes)
    assert (
        len(sizes) == 1 or sizes[0] * h * w >= direct.MIN_PATCH_ROWS_PER_PART / 2
    )  # equal parts of a number within the limits


@pytest.mark.parametrize("compiled", COMPILED)
@pytest.mark.parametrize("group", [1, 1 << 11, 1 << 20])
@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.usefixtures("blas")
def test_large_weight_gradients_by_rows(name, group, compiled, monkeypatch):
    """One image, a few, or all of their patches at a time."""
    (layer, shape) = IMAGES[name]
    monkeypatch.setattr(direct, "MAX_PARTIAL_SUM_ENTRIES", 1)
    monkeypatch.setattr(direct, "MAX_PATCH_BYTES_PER_GROUP", group)
    assert_agrees(layer, shape, 7, 0, compiled=compiled)


def refuse(*args, **kwargs):
    raise AssertionError("not the body for this")


@pytest.mark.usefixtures("blas")
def test_one_by_one_convolutions_gather_no_patches(monkeypatch):
    monkeypatch.setattr(direct, "im2col", refuse)
    assert_agrees(mg.Conv2D(3, 4, 1), (4, 5, 3), 3, 0)
    assert_agrees(mg.ConvTranspose2D(3, 4, 1), (4, 5, 3), 3, 0)
    for layer in (mg.Conv2D(3, 4, 1, padding=1), mg.Conv2D(3, 4, 1, stride=2), mg.Conv2D(3, 4, (2, 1))):
        with pytest.raises(AssertionError, match="not the body"):
            network(layer, ops="cpu")(np.ones((1, 4, 5, 3)))


def test_one_by_one_with_output_padding_is_no_shortcut():
    """With output padding, the large image is larger than the small one, although the kernel is 1 x 1."""
    assert_agrees(mg.ConvTranspose2D(2, 3, 1, dilation=2, output_padding=1), (3, 4, 2), 2, 0)


@pytest.mark.parametrize(
    ("flips", "layer"),
    [
        (True, mg.Conv2D(2, 3, (3, 2))),
        (True, mg.Conv2D(2, 3, 3, padding=((2, 0), (1, 2)))),
        (True, mg.Conv2D(2, 3, (2, 3), padding="same", dilation=(2, 1))),
        (False, mg.Conv2D(2, 3, 3, padding=((3, 0), (0, 0)))),  # more padding than the kernel reaches over
        (False, mg.Conv2D(2, 3, (1, 3), padding=1)),
        (False, mg.Conv2D(2, 3, 3, stride=(1, 2))),
    ],
)
def test_at_stride_one_the_adjoint_is_a_correlation_with_the_flipped_kernel(flips, layer):
    assert_agrees(layer, (6, 5, 2), 2, 0)
    assert (flipped_geometry(layer.geometry((6, 5))) is not None) == flips


@given(st.one_of(convolutions(), transposes()))
@example((mg.ConvTranspose2D(2, 3, 3, dilation=2, output_padding=1), (3, 4, 2)))
def test_no_window_reaches_outside_the_padded_image(layer_and_shape):
    """Patches are strided views without bounds checks; test the layer's geometry and the flipped one."""
    layer, shape = layer_and_shape
    geometry = layer.geometry(shape[:2])
    flipped = flipped_geometry(geometry)
    for g in (geometry, flipped) if flipped else (geometry,):
        assert g.small[0] >= 1 <= g.small[1]
        for _, _, rows, columns in g.taps:
            assert rows.stop <= g.padded[0]
            assert columns.stop <= g.padded[1]
            assert (len(range(*rows.indices(g.padded[0]))), len(range(*columns.indices(g.padded[1])))) == g.small
    if flipped:
        assert (flipped.large, flipped.small) == (geometry.small, geometry.large)


def test_the_backends_share_what_they_do_not_replace():
    """Operations on complex and mixed types go to the reference."""
    geometry = mg.Conv2D(2, 3, 2).geometry((4, 3))
    x, W = np.ones((1, 4, 3, 2)), np.ones((2, 2, 2, 3))
    for a, b in ((x.astype("float32"), W), (x, W.astype(complex)), (x.astype(complex), W)):
        for name, args in (
            ("correlate", (a, b)),
            ("correlate_adjoint", (np.ones((1, 3, 2, 3), a.dtype), b)),
            ("correlate_weights", (a, np.ones((1, 3, 2, 3), b.dtype))),
        ):
            got, want = getattr(get_ops("cpu"), name)(*args, geometry), getattr(reference, name)(*args, geometry)
            assert got.dtype == want.dtype == np.result_type(a, b)
            np.testing.assert_array_equal(got, want)
