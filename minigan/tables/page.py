"""table.md, made from the content of table.json alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from minigan.tables.environment import versions_text

Data = Mapping[str, Any]


def page(data: Data) -> str:
    """Return a table as Markdown: our rows, the controls and the published rows, then how it was made.

    Parameters
    ----------
    data : mapping
        The content of table.json.

    Returns
    -------
    str
        The text.

    """
    parts = [f"# `{data['table']}`", data["about"]]
    if data["deviations"]:
        parts.append(f"**This is not the protocol: {'; '.join(data['deviations'])}.**")
    if data["status"] == "interrupted":
        missing = sum(row["missing"] for row in data["rows"])
        parts.append(f"**Not complete (runs missing: {missing}). The same command continues.**")
    parts.append(_table(data))
    parts.append(_meaning(data))
    if data["notes"]:
        parts.append("\n".join(f"- {note}" for note in data["notes"]))
    failures = [line for row in data["rows"] for line in _failures(row)]
    if failures:
        parts.append("\n".join(["Failed, and not in the means:", "", *failures]))
    parts.append("\n".join(_made(data)))
    return "\n\n".join(parts) + "\n"


def _table(data: Data) -> str:
    """Return the table; the columns are aligned, so that it can be read in a terminal."""
    columns = data["columns"]
    lines = [["", *(column["heading"] for column in columns), "runs", "core-seconds a run", "source"]]
    for row in data["rows"]:
        cells = [_ours(row["figures"].get(column["name"]), column, data["spread"]) for column in columns]
        time = f"{row['cpu_seconds'] / row['timed']:,.1f}" if row["timed"] else ""
        lines.append([f"**{row['title']}**", *cells, _runs(row), time, f"`{row['recipe']}`"])
    for row in data["controls"]:
        cells = [_number(row["figures"].get(column["name"]), column) for column in columns]
        lines.append([row["title"], *cells, "", "", "control"])
    for row in data["published"]:
        cells = [row["figures"].get(column["name"], "") for column in columns]
        lines.append([row["title"], *cells, "", "", row["source"]])
    lines = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    widths = [max(3, *(len(line[k]) for line in lines)) for k in range(len(lines[0]))]
    rule = ["-" * width for width in widths]
    padded = [
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in [lines[0], rule, *lines[1:]]
    ]
    return "\n".join("| " + " | ".join(line).rstrip() + " |" for line in padded)


def _ours(figure: Data | None, column: Data, spread: str) -> str:
    if figure is None:
        return ""
    mean = _number(figure["mean"], column)
    return f"{mean} ± {_number(figure[spread], column)}" if spread in figure else mean


def _number(value: float | None, column: Data) -> str:
    if value is None:
        return ""
    return f"{value * (100 if column['percent'] else 1):.{column['digits']}f}"


def _runs(row: Data) -> str:
    text = str(row["runs"])
    parts = [f"{n} {word}" for n, word in ((len(row["failures"]), "failed"), (row["missing"], "missing")) if n]
    return f"{text} ({', '.join(parts)})" if parts else text


def _meaning(data: Data) -> str:
    of = "of the mean over the seeds" if data["spread"] == "standard error" else "of the seeds"
    text = f"In our rows, ± is the {data['spread']} {of}."
    return text + (" In published rows, it is what their sources say." if data["published"] else "")


def _failures(row: Data) -> list[str]:
    return [f"- {row['title']}, seed {one['seed']}: {one['status']}: {one['error']}" for one in row["failures"]]


def _made(data: Data) -> list[str]:
    machine = data["machine"]
    place = f"{machine['workers']} of {machine['cores']} cores ({machine['processor']}, {machine['system']})"
    seeds = "Seed 0" if data["seeds"] == 1 else f"Seeds 0 to {data['seeds'] - 1}"
    return [
        f"    {data['command']}",
        "",
        f"- {seeds}; {data['cpu_seconds']:,.0f} core-seconds of training and measuring; "
        f"{data['seconds']:,.0f} s in all, with pictures, on {place}.",
        f"- {versions_text(data['versions'])}.",
        *_overrides(data["rows"]),
        *([f"- Not trained: {', '.join(data['not_trained'])}."] if data["not_trained"] else []),
        "- The values of all seeds are in [table.json](table.json).",
    ]


def _overrides(rows: Sequence[Data]) -> list[str]:
    lines = []
    for row in rows:
        settings = ", ".join(f"{key}={value}" for key, value in row["overrides"].items())
        of = f"with {settings}" if settings else "with its defaults"
        lines.append(f"- {row['title']}: `{row['recipe']}` {of}; {row['iterations']:,} iterations.")
    return lines
