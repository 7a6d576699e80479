"""Texts shared by several sections of the page."""

from typing import Any

Result = dict[str, Any]


def provenance(result: Result) -> str:
    """Return the line with date, machine and versions; with BLAS's kernels, if no report on instructions has them."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items() if number)
    kernels = {b["version"]: "" if "instruction_set" in result else f" ({b['architecture']})" for b in machine["blas"]}
    blas = ", ".join(sorted({f"{b['internal_api']} {b['version']}{kernels[b['version']]}" for b in machine["blas"]}))
    line = (
        f"{result['date']}, {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {blas}, "
        f"Python {machine['python']}, {versions}."
    )
    return f"{line} A smoke run on small settings: the numbers mean nothing." if is_quick(result) else line


def is_quick(result: Result) -> bool:
    """Return whether the result is of a quick run."""
    return result.get("settings") == "small"


def product_rate(result: Result) -> float:
    """Return the machine's rate of a matrix product in flop/s; older results have BLAS's rate only."""
    top = result["ceilings"]
    return float(top["product"] if "product" in top else top["sgemm"])


def span(row: Result, scale: float = 1.0, digits: int = 4) -> str:
    """Return the text "median (minimum ... maximum)", or the median alone if there was one round.

    Parameters
    ----------
    row
        A result of `benchmarks.core.measure.spread`.
    scale
        A factor for the unit: 1e3 for milliseconds.
    digits
        Significant digits.

    """
    median, low, high = (f"{scale * row[name]:.{digits}g}" for name in ("median", "min", "max"))
    return median if row["min"] == row["max"] else f"{median} ({low} ... {high})"


def table(head: list[str], rows: list[list[str]], *, texts: int = 1) -> list[str]:
    """Return the lines of a table, with numbers to the right: all columns but the first `texts`.

    >>> table(["recipe", "ms"], [["gaussian", "0.7"]])
    ['| recipe | ms |', '|---|--:|', '| gaussian | 0.7 |']
    """
    rule = f"|{'---|' * texts}{'--:|' * (len(head) - texts)}"
    return [_row(head), rule, *(_row(cells) for cells in rows)]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def folded(summary: str, text: list[str]) -> list[str]:
    """Return lines that a reader can unfold."""
    return ["<details>", f"<summary>{summary}</summary>", "", *text, "", "</details>", ""]


def plot_lines(result: Result, name: str, caption: str) -> list[str]:
    """Return the lines that show a plot; none for a quick run, whose plots are not stored with the page."""
    return [] if is_quick(result) else [f"![{caption}](images/benchmarks/{name}.png)", ""]
