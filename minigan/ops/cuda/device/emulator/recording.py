"""Record a graph on the emulated device, and replay its operations on the same memory.

As on a GPU, a capture changes no array.  The operations do run during the capture, because shapes may depend on them,
but afterwards the old numbers are restored.  A replay runs each operation again with the arguments of the capture:
numbers passed by value do not change, and a result is written where it was during the capture.  An operation that makes
the host wait, or copies from or to it, raises KernelError, as it does on a stream that is being captured.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from minigan.ops.cuda.device.source import KernelError


class Recording:
    """Record operations with ``with Recording(arrays) as recording: step()``; replay them with ``recording.launch()``.

    Parameters
    ----------
    module : module
        `minigan.ops.cuda.device.emulator.arrays`, whose `recorder` is set during the capture.

    Raises
    ------
    KernelError
        On entry, if another graph is being captured.

    """

    def __init__(self, module: Any) -> None:
        self._module = module
        self._calls: list[Callable[[], None]] = []
        self._old: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # memory from before the capture, and its numbers
        self._new: dict[int, np.ndarray] = {}  # memory that was allocated during the capture

    def __enter__(self) -> "Recording":
        if self._module.recorder is not None:
            raise KernelError("a capture within a capture; expected one at a time")
        self._module.recorder = self
        return self

    def __exit__(self, *_: object) -> None:
        self._module.recorder = None
        for memory, numbers in self._old.values():
            memory[...] = numbers

    def launch(self) -> None:
        """Run all recorded operations again, in order."""
        for call in self._calls:
            call()

    # --- calls from the device during a capture ---------------------------------------------------

    def apply(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any], wrap: Callable[[Any], Any]) -> Any:
        """Record a call of a NumPy function.

        Parameters
        ----------
        function : callable
            The function, or a method of a NumPy array.
        args, kwargs : tuple, dict
            Its arguments, on host memory.
        wrap : callable
            Makes device arrays of the result.

        Returns
        -------
        object
            The wrapped result, which replays overwrite.

        """
        self._save(_arrays([getattr(function, "__self__", None), args, tuple(kwargs.values())]))
        wrapped = wrap(function(*args, **kwargs))
        targets = list(_host_arrays(wrapped, self._module.ndarray))
        for target in targets:
            self._new.setdefault(id(_owner(target)), _owner(target))

        def repeat() -> None:
            for target, numbers in zip(targets, _leaves(function(*args, **kwargs)), strict=True):
                target[...] = numbers

        self._calls.append(repeat)
        return wrapped

    def run(self, job: Callable[[], None], arrays: Iterable[np.ndarray]) -> None:
        """Run and record a kernel or a matrix product, which uses these arrays."""
        self._save(arrays)
        job()
        self._calls.append(job)

    @staticmethod
    def refuse(what: str) -> None:
        """Raise KernelError: the operation `what` makes the host wait, or copies from or to it."""
        raise KernelError(f"{what} while a graph is captured; expected operations of the device alone")

    def _save(self, arrays: Iterable[np.ndarray]) -> None:
        """Save the numbers of memory from before the capture, the first time that it is used."""
        for array in arrays:
            memory = _owner(array)
            if id(memory) not in self._new and id(memory) not in self._old:
                self._old[id(memory)] = memory, memory.copy()


def _owner(array: np.ndarray) -> np.ndarray:
    """Return the array that owns the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _arrays(value: Any) -> Iterator[np.ndarray]:
    """Iterate over the NumPy arrays in nested tuples and lists."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _arrays(part)


def _leaves(value: Any) -> Iterator[Any]:
    """Iterate over the NumPy arrays and scalars in nested tuples and lists."""
    if isinstance(value, (np.ndarray, np.generic)):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _leaves(part)


def _host_arrays(value: Any, kind: type) -> Iterator[np.ndarray]:
    """Iterate over the host memory of the device arrays, which are of type `kind`, in nested tuples and lists."""
    if isinstance(value, kind):
        yield value._host  # type: ignore[attr-defined]
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _host_arrays(part, kind)
