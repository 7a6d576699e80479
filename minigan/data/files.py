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

GZIP = b"\x1f\x8b"  # the first bytes of a gzip file
FOLDERS = {
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
}  # the folders of torchvision, which has the files in their subfolder "raw"


class DataError(Exception):
    """A missing or damaged data file."""


@dataclass(frozen=True)
class DataFile:
    """A published file and its checksums.

    Parameters
    ----------
    name : str
        The name of the gzipped file, ending in .gz.
    sha256_gz, sha256_raw : str
        The SHA-256 of the gzipped and of the raw (uncompressed) bytes, in hexadecimal.

    """

    name: str
    sha256_gz: str
    sha256_raw: str

    @property
    def raw_name(self) -> str:
        """The name without .gz."""
        return self.name.removesuffix(".gz")


def cache_folder() -> Path:
    """Return the user's cache folder for data: $XDG_CACHE_HOME/minigan, else ~/.cache/minigan.

    For a user without a home folder (without HOME and a passwd entry, as in some containers) it is TMPDIR/minigan-UID.
    """
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "minigan"
    try:
        return Path.home() / ".cache" / "minigan"
    except RuntimeError:
        user = os.getuid() if hasattr(os, "getuid") else "user"
        return Path(tempfile.gettempdir()) / f"minigan-{user}"


def search_folders(data_dir: PathLike | None = None) -> list[Path]:
    """Return the folders that are searched for data files.

    Parameters
    ----------
    data_dir : path, optional
        The only folder to search, so that a misspelt name is an error; by default $MINIGAN_DATA, then the cache folder.

    Returns
    -------
    list of Path
        The folders, in the order in which they are searched.

    """
    if data_dir is not None:
        return [Path(data_dir)]
    given = (os.environ.get("MINIGAN_DATA"), cache_folder())
    return [Path(folder) for folder in given if folder]


def read_files(dataset: str, files: Sequence[DataFile], data_dir: PathLike | None = None) -> list[tuple[bytes, Path]]:
    """Read the files of a data set, and compare them with their published SHA-256.

    The files are searched as FOLDER/DATASET/NAME and FOLDER/NAME, gzipped or raw, in each folder of
    ``search_folders(data_dir)``.

    Parameters
    ----------
    dataset : str
        The name of the data set.
    files : sequence of DataFile
        The files to read.
    data_dir : path, optional
        The only folder to search.

    Returns
    -------
    list of (bytes, Path)
        The raw (uncompressed) bytes and the path of each file.

    Raises
    ------
    DataError
        If files are missing (the message names all of them), or a file differs from the published one.

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
    """Return the raw bytes of a file; only they are compared with the checksum, not the compressed bytes."""
    data = read_bytes(path)
    packed = data[:2] == GZIP
    with suppress(OSError, EOFError, zlib.error):  # a damaged gzip file: the error below has its checksum
        raw = gzip.decompress(data) if packed else data
        if hashlib.sha256(raw).hexdigest() == file.sha256_raw:
            return raw
    found, digest = hashlib.sha256(data).hexdigest(), file.sha256_gz if packed else file.sha256_raw
    raise DataError(
        f"{path}: SHA-256 is {found}, published {digest}: the file ({len(data):,} bytes) is damaged or a different one"
    )


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file; raise DataError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None


def unzip(path: Path, data: bytes) -> bytes:
    """Return the uncompressed bytes of a gzip file; raise DataError if it is truncated or not gzip."""
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a whole gzip file ({error})") from None


def _missing(dataset: str, files: Sequence[DataFile], folders: Sequence[Path]) -> str:
    names = "\n".join(f"  {file.name}  SHA-256 {file.sha256_gz}" for file in files)
    places = "\n".join(f"  {folder / dataset}{os.sep}" for folder in folders)
    return (
        f"{dataset}: not found:\n{names}\n"
        f"Put the missing files, gzipped or unpacked, into one of the folders that were searched\n{places}\n"
        "or name their folder with --data-dir or the environment variable MINIGAN_DATA (searched only without "
        "--data-dir, before the cache). Without it: "
        "--data digits (8x8 digits that scikit-learn ships; pip install 'minigan[digits]')"
    )
