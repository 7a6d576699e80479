"""The CPU's bodies of the three correlations: chunks, shortcuts, the turned kernel, and what goes to the reference."""

import math

import numpy as np
import pytest
from cases import IMAGES, everything, network
from hypothesis import example, given
from hypothesis import strategies as st
from images import convolutions, pools, resizings, transposes

import minigan as mg
from minigan.ops import get_ops, reference
from minigan.ops.cpu import direct as cpu_conv

SEEDS = st.integers(0, 2**32 - 1)


def agree(layer, shape, n, seed):
    """Both backends in both floating types."""
    for dtype, rtol in (("float64", 1e-13), ("float32", 3e-5)):
        runs = []
        for ops in ("cpu", "reference"):
            net, rng = network(layer, ops=ops, seed=seed).astype(dtype), np.random.default_rng(seed)
            x = rng.standard_normal((n, *shape)).astype(dtype)
            runs.append(everything(net, x, rng.standard_normal((n, *layer.output_shape(shape))).astype(dtype)))
        for got, want in zip(*runs, strict=True):
            assert got.dtype == want.dtype == np.dtype(dtype)
            assert got.flags.c_contiguous
            assert want.flags.c_contiguous
            np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * max(1, np.abs(want).max(initial=0)))


@given(st.one_of(convolutions(), transposes(), pools(), resizings()), st.integers(1, 4), SEEDS)
def test_backends_agree(layer_and_shape, n, seed):
    agree(*layer_and_shape, n, seed)


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("images", [1, 2, 3])
def test_chunks_of_images(name, images, monkeypatch):
    """7 images at 1, 2 or 3 a chunk, so that the last chunk is smaller."""
    (layer, shape), at_a_time = IMAGES[name], []
    chunks = cpu_conv._chunks

    def some(n, geometry, C, itemsize):
        patches = itemsize * C * math.prod(geometry.kernel) * math.prod(geometry.small)
        monkeypatch.setattr(cpu_conv, "CHUNK", images * patches)
        found = list(chunks(n, geometry, C, itemsize))
        at_a_time.append([s.indices(n) for s in found])
        return found

    monkeypatch.setattr(cpu_conv, "_chunks", some)
    agree(layer, shape, 7, 0)
    want = [(i, min(i + images, 7), 1) for i in range(0, 7, images)]
    assert all(found == want for found in at_a_time)
    assert bool(at_a_time) == (layer.parameters() != {} and name != "conv 1x1")


def refuse(*args, **kwargs):
    raise AssertionError("not the body for this")


def test_one_by_one_convolutions_gather_no_patches(monkeypatch):
    monkeypatch.setattr(cpu_conv, "as_strided", refuse)
    agree(mg.Conv2D(3, 4, 1), (4, 5, 3), 3, 0)
    agree(mg.ConvTranspose2D(3, 4, 1), (4, 5, 3), 3, 0)
    for layer in (mg.Conv2D(3, 4, 1, padding=1), mg.Conv2D(3, 4, 1, stride=2), mg.Conv2D(3, 4, (2, 1))):
        with pytest.raises(AssertionError, match="not the body"):
            network(layer, ops="cpu")(np.ones((1, 4, 5, 3)))


def test_one_by_one_with_output_padding_is_no_shortcut():
    """The large image is as large as its padding makes it, but not as small as the small one."""
    agree(mg.ConvTranspose2D(2, 3, 1, dilation=2, output_padding=1), (3, 4, 2), 2, 0)


@pytest.mark.parametrize(
    ("turns", "layer"),
    [
        (True, mg.Conv2D(2, 3, (3, 2))),
        (True, mg.Conv2D(2, 3, 3, padding=((2, 0), (1, 2)))),
        (True, mg.Conv2D(2, 3, (2, 3), padding="same", dilation=(2, 1))),
        (False, mg.Conv2D(2, 3, 3, padding=((3, 0), (0, 0)))),  # more padding than the kernel reaches over
        (False, mg.Conv2D(2, 3, (1, 3), padding=1)),
        (False, mg.Conv2D(2, 3, 3, stride=(1, 2))),
    ],
)
def test_at_stride_one_the_adjoint_is_a_correlation_with_the_turned_kernel(turns, layer):
    agree(layer, (6, 5, 2), 2, 0)
    assert (cpu_conv._turned(layer.geometry((6, 5))) is not None) == turns


@given(st.one_of(convolutions(), transposes()))
@example((mg.ConvTranspose2D(2, 3, 3, dilation=2, output_padding=1), (3, 4, 2)))
def test_no_window_reaches_outside_the_padded_image(layer_and_shape):
    """Patches are strided views, which know no bounds: of the layer's geometry and of its turned one."""
    layer, shape = layer_and_shape
    geometry = layer.geometry(shape[:2])
    turned = cpu_conv._turned(geometry)
    for g in (geometry, turned) if turned else (geometry,):
        assert g.small[0] >= 1 <= g.small[1]
        for _, _, rows, columns in g.taps:
            assert rows.stop <= g.padded[0]
            assert columns.stop <= g.padded[1]
            assert (len(range(*rows.indices(g.padded[0]))), len(range(*columns.indices(g.padded[1])))) == g.small
    if turned:
        assert (turned.large, turned.small) == (geometry.small, geometry.large)


def test_the_backends_share_what_they_do_not_replace():
    """Complex and mixed types go to the reference."""
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
