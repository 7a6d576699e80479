"""An experiment, which a recipe builds, and a run, the training of an experiment."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from minigan._deprecated import renamed_fields
from minigan._names import ConfigError
from minigan.game import Game
from minigan.gan import GAN

if TYPE_CHECKING:
    from minigan.training.callbacks import Callback

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
            f"the parameters of iteration {iteration - 1} are kept. "
            "Try a smaller learning rate, or float64 if the values overflow"
        )
        self.iteration, self.quantity, self.value = iteration, quantity, value


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
    """Data with a position, such as `minigan.data.EpochBatches`; checkpoints contain the result of `state`."""

    def state(self) -> dict[str, Any]:
        """Return the position as arrays and JSON-able values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the position that `state` returned."""


@renamed_fields(before="pretraining")
@dataclass
class Experiment:
    """A game that is ready to be trained, with its data, random streams and callbacks.

    Parameters
    ----------
    recipe : str
        The name of the experiment in messages and in the run's files.
    game : Game
        The players with their networks and optimizers.
    play : callable
        ``play()`` runs one iteration and returns the argument of ``game.metrics``; often ``game.play``.
    iterations : int
        The default number of iterations.
    streams : dict of numpy.random.Generator
        All random streams that an iteration draws from, by name; checkpoints contain their states.
    config : dict, optional
        JSON-able values that identify the experiment: seed, dtype, backend and every hyper-parameter.
    callbacks : list of Callback, optional
        The callbacks that are part of the training, such as evaluation and early stopping.
    figures : list of Callback, optional
        The callbacks that write figures into the run folder; not used without a folder.
    evaluate : callable, optional
        ``evaluate()`` returns JSON-able results for the summary; called once, after the last iteration.
    pretraining : callable, optional
        ``pretraining()`` is called once before the first iteration and returns JSON-able results for the summary.
    sources : dict of Source, optional
        The data that have a position, by name; checkpoints contain their states.
    note : str, optional
        A remark on the data, which is printed at the start of a run and written to config.json.

    """

    recipe: str
    game: Game
    play: Callable[[], Any]
    iterations: int
    streams: dict[str, np.random.Generator]
    config: dict[str, Any] = field(default_factory=dict)
    callbacks: list["Callback"] = field(default_factory=list)
    figures: list["Callback"] = field(default_factory=list)
    evaluate: Callable[[], dict[str, Any]] = dict
    pretraining: Callable[[], dict[str, Any]] = dict
    sources: dict[str, Source] = field(default_factory=dict)
    note: str = ""

    @property
    def gan(self) -> GAN:
        """The game, if it is a `GAN`; raise AttributeError for any other game."""
        if not isinstance(self.game, GAN):
            kind = type(self.game).__name__
            raise AttributeError(f"the game of {self.recipe!r} is a {kind}; expected a GAN (see experiment.game)")
        return self.game


class Clock:
    """Measure the wall-clock time of a run and the processor time of all its threads, in seconds."""

    def __init__(self) -> None:
        self._start, self._start_cpu = time.perf_counter(), time.process_time()

    def add(self, earlier: dict[str, float]) -> None:
        """Add the seconds of an earlier process of the same run, as `read` returned them."""
        self._start -= earlier["seconds"]
        self._start_cpu -= earlier["cpu_seconds"]

    def read(self) -> dict[str, float]:
        """Return the seconds until now."""
        return {
            "seconds": round(time.perf_counter() - self._start, 3),
            "cpu_seconds": round(time.process_time() - self._start_cpu, 3),
        }


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
    hooks : list of Callback
        The callbacks of the experiment, then those of the caller.
    pretraining : dict
        The results of the experiment's `pretraining`.
    resumed : list of dict
        For each time that the run was resumed, the iteration and the name of the checkpoint.
    checkpoint_every : int, optional
        The number of iterations between two checkpoints; None without checkpoints.
    clock : Clock
        The time that the run has taken.
    status : str
        "running", and later "completed", "interrupted", "stopped early", "diverged" or "failed".
    stop : str, optional
        The reason to stop after this iteration; a callback may set it.
    divergence : Divergence, optional
        The divergence that ended the run.
    error : BaseException, optional
        The exception of a callback, of the evaluation or of the game that ended the run.

    """

    experiment: Experiment
    iterations: int
    folder: Path | None = None
    iteration: int = 0
    metrics: Metrics = field(default_factory=dict)
    history: list[Metrics] = field(default_factory=list)
    hooks: list["Callback"] = field(default_factory=list)
    pretraining: dict[str, Any] = field(default_factory=dict)
    resumed: list[dict[str, Any]] = field(default_factory=list)
    checkpoint_every: int | None = None
    clock: Clock = field(default_factory=Clock)
    status: str = "running"
    stop: str | None = None
    divergence: Divergence | None = None
    error: BaseException | None = None

    @property
    def not_resumable(self) -> str | None:
        """The message that this run cannot be resumed, with advice; None if it can be resumed."""
        if self.checkpoint_every is not None:
            return None
        needs = "checkpoint_every=N" if self.folder is not None else "a folder and checkpoint_every=N"
        return f"without checkpoints this run cannot be resumed if it ends early; to save them, train with {needs}"

    @property
    def is_last(self) -> bool:
        """Whether this is the last iteration."""
        return self.iteration == self.iterations
