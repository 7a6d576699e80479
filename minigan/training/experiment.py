"""`Experiment`: what a recipe builds.  `Run`: the progress and results of training it.  `Callback`: sees runs."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from minigan._deprecated import renamed_fields
from minigan._names import ConfigError
from minigan.diagnosis import Finding
from minigan.game import Game
from minigan.gan import GAN

Metrics = dict[str, float]


class Divergence(ArithmeticError):
    """Raised if a quantity becomes NaN or infinite.

    Parameters
    ----------
    iteration : int
        The iteration in which it happened.
    quantity : str
        The name of the metric or of the parameter.
    value : float
        NaN or an infinity.

    """

    def __init__(self, iteration: int, quantity: str, value: float) -> None:
        super().__init__(
            f"diverged: {quantity} is {value} at iteration {iteration}; "
            "the networks have been reset to the parameters before this iteration. "
            "Try a smaller learning rate, or float64 if the values overflow"
        )
        self.iteration, self.quantity, self.value = iteration, quantity, value


RECIPE_OBJECT = "recipe_object"
"""The key of config.json with the ``module:object`` of an own recipe.  It does not identify a run: modules move."""

STREAMS = ("weights_G", "weights_D", "data", "noise", "dropout", "evaluation", "figures", "pretraining")


def random_streams(seed: int, *more: str) -> dict[str, np.random.Generator]:
    """Return an independent random stream for each purpose, all derived from one seed.

    With separate streams, the number of evaluation samples, for example, does not influence the training.  Each stream
    is keyed by its name, so that further streams do not change the others.

    Parameters
    ----------
    seed : int
        The seed, at least 0.
    *more : str
        The names of further streams, for a custom game.

    Returns
    -------
    dict of numpy.random.Generator
        The streams named in `STREAMS` and in `more`.

    Raises
    ------
    ConfigError
        If `seed` is not an int >= 0.

    Examples
    --------
    >>> sorted(random_streams(0, "labels"))[:4]
    ['data', 'dropout', 'evaluation', 'figures']

    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ConfigError(f"seed must be an int >= 0, got {seed!r}")
    return {name: np.random.default_rng([int(seed), *name.encode()]) for name in (*STREAMS, *more)}


class Source(Protocol):
    """A data source that remembers where it is in the data, such as `minigan.data.EpochBatches`.

    Checkpoints contain the result of `state`.
    """

    def state(self) -> dict[str, Any]:
        """Return the position as arrays and JSON-serializable values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the position that `state` returned."""


class Callback:
    """The base class of callbacks, whose methods do nothing.

    `on_end` is called however the training ends, if `on_start` has returned.  A callback with state returns it in
    `state`, for checkpoints, and restores it in `restore`.
    """

    def state(self) -> dict[str, Any]:
        """Return the state after an iteration, as arrays and JSON-serializable values; checkpoints contain it."""
        return {}

    def restore(self, run: "Run", state: dict[str, Any]) -> None:
        """Restore the state that `state` returned; called in a resumed run, before `on_start`."""

    def on_start(self, run: "Run") -> None:
        """Start; called before the first iteration of a new run, or the next one of a resumed run (`run.resumed`)."""

    def on_iteration(self, run: "Run") -> None:
        """Called after an iteration, with its number in `run.iteration` and its metrics in `run.metrics`."""

    def on_end(self, run: "Run") -> None:
        """Finish; called after the last iteration, when `run.status`, `run.divergence` and `run.error` are set."""


@renamed_fields(recipe="name", before="pretraining")
@dataclass
class Experiment:
    """A game that is ready to be trained, with its data, random streams and callbacks.

    Parameters
    ----------
    name : str
        The name of the experiment in messages, and the value of "recipe" in config.json and summary.json.
    game : Game
        The players with their networks and optimizers.
    play : callable
        ``play()`` runs one iteration and returns the results that are passed to ``game.metrics``; often ``game.play``.
    iterations : int
        The default number of iterations.
    streams : dict of numpy.random.Generator
        All random streams that an iteration draws from, by name; checkpoints contain their states.
    config : dict, optional
        JSON-serializable values that identify the experiment: seed, dtype, backend and every hyper-parameter.
    callbacks : list of Callback, optional
        The callbacks that are part of the training, such as evaluation and early stopping.
    figures : list of Callback, optional
        The callbacks that write figures into the run folder; not used without a folder.
    evaluate : callable, optional
        ``evaluate()`` returns JSON-serializable results for the summary; called once, after the last iteration.
    pretraining : callable, optional
        ``pretraining()`` is called once before the first iteration and returns JSON-serializable results for the
        summary.
    sources : dict of Source, optional
        The data sources that remember where they are in the data, by name; checkpoints contain their states.
    note : str, optional
        A remark on the data, which is printed at the start of a run and written to config.json.

    """

    name: str
    game: Game
    play: Callable[[], Any]
    iterations: int
    streams: dict[str, np.random.Generator]
    config: dict[str, Any] = field(default_factory=dict)
    callbacks: list[Callback] = field(default_factory=list)
    figures: list[Callback] = field(default_factory=list)
    evaluate: Callable[[], dict[str, Any]] = dict
    pretraining: Callable[[], dict[str, Any]] = dict
    sources: dict[str, Source] = field(default_factory=dict)
    note: str = ""

    @property
    def gan(self) -> GAN:
        """The game, if it is a `GAN`; raise AttributeError for any other game."""
        if not isinstance(self.game, GAN):
            kind = type(self.game).__name__
            raise AttributeError(f"the game of {self.name!r} is a {kind}; expected a GAN (see experiment.game)")
        return self.game


class Clock:
    """Measure the wall-clock time of a run and the processor time of all its threads, in seconds."""

    def __init__(self) -> None:
        self._start, self._start_cpu = time.perf_counter(), time.process_time()

    def add(self, earlier: dict[str, float]) -> None:
        """Add the seconds of an earlier process of the same run.

        Parameters
        ----------
        earlier : dict of float
            What `read` returned at the end of that process: "seconds" and "cpu_seconds".

        """
        self._start -= earlier["seconds"]
        self._start_cpu -= earlier["cpu_seconds"]

    def read(self) -> dict[str, float]:
        """Return {"seconds": wall-clock, "cpu_seconds": processor time} since the start, rounded to 1 ms."""
        return {
            "seconds": round(time.perf_counter() - self._start, 3),
            "cpu_seconds": round(time.process_time() - self._start_cpu, 3),
        }


@renamed_fields(hooks="callbacks", stop="stop_reason", is_last="is_last_iteration", not_resumable="resume_advice")
@dataclass
class Run:
    """An experiment in training: its progress and results, which callbacks read.

    Parameters
    ----------
    experiment : Experiment
        The experiment.
    iterations : int
        The total number of iterations.
    folder : Path, optional
        The run folder.
    iteration : int
        The number of the last completed iteration, whose values are finite.
    metrics : dict of float
        The metrics of that iteration.
    history : list of dict
        The metrics of iterations 1, 2, ...
    callbacks : list of Callback
        The callbacks of the experiment, then those of the caller.
    pretraining : dict
        The results of the experiment's `pretraining`.
    resumed : list of dict
        An entry for each time that the run was resumed: "iteration", the last one before it; "checkpoint", the name of
        the file; and "versions", those of minigan, NumPy and Python, if they differ from those in config.json.
    checkpoint_every : int, optional
        The number of iterations between two checkpoints; None without checkpoints.
    clock : Clock
        The time that the run has taken.
    status : str
        "running", and later "completed", "interrupted", "stopped early", "diverged" or "failed".
    stop_reason : str, optional
        Why the run stops after this iteration; None if it does not.  A callback sets it to stop the run.
    divergence : Divergence, optional
        The divergence that ended the run.
    error : BaseException, optional
        The exception that ended the run, raised by a callback, the evaluation or the game.
    diagnosis : list of Finding, optional
        What has gone wrong so far (`minigan.training.Diagnosis`); None without this callback.

    """

    experiment: Experiment
    iterations: int
    folder: Path | None = None
    iteration: int = 0
    metrics: Metrics = field(default_factory=dict)
    history: list[Metrics] = field(default_factory=list)
    callbacks: list[Callback] = field(default_factory=list)
    pretraining: dict[str, Any] = field(default_factory=dict)
    resumed: list[dict[str, Any]] = field(default_factory=list)
    checkpoint_every: int | None = None
    clock: Clock = field(default_factory=Clock)
    status: str = "running"
    stop_reason: str | None = None
    divergence: Divergence | None = None
    error: BaseException | None = None
    diagnosis: list[Finding] | None = None

    @property
    def resume_advice(self) -> str | None:
        """Why this run cannot be resumed and how to change that; None if it can be resumed."""
        if self.checkpoint_every is not None:
            return None
        needs = "checkpoint_every=N" if self.folder is not None else "a folder and checkpoint_every=N"
        return f"without checkpoints this run cannot be resumed if it ends early; to save them, train with {needs}"

    @property
    def is_last_iteration(self) -> bool:
        """Whether this is the last iteration."""
        return self.iteration == self.iterations
