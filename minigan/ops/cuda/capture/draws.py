"""Record the draws of an iteration, so that each replay of its graph can be given the next ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan._batch import arrays_of
from minigan.ops.protocol import Array

Draw = Callable[[], Any]
KEYS = "keys of dropout"
"""Source of the dropout keys; not an identifier, so that no draw can have this name."""


@dataclass(frozen=True)
class Event:
    """One draw of an iteration.

    Attributes
    ----------
    source : str
        The name of the draw, or KEYS.
    shapes : tuple of tuple of int
        The shape of each array of the batch.
    dtypes : tuple of numpy.dtype
        The dtype of each array if the host draws the batch; empty for keys and for batches of the device.
    single : bool
        Whether the batch is one array instead of a tuple.

    """

    source: str
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[Any, ...] = ()
    single: bool = True

    @property
    def on_host(self) -> bool:
        """Whether the host draws the batch; otherwise it is drawn on the device, within the graph."""
        return bool(self.dtypes)


def host_part(draw: Draw) -> Draw:
    """Return the function that draws on the host: for `minigan.data.Transformed`, the draw before its `prepare`."""
    return getattr(draw, "draw", draw)


def prepare(draw: Draw, batch: Any) -> Any:
    """Apply the draw's `prepare`, if it has one, to a batch on the device."""
    return draw.prepare(batch) if hasattr(draw, "prepare") else batch


def record_keys(events: list[Event], shape: tuple[int, ...], keys: Array) -> Array:
    """Append the event of drawing these keys and return them."""
    events.append(Event(KEYS, (shape,)))
    return keys


def next_or(values: Iterator[Any], otherwise: Draw) -> Any:
    """Return the next value, or ``otherwise()`` after the last one."""
    found = next(values, None)
    return otherwise() if found is None else found


def event_of(name: str, batch: Any) -> Event:
    """Return the event of a batch; raise TypeError if it is neither an array nor a tuple of arrays."""
    arrays = arrays_of(batch)
    for x in arrays:
        if not hasattr(x, "shape"):
            raise TypeError(f"the draw {name!r} returned {type(x).__name__}; expected an array or a tuple of arrays")
    dtypes = tuple(x.dtype for x in arrays) if all(isinstance(x, np.ndarray) for x in arrays) else ()
    return Event(name, tuple(x.shape for x in arrays), dtypes, not isinstance(batch, tuple))
