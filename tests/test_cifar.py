"""CIFAR-10's binary version: layout against bytes written by hand, damage, the archive, the real batches."""

import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan import data
from minigan.data import DataError, cifar, parse_cifar10

SIZES = {"data_batch_1.bin": 2, "data_batch_2.bin": 3, "data_batch_3.bin": 1, "data_batch_4.bin": 1,
         "data_batch_5.bin": 1, "test_batch.bin": 2}  # fmt: skip


def records(images, labels):
    """The bytes of a .bin file, in the order that the data set's page describes."""
    out = bytearray()
    for image, label in zip(images, labels, strict=True):
        out.append(label)
        for channel in range(3):
            for row in range(32):
                for column in range(32):
                    out.append(image[row, column, channel])
    return bytes(out)


def drawn(n, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 32, 32, 3)).astype(np.uint8), rng.integers(0, 10, n).astype(np.uint8)


ARRAYS = {name: drawn(n, seed) for seed, (name, n) in enumerate(SIZES.items())}
FILES = {name: records(*arrays) for name, arrays in ARRAYS.items()}


@pytest.fixture
def small(monkeypatch):
    """Replace the published digests by those of the small files."""
    for split, names in cifar.FILES.items():
        known = {name: hashlib.sha256(FILES[name]).hexdigest() for name in names}
        monkeypatch.setitem(cifar.FILES, split, known)


def archive(path, contents):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@given(st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_layout(n, seed):
    images, labels = drawn(n, seed)
    got, classes = parse_cifar10(records(images, labels), "x")
    np.testing.assert_array_equal(got, images)
    np.testing.assert_array_equal(classes, labels)
    assert got.flags.c_contiguous
    assert got.dtype == classes.dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"x: 0 bytes; expected a multiple of 3,073"),
        (FILES["test_batch.bin"][:-1], r"x: 6,145 bytes; expected a multiple of 3,073"),
        (FILES["test_batch.bin"] + b"!", r"x: 6,147 bytes"),
        (bytes(3073) + b"\x0a" + bytes(3072), r"x: label 10 in record 1; expected 0 to 9"),
        (b"\x80\x02}q\x01", r"x: begins with 80, as a pickle does; expected .*cifar-10-binary.tar.gz"),
    ],
)
def test_errors_say_what_is_wrong_with_which_file(content, message):
    with pytest.raises(DataError, match=message):
        parse_cifar10(content, "x")


def whole_train():
    names = list(SIZES)[:5]
    return tuple(np.concatenate([ARRAYS[name][k] for name in names]) for k in (0, 1))


@pytest.mark.parametrize("below", [".", "cifar-10", "cifar-10-batches-bin", "cifar-10/cifar-10-batches-bin"])
@pytest.mark.parametrize("form", ["raw", "gz", "archive"])
def test_all_forms_and_places(in_tmp, small, form, below):
    place = in_tmp / "mine" / below
    place.mkdir(parents=True, exist_ok=True)
    if form == "archive":
        # Members in another order, with additional files.
        members = {"cifar-10-batches-bin/batches.meta.txt": b"airplane\n"}
        members |= {f"cifar-10-batches-bin/{name}": FILES[name] for name in reversed(SIZES)}
        archive(place / cifar.ARCHIVE, members)
    else:
        for name, content in FILES.items():
            (place / (name if form == "raw" else f"{name}.gz")).write_bytes(
                content if form == "raw" else gzip.compress(content)
            )
    train, test = (data.load("cifar10", split, data_dir=in_tmp / "mine") for split in ("train", "test"))
    images, labels = whole_train()
    np.testing.assert_array_equal(train.images, images)
    np.testing.assert_array_equal(train.labels, labels)
    np.testing.assert_array_equal(test.images, ARRAYS["test_batch.bin"][0])
    assert (train.name, train.note, test.note) == ("cifar10", "", "")


def test_a_part_says_that_it_is_one(in_tmp, small, monkeypatch):
    (in_tmp / "data_batch_4.bin").write_bytes(FILES["data_batch_4.bin"])
    loaded = data.load("cifar10", data_dir=in_tmp)
    np.testing.assert_array_equal(loaded.images, ARRAYS["data_batch_4.bin"][0])
    assert loaded.note == "1 of 5 images: data_batch_4.bin"
    # A folder with more batches, here all of them, is preferred to one that is searched earlier.
    (in_tmp / "cifar-10").mkdir()
    (in_tmp / "data_batch_4.bin").rename(in_tmp / "cifar-10" / "data_batch_4.bin")
    archive(in_tmp / cifar.ARCHIVE, FILES)
    loaded = data.load("cifar10", data_dir=in_tmp)
    assert (len(loaded), loaded.note) == (8, "")


def test_the_archive_is_read_in_memory(in_tmp, small):
    """Neither links nor paths outside the folder are followed or written."""
    path = in_tmp / "mine" / cifar.ARCHIVE
    archive(path, {"../../outside/test_batch.bin": FILES["test_batch.bin"]})
    assert len(data.load("cifar10", "test", data_dir=in_tmp / "mine")) == 2
    assert [p.name for p in in_tmp.rglob("*") if p.is_file()] == [cifar.ARCHIVE]
    (in_tmp / "secret").write_bytes(FILES["test_batch.bin"])
    with tarfile.open(path, "w:gz") as tar:
        link = tarfile.TarInfo("test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, str(in_tmp / "secret")
        tar.addfile(link)
    with pytest.raises(DataError, match=r"cifar-10-binary.tar.gz: it does not contain test_batch.bin; expected .*MD5"):
        data.load("cifar10", "test", data_dir=in_tmp / "mine")


def test_damage(in_tmp, small):
    path = in_tmp / "test_batch.bin"
    content = bytearray(FILES["test_batch.bin"])
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=r"test_batch.bin: SHA-256 of its bytes is .*, published .*a damaged or different file"
    ):
        data.load("cifar10", "test", data_dir=in_tmp)
    path.unlink()
    (in_tmp / "test_batch.bin.gz").write_bytes(gzip.compress(FILES["test_batch.bin"])[:-9])
    with pytest.raises(DataError, match=r"test_batch.bin.gz: not a whole gzip file"):
        data.load("cifar10", "test", data_dir=in_tmp)
    (in_tmp / "test_batch.bin.gz").unlink()
    archive(in_tmp / cifar.ARCHIVE, FILES)
    whole = (in_tmp / cifar.ARCHIVE).read_bytes()
    for cut in (b"", whole[: len(whole) // 2], b"not an archive"):
        (in_tmp / cifar.ARCHIVE).write_bytes(cut)
        with pytest.raises(DataError, match=r"cifar-10-binary.tar.gz: not a whole .tar.gz archive"):
            data.load("cifar10", "test", data_dir=in_tmp)
    archive(in_tmp / cifar.ARCHIVE, {"test_batch.bin": FILES["test_batch.bin"][:-1]})
    with pytest.raises(DataError, match=r"cifar-10-binary.tar.gz: test_batch.bin: 6,145 bytes"):
        data.load("cifar10", "test", data_dir=in_tmp)


def test_missing(in_tmp, monkeypatch):
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    with pytest.raises(DataError) as caught:
        data.load("cifar10", data_dir=in_tmp)
    for text in ("cifar10 train: not found", str(in_tmp / "cifar-10" / cifar.ARCHIVE), cifar.ARCHIVE_MD5,
                 "data_batch_1.bin, data_batch_2.bin", "--data-dir", "MINIGAN_DATA"):  # fmt: skip
        assert text in str(caught.value)
    with pytest.raises(ValueError, match="unknown split 'tets' .did you mean 'test'"):
        data.load("cifar10", "tets", data_dir=in_tmp)


@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "cifar-10-batches-py/data_batch_1", "data_batch_1"])
def test_the_python_version_is_refused(in_tmp, monkeypatch, name):
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    path = in_tmp / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\x80\x02}q\x01")
    with pytest.raises(DataError, match=r"is the Python version, made of pickles, which are not read. Put the binary"):
        data.load("cifar10", data_dir=in_tmp)


@pytest.mark.parametrize(
    ("split", "labels", "counts"),
    [
        # The first labels and the class counts that many notebooks on the Python version print.
        ("train", [6, 9, 9, 4, 1, 1, 2, 7, 8, 3], [1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981]),
        ("test", [3, 8, 8, 0, 6, 6, 1, 6, 3, 1], [1000] * 10),
    ],
)
def test_the_real_data(data_dir, split, labels, counts):
    try:
        loaded = data.load("cifar10", split, data_dir=data_dir)
    except DataError as error:
        if "not found" not in str(error):
            raise
        pytest.skip(f"CIFAR-10 is not available: {error}")
    first = slice(10_000)  # data_batch_1, or all of test_batch
    assert loaded.images.shape == (len(loaded), 32, 32, 3)
    assert list(loaded.labels[:10]) == labels
    assert list(np.bincount(loaded.labels[first], minlength=10)) == counts
    # The well-known channel means 0.4914, 0.4822, 0.4465 of the training images, here of a part.
    means = loaded.images[first].mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=6e-3)
    if split == "train" and len(loaded) == 10_000:
        assert loaded.note == "10,000 of 50,000 images: data_batch_1.bin"
