"""Bilinear enlarging, and reducing by means, against scipy, Pillow and (in the torch group) PyTorch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from minigan.data import downsample, resize


@st.composite
def drawn(draw):
    H, W = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    n, C = draw(st.integers(1, 3)), draw(st.sampled_from([1, 3]))
    size = draw(st.integers(max(H, W), 20))
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))).integers(0, 256, (n, H, W, C)).astype(np.uint8), size


@given(drawn())
def test_beside_scipy(case):
    """Linear interpolation at half-pixel coordinates, with repeated edges."""
    x, size = case
    n, H, W, C = x.shape
    u, v = ((np.arange(size) + 0.5) * m / size - 0.5 for m in (H, W))
    rows, columns = np.meshgrid(u, v, indexing="ij")
    y = resize(x.astype(float), size)
    for k in range(n):
        for c in range(C):
            want = ndimage.map_coordinates(x[k, ..., c].astype(float), [rows, columns], order=1, mode="nearest")
            np.testing.assert_allclose(y[k, ..., c], want, rtol=1e-12, atol=1e-10)


@given(drawn())
def test_beside_pillow(case):
    """Pillow rounds after each axis, so results differ by at most one level."""
    x, size = case
    y = resize(x, size)
    assert (y.dtype, y.shape) == (np.uint8, (len(x), size, size, x.shape[3]))
    for ours, image in zip(y, x, strict=True):
        theirs = np.asarray(
            Image.fromarray(np.squeeze(image, 2) if image.shape[2] == 1 else image).resize(
                (size, size), Image.Resampling.BILINEAR
            )
        ).reshape(ours.shape)
        assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1


@pytest.mark.torch
@given(drawn())
def test_beside_pytorch(case):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")
    x, size = case
    planes = torch.tensor(x.transpose(0, 3, 1, 2), dtype=torch.float64)
    want = torch.nn.functional.interpolate(planes, size=(size, size), mode="bilinear", align_corners=False)
    want = want.numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(resize(x.astype(float), size), want, rtol=1e-12, atol=1e-10)
    assert np.abs(resize(x, size) - want).max() <= 0.5 + 1e-10


@pytest.mark.parametrize("side", [28, 32])
def test_the_documents_sizes(side):
    x = np.random.default_rng(side).integers(0, 256, (300, side, side, 1)).astype(np.uint8)
    y = resize(x, 64)
    assert y.shape == (300, 64, 64, 1)
    np.testing.assert_array_equal(y[[0, 255, 256, 299]], resize(x[[0, 255, 256, 299]], 64))  # blocks do not matter
    np.testing.assert_array_equal(resize(x, side), x)
    np.testing.assert_array_equal(y[:, ::63, ::63], x[:, :: side - 1, :: side - 1])  # the corners


def test_dtypes_and_constants():
    for dtype in ("float32", "float64"):
        y = resize(np.full((2, 3, 4, 3), 0.25, dtype=dtype), 7)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, np.full((2, 7, 7, 3), 0.25))
    assert resize(np.zeros((0, 3, 4, 3), dtype=np.uint8), 7).shape == (0, 7, 7, 3)


@st.composite
def larger(draw):
    size = draw(st.integers(1, 9))
    H, W, n, C = (draw(st.integers(low, high)) for low, high in ((size, 20), (size, 20), (1, 3), (1, 3)))
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))).integers(0, 256, (n, H, W, C)).astype(np.uint8), size


@given(larger())
def test_shrinking_takes_means_over_areas(case):
    """Repeat each pixel size x size times, then take block means: exact in whole numbers until the division."""
    x, size = case
    n, H, W, C = x.shape
    fine = x.astype(np.int64).repeat(size, axis=1).repeat(size, axis=2)
    want = fine.reshape(n, size, H, size, W, C).sum(axis=(2, 4)) / (H * W)
    np.testing.assert_allclose(downsample(x.astype(float), size), want, rtol=1e-12, atol=1e-10)
    y = downsample(x, size)
    assert (y.dtype, y.shape) == (np.uint8, (n, size, size, C))
    assert np.abs(y - want).max() <= 0.5 + 1e-10


@given(drawn())
def test_shrinking_keeps_the_mean_and_undoes_repeating(case):
    x, size = case
    x = resize(x.astype(float), size)
    small = downsample(x, max(1, size // 3))
    np.testing.assert_allclose(small.mean(axis=(1, 2)), x.mean(axis=(1, 2)), rtol=1e-12, atol=1e-10)
    np.testing.assert_allclose(downsample(x.repeat(3, axis=1).repeat(3, axis=2), size), x, rtol=1e-12, atol=1e-10)
    np.testing.assert_allclose(downsample(x, size), x, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize(
    ("images", "size", "message"),
    [
        (np.zeros((2, 8, 8), dtype=np.uint8), 4, r"images have shape \(2, 8, 8\); expected \(N, H, W, C\)"),
        (np.zeros((2, 8, 9, 1)), 9, r"size=9 is larger than the images \(8 x 9\); expected 8 or less"),
        (np.zeros((2, 8, 8, 1)), 0, "size must be an int >= 1, got 0"),
        (np.zeros((2, 8, 8, 1), dtype=int), 4, "images are int64; expected uint8 or floating"),
    ],
)
def test_errors_of_shrink(images, size, message):
    with pytest.raises((TypeError, ValueError), match=message):
        downsample(images, size)


@pytest.mark.parametrize(
    ("images", "size", "message"),
    [
        (np.zeros((2, 8, 8), dtype=np.uint8), 16, r"images have shape \(2, 8, 8\); expected \(N, H, W, C\)"),
        (
            np.zeros((2, 8, 9, 1), dtype=np.uint8),
            8,
            r"size=8 is smaller than the images \(8 x 9\); expected 9 or more",
        ),
        (np.zeros((2, 8, 8, 1), dtype=np.uint8), 64.0, "size must be an int >= 1, got 64.0"),
        (np.zeros((2, 8, 8, 1), dtype=int), 64, "images are int64; expected uint8 or floating"),
    ],
)
def test_errors(images, size, message):
    with pytest.raises((TypeError, ValueError), match=message):
        resize(images, size)
