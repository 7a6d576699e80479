"""Create the folder of a run, and reserve it for one run."""

import os
from pathlib import Path
from typing import Any

from minigan.training.files import PathLike, RunError, write_json


def new_folder(recipe: str, *, out: PathLike | None = None, root: PathLike = "runs") -> Path:
    """Create a folder for a run.

    `create_run` then reserves it for one run: if two processes have the same empty folder, the second one fails there.

    Parameters
    ----------
    recipe : str
        The name of the recipe, for the default folder.
    out : path, optional
        A new or empty folder; by default the next free ROOT/RECIPE/NUMBER, with NUMBER 001, 002, ...
    root : path
        The parent of the default folders; "runs" by default.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    RunError
        If `out` is a file or not empty, or the folder cannot be created.

    """
    if out is not None:
        if not os.fspath(out):
            raise RunError("out='' given; expected the name of a new or an empty folder")
        path = Path(out)
        try:
            if path.is_dir() and not any(path.iterdir()):
                return path
            path.mkdir(parents=True)
        except FileExistsError:
            raise RunError(f"out={path} exists; expected a new or an empty folder") from None
        except OSError as error:
            raise RunError(f"out={path}: {error.strerror}") from None
        return path
    base = Path(root) / recipe
    try:
        base.mkdir(parents=True, exist_ok=True)
        number = max((int(p.name) for p in base.iterdir() if p.name.isascii() and p.name.isdecimal()), default=0)
        while True:
            number += 1
            try:
                path = base / f"{number:03d}"
                path.mkdir()
            except FileExistsError:  # another process took it
                continue
            return path
    except OSError as error:
        raise RunError(f"{base}: {error.strerror}") from None


def create_run(folder: PathLike, name: str, data: Any) -> Path:
    """Reserve a new or empty folder for one run, by writing its first file.

    Parameters
    ----------
    folder : path
        The folder; it is created if it does not exist.
    name : str
        The name of the first file.
    data : JSON-serializable
        Its content.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    RunError
        If the folder is not empty or cannot be written.  If two processes have the same folder, only one succeeds.

    """
    folder = Path(folder)
    refused = RunError(f"{folder} exists and is not empty; expected a new or an empty folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise refused
        write_json(folder / name, data, new=True)
    except FileExistsError:
        raise refused from None
    except OSError as error:
        raise RunError(f"{folder}: {error.strerror}") from None
    return folder
