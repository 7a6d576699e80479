"""Notify a watcher when a kernel is compiled, which takes seconds, and let other processes help with it.

Compiled kernels are stored on disk.  numba compiles on one thread at a time, so only other processes can help: they
compile the kernels that will be needed later, and the process that waits reads them from disk.
"""

import atexit
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Watcher = Callable[[str], None]
_watchers: list[Watcher] = []


def watch(watcher: Watcher) -> Callable[[], None]:
    """Call a function whenever this process begins to compile a kernel, or to wait for one that a helper compiles.

    Parameters
    ----------
    watcher
        Called with the kernel's name, in the thread that waits for the compilation.  Watchers that were added before
        are not called until this one is removed.

    Returns
    -------
    callable
        A function without arguments that ends the notifications.

    """
    _watchers.append(watcher)

    def stop() -> None:
        if watcher in _watchers:
            _watchers.remove(watcher)

    return stop


def announce(name: str) -> None:
    """Notify the watcher that this kernel is being compiled, and start the helpers, unless they have been started."""
    _start_helpers()
    if _watchers:
        _watchers[-1](name)


_lock = threading.Lock()
_pending: list[list[str]] = []
_running: list["subprocess.Popen[Any]"] = []
_alone = False


def python(program: str, *arguments: str) -> list[str]:
    """Return the command line of a Python process that imports modules from the same places as this one.

    Parameters
    ----------
    program
        The program; its ``sys.argv[1:]`` are the arguments.
    *arguments
        The arguments.

    Returns
    -------
    list of str
        The command line; empty if the interpreter is unknown, because another program contains it.

    """
    if not os.path.basename(sys.executable or "").lower().startswith(("python", "pypy")):
        return []
    paths = json.dumps([os.path.abspath(path) for path in sys.path])
    return [sys.executable, "-c", f"import sys; sys.path[:] = {paths}; {program}", *arguments]


def environment() -> dict[str, str]:
    """Return the environment of a process that compiles: BLAS has one thread there, because the cores are needed."""
    variables = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    return {**os.environ, **dict.fromkeys(variables, "1")}


def assist(command: Sequence[str], processes: int, *, at_once: bool = False) -> None:
    """Start processes when a kernel is compiled for the first time after this call; nothing is started if none is.

    Parameters
    ----------
    command
        The command line.  The process must end by itself; it is ended when this process ends.
    processes
        How many processes to start.
    at_once
        Whether to start them now, because it is known that kernels will be compiled; False by default.

    """
    with _lock:
        _pending[:] = [] if _alone or not command else [list(command)] * processes
    if at_once:
        _start_helpers()


def is_first_use(sources: Sequence[Path], folder: Path) -> bool:
    """Return whether this is the first call for these sources and folder on this machine, and note it in the folder.

    Parameters
    ----------
    sources
        The files of the kernels.
    folder
        Where compiled kernels are stored.  If it cannot be written, no call is the first.

    Returns
    -------
    bool
        True for one process alone.

    """
    digest = hashlib.sha256()
    for file in sorted(sources):
        digest.update(file.read_bytes())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.close(os.open(folder / f"minigan-{digest.hexdigest()[:16]}.used", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except OSError:
        return False
    return True


def compile_alone() -> None:
    """Start no helpers in this process, because it is one."""
    global _alone
    with _lock:
        _alone = True
        _pending.clear()


def _start_helpers() -> None:
    with _lock:
        commands, _pending[:] = _pending[:], []
        for command in commands:
            with contextlib.suppress(OSError):  # no memory for another process: this one compiles everything
                _running.append(
                    subprocess.Popen(  # noqa: S603  (the command is this interpreter)
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        env=environment(),
                    )
                )
        if commands:
            atexit.unregister(_end_helpers)
            atexit.register(_end_helpers)


def _end_helpers() -> None:
    with _lock:
        for process in _running:
            process.kill()
        for process in _running:
            process.wait()
        _running.clear()
