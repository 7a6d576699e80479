"""The content of table.json: our figures with the values of every seed, the controls and the published rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minigan.tables.environment import machine, versions_text
from minigan.tables.page import page
from minigan.tables.protocol import Ours, Protocol
from minigan.tables.statistics import statistics
from minigan.training.environment import versions
from minigan.training.files import PathLike

Results = Mapping[tuple[str, int], Mapping[str, Any]]
"""The result of each run that has ended, by label and seed (`minigan.tables.task.run_task`)."""

FAILED = ("failed", "diverged")


@dataclass(frozen=True)
class Plan:
    """What is trained for a table.

    Parameters
    ----------
    protocol : Protocol
        The protocol.
    rows : sequence of Ours
        The rows that are trained now.
    seeds : int
        The number of seeds.
    iterations : int, optional
        The number of iterations, if it is not the protocol's.

    """

    protocol: Protocol
    rows: Sequence[Ours]
    seeds: int
    iterations: int | None = None

    @property
    def command(self) -> str:
        """The command that makes this table."""
        words = ["minigan", "table", self.protocol.name]
        if self.seeds != self.protocol.seeds:
            words += ["--seeds", str(self.seeds)]
        if len(self.rows) < len(self.protocol.rows):
            words += ["--rows", *(row.label for row in self.rows)]
        if self.iterations is not None:
            words += ["--iterations", str(self.iterations)]
        return " ".join(words)

    @property
    def deviations(self) -> list[str]:
        """How the table deviates from its protocol; empty if it follows it."""
        found = []
        if self.iterations is not None:
            own = [f"{row.settings()['iterations']:,} ({row.label})" for row in self.rows]
            found.append(f"{self.iterations:,} iterations in place of {', '.join(own)}")
        if self.seeds < self.protocol.seeds:
            found.append(f"{_seeds(self.seeds)} in place of {self.protocol.seeds}")
        return found


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"


def table_data(
    plan: Plan,
    settings: Mapping[str, Mapping[str, Any]],
    results: Results,
    *,
    seconds: float,
    workers: int,
    earlier: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the content of table.json.

    Parameters
    ----------
    plan : Plan
        What is trained.
    settings : mapping of str to mapping
        The recipe and all hyper-parameters of every row, by label.
    results : mapping
        The runs that have ended.
    seconds : float
        The wall-clock time of the command so far, with that of earlier ones in the same folder.
    workers : int
        The number of parallel runs.
    earlier : mapping
        table.json of an earlier command in the same folder; empty if there was none.

    Returns
    -------
    dict
        JSON-serializable data.

    """
    protocol = plan.protocol
    shown = [row for row in protocol.rows if row in plan.rows or any((row.label, s) in results for s in _all(plan))]
    rows = [_row(plan, row, settings[row.label], results) for row in shown]
    ended = [results[row.label, s] for row in shown for s in _all(plan) if (row.label, s) in results]
    missing = sum(row["missing"] for row in rows if row["label"] in {r.label for r in plan.rows})
    failures = sum(len(row["failures"]) for row in rows)
    return {
        "table": protocol.name,
        "about": protocol.about,
        "status": "interrupted" if missing else "completed",
        "failures": failures,
        "command": plan.command,
        "deviations": plan.deviations,
        "seeds": plan.seeds,
        "spread": protocol.spread,
        "columns": [vars(column) for column in protocol.columns],
        "rows": rows,
        "not_trained": [row.title for row in protocol.rows if row not in shown],
        "controls": _controls(protocol, ended),
        "published": [{**vars(row), "figures": dict(row.figures)} for row in protocol.published],
        "notes": [*protocol.notes, *_mixed_versions(ended)],
        "settings": {**earlier.get("settings", {}), **{row.label: settings[row.label] for row in shown}},
        "cpu_seconds": round(sum(row["cpu_seconds"] for row in rows), 3),
        "seconds": round(seconds, 3),
        "machine": {**machine(), "workers": workers},
        "versions": versions(),
    }


def _all(plan: Plan) -> range:
    return range(plan.seeds)


def _row(plan: Plan, row: Ours, settings: Mapping[str, Any], results: Results) -> dict[str, Any]:
    """Return a row that is trained: the statistics and all values of each column, failures, and time."""
    ended = [results[row.label, seed] for seed in _all(plan) if (row.label, seed) in results]
    failures = [one for one in ended if one["status"] in FAILED]
    good = [one for one in ended if one["status"] not in FAILED]
    figures = {}
    for column in plan.protocol.columns if good else ():
        values = {str(one["seed"]): one["values"][column.name] for one in good}
        figures[column.name] = {**statistics([*values.values()]), "values": values}
    return {
        "label": row.label,
        "title": row.title,
        "recipe": row.recipe,
        "overrides": dict(row.overrides),
        "iterations": settings["iterations"],
        "runs": len(good),
        "missing": plan.seeds - len(ended),
        "failures": [{"seed": one["seed"], "status": one["status"], "error": one["error"]} for one in failures],
        "figures": figures,
        "timed": sum("cpu_seconds" in one for one in ended),
        "cpu_seconds": round(sum(map(_cpu_seconds, ended)), 3),
        "history": {str(one["seed"]): one["history"] for one in ended if one.get("history")},
        "folders": {str(one["seed"]): one["run"] for one in ended if "run" in one},
    }


def _cpu_seconds(result: Mapping[str, Any]) -> float:
    return float(result.get("cpu_seconds", 0) + result.get("measuring_cpu_seconds", 0))


def _controls(protocol: Protocol, ended: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of real data, which are the same in all runs, from the first run that has them."""
    found: dict[str, Any] = {}
    for result in ended:
        for title, figures in result.get("controls", {}).items():
            found.setdefault(title, figures)
    return [{"title": c.title, "figures": found[c.title]} for c in protocol.controls if c.title in found]


def _mixed_versions(ended: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each set of versions, if not all runs were trained with those of now."""
    counts: dict[str, int] = {}
    for result in ended:
        text = " and ".join(versions_text(found) for found in result.get("versions", ()))
        if text:
            counts[text] = counts.get(text, 0) + 1
    if set(counts) <= {versions_text(versions())}:
        return []
    return [f"{n} run{'s' if n > 1 else ''} with {text}." for text, n in counts.items()]


@dataclass(frozen=True)
class Table:
    """A table; ``print(table)`` shows table.md.

    Parameters
    ----------
    data : dict
        The content of table.json.
    path : path
        The file table.md.

    """

    data: dict[str, Any]
    path: PathLike

    @property
    def status(self) -> str:
        """The status: "completed", or "interrupted" if runs are missing."""
        return str(self.data["status"])

    @property
    def failures(self) -> int:
        """The number of runs that failed or diverged."""
        return int(self.data["failures"])

    def __str__(self) -> str:
        return page(self.data)
