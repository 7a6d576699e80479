"""What a graph was made of beside the numbers in its arrays: where that changes, the graph is given up."""

from types import MethodType
from typing import Any


def made_of(game: Any) -> tuple[Any, ...]:
    """Return the game's attributes but its draws, the arrays of its networks, and its optimizers' settings."""
    found = [part for name, value in vars(game).items() if name != "draws" for part in (name, *parts_of(value))]
    for player in game.players.values():
        net, optimizer = player.network, player.optimizer
        found += [net.theta, *net.state.values()]
        found += [value for name, value in vars(optimizer).items() if name not in ("t", "state", "net")]
        found += optimizer.state.values()
    return tuple(found)


def parts_of(value: Any, depth: int = 3) -> list[Any]:
    """Return the value, or the parts of a container: a list of the game's own may be changed in place."""
    if depth and isinstance(value, dict):
        return [part for pair in value.items() for part in parts_of(pair, depth - 1)]
    if depth and isinstance(value, (list, tuple)):
        return [part for one in value for part in parts_of(one, depth - 1)]
    return [value]


def is_same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Return whether both hold the same objects, equal numbers, or methods of the same objects."""
    return len(one) == len(other) and all(
        a is b or (isinstance(a, (int, float, str, MethodType)) and a == b) for a, b in zip(one, other, strict=True)
    )
