"""Record the draws of an iteration, so that each replay of its graph can be given the next ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan._batch import TransformedDraw, arrays_of
from minigan.ops.protocol import Array

Draw = Callable[[], Any]
KEYS = "keys of dropout"
"""Source of the dropout keys; not an identifier, so that no draw can have this name."""
UNIFORM = "uniform numbers"
"""Source of the numbers that a gradient penalty draws from the game's stream."""


@dataclass(frozen=True)
class Event:
    """One draw of an iteration.

    Attributes
    ----------
    source : str
        The name of the draw, KEYS or UNIFORM.
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
    """Return the function that draws on the host: of a `minigan.data.Transformed` its `draw`, else the draw itself."""
    return draw.draw if isinstance(draw, TransformedDraw) else draw


def device_part(draw: Draw) -> Callable[[Any], Any] | None:
    """Return the function that transforms a batch on the device: of a `minigan.data.Transformed` its `prepare`."""
    return draw.prepare if isinstance(draw, TransformedDraw) else None


def prepare(draw: Draw, batch: Any) -> Any:
    """Return a batch on the device, transformed by the `device_part` of its draw if there is one."""
    transform = device_part(draw)
    return batch if transform is None else transform(batch)


def record_keys(events: list[Event], shape: tuple[int, ...], keys: Array) -> Array:
    """Append the event of drawing these keys and return them."""
    events.append(Event(KEYS, (shape,)))
    return keys


def record_uniform(events: list[Event], x: Array) -> Array:
    """Append the event of drawing these uniform numbers and return them."""
    events.append(Event(UNIFORM, (x.shape,), (x.dtype,)))
    return x


def next_or(values: Iterator[Any], otherwise: Draw) -> Any:
    """Return the next value, or ``otherwise()`` after the last one."""
    value = next(values, None)
    return otherwise() if value is None else value


def event_of(name: str, batch: Any) -> Event:
    """Return the event of a batch.

    Parameters
    ----------
    name : str
        The name of the draw.
    batch : array or tuple of arrays
        What the draw returned.

    Returns
    -------
    Event
        The event, with dtypes if all arrays are NumPy's.

    Raises
    ------
    TypeError
        If the batch is neither an array nor a tuple of arrays.

    """
    arrays = arrays_of(batch)
    for x in arrays:
        if not hasattr(x, "shape"):
            raise TypeError(f"the draw {name!r} returned {type(x).__name__}; expected an array or a tuple of arrays")
    dtypes = tuple(x.dtype for x in arrays) if all(isinstance(x, np.ndarray) for x in arrays) else ()
    return Event(name, tuple(x.shape for x in arrays), dtypes, not isinstance(batch, tuple))
