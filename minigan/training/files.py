"""Read and write the files of a run folder; all are written atomically."""

import io
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigan._files import PathLike as PathLike
from minigan._files import atomic_write as atomic_write
from minigan.ops import to_host
from minigan.ops.protocol import Array


class RunError(Exception):
    """Raised if a file or a folder of a run cannot be written or read."""


def sync(path: PathLike) -> None:
    """Flush the content of a file to the disk."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: PathLike, data: Any, *, new: bool = False) -> Path:
    """Write JSON atomically; numbers that are not finite become strings.

    Parameters
    ----------
    path : path
        The file.
    data : JSON-serializable
        The content, which may have NumPy numbers and arrays.
    new : bool
        Whether to raise FileExistsError if the file exists; by default it is replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        If the file cannot be written.

    """
    text = json.dumps(jsonable(data), indent=2, allow_nan=False) + "\n"
    return atomic_write(path, lambda stream: stream.write(text.encode()), new=new)


def jsonable(data: Any) -> Any:
    """Convert `data` to what JSON has: NumPy numbers to Python's, and numbers that are not finite to strings.

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
    """Read a JSON file of a run.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Any
        Its content.

    Raises
    ------
    RunError
        If the file is missing or damaged; the message names it.

    """
    path = Path(path)
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise RunError(f"{path.parent}: not a run folder: it has no {path.name}") from None
    except RecursionError:
        raise RunError(f"{path}: not JSON of a run: it is nested too deeply") from None
    except (OSError, ValueError) as error:  # ValueError: damaged JSON, text that is not UTF-8, a huge integer
        raise RunError(f"{path}: {error}") from None


def write_arrays(path: PathLike, arrays: Mapping[str, Array]) -> Path:
    """Write named arrays to an .npz file, atomically and without pickle.

    Parameters
    ----------
    path : path
        The file; an existing one is replaced.
    arrays : mapping of str to array
        The arrays, of NumPy or of a device.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        If the file cannot be written.

    """
    return atomic_write(
        path,
        lambda stream: np.savez(stream, allow_pickle=False, **{k: np.asarray(to_host(v)) for k, v in arrays.items()}),
    )


def read_arrays(path: PathLike) -> dict[str, Array]:
    """Read named arrays from an .npz file, without pickle.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict of array
        The arrays by name.

    Raises
    ------
    RunError
        If the file is missing or damaged; the message names it.

    """
    path = Path(path)
    try:
        content = path.read_bytes()
        if not content.startswith(b"PK"):  # NumPy would treat it as a pickle, and advise to allow pickles
            raise ValueError("it does not begin as one")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}") from None
    except Exception as error:  # of zipfile, zlib or numpy, for a damaged file
        raise RunError(f"{path}: not a whole .npz file ({error})") from None
