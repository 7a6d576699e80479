"""Read and check files in the IDX format of MNIST (LeCun, Cortes and Burges 1998)."""

import math
import os
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minigan.data.files import DataError, read_bytes, unzip

UNSIGNED_BYTE = 0x08


def parse_idx(data: bytes, name: str | os.PathLike[str], *, ndim: int | None = None) -> NDArray[np.uint8]:
    """Parse the bytes of an IDX file.

    The layout is two zero bytes, the type (8: unsigned byte), the number of dimensions, each dimension as a big-endian
    32-bit integer, and the numbers.

    Parameters
    ----------
    data : bytes
        The uncompressed content of the file.
    name : str or path
        The name of the file in errors.
    ndim : int, optional
        The expected number of dimensions; not checked by default.

    Returns
    -------
    array of uint8
        The numbers, read-only.

    Raises
    ------
    DataError
        If the bytes are not an IDX file of unsigned bytes with `ndim` dimensions, or are truncated.

    """
    if len(data) < 4 or data[:2] != b"\0\0":
        raise DataError(f"{name}: not an IDX file: it begins with {data[:4].hex(' ') or 'nothing'}, not 00 00")
    kind, dimensions = data[2], data[3]
    if kind != UNSIGNED_BYTE:
        raise DataError(f"{name}: IDX type 0x{kind:02x}; expected 0x08 (unsigned byte)")
    if ndim is not None and dimensions != ndim:
        raise DataError(f"{name}: {dimensions} dimensions; expected {ndim}")
    start = 4 + 4 * dimensions
    if len(data) < start:
        raise DataError(f"{name}: cut short in the header: {len(data)} bytes of {start}")
    shape = struct.unpack(f">{dimensions}I", data[4:start])
    expected = start + math.prod(shape)
    if len(data) != expected:
        raise DataError(f"{name}: {len(data):,} bytes, but dimensions {shape} need {expected:,}")
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)


def read_idx(path: str | os.PathLike[str], *, ndim: int | None = None) -> NDArray[np.uint8]:
    """Read an IDX file.

    Parameters
    ----------
    path : path
        The file, gzipped if its name ends in .gz.
    ndim : int, optional
        The expected number of dimensions; not checked by default.

    Returns
    -------
    array of uint8
        The numbers, read-only.

    Raises
    ------
    DataError
        If the file cannot be read, or is not an IDX file of unsigned bytes with `ndim` dimensions.

    """
    path = Path(path)
    data = read_bytes(path)
    return parse_idx(unzip(path, data) if path.suffix == ".gz" else data, path, ndim=ndim)
