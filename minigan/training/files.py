"""The run folder: what is written, whole or not at all, and never over another run."""

import io
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minigan.ops import Array

PathLike = str | os.PathLike[str]


class RunError(Exception):
    """A run folder that cannot be written or read."""


def new_folder(recipe: str, *, out: PathLike | None = None, root: PathLike = "runs") -> Path:
    """Create and return `out`, or the next free ROOT/RECIPE/NUMBER (001, 002, ...).

    `out` must not exist, or be an empty folder: a run is never overwritten.
    """
    if out is not None:
        path = Path(out)
        if path.is_dir() and not any(path.iterdir()):
            return path
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            raise RunError(f"--out {path} exists; accepted: a new or an empty folder") from None
        except OSError as error:
            raise RunError(f"--out {path}: {error.strerror}") from None
        return path
    base = Path(root) / recipe
    try:
        base.mkdir(parents=True, exist_ok=True)
        number = max((int(p.name) for p in base.iterdir() if p.name.isdigit()), default=0)
        while True:
            number += 1
            try:
                path = base / f"{number:03d}"
                path.mkdir()
            except FileExistsError:  # another process took it
                continue
            return path
    except OSError as error:
        raise RunError(f"{base}: {error.strerror}") from None


def write_whole(path: PathLike, write: Callable[[BinaryIO], Any]) -> Path:
    """Write a file through a temporary one beside it, so that it is there whole or not at all."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: PathLike, data: Any) -> Path:
    """Write JSON (no NaN: a number that is not finite becomes a string)."""
    text = json.dumps(_jsonable(data), indent=2, allow_nan=False) + "\n"
    return write_whole(path, lambda stream: stream.write(text.encode()))


def _jsonable(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {str(key): _jsonable(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_jsonable(value) for value in data]
    if isinstance(data, (np.floating, np.integer, np.bool_)):
        data = data.item()
    if isinstance(data, float) and not np.isfinite(data):
        return str(data)
    return data


def read_json(path: PathLike) -> Any:
    """Read a JSON file of a run; RunError says what is wrong with which file."""
    path = Path(path)
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise RunError(f"{path.parent}: not a run folder: it has no {path.name}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RunError(f"{path}: {error}") from None


def write_arrays(path: PathLike, arrays: Mapping[str, Array]) -> Path:
    """Write named arrays as .npz (no pickle)."""
    return write_whole(
        path,
        lambda stream: np.savez(stream, allow_pickle=False, **{k: np.asarray(v) for k, v in arrays.items()}),
    )


def read_arrays(path: PathLike) -> dict[str, Array]:
    """Read named arrays from .npz (no pickle); RunError says what is wrong with which file."""
    path = Path(path)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}") from None
    except Exception as error:  # zipfile, zlib and numpy each have their own errors for a damaged file
        raise RunError(f"{path}: not a whole .npz file ({error})") from None
