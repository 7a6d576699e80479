"""Cache compiled files in the user's cache folder, under a hash of everything that they depend on."""

import atexit
import functools
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PARTIAL_PREFIX = ".making-"
"""Prefix of the temporary folders in which a file is written."""
STALE_SECONDS = 3600
"""Age in seconds from which a temporary folder counts as abandoned: no compilation takes as long."""


def folder() -> Path:
    """Return the cache folder, "kernels" in $MINIGAN_CACHE, or else in the platform's folder for such files.

    That is $XDG_CACHE_HOME/minigan or ~/.cache/minigan, on macOS ~/Library/Caches/minigan, on Windows
    %LOCALAPPDATA%/minigan.
    """
    if given := os.environ.get("MINIGAN_CACHE"):
        return Path(given) / "kernels"
    try:
        home = Path.home()
    except RuntimeError:  # HOME is not set and the user has no passwd entry
        home = Path(tempfile.gettempdir()) / f"minigan-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    if sys.platform == "darwin":
        base = home / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "minigan" / "kernels"


def key(*parts: str) -> str:
    """Return a hash of the strings, 32 hexadecimal digits."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def cached(name: str, write: Callable[[Path], None]) -> Path:
    """Return a cached file, after writing it if it does not exist.

    The file appears complete or not at all.  If two processes write it at the same time, the later one replaces it.
    If the cache folder is not writable, the file is written to a temporary folder, which is removed when this process
    ends.

    Parameters
    ----------
    name : str
        The file's name.
    write : callable
        Takes a path and writes the file there.

    Returns
    -------
    Path
        Where the file is.

    """
    path = folder() / name
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.mkdtemp(dir=path.parent, prefix=PARTIAL_PREFIX)
    except OSError:
        path = _temporary_folder() / name
        if path.is_file():
            return path
        temporary = tempfile.mkdtemp(dir=path.parent, prefix=PARTIAL_PREFIX)
    partial = Path(temporary) / name
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
        Path(temporary).rmdir()
    _remove_stale(path.parent)
    return path


@functools.cache
def _temporary_folder() -> Path:
    """Return a folder that is removed when Python ends."""
    created = tempfile.TemporaryDirectory(prefix="minigan-", ignore_cleanup_errors=True)
    atexit.register(created.cleanup)
    return Path(created.name)


def _remove_stale(cache: Path) -> None:
    """Remove the temporary folders of processes that were killed while they wrote a file."""
    for partial in cache.glob(f"{PARTIAL_PREFIX}*"):
        try:
            age = time.time() - partial.stat().st_mtime
        except OSError:  # another process has removed it
            continue
        if age > STALE_SECONDS:
            shutil.rmtree(partial, ignore_errors=True)
