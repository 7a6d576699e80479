"""Times and work of the operations of an iteration, observed by wrapping functions.

An observed function is called as before.  Its calls are rows by name and shapes, with their seconds, floating-point
operations and bytes.  An operation within an operation belongs to the outer one.  A layer is a frame around operations:
its row has the seconds in which none of them ran, without those of the observation itself.
"""

import functools
import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

clock = time.perf_counter


@dataclass
class Row:
    """The calls of an operation with the same shapes.

    Attributes
    ----------
    group, name
        The group of the operation, and its name and shapes.
    calls
        How often it was called.
    seconds
        The seconds of all calls.
    operations, size
        The floating-point operations and the bytes of a call.

    """

    group: str
    name: str
    operations: float
    size: float
    calls: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Work:
    """What a call has to do.

    Attributes
    ----------
    group, name
        The group of the operation, and its name and shapes.
    operations
        Floating-point operations of the algorithm that runs.
    size
        Bytes of the arrays that have to be read or written, each once.

    """

    group: str
    name: str
    operations: float
    size: float


Count = Callable[..., Work]
"""Returns the work of a call from its arguments (with self, for a method)."""


@dataclass
class Observer:
    """The rows of all calls since `clear`.

    Attributes
    ----------
    rows
        By group and name.
    on
        Whether calls are observed; otherwise they are passed on.

    """

    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    on: bool = True
    _inside: bool = False
    _frames: "list[_Within]" = field(default_factory=list)
    """For each layer that is running, what was observed within it."""

    @property
    def calls(self) -> int:
        """The number of all observed calls."""
        return sum(row.calls for row in self.rows.values())

    def clear(self) -> None:
        """Forget all calls."""
        self.rows.clear()

    def operation(self, function: Callable[..., Any], count: Count) -> Callable[..., Any]:
        """Return the function as an observed operation."""

        @functools.wraps(function)
        def observed(*arguments: Any, **named: Any) -> Any:
            if self._inside or not self.on:
                return function(*arguments, **named)
            begin = clock()
            work = count(*arguments, **named)
            self._inside = True
            start = clock()
            try:
                return function(*arguments, **named)
            finally:
                seconds = clock() - start
                self._inside = False
                self._add_operation(work, seconds, begin)

        return observed

    def layer(self, forward: Callable[..., Any], count: Callable[..., tuple[Work, Callable[..., Work]]]) -> Any:
        """Return the `forward` of a layer as an observed frame, and its pullback as another one.

        Parameters
        ----------
        forward
            The method, which returns y and the pullback.
        count
            ``count(layer, x, y)`` returns the work of the forward pass, and a function of the pullback's arguments that
            returns the work of the backward pass.  It counts where no observed operation runs within the layer.

        """

        @functools.wraps(forward)
        def observed(layer: Any, p: Any, x: Any, ctx: Any) -> Any:
            if self._inside or not self.on:
                return forward(layer, p, x, ctx)
            (y, pullback), seconds, within = self._run(forward, layer, p, x, ctx)
            stop = clock()
            ahead, behind = count(layer, x, y)
            self._add_frame(ahead, seconds, within, stop)

            def backward(dy: Any, g: Any = None, **named: bool) -> Any:
                dx, seconds, within = self._run(pullback, dy, g, **named)
                stop = clock()
                self._add_frame(behind(dy, g, **named), seconds, within, stop)
                return dx

            return y, backward

        return observed

    def _run(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[Any, float, "_Within"]:
        """Run a frame; return its result, its seconds, and what was observed within it."""
        within, begin = _Within(), clock()
        self._frames.append(within)
        try:
            result = function(*arguments, **named)
        finally:
            self._frames.pop()
        return result, clock() - begin, within

    def _add_frame(self, work: Work, seconds: float, within: "_Within", stop: float) -> None:
        """Count a layer: with its work if no operation was observed within it, otherwise the time besides them."""
        if within.calls:
            work = Work(LAYERS, work.name, 0.0, 0.0)
        seconds -= within.overhead
        self._add_call(work, seconds - within.seconds)
        self._add_within(seconds, clock() - stop + within.overhead)

    def _add_operation(self, work: Work, seconds: float, begin: float) -> None:
        """Count an operation; the rest of the time since `begin` is the observation's own."""
        self._add_call(work, seconds)
        self._add_within(seconds, clock() - begin - seconds)

    def _add_call(self, work: Work, seconds: float) -> None:
        row = self.rows.get((work.group, work.name))
        if row is None:
            row = self.rows[work.group, work.name] = Row(work.group, work.name, work.operations, work.size)
        row.calls += 1
        row.seconds += seconds

    def _add_within(self, seconds: float, overhead: float) -> None:
        """Tell the layer around this call about it."""
        if self._frames:
            frame = self._frames[-1]
            frame.seconds += seconds
            frame.overhead += overhead
            frame.calls += 1


@dataclass
class _Within:
    """What was observed within a layer: the seconds of operations and layers, the observation's own, and the calls."""

    seconds: float = 0.0
    overhead: float = 0.0
    calls: int = 0


LAYERS = "layers in Python"
"""The group of the seconds of layers in which none of their operations runs."""


_observed: set[Any] = set()


def patch(owner: Any, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace a function of a class, or a static method, by ``wrap(function)``, unless it is inherited and replaced."""
    found = inspect.getattr_static(owner, name)
    if found in _observed:
        return
    if isinstance(found, staticmethod):
        setattr(owner, name, staticmethod(wrap(found.__func__)))
    else:
        setattr(owner, name, wrap(found))
    _observed.add(inspect.getattr_static(owner, name))
