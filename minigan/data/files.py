"""The search for data files, and the checks of their content."""

import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PathLike = str | os.PathLike[str]

GZIP = b"\x1f\x8b"  # how a gzip file begins
FOLDERS = {
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
}  # the names in torchvision, which puts the files into "raw"


class DataError(Exception):
    """A data file is missing or damaged."""


@dataclass(frozen=True)
class DataFile:
    """A published file: its name when gzipped, and the SHA-256 of the gzipped and of the raw bytes."""

    name: str
    sha256_gz: str
    sha256_raw: str

    @property
    def raw_name(self) -> str:
        """The name without .gz."""
        return self.name.removesuffix(".gz")


def cache_folder() -> Path:
    """Return the user's cache folder for data: $XDG_CACHE_HOME/minigan, else ~/.cache/minigan.

    A user without a home folder (HOME is not set and the user has no passwd entry, as in some containers) has one in
    the folder of temporary files, TMPDIR/minigan-UID.
    """
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "minigan"
    try:
        return Path.home() / ".cache" / "minigan"
    except RuntimeError:
        user = os.getuid() if hasattr(os, "getuid") else "user"
        return Path(tempfile.gettempdir()) / f"minigan-{user}"


def search_folders(data_dir: PathLike | None = None) -> list[Path]:
    """Return the folders to look in: `data_dir` alone where it is given, else $MINIGAN_DATA, then the cache folder.

    A folder that the caller names must have the data, so that a misspelt name is an error.
    """
    if data_dir is not None:
        return [Path(data_dir)]
    given = (os.environ.get("MINIGAN_DATA"), cache_folder())
    return [Path(folder) for folder in given if folder]


def read_files(dataset: str, files: Sequence[DataFile], data_dir: PathLike | None = None) -> list[tuple[bytes, Path]]:
    """Return the raw (uncompressed) bytes and the path of each file, checked against its published SHA-256.

    Looks for FOLDER/DATASET/NAME and FOLDER/NAME, gzipped or raw, in each of `search_folders(data_dir)`.  DataError
    names all missing files, or the file that differs from the published one.
    """
    folders = search_folders(data_dir)
    found = [_find(dataset, file, folders) for file in files]
    missing = [file for file, place in zip(files, found, strict=True) if place is None]
    if missing:
        raise DataError(_missing(dataset, missing, folders))
    return [(_checked(*place), place[0]) for place in found if place is not None]


def _find(dataset: str, file: DataFile, folders: Sequence[Path]) -> tuple[Path, DataFile] | None:
    """Return the path of a file, with its checksums."""
    for folder in folders:
        for place in (folder / dataset, folder, folder / FOLDERS.get(dataset, dataset) / "raw", folder / "raw"):
            for name in (file.name, file.raw_name, *(n.replace("-idx", ".idx") for n in (file.name, file.raw_name))):
                if os.path.isfile(place / name):
                    return place / name, file
    return None


def _checked(path: Path, file: DataFile) -> bytes:
    """Return the raw bytes; only they are checked, not the name or the compression."""
    data = read_bytes(path)
    packed = data[:2] == GZIP
    with suppress(OSError, EOFError, zlib.error):  # not a whole gzip file: the error below has its checksum
        raw = gzip.decompress(data) if packed else data
        if hashlib.sha256(raw).hexdigest() == file.sha256_raw:
            return raw
    found, digest = hashlib.sha256(data).hexdigest(), file.sha256_gz if packed else file.sha256_raw
    raise DataError(
        f"{path}: SHA-256 is {found}, published {digest}: the file ({len(data):,} bytes) is damaged or another one"
    )


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes; DataError says why it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None


def unzip(path: Path, data: bytes) -> bytes:
    """Return the bytes that a gzip file holds; DataError names a file that is cut short or not gzip."""
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a whole gzip file ({error})") from None


def _missing(dataset: str, files: Sequence[DataFile], folders: Sequence[Path]) -> str:
    names = "\n".join(f"  {file.name}  SHA-256 {file.sha256_gz}" for file in files)
    places = "\n".join(f"  {folder / dataset}{os.sep}" for folder in folders)
    return (
        f"{dataset}: not found:\n{names}\n"
        f"Put what is missing, gzipped or unpacked, into one of the folders that were searched\n{places}\n"
        "or name its folder with --data-dir or the environment variable MINIGAN_DATA (searched only without "
        "--data-dir, before the cache). Without it: "
        "--data digits (8x8 digits that scikit-learn ships; pip install 'minigan[digits]')"
    )
