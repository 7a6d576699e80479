"""Read and check the binary version of CIFAR-10 (Krizhevsky 2009).

The Python version of the same images consists of pickles, which can run any code when they are read: it is not read.
"""

import hashlib
import os
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minigan._names import unknown
from minigan.data.files import DataError, search_folders, unzip

Bytes = NDArray[np.uint8]

NAME = "cifar10"
ARCHIVE = "cifar-10-binary.tar.gz"
ARCHIVE_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"  # published at www.cs.toronto.edu/~kriz/cifar.html
PYTHON_VERSION = ("cifar-10-python.tar.gz", "cifar-10-batches-py", "data_batch_1", "test_batch")

# SHA-256 of the unpacked files, as the Ruby port of torchvision lists them (the data set's own page gives none).
FILES = {
    "train": {
        "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    },
    "test": {"test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"},
}

SIDE, CHANNELS, CLASSES = 32, 3, 10
RECORD_BYTES = 1 + CHANNELS * SIDE * SIDE


def parse_cifar10(data: bytes, name: str | os.PathLike[str]) -> tuple[Bytes, Bytes]:
    """Parse the bytes of a .bin file.

    The layout is N records of 3073 bytes: the label, then 1024 bytes each of red, green and blue, row by row.

    Parameters
    ----------
    data : bytes
        The uncompressed content of the file.
    name : str or path
        The name of the file in errors.

    Returns
    -------
    images : array of uint8, shape (N, 32, 32, 3)
        The images.
    labels : array of uint8, shape (N,)
        Their classes, 0 to 9.

    Raises
    ------
    DataError
        If the bytes are not records of the binary version.

    """
    if data[:1] == b"\x80":
        raise DataError(f"{name}: begins with 80, as a pickle does; expected the binary version ({ARCHIVE}), no pickle")
    if not data or len(data) % RECORD_BYTES:
        raise DataError(f"{name}: {len(data):,} bytes; expected a multiple of {RECORD_BYTES:,}, the length of a record")
    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, RECORD_BYTES)
    labels = records[:, 0].copy()
    if (labels >= CLASSES).any():
        bad = int(np.argmax(labels >= CLASSES))
        raise DataError(f"{name}: label {labels[bad]} in record {bad}; expected 0 to {CLASSES - 1}")
    planes = records[:, 1:].reshape(-1, CHANNELS, SIDE, SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels


def read_cifar10(split: str, data_dir: str | os.PathLike[str] | None = None) -> tuple[Bytes, Bytes, str]:
    """Read a split of CIFAR-10 from cifar-10-binary.tar.gz or its .bin files, gzipped or raw.

    Parameters
    ----------
    split : {"train", "test"}
        data_batch_1 ... data_batch_5, or test_batch.
    data_dir : path, optional
        The only folder to search; by default those of `search_folders`.

    Returns
    -------
    images : array of uint8, shape (N, 32, 32, 3)
        The images of all training batches that are available, in order, or of the test batch.
    labels : array of uint8, shape (N,)
        Their classes.
    note : str
        The number of images and the names of the batches, if some training batches are missing; otherwise empty.

    Raises
    ------
    ValueError
        If `split` is unknown.
    DataError
        If there are no files, or one is damaged or differs from the published one.

    """
    if split not in FILES:
        raise ValueError(unknown("split", split, FILES))
    digests = FILES[split]
    folders = search_folders(data_dir)
    places = [place for folder in folders for place in _places(folder)]
    found = max((_find(place, digests) for place in places), key=len)  # the first place with the most batches
    if not found:
        raise DataError(_missing(split, folders, places))
    archives = {path: _members(path, digests) for path in set(found.values()) if path.name == ARCHIVE}
    images, labels = [], []
    for name, path in found.items():
        in_archive = path in archives
        data = archives[path][name] if in_archive else path.read_bytes()
        if path.suffix == ".gz" and not in_archive:
            data = unzip(path, data)
        where = f"{path}: {name}" if in_archive else str(path)
        pixels, classes = parse_cifar10(data, where)
        digest = hashlib.sha256(data).hexdigest()
        if digest != digests[name]:
            raise DataError(
                f"{where}: SHA-256 of its bytes is {digest}, published {digests[name]}: a damaged or different file"
            )
        images.append(pixels)
        labels.append(classes)
    x, y = np.concatenate(images), np.concatenate(labels)
    total = len(x) * len(digests) // len(found)
    note = "" if len(found) == len(digests) else f"{len(x):,} of {total:,} images: {', '.join(found)}"
    return x, y, note


def _places(folder: Path) -> list[Path]:
    """Return the folders to search below `folder`: that of the data set, that of the unpacked archive, and itself."""
    unpacked = "cifar-10-batches-bin"
    return [folder / "cifar-10", folder / "cifar-10" / unpacked, folder / unpacked, folder]


def _find(place: Path, names: Collection[str]) -> dict[str, Path]:
    """Return the file in `place` that contains each batch: a separate file, or the archive for all of them."""
    files: dict[str, Path] = {}
    for name in names:
        for path in (place / name, place / f"{name}.gz"):
            if path.is_file():
                files.setdefault(name, path)
    archive = place / ARCHIVE
    return dict.fromkeys(names, archive) if len(files) < len(names) and archive.is_file() else files


def _members(archive: Path, names: Collection[str]) -> dict[str, bytes]:
    """Return the bytes of the members called `names`, in any folder of the archive, without writing to the disk."""
    contents = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = member.name.rpartition("/")[2]
                stream = tar.extractfile(member) if name in names and member.isfile() else None
                if stream is not None:
                    contents[name] = stream.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{archive}: not a whole .tar.gz archive ({error})") from None
    absent = [name for name in names if name not in contents]
    if absent:
        raise DataError(f"{archive}: it does not contain {', '.join(absent)}; expected {ARCHIVE} (MD5 {ARCHIVE_MD5})")
    return contents


def _missing(split: str, folders: list[Path], places: list[Path]) -> str:
    pickled = [place / name for place in places for name in PYTHON_VERSION if (place / name).exists()]
    refused = f"{pickled[0]} is the Python version, made of pickles, which are not read. " if pickled else ""
    wanted = "\n".join(f"  {folder / 'cifar-10' / ARCHIVE}" for folder in folders)
    return (
        f"{NAME} {split}: not found. {refused}Put the binary version, {ARCHIVE} (MD5 {ARCHIVE_MD5}), "
        f"at one of\n{wanted}\n"
        f"or its files {', '.join(FILES[split])}, gzipped or not, there, "
        "or name the folder with --data-dir or the environment variable MINIGAN_DATA"
    )
