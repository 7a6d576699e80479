"""Capture without a GPU: what is done on the emulated device is recorded, and replayed over the same memory.

As on a GPU, a capture changes nothing: kernels run while it is made, since shapes come of them, and then every array
that was there before gets its numbers back.  A replay runs each operation again with the arguments that it had: numbers
that were passed by value are those of the capture, and a result goes where it lay then.  Waiting for a number, and
moving one from or to the host, is refused, as a stream that is being captured refuses it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from minigan.ops.cuda.device.source import KernelError


class Recording:
    """``with Recording(arrays) as recording: step()``, and then ``recording.launch()``."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._calls: list[Callable[[], None]] = []
        self._before: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._made: dict[int, np.ndarray] = {}

    def __enter__(self) -> "Recording":
        if self._module.recorder is not None:
            raise KernelError("a capture within a capture; expected one at a time")
        self._module.recorder = self
        return self

    def __exit__(self, *_: object) -> None:
        self._module.recorder = None
        for memory, numbers in self._before.values():
            memory[...] = numbers

    def launch(self) -> None:
        """Do everything again, in its order."""
        for call in self._calls:
            call()

    # --- what the device tells it -----------------------------------------------------------------

    def apply(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any], wrap: Callable[[Any], Any]) -> Any:
        """Call NumPy's function on host memory; return what `wrap` makes of it, where replays will write."""
        self._keep(_arrays([getattr(function, "__self__", None), args, tuple(kwargs.values())]))
        wrapped = wrap(function(*args, **kwargs))
        places = list(_hosts(wrapped, self._module.ndarray))
        for place in places:
            self._made.setdefault(id(_root(place)), _root(place))

        def again() -> None:
            for place, numbers in zip(places, _leaves(function(*args, **kwargs)), strict=True):
                place[...] = numbers

        self._calls.append(again)
        return wrapped

    def run(self, job: Callable[[], None], arrays: Iterable[np.ndarray]) -> None:
        """Run what writes into arrays, a kernel or a product."""
        self._keep(arrays)
        job()
        self._calls.append(job)

    @staticmethod
    def refuse(what: str) -> None:
        """Raise: this makes the host wait, or takes numbers from it."""
        raise KernelError(f"{what} while a graph is captured; expected operations of the device alone")

    def _keep(self, arrays: Iterable[np.ndarray]) -> None:
        for array in arrays:
            memory = _root(array)
            if id(memory) not in self._made and id(memory) not in self._before:
                self._before[id(memory)] = memory, memory.copy()


def _root(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _arrays(value: Any) -> Iterator[np.ndarray]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _arrays(part)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (np.ndarray, np.generic)):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _leaves(part)


def _hosts(value: Any, kind: type) -> Iterator[np.ndarray]:
    if isinstance(value, kind):
        yield value._host  # type: ignore[attr-defined]
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _hosts(part, kind)
