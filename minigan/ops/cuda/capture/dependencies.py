"""List what a graph depends on besides the contents of its arrays; if any of it changes, the graph is discarded."""

from types import MethodType
from typing import Any


def graph_dependencies(game: Any) -> tuple[Any, ...]:
    """Return the game's attributes except `draws`, the arrays of its networks, and the settings of its optimizers."""
    found = [item for name, value in vars(game).items() if name != "draws" for item in (name, *flatten(value))]
    for player in game.players.values():
        net, optimizer = player.network, player.optimizer
        found += [net.theta, *net.state.values()]
        found += [value for name, value in vars(optimizer).items() if name not in ("t", "state", "net")]
        found += optimizer.state.values()
    return tuple(found)


def flatten(value: Any, depth: int = 3) -> list[Any]:
    """Return the value, or the items of a container up to `depth` levels, so that changes in place are detected."""
    if depth and isinstance(value, dict):
        return [item for pair in value.items() for item in flatten(pair, depth - 1)]
    if depth and isinstance(value, (list, tuple)):
        return [item for element in value for item in flatten(element, depth - 1)]
    return [value]


def is_same(old: tuple[Any, ...], new: tuple[Any, ...]) -> bool:
    """Return whether both hold the same objects, equal numbers or strings, or equal bound methods."""
    return len(old) == len(new) and all(
        a is b or (isinstance(a, (int, float, str, MethodType)) and a == b) for a, b in zip(old, new, strict=True)
    )
