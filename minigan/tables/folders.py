"""The folder of a table: who may write into it, and whether its runs belong to the table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigan.tables.protocol import Ours
from minigan.tables.task import differences
from minigan.training import RunError, read_json
from minigan.training.files import PathLike

TABLE, PAGE = "table.json", "table.md"
ROOT = Path("runs") / "tables"


def table_folder(name: str, *, iterations: int | None = None, out: PathLike | None = None) -> Path:
    """Return the folder of a table.

    Parameters
    ----------
    name : str
        The name of the protocol.
    iterations : int, optional
        The number of iterations, if it is not the protocol's: such a table has a folder of its own.
    out : path, optional
        The folder that the user has chosen; by default runs/tables/NAME or runs/tables/NAME-N-iterations.

    Returns
    -------
    Path
        The folder, which need not exist.

    Raises
    ------
    RunError
        If `out` is empty.

    """
    if out is not None:
        if not str(out):
            raise RunError("out='' given; expected the name of a new folder, or of the folder of a table")
        return Path(out)
    return ROOT / (name if iterations is None else f"{name}-{iterations}-iterations")


def earlier_table(folder: Path, name: str, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return table.json of a folder, whose table is continued; None for a new or empty folder.

    Parameters
    ----------
    folder : Path
        The folder.
    name : str
        The name of the protocol.
    settings : mapping of str to mapping
        The hyper-parameters of each row, by label, and the name of its recipe under "recipe".

    Returns
    -------
    dict or None
        The content of the file.

    Raises
    ------
    RunError
        If the folder has other files, the file is damaged, or the table is one of another protocol or of other
        hyper-parameters; the message says which.

    """
    path = folder / TABLE
    if not path.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunError(f"{folder} exists and is not the folder of a table; expected a new or an empty folder")
        return None
    found = read_json(path)
    rows = found.get("settings") if isinstance(found, dict) else None
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        raise RunError(f"{path}: not a table of minigan; expected a new folder (out=DIR)")
    if found.get("table") != name:
        raise RunError(f"{path}: a table of {found.get('table')!r}; expected one of {name!r}, or a new folder")
    for label, now in settings.items():
        changes = _changes(rows.get(label, now), now)
        if changes:
            raise RunError(
                f"{path}: the protocol has changed since: row {label}: {changes}; expected a new folder (out=DIR)"
            )
    return found


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if before.get("recipe") != now["recipe"]:
        return f"recipe was {before.get('recipe')!r}, is {now['recipe']!r}"
    stored = {key: value for key, value in before.items() if key != "recipe"}
    return differences(now["recipe"], stored, {key: value for key, value in now.items() if key != "recipe"})


def described(row: Ours, iterations: int | None) -> dict[str, Any]:
    """Return the recipe and all hyper-parameters of a row, as table.json has them."""
    return {"recipe": row.recipe, **row.settings(iterations)}
