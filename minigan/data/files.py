"""Where data files are looked for, and the checks each must pass."""

import gzip
import hashlib
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class DataError(Exception):
    """A data file that is missing or not what it should be."""


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


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Return the user's cache folder for data: $XDG_CACHE_HOME/minigan, else ~/.cache/minigan."""
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "minigan"


def search_folders(data_dir: str | os.PathLike[str] | None = None) -> list[Path]:
    """Return the folders to look in: `data_dir`, else $MINIGAN_DATA and the cache folder, in that order."""
    if data_dir is not None:
        return [Path(data_dir)]
    from_environment = os.environ.get("MINIGAN_DATA")
    return ([Path(from_environment)] if from_environment else []) + [cache_folder()]


def read_file(dataset: str, file: DataFile, data_dir: str | os.PathLike[str] | None = None) -> tuple[bytes, Path]:
    """Return the raw (uncompressed) bytes and the path of `file`, checked against its published SHA-256.

    Looks for FOLDER/DATASET/NAME and FOLDER/NAME, gzipped or raw, in `search_folders(data_dir)`.
    """
    folders = search_folders(data_dir)
    for folder in folders:
        for place in (folder / dataset, folder):
            for path, digest in (
                (place / file.name, file.sha256_gz),
                (place / file.raw_name, file.sha256_raw),
            ):
                if path.is_file():
                    return _checked(path, digest), path
    raise DataError(_missing(dataset, file, folders))


def _checked(path: Path, digest: str) -> bytes:
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise DataError(
            f"{path}: SHA-256 is {found}, published {digest}: the file ({len(data):,} bytes) is damaged or another one"
        )
    return unzip(path, data) if path.suffix == ".gz" else data


def unzip(path: Path, data: bytes) -> bytes:
    """Return the bytes that a gzip file holds; DataError names a file that is cut short or not gzip."""
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a whole gzip file ({error})") from None


def _missing(dataset: str, file: DataFile, folders: list[Path]) -> str:
    places = "\n".join(f"  {folder / dataset / file.name}" for folder in folders)
    return (
        f"{dataset}: {file.name} (SHA-256 {file.sha256_gz}) was not found. "
        f"Put it, gzipped or unpacked, at one of\n{places}\n"
        "or name its folder with --data-dir or the environment variable MINIGAN_DATA. "
        "Without it: --data digits (8x8 digits that scikit-learn ships; pip install 'minigan[digits]')"
    )
