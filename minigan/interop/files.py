"""Read and write named arrays in safetensors files, the format of model hubs, which contains no pickle."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigan.ops import to_host
from minigan.ops.protocol import Array
from minigan.training.files import atomic_write

PathLike = str | os.PathLike[str]

DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "complex64",
)  # fmt: skip


def save_safetensors(path: PathLike, arrays: Mapping[str, Array]) -> Path:
    """Write named arrays to a new safetensors file, atomically.

    Parameters
    ----------
    path : path
        The file, which must not exist.
    arrays : mapping
        Arrays by name, of bool, integers, floats or complex64.  Strided views and arrays in Fortran order are first
        copied to C order, because safetensors 0.8 writes their memory in its present order without a warning.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the format does not support a name or a dtype.
    FileExistsError, FileNotFoundError
        If the file exists, or its folder does not.
    ImportError
        If the package safetensors is missing.

    """
    package = _package()
    path = Path(path)
    rows, problems = {}, []
    for name, value in arrays.items():
        array = np.asarray(to_host(value))
        dtype = array.dtype.newbyteorder("=")
        if not isinstance(name, str) or name == "__metadata__":  # reserved by the format
            problems.append(f"the name {name!r}, expected another string")
        elif dtype not in DTYPES:
            problems.append(f"{name!r} is {dtype}, expected {', '.join(DTYPES)}")
        else:
            rows[name] = array.astype(dtype, order="C", copy=False)
    if problems:
        raise ValueError("arrays do not fit a safetensors file: " + "; ".join(problems))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: its folder does not exist")
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists; expected a new name")
    content = package.save(rows)
    return atomic_write(path, lambda stream: stream.write(content))


def load_safetensors(path: PathLike) -> dict[str, Array]:
    """Read the arrays of a safetensors file.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict of array
        The arrays, sorted by name.

    Raises
    ------
    ValueError
        If the file is damaged, or NumPy does not have the dtype of an array.
    OSError
        If the file cannot be read.
    ImportError
        If the package safetensors is missing.

    """
    package = _package()
    content = Path(path).read_bytes()
    try:
        return dict(sorted(package.load(content).items()))
    except Exception as error:  # of safetensors; KeyError for a dtype that NumPy lacks
        raise ValueError(f"{path}: not a safetensors file that NumPy can hold ({error})") from None


def _package() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError("safetensors files need the package safetensors: pip install 'minigan[interop]'") from None
    return safetensors.numpy
