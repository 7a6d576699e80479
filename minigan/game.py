"""A game: players by name, and one iteration in which they move.

The training loop, checkpoints, run folders and captured graphs know no more of a game than this module says: they go
over ``game.players``, call ``game.play()``, and read the numbers of ``game.metrics(...)``.  `minigan.GAN` is the game
of G and D.  A game of your own is a subclass with an `iteration`:

    class Pair(Game):
        losses = ("loss",)

        def iteration(self, data):          # a parameter for each of the game's draws, by its name
            x, gradients = data(), self.gradients()
            y, backward = self.network("encoder").forward(x, train=True, rng=self.rng)
            ...
            self.update(gradients)          # one step of every optimizer
            return {"loss": value}          # numbers; or anything else, with a `metrics` that reads it
"""

import functools
import inspect
from collections.abc import Callable, Mapping
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
"""What returns the next batch: an array (N, ...), or a tuple of arrays such as (x, labels)."""


@dataclass(frozen=True)
class Player:
    """A network, and the optimizer that moves its parameters.

    Parameters
    ----------
    network
        The network.
    optimizer
        An optimizer of that network, as ``Adam(network)``.

    Raises
    ------
    ValueError
        If the optimizer moves another network.

    """

    network: Network
    optimizer: Optimizer

    def __post_init__(self) -> None:
        if self.optimizer.net is not self.network:
            kind = type(self.optimizer).__name__
            raise ValueError(f"the {kind} moves the parameters of another network; expected {kind}(network)")


class Game:
    """Players by name, the draws of an iteration by name, and a random stream.

    A subclass defines `iteration`; what it returns is read by `metrics`.  Whatever else an iteration depends on can be
    an attribute of the game.  A backend may capture an iteration and replay it (CUDA's graphs), so all that differs
    from one iteration to the next must come from the draws, from `rng` or from the optimizers' step counts.

    Parameters
    ----------
    players
        At least one, by names that are Python identifiers.  The names are used in checkpoints (``name``,
        ``optimizer_name``), in config.json, for the files of the weights, and in the message of a divergence.
    draws
        What returns the next batch, by the name of the parameter of `iteration` that takes it.
    rng
        The stream of dropout, and of whatever else an iteration draws besides its batches.

    Raises
    ------
    ValueError
        If there is no player, a name is not an identifier, two players share a network, or the networks are on
        different backends.

    """

    files: ClassVar[Mapping[str, str]] = {}
    """The file name of a player's weights, without ``.npz``, where it is not the player's name."""
    losses: ClassVar[tuple[str, ...]] = ()
    """The metrics that are costs: summary.json repeats their last values under "losses"."""

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
        """The players by name, in the order in which files list them."""
        return self._players

    @property
    def ops(self) -> Ops:
        """The backend of the networks."""
        return next(iter(self.players.values())).network.ops

    def network(self, name: str) -> Network:
        """Return the network of a player."""
        return self.players[name].network

    def gradients(self) -> dict[str, Array]:
        """Return a vector of zeros (P,) for each player, to which pullbacks add."""
        return {name: player.network.zeros_like_theta() for name, player in self.players.items()}

    def update(self, gradients: Mapping[str, Array]) -> None:
        """Take one step of the optimizer of each player that has a gradient (P,) here."""
        for name, g in gradients.items():
            self.players[name].optimizer.step(g)

    def iteration(self, *draws: Draw) -> Any:
        """Play one iteration: draw, compute gradients, update; return what `metrics` reads.

        Parameters
        ----------
        *draws
            A subclass has one parameter for each entry of `draws`, of that name.

        Returns
        -------
        Any
            A dict of numbers, unless the subclass defines `metrics`.  On a CUDA device arrays may be returned, which
            the next iteration overwrites.

        """
        raise NotImplementedError(f"{type(self).__name__} does not define iteration")

    def play(self) -> Any:
        """Play one iteration in the backend's way, and return what `metrics` reads."""
        return self.ops.play(type(self).iteration, self, self.draws, {})

    def metrics(self, results: Any) -> dict[str, float]:
        """Return the numbers of an iteration by name, from what `iteration` returned: by default, a dict of them.

        The training diverges where one of them is not finite; metrics.jsonl and callbacks get all of them.
        """
        return {name: float(value) for name, value in results.items()}

    def file_of(self, name: str) -> str:
        """Return the file name, without ``.npz``, of the weights of a player."""
        return self.files.get(name, name)


Schedule = TypeVar("Schedule", bound=Callable[..., Any])


def capturable(schedule: Schedule) -> Schedule:
    """Return a schedule, ``schedule(game, *draws, **counts)``, whose iteration a backend may capture (CUDA's graphs).

    Parameters
    ----------
    schedule
        A function of a game, of its draws (positional parameters) and of numbers that stay the same from iteration to
        iteration (keyword-only parameters).  All that it draws comes from the draws and from the game's stream.

    Returns
    -------
    Callable
        The same function, played in the way of the game's backend (`minigan.ops.protocol.Ops.play`).

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
"""The new name of each old one, which works for one more release."""

if not TYPE_CHECKING:  # so that type checkers know every name

    def __getattr__(name):
        return renamed("minigan.game", _RENAMED, globals(), name)
