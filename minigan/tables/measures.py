"""The numbers of a finished run that a table shows."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from minigan.training import RunError, read_json
from minigan.training.files import PathLike


def found_in(run: PathLike, sources: Iterable[str], *, data_dir: PathLike | None = None) -> dict[str, Any]:
    """Return the results of a finished run, by source.

    Parameters
    ----------
    run : path
        The run folder.
    sources : iterable of str
        "summary", for summary.json; "evaluation", for `minigan.evaluation.evaluate` with its defaults, which is
        computed now and takes about a minute.
    data_dir : path, optional
        The folder with the data files, for the evaluation.

    Returns
    -------
    dict
        JSON-serializable results: "summary" as the file has it; "evaluation" with the rows "samples" and "control"
        (real test images), "parzen" and "label_accuracy".

    Raises
    ------
    RunError
        If a file is missing or damaged, or the run has no images that can be evaluated.
    DataError
        If data files are missing or damaged.

    """
    results: dict[str, Any] = {}
    wanted = set(sources)
    if "summary" in wanted:
        results["summary"] = read_json(Path(run) / "summary.json")
    if "evaluation" in wanted:
        from minigan.evaluation import evaluate, write_evaluation

        found = evaluate(run, data_dir=data_dir)
        write_evaluation(run, found)
        whole = found.as_dict()
        control, samples = whole.pop("rows")
        results["evaluation"] = {**whole, "control": control, "samples": samples}
    return results


def number_at(results: Mapping[str, Any], key: str) -> float:
    """Return the number at a dotted key.

    Parameters
    ----------
    results : mapping
        Nested mappings with JSON values.
    key : str
        The names from the outermost mapping on, separated by dots.

    Returns
    -------
    float
        The number, finite.

    Raises
    ------
    RunError
        If there is no such name, or the value is not a finite number.

    Examples
    --------
    >>> number_at({"summary": {"modes": 8}}, "summary.modes")
    8.0

    """
    value: Any = results
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        raise RunError(f"the run has no {key}")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise RunError(f"{key} is {value!r}; expected a finite number")
    return float(value)
