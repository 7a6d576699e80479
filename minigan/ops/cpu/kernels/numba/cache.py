"""numba's cache on disk, shared by processes that compile at the same time.

A process claims a kernel before it compiles it, with a lock on a file beside the cached ones.  A process that needs the
same kernel waits for the other one and reads what it has stored.  The system releases the locks of a process that ends.
Where the system has no such locks, both processes compile the kernel, and the results are the same.
"""

import functools
import hashlib
import os
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache

from minigan.ops.compiling import announce

try:
    import fcntl
except ImportError:  # Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True
"""Whether processes can share the work of compiling."""

OTHER_SOURCES = ("ops/norm_act.py", "ops/cpu/threads/team.py", "ops/cpu/conv/cook_toom.py")
"""Files outside of this folder, relative to the package, that kernels import from."""
MAX_WAIT_SECONDS = 60.0
"""How long to wait for a process that compiles a kernel, before this one compiles it too: the other may be stopped."""
POLL_SECONDS = 0.005


class Cache(FunctionCache):  # type: ignore[misc, unused-ignore]
    """The cache of one function.  If a file is damaged, the function is compiled and stored again."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the stored machine code, or None, which makes numba compile; then this process claims the kernel."""
        found = self._load(sig, target_context)
        if found is not None:
            return found
        claim = self._claim_path(sig, target_context)
        if not _claim(claim):
            announce(self._py_func.__name__)
            end = time.monotonic() + MAX_WAIT_SECONDS
            while time.monotonic() < end and not _claim(claim):
                time.sleep(POLL_SECONDS)
        found = self._load(sig, target_context)  # another process may have stored it since the first attempt
        if found is not None:
            _release(claim)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store the machine code, if possible."""
        index = f"{self._cache_file._index_path}.lock"
        try:
            while not _claim(index):  # another process adds a signature of the same function
                time.sleep(POLL_SECONDS)
            super().save_overload(sig, data)  # type: ignore[no-untyped-call, unused-ignore]
        except OSError as error:  # no space or no permission
            warn(str(error))
        finally:
            _release(index)
            _release(self._claim_path(sig, data.codegen))

    def is_claimed_elsewhere(self, sig: Any, target_context: Any) -> bool:
        """Return whether another process is compiling the kernel at this moment."""
        claim = self._claim_path(sig, target_context)
        if not _claim(claim):
            return True
        _release(claim)
        return False

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        """Return numba's key and the digest of all sources: numba looks only at the file that defines the kernel."""
        return (*super()._index_key(sig, codegen), _sources())  # type: ignore[no-untyped-call, unused-ignore]

    def _load(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call, unused-ignore]
        except Exception:  # for a truncated file the unpickler may raise almost anything
            try:
                self.flush()  # type: ignore[no-untyped-call, unused-ignore]
            except OSError as error:
                warn(f"the stored files can be neither read nor replaced ({error})")
            return None

    def _claim_path(self, sig: Any, target: Any) -> str:
        codegen = target.codegen() if hasattr(target, "codegen") else target
        index_key = self._index_key(sig, codegen)  # type: ignore[no-untyped-call, unused-ignore]
        key = hashlib.sha256(repr(index_key).encode()).hexdigest()[:16]
        return f"{self._cache_file._index_path}.{key}.lock"


@functools.cache
def _sources() -> str:
    """Return a digest of the files that kernels consist of and import from."""
    package = Path(__file__).parents[4]
    files = [*Path(__file__).parent.glob("*.py"), *(package / name for name in OTHER_SOURCES)]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


_held: dict[str, int] = {}
"""The file descriptors of the locks that this process holds, by path."""


def _claim(path: str) -> bool:
    """Lock a file without waiting; return whether this process has the lock, or there are no locks here."""
    if not HAS_LOCKS or path in _held:
        return True
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:  # the folder cannot be written
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    except OSError:  # this file system has no locks
        os.close(file)
        return True
    _held[path] = file
    return True


def _release(path: str) -> None:
    file = _held.pop(path, None)
    if file is not None:
        with suppress(OSError):
            os.unlink(path)
        os.close(file)


_warned: list[str] = []


def warn(reason: str) -> None:
    """Warn, once, that kernels cannot be stored."""
    if not _warned:
        _warned.append(reason)
        warnings.warn(
            f"compiled kernels cannot be stored on disk, so every process compiles them again, for seconds: {reason}; "
            "expected NUMBA_CACHE_DIR to name a folder that can be written, or get_ops('cpu', compiled=False)",
            RuntimeWarning,
            stacklevel=2,
        )
