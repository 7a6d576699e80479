"""An experiment (what a recipe builds) and a run (one experiment being trained)."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

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

    Streams are separate so that, say, another number of evaluation samples leaves the training as it is, and each
    is keyed by its name, so that a new stream leaves the others as they are.  `more` names those of a game of your own.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ConfigError(f"seed must be an int >= 0, got {seed!r}")
    return {name: np.random.default_rng([int(seed), *name.encode()]) for name in (*STREAMS, *more)}


class Source(Protocol):
    """Data with a position (minigan.data.EpochBatches): a checkpoint keeps what `state` returns."""

    def state(self) -> dict[str, Any]:
        """Return arrays and JSON-able values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go to the position that `state` returned."""


@dataclass
class Experiment:
    """A game ready to be trained: its players (`game`), and `play`, one iteration of it.

    `play` is often ``game.play``; it returns what ``game.metrics`` reads.
    """

    recipe: str
    game: Game
    play: Callable[[], Any]
    iterations: int
    streams: dict[str, np.random.Generator]
    config: dict[str, Any] = field(default_factory=dict)  # JSON-able: seed, dtype, ops and every hyper-parameter
    callbacks: list["Callback"] = field(default_factory=list)  # part of the training: evaluation, early stop
    figures: list["Callback"] = field(default_factory=list)  # what is drawn into a run folder, if there is one
    evaluate: Callable[[], dict[str, Any]] = dict
    before: Callable[[], dict[str, Any]] = dict  # run once before the first iteration (pretraining)
    sources: dict[str, Source] = field(default_factory=dict)  # the data that have a position beside their stream
    note: str = ""  # what is to be known of the data, said where a run starts and kept in its config.json

    @property
    def gan(self) -> GAN:
        """The game of an experiment with G and D; AttributeError where it is another one."""
        if not isinstance(self.game, GAN):
            kind = type(self.game).__name__
            raise AttributeError(f"the game of {self.recipe!r} is a {kind}; expected a GAN (see experiment.game)")
        return self.game


class Clock:
    """The seconds that a run has taken: wall clock, and processor time of all threads."""

    def __init__(self) -> None:
        self._start, self._start_cpu = time.perf_counter(), time.process_time()

    def add(self, earlier: dict[str, float]) -> None:
        """Count what an earlier process read from its clock."""
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
    """An experiment being trained: what callbacks see."""

    experiment: Experiment
    iterations: int
    folder: Path | None = None
    iteration: int = 0  # the last one that was played and is good
    metrics: Metrics = field(default_factory=dict)  # of that iteration
    history: list[Metrics] = field(default_factory=list)
    hooks: list["Callback"] = field(default_factory=list)  # the experiment's own (with a folder), then those given
    before: dict[str, Any] = field(default_factory=dict)  # what the experiment's `before` returned
    resumed: list[dict[str, Any]] = field(default_factory=list)  # where it was resumed: iteration, checkpoint
    checkpoint_every: int | None = None  # iterations from one checkpoint to the next; None: there are none
    clock: Clock = field(default_factory=Clock)
    status: str = "running"  # then: completed, interrupted, stopped early, diverged, failed
    stop: str | None = None  # set by a callback: the reason to stop
    divergence: Divergence | None = None
    error: BaseException | None = None  # what a callback, the evaluation or the game itself raised

    @property
    def not_resumable(self) -> str | None:
        """Why the run cannot be resumed where it ends early, and what makes one that can; None where it can be."""
        if self.checkpoint_every is not None:
            return None
        needs = "checkpoint_every=N" if self.folder is not None else "a folder and checkpoint_every=N"
        return f"without checkpoints this run cannot be resumed if it ends early; to save them, train with {needs}"

    @property
    def is_last(self) -> bool:
        """Whether this is the last iteration asked for."""
        return self.iteration == self.iterations
