"""Whole iterations of a GAN as graphs: played once step by step, captured the second time, replayed from then on.

The graph repeats launches; what differs from iteration to iteration is drawn and counted as ever, and given to it:

    batches    that the host draws (a data set, noise) go into arrays that the graph reads; batches that are made on
               the device are made within the graph
    dropout    keys are drawn from the GAN's stream, in the order of the layers, into an array: a kernel of the graph
               has the number of a key in place of the key
    updates    the numbers that depend on t (Adam's corrections, scheduled rates) are computed by the optimizers and
               go into an array too (`minigan.ops.cuda.updates`)

So a captured run is the same run: the same draws in the same order, and a checkpoint of it resumes either way.  An
iteration that cannot be captured is said (CaptureWarning) and played step by step.
"""

import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import MethodType
from typing import Any

import numpy as np

from minigan.ops.cuda.graph import Captured, CaptureError, capture
from minigan.ops.cuda.keys import Keys, draw_keys
from minigan.ops.cuda.updates import Updates
from minigan.ops.protocol import Array

Draw = Callable[[], Any]
Order = Callable[..., Any]
KEYS = "dropout"
UNTIL = 3
"""Captures of one GAN that were given up, because something had changed, until no more is tried."""


class CaptureWarning(RuntimeWarning):
    """An iteration that is played step by step, since no graph could be made of it."""


@dataclass(frozen=True)
class Event:
    """One draw of an iteration: of which source, and an array's shape and dtype (None: made on the device)."""

    source: str
    shape: tuple[int, ...]
    dtype: Any = None


class Iterations:
    """``play(order, gan, real, noise, ...)`` is ``order(gan, real, noise, ...)``, as a graph where that can be."""

    def __init__(self, ops: Any, *, enabled: bool = True) -> None:
        self.ops, self.enabled = ops, enabled
        self._of: dict[int, tuple[weakref.ref[Any], _Iteration]] = {}

    def play(self, order: Order, gan: Any, real: Draw, noise: Draw, **counts: int) -> Any:
        """Return what `order` returns; its arrays are the graph's, which the next iteration overwrites."""
        with self.ops.session():  # also in a thread that has not asked for it
            if not self.enabled:
                return order(gan, self._moved(real), self._moved(noise), **counts)
            return self._find(gan).play(order, gan, {"real": real, "noise": noise}, counts)

    def _find(self, gan: Any) -> "_Iteration":
        known, iteration = self._of.get(id(gan), (None, None))
        if known is None or known() is not gan:
            iteration = _Iteration(self)
            self._of = {key: pair for key, pair in self._of.items() if pair[0]() is not None}
            self._of[id(gan)] = weakref.ref(gan), iteration
        assert iteration is not None  # noqa: S101
        return iteration

    def _moved(self, draw: Draw) -> Draw:
        """The draws of the host, on the device, and prepared there."""
        return lambda: _prepared(draw, self._there(_host_part(draw)()))

    def _there(self, x: Any) -> Any:
        return self.ops.device.array(x) if isinstance(x, np.ndarray) else x


class _Iteration:
    """The graph of one GAN, and what is given to it."""

    def __init__(self, whole: Iterations) -> None:
        self.ops, self.device = whole.ops, whole.ops.device
        self._moved, self._there = whole._moved, whole._there
        self.events: list[Event] | None = None
        self.captured: Captured | None = None
        self._same: tuple[Any, ...] = ()
        self._given_up = 0
        self.refused = False

    def play(self, order: Order, gan: Any, draws: dict[str, Draw], counts: dict[str, int]) -> Any:
        """Step by step, captured, or replayed."""
        same = (order, tuple(counts.items()), *_same(gan), *self._of_draws(draws))
        if self.captured is not None and not _are(same, self._same):  # a rate, an array, a rule is another
            self._give_up("the GAN or a draw has changed")
        self._same = same
        if self.refused:
            return order(gan, self._moved(draws["real"]), self._moved(draws["noise"]), **counts)
        if self.events is None:
            return self._watched(order, gan, draws, counts)
        drawn = self._drawn(gan, draws)
        if [event for event, _ in drawn] != self.events:
            self._give_up("the draws have another shape")
            return self._told(order, gan, drawn, draws, counts)
        if self.captured is None:
            try:
                self._capture(order, gan, draws, counts)
            except CaptureError as error:
                self._refuse(str(error), stacklevel=5)
                return self._told(order, gan, drawn, draws, counts)
        return self._replayed(gan, drawn)

    def _of_draws(self, draws: dict[str, Draw]) -> list[Any]:
        """What a graph holds of the draws: how batches are prepared, and those that are made on the device whole."""
        made = {event.source for event in self.events or () if event.dtype is None}
        held = [getattr(draw, "prepare", None) for draw in draws.values()]
        return [*held, *(draw for source, draw in draws.items() if source in made)]

    def _refuse(self, why: str, *, stacklevel: int) -> None:
        self.refused = True
        message = f"the iteration is played step by step, since it could not be captured: {why}"
        warnings.warn(message, CaptureWarning, stacklevel=stacklevel)

    def _give_up(self, why: str) -> None:
        """Forget the graph; the next iteration is watched."""
        self.captured = self.events = None
        self._given_up += 1
        if self._given_up >= UNTIL:
            self.refused = True
            message = f"iterations are played step by step: {self._given_up} graphs were given up, the last as {why}"
            warnings.warn(message, CaptureWarning, stacklevel=5)

    # --- step by step -----------------------------------------------------------------------------

    def _watched(self, order: Order, gan: Any, draws: dict[str, Draw], counts: dict[str, int]) -> Any:
        """Play, and note the draws in their order."""
        events: list[Event] = []

        def watched(source: str) -> Draw:
            def draw() -> Any:
                x = _host_part(draws[source])()
                events.append(_event(source, x))
                return _prepared(draws[source], self._there(x))

            return draw

        rng, before = gan.rng, [optimizer.t for optimizer in _optimizers(gan)]
        keys = Keys(lambda shape: _noted(events, shape, draw_keys(rng, shape)), rng)
        found = order(_with_keys(gan, keys), watched("real"), watched("noise"), **counts)
        if keys.other:
            self._refuse(keys.other, stacklevel=6)
        self.events = events
        self._steps = [optimizer.t - t for optimizer, t in zip(_optimizers(gan), before, strict=True)]
        return found

    def _told(
        self, order: Order, gan: Any, drawn: list[tuple[Event, Any]], draws: dict[str, Draw], counts: dict[str, int]
    ) -> Any:
        """Play with what was drawn already."""
        left = {source: iter([x for event, x in drawn if event.source == source]) for source in ("real", "noise", KEYS)}

        def told(source: str) -> Draw:
            def draw() -> Any:
                x = next(left[source], None)
                return self._moved(draws[source])() if x is None else _prepared(draws[source], self._there(x))

            return draw

        rng = gan.rng
        gan = _with_keys(gan, Keys(lambda shape: _next(left[KEYS], lambda: draw_keys(rng, shape)), rng))
        return order(gan, told("real"), told("noise"), **counts)

    # --- as a graph -------------------------------------------------------------------------------

    def _drawn(self, gan: Any, draws: dict[str, Draw]) -> list[tuple[Event, Any]]:
        """Draw what the host draws in an iteration, in its order."""
        assert self.events is not None  # noqa: S101
        found: list[tuple[Event, Any]] = []
        for event in self.events:
            if event.source == KEYS:
                found.append((event, draw_keys(gan.rng, event.shape)))
            elif event.dtype is None:
                found.append((event, None))
            else:
                x = _host_part(draws[event.source])()
                found.append((_event(event.source, x), x))
        return found

    def _capture(self, order: Order, gan: Any, draws: dict[str, Draw], counts: dict[str, int]) -> None:
        assert self.events is not None  # noqa: S101
        xp = self.device.xp
        self._batches = [xp.empty(e.shape, dtype=e.dtype) for e in self.events if e.dtype is not None]
        numbers = [int(np.prod(event.shape)) for event in self.events if event.source == KEYS]
        self._key_array = xp.zeros(max(1, sum(numbers)), dtype=np.uint64)
        self._updates = Updates(self.device, self.ops.flat, _optimizers(gan), self._steps)
        ready = {
            source: iter([x for e, x in zip(self._hosts(), self._batches, strict=True) if e.source == source])
            for source in ("real", "noise")
        }
        numbered = iter(range(self._key_array.size))

        def given(source: str) -> Draw:
            def draw() -> Any:
                x = next(ready[source], None)
                return _prepared(draws[source], _host_part(draws[source])() if x is None else x)

            return draw

        def keys(shape: tuple[int, ...]) -> Array:
            count = int(np.prod(shape))
            return np.array([next(numbered) for _ in range(count)], np.uint64).reshape(shape)

        before = [optimizer.t for optimizer in _optimizers(gan)]
        twin = _with_keys(gan, Keys(keys))
        self.ops.rows.keys, self.ops.flat.updates = self._key_array, self._updates
        try:
            captured = capture(self.device, lambda: order(twin, given("real"), given("noise"), **counts))
        finally:
            self.ops.rows.keys = self.ops.flat.updates = None
            for optimizer, t in zip(_optimizers(gan), before, strict=True):
                optimizer.t = t
        self.captured = captured

    def _hosts(self) -> list[Event]:
        assert self.events is not None  # noqa: S101
        return [event for event in self.events if event.dtype is not None]

    def _replayed(self, gan: Any, drawn: list[tuple[Event, Any]]) -> Any:
        """Give the graph its batches, keys and times, and launch it."""
        assert self.captured is not None  # noqa: S101
        batches = [x for event, x in drawn if event.dtype is not None]
        for target, x in zip(self._batches, batches, strict=True):
            target.set(np.ascontiguousarray(x))
        keys = [x.reshape(-1) for event, x in drawn if event.source == KEYS and x.size]
        if keys:
            self._key_array.set(np.concatenate(keys))
        self._updates.give()
        found = self.captured.replay()
        for optimizer, steps in zip(_optimizers(gan), self._steps, strict=True):
            optimizer.t += steps
        gan.G.touch()
        gan.D.touch()
        return found


def _host_part(draw: Draw) -> Draw:
    """What is drawn on the host: of `minigan.data.Prepared` the batch before it is prepared."""
    return getattr(draw, "draw", draw)


def _prepared(draw: Draw, x: Any) -> Any:
    """What the order of play is given, of x on the device."""
    return draw.prepare(x) if hasattr(draw, "prepare") else x


def _with_keys(gan: Any, keys: Keys) -> Any:
    return gan if gan.rng is None else replace(gan, rng=keys)


def _noted(events: list[Event], shape: tuple[int, ...], keys: Array) -> Array:
    events.append(Event(KEYS, shape))
    return keys


def _next(values: Iterator[Any], otherwise: Draw) -> Any:
    found = next(values, None)
    return otherwise() if found is None else found


def _event(source: str, x: Any) -> Event:
    return Event(source, x.shape, x.dtype if isinstance(x, np.ndarray) else None)


def _optimizers(gan: Any) -> list[Any]:
    return [gan.optimizer_G, gan.optimizer_D]


def _same(gan: Any) -> tuple[Any, ...]:
    """What a graph was made of beside the numbers in its arrays."""
    found: list[Any] = [gan.through, gan.fakes, gan.judge, gan.objective, gan.rng]
    for net, optimizer in zip((gan.G, gan.D), _optimizers(gan), strict=True):
        found += [net.theta, *net.state.values()]
        found += [value for name, value in vars(optimizer).items() if name not in ("t", "state", "net")]
        found += optimizer.state.values()
    return tuple(found)


def _are(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether both hold the same objects, equal numbers, or methods of the same objects."""
    return len(one) == len(other) and all(
        a is b or (isinstance(a, (int, float, tuple, MethodType)) and a == b) for a, b in zip(one, other, strict=True)
    )
