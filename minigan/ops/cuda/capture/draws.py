"""The draws of an iteration as a graph needs them: noted once, and given to each replay."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan._batch import arrays_of
from minigan.ops.protocol import Array

Draw = Callable[[], Any]
KEYS = "keys of dropout"
"""The source of dropout's keys: not an identifier, so it is not the name of a draw."""


@dataclass(frozen=True)
class Event:
    """One draw of an iteration: from which source, the shape of each array, and the dtypes of those of the host."""

    source: str
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[Any, ...] = ()
    single: bool = True  # not a tuple of arrays

    @property
    def on_host(self) -> bool:
        """Whether the host draws it; else it is made on the device, within the graph."""
        return bool(self.dtypes)


def host_part(draw: Draw) -> Draw:
    """Return what draws on the host: of `minigan.data.Transformed` the batch before it is prepared."""
    return getattr(draw, "draw", draw)


def prepared(draw: Draw, batch: Any) -> Any:
    """Return what the schedule is given, of a batch on the device."""
    return draw.prepare(batch) if hasattr(draw, "prepare") else batch


def noted(events: list[Event], shape: tuple[int, ...], keys: Array) -> Array:
    """Return the keys, after noting that they were drawn."""
    events.append(Event(KEYS, (shape,)))
    return keys


def next_or(values: Iterator[Any], otherwise: Draw) -> Any:
    """Return the next value, or ``otherwise()`` after the last one."""
    found = next(values, None)
    return otherwise() if found is None else found


def event_of(name: str, batch: Any) -> Event:
    """Return the event of a batch; TypeError where it is neither an array nor a tuple of arrays."""
    arrays = arrays_of(batch)
    for x in arrays:
        if not hasattr(x, "shape"):
            raise TypeError(f"the draw {name!r} returned {type(x).__name__}; expected an array or a tuple of arrays")
    dtypes = tuple(x.dtype for x in arrays) if all(isinstance(x, np.ndarray) for x in arrays) else ()
    return Event(name, tuple(x.shape for x in arrays), dtypes, not isinstance(batch, tuple))
