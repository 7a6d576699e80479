"""Groups of parameters: patterns on their names, and the slices of theta whose parameters have the same settings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, TypedDict

from minigan._names import unknown
from minigan.network import Network
from minigan.optimizers.values import NON_NEGATIVE_INTERVAL, Schedule, bound, constant, schedule


class GroupSettings(TypedDict, total=False):
    """What a group may have of its own; the optimizer's value is used for what is not given.

    Attributes
    ----------
    lr : float or callable
        The learning rate, >= 0, or a schedule ``lr(t)``.
    weight_decay : float
        The weight decay, >= 0.
    clip : float or None
        The bound of the absolute values of the parameters; None for none.

    """

    lr: Schedule
    weight_decay: float
    clip: float | None


class ReadOnly(Mapping[str, Any]):
    """A mapping that cannot be changed, but copied deeply; `types.MappingProxyType` cannot."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)


Groups = Mapping[str, GroupSettings]
"""Settings by pattern."""
SETTINGS = tuple(GroupSettings.__annotations__)
NO_GROUPS: Groups = ReadOnly({})


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice of theta, and for each setting the pattern that its value comes from; None: the optimizer's own value."""

    part: slice
    lr: str | None
    weight_decay: str | None
    clip: str | None


def checked(net: Network, groups: object) -> Groups:
    """Return a read-only copy of `groups` with checked values.

    Raises
    ------
    TypeError
        If `groups` is no mapping of strings to mappings.
    ValueError
        If a pattern matches no parameter, or a setting is unknown or outside its range.

    """
    if groups is None:
        return NO_GROUPS
    if not isinstance(groups, Mapping):
        raise TypeError(f'groups must be a mapping of patterns to settings, {{"*.b": {{"lr": 0.0}}}}, got {groups!r}')
    names = list(net.parameters())
    return ReadOnly({pattern: _settings(net, names, pattern, given) for pattern, given in groups.items()})


def _settings(net: Network, names: list[str], pattern: object, given: object) -> Any:
    if not isinstance(pattern, str):
        raise TypeError(f"groups has the key {pattern!r}; expected a pattern of parameter names, such as '*.b'")
    if not any(fnmatchcase(name, pattern) for name in names):
        raise ValueError(_no_match(pattern, names))
    label = f"groups[{pattern!r}]"
    if not isinstance(given, Mapping):
        raise TypeError(f'{label} must be a mapping of settings, {{"lr": 0.0}}, got {given!r}')
    if not given:
        raise ValueError(f"{label} is empty; expected at least one of {', '.join(SETTINGS)}")
    settings: dict[str, Any] = {}
    for name, value in given.items():
        what = f"{label}[{name!r}]"
        if name == "lr":
            settings[name] = schedule(net, what, value, NON_NEGATIVE_INTERVAL)
        elif name == "weight_decay":
            settings[name] = constant(net, what, value, NON_NEGATIVE_INTERVAL)
        elif name == "clip":
            settings[name] = bound(net, what, value)
        else:
            raise ValueError(f"{label}: {unknown('setting', name, SETTINGS)}")
    return ReadOnly(settings)


def _no_match(pattern: str, names: list[str]) -> str:
    """Return the message for a pattern that matches no parameter; it suggests a name or a pattern that does."""
    ends = [f"*.{name.rpartition('.')[2]}" for name in names]
    starts = [f"{name.partition('.')[0]}.*" for name in names]
    by_lower = {known.lower(): known for known in (*ends, *starts, *names)}
    close = get_close_matches(pattern.lower(), by_lower, n=1)
    hint = f" (did you mean {by_lower[close[0]]!r}?)" if close else ""
    return f"groups: {pattern!r} matches no parameter{hint}; the parameters are {', '.join(names) or 'none'}"


def slices_of(net: Network, groups: Groups) -> tuple[Slice, ...]:
    """Return the slices of theta in order; neighbours with the same settings are one slice, and without groups none.

    Where several patterns match a parameter, each setting comes from the last one that gives it.
    """
    if not groups:
        return ()
    slices: list[Slice] = []
    at = 0
    for name, parameter in net.parameters().items():
        sources: dict[str, str | None] = dict.fromkeys(SETTINGS)
        for pattern, settings in groups.items():
            if fnmatchcase(name, pattern):
                sources.update(dict.fromkeys(settings, pattern))
        start, at = at, at + int(parameter.size)
        found = Slice(slice(start, at), **sources)
        last = slices[-1] if slices else None
        if last is not None and (last.lr, last.weight_decay, last.clip) == (found.lr, found.weight_decay, found.clip):
            slices[-1] = Slice(slice(last.part.start, at), **sources)
        else:
            slices.append(found)
    return tuple(slices)
