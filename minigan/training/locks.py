"""Lock a folder against other processes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minigan.training.files import RunError

try:
    import fcntl
except ImportError:  # Windows, where two processes in one folder are not detected
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(folder: Path, refused: str) -> Iterator[int | None]:
    """Lock a folder against other processes in this block.

    The operating system releases the lock when the process ends, even if it is killed.

    Parameters
    ----------
    folder : Path
        An existing folder.
    refused : str
        The message of the error if another process has locked it.

    Yields
    ------
    int or None
        The file descriptor of the folder; None on a system without locks.

    Raises
    ------
    RunError
        If another process has locked it.

    """
    if fcntl is None:
        yield None
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(refused) from None
        except OSError:  # a file system without locks
            pass
        yield handle
    finally:
        os.close(handle)
