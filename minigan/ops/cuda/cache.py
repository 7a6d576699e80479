"""What was compiled, kept in the user's cache folder under the hash of all that decides it."""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path


def folder() -> Path:
    """$MINIGAN_CACHE, else the platform's folder for such files: ~/.cache/minigan (or $XDG_CACHE_HOME), on macOS
    ~/Library/Caches/minigan, on Windows %LOCALAPPDATA%/minigan; in it, "kernels".
    """  # fmt: skip
    if given := os.environ.get("MINIGAN_CACHE"):
        return Path(given) / "kernels"
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "minigan" / "kernels"


def key(*parts: str) -> str:
    """One name for all the parts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """Return the file of that name; where there is none, `make` writes it, and it is there whole or not at all.

    Two processes may make one file at a time: the last one's stays.  Where the cache folder cannot be written, the
    file lies in a temporary folder of this process.
    """
    path = folder() / name
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.mkdtemp(dir=path.parent, prefix=".making-")
    except OSError:
        path = Path(tempfile.mkdtemp(prefix="minigan-")) / name
        temporary = tempfile.mkdtemp(dir=path.parent)
    made = Path(temporary) / name
    try:
        make(made)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)
        Path(temporary).rmdir()
    return path
