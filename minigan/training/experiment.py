"""An experiment (what a recipe builds) and a run (one experiment being trained)."""

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
    """A quantity became NaN or infinite."""

    def __init__(self, iteration: int, quantity: str, value: float) -> None:
        super().__init__(
            f"diverged: {quantity} is {value} at iteration {iteration}; "
            f"the parameters of iteration {iteration - 1} are kept. "
            "Try a smaller learning rate, or float64 if the values overflow"
        )
        self.iteration, self.quantity, self.value = iteration, quantity, value


STREAMS = ("weights_G", "weights_D", "data", "noise", "dropout", "evaluation", "figures", "pretraining")


def random_streams(seed: int, *more: str) -> dict[str, np.random.Generator]:
    """Return one independent random stream for each purpose, all from one seed.

    The streams are separate so that, for example, another number of evaluation samples does not change the training.
    Each is keyed by its name, so that a further stream does not change the others.

    Parameters
    ----------
    seed : int
        At least 0.
    *more : str
        The names of further streams, which a game of your own draws from.

    Returns
    -------
    dict of numpy.random.Generator
        The streams named in `STREAMS` and in `more`.

    Raises
    ------
    ConfigError
        Where `seed` is not an int >= 0.

    Examples
    --------
    >>> sorted(random_streams(0, "labels"))[:4]
    ['data', 'dropout', 'evaluation', 'figures']

    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ConfigError(f"seed must be an int >= 0, got {seed!r}")
    return {name: np.random.default_rng([int(seed), *name.encode()]) for name in (*STREAMS, *more)}


class Source(Protocol):
    """Data with a position, such as `minigan.data.EpochBatches`: a checkpoint keeps what `state` returns."""

    def state(self) -> dict[str, Any]:
        """Return the position as arrays and JSON-able values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go to the position that `state` returned."""


@renamed_fields(before="pretraining")
@dataclass
class Experiment:
    """A game that is ready to be trained, with everything that one iteration of it needs.

    Parameters
    ----------
    recipe : str
        The name of the experiment; it stands in messages and in the run's files.
    game : Game
        The players with their networks and optimizers.
    play : callable
        ``play()`` plays one iteration and returns the argument of ``game.metrics``; often ``game.play``.
    iterations : int
        The number of iterations, where `train` is given none.
    streams : dict of numpy.random.Generator
        Every random stream that an iteration draws from, by name: checkpoints keep their states.
    config : dict, optional
        JSON-able values that identify the experiment: seed, dtype, backend and every hyper-parameter.
    callbacks : list of Callback, optional
        Those that are part of the training, such as evaluation and early stopping.
    figures : list of Callback, optional
        Those that draw figures into the run folder; left out where there is no folder.
    evaluate : callable, optional
        ``evaluate()`` returns JSON-able results for the summary; called once, after the last iteration.
    pretraining : callable, optional
        ``pretraining()`` is called once before the first iteration and returns JSON-able results for the summary.
    sources : dict of Source, optional
        The data that have a position besides their stream, by name: checkpoints keep their states.
    note : str, optional
        A remark on the data, printed where a run starts and kept in its config.json.

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
        """The game, where it has the players G and D; AttributeError for any other game."""
        if not isinstance(self.game, GAN):
            kind = type(self.game).__name__
            raise AttributeError(f"the game of {self.recipe!r} is a {kind}; expected a GAN (see experiment.game)")
        return self.game


class Clock:
    """Measure the seconds that a run has taken: wall-clock time, and processor time of all threads."""

    def __init__(self) -> None:
        self._start, self._start_cpu = time.perf_counter(), time.process_time()

    def add(self, earlier: dict[str, float]) -> None:
        """Add the seconds that `read` returned in an earlier process of the same run."""
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
    """The state of an experiment in training, as callbacks see it."""

    experiment: Experiment
    iterations: int
    folder: Path | None = None
    iteration: int = 0  # the last completed one; its values are finite
    metrics: Metrics = field(default_factory=dict)  # of that iteration
    history: list[Metrics] = field(default_factory=list)
    hooks: list["Callback"] = field(default_factory=list)  # the experiment's own, then those of the caller
    pretraining: dict[str, Any] = field(default_factory=dict)  # what the experiment's `pretraining` returned
    resumed: list[dict[str, Any]] = field(default_factory=list)  # an entry for each resume: iteration, checkpoint
    checkpoint_every: int | None = None  # iterations between checkpoints; None: no checkpoints
    clock: Clock = field(default_factory=Clock)
    status: str = "running"  # then: completed, interrupted, stopped early, diverged, failed
    stop: str | None = None  # the reason to stop; a callback may set it
    divergence: Divergence | None = None
    error: BaseException | None = None  # the exception that a callback, the evaluation or the game raised

    @property
    def not_resumable(self) -> str | None:
        """The message that this run cannot be resumed, and how to train one that can; None where it can be resumed."""
        if self.checkpoint_every is not None:
            return None
        needs = "checkpoint_every=N" if self.folder is not None else "a folder and checkpoint_every=N"
        return f"without checkpoints this run cannot be resumed if it ends early; to save them, train with {needs}"

    @property
    def is_last(self) -> bool:
        """Whether this is the last iteration."""
        return self.iteration == self.iterations
