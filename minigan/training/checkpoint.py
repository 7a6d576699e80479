"""The file of a checkpoint, and the folder of a run's checkpoints.

A file is one line, ``minigan checkpoint FORMAT SHA256 BYTES``, followed by an .npz archive (no pickle) of BYTES bytes
with the checksum SHA256: the arrays, and the tree of which they are leaves as a JSON string.  It is written atomically.
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from minigan.ops import to_host
from minigan.ops.protocol import Array
from minigan.training.files import PathLike, RunError, atomic_write
from minigan.training.locks import locked

FORMAT_VERSION = 1
MAX_CHECKPOINTS = 2
SUFFIX = ".checkpoint"
ARRAY_KEY = "__array__"
"""The key of a leaf of the JSON tree whose value is the number of an array in the archive."""

Tree = dict[str, Any]  # dicts and lists; the leaves are arrays and JSON-serializable values


def write_checkpoint(path: PathLike, tree: Tree) -> Path:
    """Write a tree of arrays and JSON-serializable values to a checkpoint file, atomically.

    Parameters
    ----------
    path : path
        The file; an existing one is replaced.
    tree : dict
        Dicts and lists, whose leaves are arrays and JSON-serializable values.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        If the file cannot be written.

    """
    arrays: list[Array] = []

    def leaf(value: Any) -> Any:
        if isinstance(value, np.generic):
            return value.item()
        arrays.append(np.asarray(to_host(value)))
        return {ARRAY_KEY: len(arrays) - 1}

    text = json.dumps(tree, default=leaf)
    body = io.BytesIO()
    np.savez(body, allow_pickle=False, tree=np.array(text), **{str(n): array for n, array in enumerate(arrays)})

    def write(stream: Any) -> None:
        stream.write(_first_line(FORMAT_VERSION, body.getbuffer()))
        stream.write(body.getbuffer())

    return atomic_write(path, write)


def read_checkpoint(path: PathLike) -> Tree:
    """Read a checkpoint file.

    Parameters
    ----------
    path : path
        A file that `write_checkpoint` wrote.

    Returns
    -------
    dict
        The tree of arrays and JSON-serializable values.

    Raises
    ------
    RunError
        If the file cannot be read, is damaged, or has another format; the message describes the fault.

    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            line, body = stream.readline(200), stream.read()
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}") from None
    found = re.fullmatch(rb"minigan checkpoint ([0-9]{1,9}) ([0-9a-f]{64}) ([0-9]{1,18})\n", line)
    if found is None:
        raise RunError(f"{path}: not a checkpoint, or its first line was altered")
    version, size = int(found[1]), int(found[3])
    if version != FORMAT_VERSION:
        raise RunError(
            f"{path}: a checkpoint of format {version}; this version of minigan reads format {FORMAT_VERSION}"
        )
    if len(body) < size:
        raise RunError(f"{path}: truncated: got {len(body)} of {size} bytes")
    if line != _first_line(version, memoryview(body)):
        raise RunError(f"{path}: checksum mismatch")
    try:
        return _tree(body)
    except Exception:  # of zipfile, zlib, numpy or json
        raise RunError(f"{path}: not a checkpoint: its content is not a tree of arrays") from None


def _tree(body: bytes) -> Tree:
    with np.load(io.BytesIO(body), allow_pickle=False) as stored:

        def branch(value: Tree) -> Any:
            return stored[str(value[ARRAY_KEY])] if value.keys() == {ARRAY_KEY} else value

        tree: Tree = json.loads(str(stored["tree"]), object_hook=branch)
    if not isinstance(tree, dict):
        raise TypeError
    return tree


def _first_line(version: int, body: memoryview) -> bytes:
    return f"minigan checkpoint {version} {hashlib.sha256(body).hexdigest()} {len(body)}\n".encode()


class Checkpoints:
    """The folder RUN/checkpoints with one file NNNNNN.checkpoint per checkpoint; the newest two are kept."""

    def __init__(self, run: PathLike) -> None:
        self.run, self.folder = Path(run), Path(run) / "checkpoints"
        self._handle: int | None = None

    def path(self, iteration: int) -> Path:
        """Return the path of an iteration's checkpoint."""
        return self.folder / f"{iteration:06d}{SUFFIX}"

    def numbers(self) -> list[int]:
        """Return the iterations that have a checkpoint, the newest first."""
        names = [path.name.removesuffix(SUFFIX) for path in self.folder.glob(f"*{SUFFIX}")]
        return sorted((int(name) for name in names if name.isascii() and name.isdecimal()), reverse=True)

    def write(self, iteration: int, tree: Tree) -> Path:
        """Write a checkpoint, then remove all but the newest two."""
        path = write_checkpoint(self.path(iteration), tree)
        if self._handle is not None:
            os.fsync(self._handle)  # the new file is on disk before an old one is removed
        for number in self.numbers()[MAX_CHECKPOINTS:]:
            self.path(number).unlink()
        return path

    def read(self, path: PathLike | None = None) -> tuple[Path, Tree]:
        """Return the path and the tree of a checkpoint, by default the newest.

        Raises
        ------
        RunError
            If there is none, or it is damaged; the message then names an intact one.

        """
        files = [self.path(number) for number in self.numbers()]
        if path is None and not files:
            raise self._no_checkpoints()
        chosen = files[0] if path is None else Path(path)
        try:
            return chosen, read_checkpoint(chosen)
        except RunError as error:
            raise RunError(f"{error}; {_advice([file for file in files if file != chosen])}") from None

    def _no_checkpoints(self) -> RunError:
        if self.folder.is_dir():
            return RunError(f"{self.run}: it has no checkpoints: it ended before the first one; start a new run")
        return RunError(
            f"{self.run}: it has no checkpoints: it cannot be resumed; start a new run with checkpoint_every=N"
        )

    def drop_after(self, iteration: int) -> None:
        """Remove the checkpoints of later iterations than the one from which the run continues."""
        for number in self.numbers():
            if number > iteration:
                self.path(number).unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the run against other processes in this block, and remove temporary files of a killed process.

        The operating system releases the lock when the process ends, even if it is killed.

        Raises
        ------
        RunError
            If another process has locked the run, or it has no checkpoints.

        """
        if not self.folder.is_dir():
            raise self._no_checkpoints()
        with locked(self.folder, f"{self.run}: another process is training this run") as self._handle:
            try:
                for temporary in self.folder.glob(f".*{SUFFIX}.*"):
                    temporary.unlink()
                yield
            finally:
                self._handle = None


def _advice(files: list[Path]) -> str:
    for file in files:
        with suppress(RunError):
            read_checkpoint(file)
            return f"expected another one, checkpoint={file}"
    return "no other one is intact; start a new run"
