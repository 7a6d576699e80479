"""Data files are checked before they are used; toy densities against scipy."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from minigan import data
from minigan.data import (
    DataError,
    EpochBatches,
    Gaussian,
    Laplace,
    Mixture,
    RandomBatches,
    grid,
    parse_idx,
    read_idx,
    ring,
)
from minigan.data import images as image_sets
from minigan.data.files import DataFile


def idx(array, kind=8):
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


PICTURES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


class TestIdx:
    @given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
    def test_round_trip(self, shape, seed):
        array = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
        np.testing.assert_array_equal(parse_idx(idx(array), "x"), array)

    @pytest.mark.parametrize("name", ["a-idx3-ubyte", "a-idx3-ubyte.gz"])
    def test_raw_and_gzipped(self, tmp_path, name):
        path = tmp_path / name
        path.write_bytes(gzip.compress(idx(PICTURES)) if name.endswith(".gz") else idx(PICTURES))
        np.testing.assert_array_equal(read_idx(path, ndim=3), PICTURES)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "x: not an IDX file: it begins with nothing"),
            (b"\x89PNG....", "it begins with 89 50 4e 47, not 00 00"),
            (idx(PICTURES, kind=0x0D), r"IDX type 0x0d; expected 0x08 \(unsigned byte\)"),
            (idx(PICTURES)[:9], "cut short in the header: 9 bytes of 16"),
            (idx(PICTURES)[:-1], r"39 bytes, but dimensions \(2, 3, 4\) need 40"),
            (idx(PICTURES) + b"!", r"41 bytes, but dimensions \(2, 3, 4\) need 40"),
            (idx(PICTURES[0]), "x: 2 dimensions; expected 3"),
        ],
    )
    def test_errors_say_what_is_wrong_with_which_file(self, content, message):
        with pytest.raises(DataError, match=message):
            parse_idx(content, "x", ndim=3)

    def test_files_that_are_missing_or_not_whole(self, tmp_path):
        with pytest.raises(DataError, match="nothing.gz: No such file"):
            read_idx(tmp_path / "nothing.gz")
        path = tmp_path / "cut.gz"
        path.write_bytes(gzip.compress(idx(PICTURES))[:-9])
        with pytest.raises(DataError, match=r"cut.gz: not a whole gzip file"):
            read_idx(path)


def published(name, content):
    """A data file with its checksums, and its bytes, gzipped and raw."""
    packed = gzip.compress(content, mtime=0)
    return DataFile(name, hashlib.sha256(packed).hexdigest(), hashlib.sha256(content).hexdigest()), packed, content


@pytest.fixture
def small_mnist(monkeypatch):
    """A data set of two images under the names of MNIST's training files."""
    pictures = published("train-images-idx3-ubyte.gz", idx(PICTURES))
    labels = published("train-labels-idx1-ubyte.gz", idx(np.array([5, 0], dtype=np.uint8)))
    monkeypatch.setitem(image_sets.IDX_FILES, "mnist", {"train": (pictures[0], labels[0])})
    return pictures, labels


def place(folder, files, *, raw=False):
    folder.mkdir(parents=True, exist_ok=True)
    for file, packed, content in files:
        (folder / (file.raw_name if raw else file.name)).write_bytes(content if raw else packed)


class TestSearch:
    @pytest.mark.parametrize("raw", [False, True])
    @pytest.mark.parametrize("below", ["mnist", "."])
    def test_data_dir(self, in_tmp, small_mnist, raw, below):
        place(in_tmp / "mine" / below, small_mnist, raw=raw)
        loaded = data.load("mnist", data_dir=in_tmp / "mine")
        np.testing.assert_array_equal(loaded.images[..., 0], PICTURES)
        np.testing.assert_array_equal(loaded.labels, [5, 0])
        assert len(loaded) == 2

    def test_a_named_folder_is_the_only_one_else_environment_then_cache(self, in_tmp, small_mnist, monkeypatch):
        monkeypatch.setenv("MINIGAN_DATA", str(in_tmp / "env"))
        cache = in_tmp / "home/.cache/minigan"
        assert data.search_folders("x") == [Path("x")]
        assert data.search_folders() == [in_tmp / "env", cache]
        place(cache / "mnist", small_mnist)
        assert len(data.load("mnist")) == 2
        with pytest.raises(DataError, match="nowhere/mnist"):
            data.load("mnist", data_dir="nowhere")
        place(in_tmp / "env", small_mnist)
        (cache / "mnist/train-images-idx3-ubyte.gz").write_bytes(b"never read")
        assert len(data.load("mnist")) == 2
        place(in_tmp / "mine", small_mnist)
        (in_tmp / "env/train-labels-idx1-ubyte.gz").write_bytes(b"never read")
        assert len(data.load("mnist", data_dir="mine")) == 2
        monkeypatch.setenv("XDG_CACHE_HOME", str(in_tmp / "xdg"))
        assert data.cache_folder() == in_tmp / "xdg/minigan"

    def test_missing_data_names_every_file_checksum_and_folder(self, in_tmp, monkeypatch):
        monkeypatch.setenv("MINIGAN_DATA", str(in_tmp / "env"))
        with pytest.raises(DataError) as caught:
            data.load("mnist", data_dir="mine")
        for text in ("train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                     "train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                     "  mine/mnist/",
                     "--data-dir", "MINIGAN_DATA", "--data digits"):  # fmt: skip
            assert text in str(caught.value)

    def test_only_what_is_missing_is_named(self, in_tmp, small_mnist, monkeypatch):
        monkeypatch.delenv("MINIGAN_DATA", raising=False)
        place(in_tmp, small_mnist[:1])
        with pytest.raises(DataError) as caught:
            data.load("mnist", data_dir=in_tmp)
        assert "train-labels" in str(caught.value)
        assert "train-images" not in str(caught.value)

    def test_images_and_labels_may_be_in_two_places(self, in_tmp, small_mnist, monkeypatch):
        monkeypatch.setenv("MINIGAN_DATA", str(in_tmp / "env"))
        place(in_tmp / "env", small_mnist[:1], raw=True)
        place(in_tmp / "home/.cache/minigan/mnist", small_mnist[1:])
        assert len(data.load("mnist")) == 2

    def test_an_unreadable_file_is_named(self, in_tmp, small_mnist, monkeypatch):
        def refuse(_):
            raise PermissionError(13, "Permission denied")

        place(in_tmp, small_mnist)
        monkeypatch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz: Permission denied"):
            data.load("mnist", data_dir=in_tmp)

    def test_as_many_labels_as_images(self, in_tmp, small_mnist, monkeypatch):
        pictures, _ = small_mnist
        labels = published("train-labels-idx1-ubyte.gz", idx(np.array([5, 0, 4], dtype=np.uint8)))
        monkeypatch.setitem(image_sets.IDX_FILES, "mnist", {"train": (pictures[0], labels[0])})
        place(in_tmp, (pictures, labels))
        with pytest.raises(DataError, match="mnist train: 2 images but 3 labels"):
            data.load("mnist", data_dir=in_tmp)

    @pytest.mark.parametrize("raw", [False, True])
    def test_a_damaged_file_is_not_used(self, in_tmp, small_mnist, raw):
        place(in_tmp, small_mnist, raw=raw)
        path = in_tmp / ("train-images-idx3-ubyte" if raw else "train-images-idx3-ubyte.gz")
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(
            DataError, match=r"train-images-idx3-ubyte(.gz)?: SHA-256 is .*, published .*damaged or a different"
        ):
            data.load("mnist", data_dir=in_tmp)

    def test_names(self):
        with pytest.raises(ValueError, match="unknown data 'minst' .did you mean 'mnist'"):
            data.load("minst")
        with pytest.raises(ValueError, match="unknown split 'tset' .did you mean 'test'"):
            data.load("mnist", "tset")


@pytest.mark.parametrize(("name", "split", "n"), [("mnist", "train", 60_000), ("mnist", "test", 10_000),
                                                  ("fashion-mnist", "train", 60_000),
                                                  ("fashion-mnist", "test", 10_000)])  # fmt: skip
def test_the_real_data(data_dir, name, split, n):
    loaded = data.load(name, split, data_dir=data_dir)
    assert loaded.images.shape == (n, 28, 28, 1)
    assert loaded.images.dtype == np.uint8
    assert set(loaded.labels) == set(range(10))
    if (name, split) == ("mnist", "train"):
        assert list(loaded.labels[:5]) == [5, 0, 4, 1, 9]
        assert loaded.images.mean() == pytest.approx(33.318, abs=1e-3)  # the well-known mean, 0.1307 x 255
    if (name, split) == ("fashion-mnist", "train"):
        assert list(loaded.labels[:5]) == [9, 0, 0, 3, 0]
        assert loaded.images.mean() == pytest.approx(72.94, abs=1e-2)  # the well-known mean, 0.2860 x 255


def test_digits_are_28_by_28():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    digits = data.load("digits")
    assert digits.images.shape == (1797, 28, 28, 1)
    assert (digits.images.min(), digits.images.max()) == (0, 255)
    assert list(digits.labels[:4]) == [0, 1, 2, 3]


def test_unit_interval():
    x = data.unit_interval(np.array([[[[0], [255]]]], dtype=np.uint8), "float32")
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, [[0, 1]])


def test_pixels_are_flat_row_by_row():
    image = np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1)  # N 1, H 2, W 3: pixel (h, w) is at 3 h + w
    np.testing.assert_array_equal(data.unit_interval(image, "float64") * 255, [[0, 1, 2, 3, 4, 5]])


class TestBatches:
    X = np.arange(10)

    def test_random_batches_are_distinct_within_and_deterministic(self):
        a, b = (RandomBatches(self.X, 4, np.random.default_rng(0)) for _ in range(2))
        drawn = [a() for _ in range(50)]
        assert all(len(set(batch)) == 4 for batch in drawn)
        assert set(np.concatenate(drawn)) == set(self.X)
        np.testing.assert_array_equal(drawn, [b() for _ in range(50)])

    def test_an_epoch_holds_every_example_once(self):
        draw = EpochBatches(self.X, 3, np.random.default_rng(0))
        assert draw.batches_per_epoch == 3
        epochs = [np.concatenate([draw() for _ in range(3)]) for _ in range(4)]
        for epoch in epochs:
            assert len(set(epoch)) == 9
        assert any((epochs[0] != epoch).any() for epoch in epochs[1:])

    @pytest.mark.parametrize("make", [RandomBatches, EpochBatches])
    @pytest.mark.parametrize("n", [0, 11])
    def test_errors(self, make, n):
        with pytest.raises(ValueError, match=rf"batch_size must be in 1 ... 10 .*, got {n}"):
            make(self.X, n, np.random.default_rng(0))


LINE = {
    "gaussian": (Gaussian(4, 2), stats.norm(4, 2)),
    "laplace": (Laplace(-1, 0.5), stats.laplace(-1, 0.5)),
    "mixture": (Mixture([Gaussian(-2, 0.5), Laplace(1, 2)], [0.25, 0.75]), None),
}
PLANE = {"ring": ring(8, sigma=0.1), "grid": grid(sigma=0.3)}
DKW = 0.0103  # sup |F_n - F| for n = 1e5 exceeds it with probability 1e-9


class TestToyDensities:
    @pytest.mark.parametrize("name", LINE)
    def test_on_the_line(self, name):
        p, oracle = LINE[name]
        x = np.linspace(-8, 12, 101)
        np.testing.assert_allclose(p.pdf(x), np.exp(p.logpdf(x)))
        if oracle is not None:
            for ours, theirs in ((p.pdf, oracle.pdf), (p.logpdf, oracle.logpdf), (p.cdf, oracle.cdf)):
                np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-12)
        for a, b in ((-3.0, 0.5), (0.5, 9.0)):
            mass, _ = integrate.quad(lambda t: float(p.pdf(t)), a, b, points=[-2, -1, 1], epsabs=1e-12)
            assert float(p.cdf(b) - p.cdf(a)) == pytest.approx(mass, abs=1e-10)
        sample = p.sample(100_000, np.random.default_rng(0))
        assert stats.kstest(sample, p.cdf).statistic <= DKW
        low, *_, high = p.breakpoints()
        assert float(p.cdf(low) + 1 - p.cdf(high)) < 1e-15

    @pytest.mark.parametrize("name", PLANE)
    def test_in_the_plane(self, name):
        p = PLANE[name]
        cov = p.sigma**2 * np.eye(2)
        x = np.random.default_rng(1).uniform(-5, 5, (20, 2))
        want = np.mean([stats.multivariate_normal(c, cov).pdf(x) for c in p.centres], axis=0)
        np.testing.assert_allclose(p.pdf(x), want, rtol=1e-9, atol=1e-300)
        want = np.mean([stats.norm(c, p.sigma).cdf(x).prod(axis=1) for c in p.centres], axis=0)
        np.testing.assert_allclose(p.cdf(x), want, rtol=1e-12, atol=1e-15)
        sample = p.sample(100_000, np.random.default_rng(0))
        marginal = stats.kstest(sample[:, 0], lambda t: p.cdf(np.stack([t, np.full_like(t, 99)], axis=-1)))
        assert marginal.statistic <= DKW

    def test_the_ring_has_distinct_modes(self):
        centres = np.array(ring(8).centres)
        distances = np.linalg.norm(centres[:, None] - centres, axis=-1) + 9 * np.eye(8)
        assert distances.min() == pytest.approx(2 * np.sin(np.pi / 8))
        assert len(grid().centres) == 25

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: Gaussian(0, -1), "sigma must be > 0 and finite, got -1"),
            (lambda: Gaussian(float("nan"), 1), "mu must be finite, got nan"),
            (lambda: Laplace(0, 0), "b must be > 0"),
            (lambda: Mixture([Gaussian()], [0.5]), r"weights must be >= 0 and sum to 1, got \[0.5\]"),
            (lambda: Mixture([Gaussian()], [0.5, 0.5]), "weights must have one entry per component"),
            (lambda: ring(0), "modes must be an int >= 1, got 0"),
            (lambda: ring(3, radius=0), "radius must be > 0"),
            (lambda: grid([1, 1]), "ticks must contain at least one number, all distinct"),
        ],
    )
    def test_errors(self, make, message):
        with pytest.raises(ValueError, match=message):
            make()
