"""From the series of measurements to findings: when each failure was first found, and whether it lasts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from minigan.diagnosis.blocks import Block, block_length, block_of
from minigan.diagnosis.costs import CostCurves, cost_curves
from minigan.diagnosis.findings import Finding
from minigan.diagnosis.rules import symptoms

Metrics = Mapping[str, float]


class Diagnoser:
    """Reads blocks one after the other and keeps the findings.

    Parameters
    ----------
    iterations : int
        The number of iterations of the whole run.
    curves : CostCurves, optional
        The costs of the objective; without them, the rules on costs do not apply.
    modes : int, optional
        The number of modes of the data, for runs with the metric "modes".

    Attributes
    ----------
    length : int
        The number of iterations in a block.
    blocks : list of Block
        The blocks so far.
    findings : list of Finding
        The findings so far, in the order in which they were found.

    """

    def __init__(self, iterations: int, *, curves: CostCurves | None = None, modes: int | None = None) -> None:
        self.length = block_length(iterations)
        self.curves, self.modes = curves, modes
        self.blocks_in_run = -(-iterations // self.length)
        self.blocks: list[Block] = []
        self.findings: list[Finding] = []

    def read(self, rows: Sequence[Metrics], *, last: int, spread: float | None = None) -> list[Finding]:
        """Read the metrics of a block, and return the findings that are new.

        Parameters
        ----------
        rows : sequence of mapping
            The metrics of successive iterations.
        last : int
            The number of the last of them.
        spread : float, optional
            The spread of samples after it.

        Returns
        -------
        list of Finding
            The new findings, which are in `findings` too.

        """
        self.blocks.append(block_of(rows, last=last, spread=spread))
        now = symptoms(self.blocks, blocks_in_run=self.blocks_in_run, curves=self.curves, modes=self.modes)
        self.findings = [replace(finding, lasts=finding.kind in now) for finding in self.findings]
        known = {finding.kind for finding in self.findings}
        new = [Finding(kind, last, evidence) for kind, evidence in now.items() if kind not in known]
        self.findings += new
        return new


def diagnose(
    history: Sequence[Metrics],
    *,
    objective: Any = None,
    spreads: Mapping[int, float] | None = None,
    modes: int | None = None,
) -> list[Finding]:
    """Return what went wrong in a run.

    Parameters
    ----------
    history : sequence of mapping
        The metrics of iterations 1, 2, ..., as in metrics.jsonl.  The rules read "d_loss", "g_loss", "d_real",
        "d_fake", "accuracy" and, where it is measured, "modes"; a rule does not apply without its metrics.
    objective : Objective, optional
        The objective of the run; without it, the rules on costs do not apply.
    spreads : mapping of int to float, optional
        The spread of samples (`minigan.training.Diagnosis`) after some of the iterations.
    modes : int, optional
        The number of modes of the data, for runs with the metric "modes".

    Returns
    -------
    list of Finding
        The findings in the order in which they were found; empty for a healthy run.

    Examples
    --------
    >>> import minigan
    >>> row = {"d_loss": 1e-4, "g_loss": 3e-4, "d_real": 1.0, "d_fake": 1e-4, "accuracy": 1.0}
    >>> [finding.kind for finding in diagnose([row] * 200, objective=minigan.NonSaturating())]
    ['deadlock']

    """
    if not history:
        return []
    curves = None if objective is None else cost_curves(objective)
    diagnoser = Diagnoser(len(history), curves=curves, modes=modes)
    for start in range(0, len(history), diagnoser.length):
        rows = history[start : start + diagnoser.length]
        diagnoser.read(rows, last=start + len(rows), spread=(spreads or {}).get(start + len(rows)))
    return diagnoser.findings
