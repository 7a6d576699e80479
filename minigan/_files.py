"""Write files atomically."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

PathLike = str | os.PathLike[str]


def atomic_write(path: PathLike, write: Callable[[BinaryIO], Any], *, new: bool = False) -> Path:
    """Write a file atomically: write a temporary file in the same folder, then rename it.

    Parameters
    ----------
    path : path
        The file.
    write : callable
        ``write(stream)`` writes the content into a binary stream.
    new : bool
        Whether to raise FileExistsError if the file exists, even if another process has created it in the meantime;
        by default an existing file is replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        If the file cannot be written; the error names it.

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
            _rename_to_new(temporary, path)
        else:
            os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if (
            isinstance(error, OSError) and error.errno is not None and error.filename in (None, temporary)
        ):  # the error of a full disk does not name a file
            raise type(error)(error.errno, error.strerror, str(path)) from None
        raise
    return path


def _rename_to_new(temporary: str, path: Path) -> None:
    try:
        os.link(temporary, path)  # fails if the name exists
    except FileExistsError as error:
        raise FileExistsError(error.errno, error.strerror, str(path)) from None
    except OSError:  # a file system without hard links: reserve the name, then replace the empty file
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.replace(temporary, path)
    else:
        os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
