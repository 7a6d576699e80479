"""The summaries of a sweep, and the statistics of their results."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigan.training.environment import versions

Numbers = dict[str, float]


@dataclass(frozen=True)
class Sweep:
    """The summaries of all completed seeds, and the statistics of their results.

    Parameters
    ----------
    recipe : str
        The name of the recipe.
    summaries : list of dict
        One for each completed seed, in the order of the seeds; a run that raised an exception has the status "failed"
        and the message under "error".
    seeds : int
        The number of requested seeds.
    config : dict
        The dtype, the backend and every hyper-parameter, as JSON-serializable values.
    path : Path, optional
        The file sweep.json, if there is a folder.

    """

    recipe: str
    summaries: list[dict[str, Any]]
    seeds: int
    config: dict[str, Any]
    path: Path | None = None

    @property
    def status(self) -> str:
        """The status of the sweep: "completed", or "interrupted" if seeds are missing."""
        return "completed" if len(self.summaries) == self.seeds else "interrupted"

    @property
    def failures(self) -> list[dict[str, Any]]:
        """The summaries of the runs that failed or diverged."""
        return [s for s in self.summaries if s["status"] not in ("completed", "stopped early")]

    def table(self) -> dict[str, Numbers]:
        """Return the statistics of the results over all runs that did not fail.

        Returns
        -------
        dict of dict
            For each result that all these runs have: "mean", "std" (with n - 1; 0 for a single run), "min" and "max".

        """
        failed = {s["seed"] for s in self.failures}
        rows = [_numbers(s) for s in self.summaries if s["seed"] not in failed]
        names = [name for name in rows[0] if all(name in row for row in rows)] if rows else []
        result = {}
        for name in names:
            values = np.array([row[name] for row in rows])
            spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
            result[name] = {
                "mean": float(values.mean()), "std": spread, "min": float(values.min()), "max": float(values.max())
            }  # fmt: skip
        return result

    def as_dict(self) -> dict[str, Any]:
        """Return the sweep as JSON-serializable data."""
        return {
            "recipe": self.recipe,
            **self.config,
            "versions": versions(),
            "status": self.status,
            "seeds": self.seeds,
            "runs": len(self.summaries),
            "failures": len(self.failures),
            "table": self.table(),
            "summaries": self.summaries,
        }

    def __str__(self) -> str:
        lines = [f"{'':<20}{'mean':>12}{'std':>12}{'min':>12}{'max':>12}"]
        lines += [
            f"{name:<20}" + "".join(f"{row[k]:>12.6g}" for k in ("mean", "std", "min", "max"))
            for name, row in self.table().items()
        ]
        lines.append(f"{len(self.summaries)} runs of {self.recipe}, {len(self.failures)} failed")
        if self.status == "interrupted":
            lines.append(f"interrupted: {self.seeds - len(self.summaries)} of {self.seeds} seeds are missing")
        lines += [f"  seed {s['seed']}: {s['status']}: {s.get('error', s.get('reason', ''))}" for s in self.failures]
        return "\n".join(lines)


TABULATED_RESULTS = (
    "generator.mean", "generator.std", "jsd", "value", "losses.d_loss", "losses.g_loss", "metrics.d_real",
    "metrics.d_fake", "metrics.accuracy", "cycle_error", "identity_error", "labels_kept", "modes",
    "high_quality", "reverse_kl", "seconds",
)  # fmt: skip


def _numbers(summary: Mapping[str, Any]) -> Numbers:
    """Return the tabulated results of a summary, by dotted name."""
    found = {}
    for name in TABULATED_RESULTS:
        value: Any = summary
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, (int, float)):
            found[name] = float(value)
    return found
