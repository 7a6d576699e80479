"""What was compiled, kept in the user's cache folder under the hash of all that decides it."""

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
"""How the names of folders begin in which a file is being made."""
STALE_SECONDS = 3600
"""Seconds that no file takes to be made."""


def folder() -> Path:
    """$MINIGAN_CACHE, else the platform's folder for such files: ~/.cache/minigan (or $XDG_CACHE_HOME), on macOS
    ~/Library/Caches/minigan, on Windows %LOCALAPPDATA%/minigan; in it, "kernels".
    """  # fmt: skip
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
    """One name for all the parts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """Return the file of that name; where there is none, `make` writes it, and it is there whole or not at all.

    Two processes may make one file at a time: the last one's stays.  Where the cache folder cannot be written, the
    file lies in a temporary folder, which goes with this process.
    """
    path = folder() / name
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.mkdtemp(dir=path.parent, prefix=PARTIAL_PREFIX)
    except OSError:
        path = _of_this_process() / name
        if path.is_file():
            return path
        temporary = tempfile.mkdtemp(dir=path.parent, prefix=PARTIAL_PREFIX)
    made = Path(temporary) / name
    try:
        make(made)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)
        Path(temporary).rmdir()
    _tidy(path.parent)
    return path


@functools.cache
def _of_this_process() -> Path:
    """A folder that is there until Python ends."""
    made = tempfile.TemporaryDirectory(prefix="minigan-", ignore_cleanup_errors=True)
    atexit.register(made.cleanup)
    return Path(made.name)


def _tidy(cache: Path) -> None:
    """Remove what processes that were killed while they made a file left behind."""
    for left in cache.glob(f"{PARTIAL_PREFIX}*"):
        try:
            old = time.time() - left.stat().st_mtime > STALE_SECONDS
        except OSError:  # it is gone
            continue
        if old:
            shutil.rmtree(left, ignore_errors=True)
