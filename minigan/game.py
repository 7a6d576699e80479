"""A game: players by name, and one iteration, in which they are updated.

This module is the interface between a game and the training loop, checkpoints, run folders and captured graphs: they
use ``game.players``, ``game.play()`` and the numbers of ``game.metrics(...)``.  `minigan.GAN` is the game of G and D.
A custom game is a subclass with an `iteration`:

    class Pair(Game):
        losses = ("loss",)

        def iteration(self, data):          # one parameter for each of the game's draws, with its name
            x, gradients = data(), self.gradients()
            y, backward = self.network("encoder").forward(x, train=True, rng=self.rng)
            ...
            self.update(gradients)          # one step of every optimizer
            return {"loss": value}          # numbers by name, or another object if the subclass defines `metrics`
"""

import functools
import inspect
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import numpy as np

from minigan._batch import Batch
from minigan._deprecated import renamed
from minigan.network import Network
from minigan.ops.protocol import Array, Ops
from minigan.optimizers import Optimizer

Rng = np.random.Generator
Draw = Callable[[], Batch]
"""A function that returns the next batch: an array (N, ...), or a tuple of arrays such as (x, labels)."""


@dataclass(frozen=True)
class Player:
    """A network and the optimizer that updates its parameters.

    Parameters
    ----------
    network : Network
        The network.
    optimizer : Optimizer
        An optimizer of that network, such as ``Adam(network)``.

    Raises
    ------
    ValueError
        If the optimizer belongs to another network.

    """

    network: Network
    optimizer: Optimizer

    def __post_init__(self) -> None:
        if self.optimizer.net is not self.network:
            kind = type(self.optimizer).__name__
            raise ValueError(f"the {kind} belongs to another network; expected {kind}(network)")


class Game:
    """Players by name, the draws of an iteration by name, and a random stream.

    A subclass defines `iteration`; `metrics` reads its result.  Anything else that an iteration needs can be an
    attribute of the game.  A backend may capture an iteration and replay it (CUDA graphs), so everything that changes
    between iterations must come from the draws, from `rng` or from the optimizers' rates and moments, or be part of
    `iteration_kind`.

    Parameters
    ----------
    players : mapping of str to Player
        The players, at least one, by names that are Python identifiers.  The names are used in checkpoints (``name``,
        ``optimizer_name``), in config.json, in the names of the weight files, and in messages on divergence.
    draws : mapping of str to callable, optional
        Functions that return the next batch, by the name of the parameter of `iteration` that takes the function.
    rng : numpy.random.Generator, optional
        The random stream of dropout and of other draws of an iteration; not needed if there are none.

    Raises
    ------
    ValueError
        If there is no player, a name is not an identifier, two players share a network, or the networks are on
        different backends.

    """

    files: ClassVar[Mapping[str, str]] = {}
    """The names of weight files, without ``.npz``, of players whose file is not called by the player's name."""
    losses: ClassVar[tuple[str, ...]] = ()
    """The names of the metrics that are costs; summary.json has their last values under "losses"."""

    rng: Rng | None
    draws: Mapping[str, Draw]

    def __init__(
        self, players: Mapping[str, Player], *, draws: Mapping[str, Draw] | None = None, rng: Rng | None = None
    ) -> None:
        _require_players(players)
        self._players = dict(players)
        self.draws = dict(draws or {})
        self.rng = rng

    @property
    def players(self) -> dict[str, Player]:
        """The players by name, in the order that the run's files use."""
        return self._players

    @property
    def ops(self) -> Ops:
        """The backend of the networks."""
        return next(iter(self.players.values())).network.ops

    def network(self, name: str) -> Network:
        """Return the network of a player."""
        return self.players[name].network

    def gradients(self) -> dict[str, Array]:
        """Return a vector of zeros (P,) for each player, to which pullbacks add gradients."""
        return {name: player.network.zeros_like_theta() for name, player in self.players.items()}

    def update(self, gradients: Mapping[str, Array]) -> None:
        """Take one optimizer step for each player in `gradients`, a mapping of names to gradients (P,)."""
        for name, g in gradients.items():
            self.players[name].optimizer.step(g)

    def iteration(self, *draws: Draw) -> Any:
        """Run one iteration: draw batches, compute gradients, update the players.

        Parameters
        ----------
        *draws : callable
            A subclass has one parameter for each entry of the attribute `draws`, with its name.

        Returns
        -------
        Any
            The argument of `metrics`: a dict of numbers, unless the subclass defines `metrics`.  On a CUDA device it
            may contain arrays, which the next iteration overwrites.

        Raises
        ------
        NotImplementedError
            If the subclass does not define it.

        """
        raise NotImplementedError(f"{type(self).__name__} does not define iteration")

    def iteration_kind(self, steps: Mapping[str, range]) -> Hashable:
        """Return which computation an iteration makes, if iterations differ; by default None: they do not.

        A backend that captures iterations captures one graph for each kind.

        Parameters
        ----------
        steps : mapping of str to range
            The step counts t of each player's optimizer before its updates in the iteration, by name.

        Returns
        -------
        hashable
            The kind, a number, a string or a tuple of them: iterations of one kind compute the same function of their
            draws, of the parameters and of the optimizers' rates and moments.

        """
        return None

    def play(self) -> Any:
        """Run one iteration on the backend, which may replay a captured graph, and return the argument of `metrics`."""
        return self.ops.play(type(self).iteration, self, self.draws, {})

    def metrics(self, results: Any) -> dict[str, float]:
        """Return the metrics of an iteration by name.

        The run is diverged if one of them is not finite.  metrics.jsonl and the callbacks get all of them.

        Parameters
        ----------
        results : Any
            The result of `iteration`; by default a dict of numbers.

        Returns
        -------
        dict of float
            The metrics.

        """
        return {name: float(value) for name, value in results.items()}

    def file_of(self, name: str) -> str:
        """Return the name of a player's weight file, without ``.npz``."""
        return self.files.get(name, name)


Schedule = TypeVar("Schedule", bound=Callable[..., Any])


def capturable(schedule: Schedule) -> Schedule:
    """Mark a schedule whose iteration a backend may capture as one graph; a decorator.

    Parameters
    ----------
    schedule : callable
        A function ``schedule(game, *draws, **counts)`` of a game, of its draws (positional parameters) and of numbers
        that do not change between iterations (keyword-only parameters).  All its random numbers must come from the
        draws and from the game's `rng`.

    Returns
    -------
    callable
        The same function, run by the game's backend (`minigan.ops.protocol.Ops.play`).

    """
    signature = inspect.signature(schedule)
    positional = [p for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    names = [p.name for p in positional[1:]]  # the first is the game
    needed = sum(p.default is p.empty for p in positional[1:])

    @functools.wraps(schedule)
    def play(game: Any, *given: Any, **rest: Any) -> Any:
        draws = dict(zip(names, given, strict=False))
        for name in names[len(given) :]:
            if name in rest:
                draws[name] = rest.pop(name)
        if len(given) > len(names) or len(draws) < needed:
            signature.bind(game, *given, **rest, **{name: draws[name] for name in names[len(given) :] if name in draws})
        return game.ops.play(schedule, game, draws, rest)

    return cast(Schedule, play)


def _require_players(players: Mapping[str, Player]) -> None:
    if not players:
        raise ValueError("players is empty; expected one or more, by name")
    for name, player in players.items():
        if not isinstance(player, Player):
            raise TypeError(f"players[{name!r}] is {player!r}; expected Player(network, optimizer)")
        if not (isinstance(name, str) and name.isidentifier()):
            raise ValueError(f"a player is named {name!r}; expected a Python identifier, such as 'G_AB'")
    owners: dict[int, str] = {}
    for name, player in players.items():
        other = owners.setdefault(id(player.network), name)
        if other != name:
            raise ValueError(f"players {other!r} and {name!r} have one network; expected a network for each player")
    backends = {name: player.network.ops.name for name, player in players.items()}
    if len(set(backends.values())) > 1:
        given = ", ".join(f"{name} on {ops!r}" for name, ops in backends.items())
        raise ValueError(f"the players' networks are on different backends: {given}; expected one backend")


_RENAMED = {"whole": "capturable"}
"""Old name -> new name.  The old names work for one more release."""

if not TYPE_CHECKING:  # so that type checkers know every name

    def __getattr__(name):
        return renamed("minigan.game", _RENAMED, globals(), name)
