"""`Diagnosis`: a callback that says what goes wrong, from what the training measures and from some samples."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.diagnosis import Diagnoser, cost_curves
from minigan.ops import to_host
from minigan.training.experiment import Callback, Run

SAMPLES = 32  # whose spread is known to about 1 / sqrt 64 = 12 % in one dimension


class Diagnosis(Callback):
    """Find out what goes wrong in a run: `run.diagnosis` has the findings, and so has the summary ("diagnosis").

    It reads the metrics and, after every hundredth of the run, the spread of samples of fixed noise,
    sqrt(mean_f var_n x_nf).  It draws from no stream of the run and changes neither networks nor metrics, so that a
    run has the same bits with it and without it.  `ProgressBar` prints a finding when it first appears, and again at
    the end.

    Parameters
    ----------
    sample : callable, optional
        ``sample()`` returns samples of G (n, ...), n >= 2, always from the same noise; None to measure no spread.
    modes : int, optional
        The number of modes of the data, for runs whose metrics have "modes"; by default the largest number so far.

    """

    def __init__(self, sample: Callable[[], Any] | None = None, *, modes: int | None = None) -> None:
        self.sample, self.modes = sample, modes
        self._spreads: dict[int, float] = {}

    def state(self) -> dict[str, Any]:
        """Return the spreads, and the iterations after which they were measured."""
        return {
            "iterations": np.array([*self._spreads], dtype=np.int64),
            "spreads": np.array([*self._spreads.values()]),
        }

    def restore(self, run: Run, state: dict[str, Any]) -> None:
        """Restore the spreads; the metrics are in the history of the run."""
        self._spreads = dict(zip(state["iterations"].tolist(), state["spreads"].tolist(), strict=True))

    def on_start(self, run: Run) -> None:
        """Read the objective, and the history of a resumed run."""
        objective = getattr(run.experiment.game, "objective", None)
        curves = None if objective is None else cost_curves(objective)
        self._diagnoser = Diagnoser(run.iterations, curves=curves, modes=self.modes)
        length = self._diagnoser.length
        for last in range(length, run.iteration + 1, length):
            self._diagnoser.read(run.history[last - length : last], last=last, spread=self._spreads.get(last))
        run.diagnosis = self._diagnoser.findings

    def on_iteration(self, run: Run) -> None:
        """Look for failures, if a block of iterations is complete."""
        length, blocks = self._diagnoser.length, self._diagnoser.blocks
        if run.iteration % length and not run.is_last_iteration:
            return
        since = blocks[-1].last if blocks else 0
        rows = [*run.history[since:], run.metrics]  # the history does not contain this iteration yet
        if self.sample is not None:
            with np.errstate(all="ignore"):  # a spread that is not finite is not used
                self._spreads[run.iteration] = spread(self.sample())
        self._diagnoser.read(rows, last=run.iteration, spread=self._spreads.get(run.iteration))
        run.diagnosis = self._diagnoser.findings


def spread(x: Any) -> float:
    """Return sqrt(mean_f var_n x_nf) of samples x (n, ...), the root mean square of the features' standard deviations.

    >>> spread([[0.0, 1.0], [2.0, 1.0]])
    0.7071067811865476
    """
    values = np.asarray(to_host(x), dtype=float)
    return float(np.sqrt(values.reshape(len(values), -1).var(axis=0).mean()))
