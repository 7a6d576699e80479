"""The files of a run folder: each is written atomically, and no run overwrites another."""

import io
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minigan.ops import to_host
from minigan.ops.protocol import Array

PathLike = str | os.PathLike[str]


class RunError(Exception):
    """A run folder cannot be written or read."""


def new_folder(recipe: str, *, out: PathLike | None = None, root: PathLike = "runs") -> Path:
    """Create a folder for a run.

    `create_run` then makes it the folder of one run: of two processes that were given the same empty folder, the second
    one is refused there.

    Parameters
    ----------
    recipe : str
        The name of the recipe, for the default folder.
    out : path, optional
        A new or empty folder; by default the next free ROOT/RECIPE/NUMBER, with NUMBER 001, 002, ...
    root : path
        The parent of the default folders.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    RunError
        Where `out` is a file or not empty, or the folder cannot be created.

    """
    if out is not None:
        if not os.fspath(out):
            raise RunError("out='' given; expected the name of a new or an empty folder")
        path = Path(out)
        try:
            if path.is_dir() and not any(path.iterdir()):
                return path
            path.mkdir(parents=True)
        except FileExistsError:
            raise RunError(f"out={path} exists; expected a new or an empty folder") from None
        except OSError as error:
            raise RunError(f"out={path}: {error.strerror}") from None
        return path
    base = Path(root) / recipe
    try:
        base.mkdir(parents=True, exist_ok=True)
        number = max((int(p.name) for p in base.iterdir() if p.name.isascii() and p.name.isdecimal()), default=0)
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


def create_run(folder: PathLike, name: str, data: Any) -> Path:
    """Make a new or empty folder the folder of one run, by writing its first file.

    Parameters
    ----------
    folder : path
        The folder; created where it does not exist.
    name : str
        The name of the first file.
    data : JSON-able
        Its content.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    RunError
        Where the folder is not empty or cannot be written.  Of two processes that are given one folder, one succeeds.

    """
    folder = Path(folder)
    refused = RunError(f"{folder} exists and is not empty; expected a new or an empty folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise refused
        write_json(folder / name, data, new=True)
    except FileExistsError:
        raise refused from None
    except OSError as error:
        raise RunError(f"{folder}: {error.strerror}") from None
    return folder


def atomic_write(path: PathLike, write: Callable[[BinaryIO], Any], *, new: bool = False) -> Path:
    """Write a file atomically: through a temporary file in the same folder, which is then renamed.

    Parameters
    ----------
    path : path
        The file.
    write : callable
        ``write(stream)`` writes the content into a binary stream.
    new : bool
        Whether to raise FileExistsError, rather than to replace the file, where it exists or another process has
        created it in the meantime.

    Returns
    -------
    Path
        The file.

    """
    path = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:  # name the requested file, not the temporary one
        raise type(error)(error.errno, error.strerror, str(path)) from None
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        if new:
            _put_new(temporary, path)
        else:
            os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if (
            isinstance(error, OSError) and error.errno is not None and error.filename in (None, temporary)
        ):  # a full disk names no file
            raise type(error)(error.errno, error.strerror, str(path)) from None
        raise
    return path


def _put_new(temporary: str, path: Path) -> None:
    try:
        os.link(temporary, path)  # fails where the name is taken
    except FileExistsError as error:
        raise FileExistsError(error.errno, error.strerror, str(path)) from None
    except OSError:  # a file system without hard links: reserve the name, then replace it by the whole file
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.replace(temporary, path)
    else:
        os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync(path: PathLike) -> None:
    """Flush the content of a file to the disk."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: PathLike, data: Any, *, new: bool = False) -> Path:
    """Write JSON atomically; a number that is not finite becomes a string.  `new` is that of `atomic_write`."""
    text = json.dumps(jsonable(data), indent=2, allow_nan=False) + "\n"
    return atomic_write(path, lambda stream: stream.write(text.encode()), new=new)


def jsonable(data: Any) -> Any:
    """Convert `data` to JSON-able values: NumPy's numbers to Python's, and those that are not finite to strings.

    >>> jsonable({"a": np.float32(0.5), "b": (np.arange(2), math.nan)})
    {'a': 0.5, 'b': [[0, 1], 'nan']}
    """
    if isinstance(data, Mapping):
        return {str(key): jsonable(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [jsonable(value) for value in data]
    if isinstance(data, np.ndarray):
        return jsonable(data.tolist())
    if isinstance(data, np.generic):
        data = data.item()
    if isinstance(data, float) and not math.isfinite(data):
        return str(data)
    return data


def read_json(path: PathLike) -> Any:
    """Read a JSON file of a run; RunError names the file and its fault."""
    path = Path(path)
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise RunError(f"{path.parent}: not a run folder: it has no {path.name}") from None
    except RecursionError:
        raise RunError(f"{path}: not JSON of a run: it is nested too deeply") from None
    except (OSError, ValueError) as error:  # a ValueError also for text that is not UTF-8 and for huge integers
        raise RunError(f"{path}: {error}") from None


def write_arrays(path: PathLike, arrays: Mapping[str, Array]) -> Path:
    """Write named arrays as .npz (no pickle)."""
    return atomic_write(
        path,
        lambda stream: np.savez(stream, allow_pickle=False, **{k: np.asarray(to_host(v)) for k, v in arrays.items()}),
    )


def read_arrays(path: PathLike) -> dict[str, Array]:
    """Read named arrays from .npz (no pickle); RunError names the file and its fault."""
    path = Path(path)
    try:
        content = path.read_bytes()
        if not content.startswith(b"PK"):  # NumPy would take it for a pickle and advise to allow pickles
            raise ValueError("it does not begin as one")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}") from None
    except Exception as error:  # zipfile, zlib and numpy each have their own errors for a damaged file
        raise RunError(f"{path}: not a whole .npz file ({error})") from None
