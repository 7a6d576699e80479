"""Whole iterations of a game as graphs: played once step by step, captured the second time, replayed from then on.

The graph repeats launches; what differs from iteration to iteration is drawn and counted as ever, and given to it:

    batches    that the host draws (a data set, noise) go into arrays that the graph reads; batches that are made on
               the device are made within the graph; a batch may be a tuple of arrays
    dropout    keys are drawn from the game's stream, in the order of the layers, into an array: a kernel of the graph
               has the number of a key in place of the key
    updates    the numbers that depend on t (Adam's corrections, scheduled rates) are computed by the optimizers and
               go into an array too (`minigan.ops.cuda.capture.updates`)

So a captured run is the same run: the same draws in the same order, and a checkpoint of it resumes either way.  An
iteration that cannot be captured is said (CaptureWarning) and played step by step.  Attributes of the game that are
changed, or that the iteration itself assigns, give a graph up: it holds what they were.
"""

import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigan._batch import arrays_of, map_batch
from minigan.ops.cuda.capture.dependencies import is_same, made_of, parts_of
from minigan.ops.cuda.capture.draws import KEYS, Draw, Event, event_of, host_part, next_or, noted, prepared
from minigan.ops.cuda.capture.keys import Keys, draw_keys
from minigan.ops.cuda.capture.updates import Updates
from minigan.ops.cuda.device.graph import Captured, CaptureError, capture
from minigan.ops.protocol import Array

Order = Callable[..., Any]
Draws = Mapping[str, Draw]
Counts = Mapping[str, Any]
UNTIL = 3
"""Captures of one game that were given up, because something had changed, until no more is tried."""


class CaptureWarning(RuntimeWarning):
    """An iteration that is played step by step, since no graph could be made of it."""


class Iterations:
    """``play(schedule, game, draws, counts)``: ``schedule(game, **draws, **counts)``, as a graph where that can be."""

    def __init__(self, ops: Any, *, enabled: bool = True) -> None:
        self.ops, self.enabled = ops, enabled
        self._of: dict[int, tuple[weakref.ref[Any], _Iteration]] = {}
        self._here = threading.local()  # what this thread is playing

    def play(self, schedule: Order, game: Any, draws: Draws, counts: Counts) -> Any:
        """Return what `schedule` returns; its arrays are the graph's, which the next iteration overwrites."""
        with self.ops.session():  # also in a thread that has not asked for it
            outer: _Iteration | None = getattr(self._here, "playing", None)
            if outer is not None:
                outer.inner = "the iteration plays another game, or a schedule within its own"
            if outer is not None or not self.enabled:
                return schedule(game, **{name: self._moved(draw) for name, draw in draws.items()}, **counts)
            self._here.playing = self._find(game)
            try:
                return self._here.playing.play(schedule, game, draws, counts)
            finally:
                self._here.playing = None

    def _find(self, game: Any) -> "_Iteration":
        known, iteration = self._of.get(id(game), (None, None))
        if known is None or known() is not game:
            iteration = _Iteration(self)
            self._of = {key: pair for key, pair in self._of.items() if pair[0]() is not None}
            self._of[id(game)] = weakref.ref(game), iteration
        assert iteration is not None  # noqa: S101
        return iteration

    def _moved(self, draw: Draw) -> Draw:
        """The draws of the host, on the device, and prepared there."""
        return lambda: prepared(draw, self._there(host_part(draw)()))

    def _there(self, batch: Any) -> Any:
        return map_batch(lambda x: self.ops.device.array(x) if isinstance(x, np.ndarray) else x, batch)


class _Iteration:
    """The graph of one game, and what is given to it."""

    def __init__(self, whole: Iterations) -> None:
        self.ops, self.device = whole.ops, whole.ops.device
        self._moved, self._there = whole._moved, whole._there
        self.events: list[Event] | None = None
        self.captured: Captured | None = None
        self._same: tuple[Any, ...] = ()
        self._given_up = 0
        self.refused = False
        self.inner = ""  # why no graph can be made, where the iteration plays another one

    def play(self, schedule: Order, game: Any, draws: Draws, counts: Counts) -> Any:
        """Step by step, captured, or replayed."""
        same = (schedule, *parts_of(dict(counts)), *made_of(game), *self._of_draws(draws))
        if self.captured is not None and not is_same(same, self._same):  # a rate, an array, a rule is another
            self._give_up("the game or a draw has changed")
        self._same = same
        if self.refused:
            return schedule(game, **{name: self._moved(draw) for name, draw in draws.items()}, **counts)
        if self.events is None:
            return self._watched(schedule, game, draws, counts)
        drawn = self._drawn(game, draws)
        if [event for event, _ in drawn] != self.events:
            self._give_up("the draws have another shape")
            return self._told(schedule, game, drawn, draws, counts)
        if self.captured is None:
            try:
                self._capture(schedule, game, draws, counts)
            except CaptureError as error:
                self._refuse(str(error), stacklevel=6)
                return self._told(schedule, game, drawn, draws, counts)
        return self._replayed(game, drawn)

    def _of_draws(self, draws: Draws) -> list[Any]:
        """What a graph holds of the draws: how batches are prepared, and those that are made on the device whole."""
        made = {event.source for event in self.events or () if not event.on_host}
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
            warnings.warn(message, CaptureWarning, stacklevel=6)

    # --- step by step -----------------------------------------------------------------------------

    def _watched(self, schedule: Order, game: Any, draws: Draws, counts: Counts) -> Any:
        """Play, and note the draws in their order."""
        events: list[Event] = []
        why: list[str] = []

        def watched(name: str) -> Draw:
            def draw() -> Any:
                batch = host_part(draws[name])()
                events.append(event_of(name, batch))
                if len({isinstance(x, np.ndarray) for x in arrays_of(batch)}) > 1:
                    why.append(f"{name} has arrays of the host and of the device")
                return prepared(draws[name], self._there(batch))

            return draw

        rng, before = game.rng, [optimizer.t for optimizer in _optimizers(game)]
        keys = Keys(lambda shape: noted(events, shape, draw_keys(rng, shape)), rng)
        with _with_keys(game, keys):
            found = schedule(game, **{name: watched(name) for name in draws}, **counts)
        reasons = [*why, *filter(None, (keys.other, self.inner))]
        if reasons:
            self._refuse(reasons[0], stacklevel=7)
        self.events = events
        self._steps = [optimizer.t - t for optimizer, t in zip(_optimizers(game), before, strict=True)]
        return found

    def _told(self, schedule: Order, game: Any, drawn: list[tuple[Event, Any]], draws: Draws, counts: Counts) -> Any:
        """Play with what was drawn already."""
        left = {name: iter([x for event, x in drawn if event.source == name]) for name in (*draws, KEYS)}

        def told(name: str) -> Draw:
            def draw() -> Any:
                batch = next(left[name], None)
                return self._moved(draws[name])() if batch is None else prepared(draws[name], self._there(batch))

            return draw

        rng = game.rng
        with _with_keys(game, Keys(lambda shape: next_or(left[KEYS], lambda: draw_keys(rng, shape)), rng)):
            return schedule(game, **{name: told(name) for name in draws}, **counts)

    # --- as a graph -------------------------------------------------------------------------------

    def _drawn(self, game: Any, draws: Draws) -> list[tuple[Event, Any]]:
        """Draw what the host draws in an iteration, in its order."""
        assert self.events is not None  # noqa: S101
        found: list[tuple[Event, Any]] = []
        for event in self.events:
            if event.source == KEYS:
                found.append((event, draw_keys(game.rng, event.shapes[0])))
            elif not event.on_host:
                found.append((event, None))
            else:
                batch = host_part(draws[event.source])()
                found.append((event_of(event.source, batch), batch))
        return found

    def _capture(self, schedule: Order, game: Any, draws: Draws, counts: Counts) -> None:
        assert self.events is not None  # noqa: S101
        xp = self.device.xp
        self._batches = [
            tuple(xp.empty(shape, dtype=dtype) for shape, dtype in zip(event.shapes, event.dtypes, strict=True))
            for event in self._hosts()
        ]
        numbers = [int(np.prod(event.shapes[0])) for event in self.events if event.source == KEYS]
        self._key_array = xp.zeros(max(1, sum(numbers)), dtype=np.uint64)
        self._updates = Updates(self.device, self.ops.flat, _optimizers(game), self._steps)
        batches = list(zip(self._hosts(), self._batches, strict=True))
        ready = {name: iter([x[0] if e.single else x for e, x in batches if e.source == name]) for name in draws}
        numbered = iter(range(self._key_array.size))

        def given(name: str) -> Draw:
            def draw() -> Any:
                batch = next(ready[name], None)
                return prepared(draws[name], host_part(draws[name])() if batch is None else batch)

            return draw

        def keys(shape: tuple[int, ...]) -> Array:
            count = int(np.prod(shape))
            return np.array([next(numbered) for _ in range(count)], np.uint64).reshape(shape)

        before, attributes = [optimizer.t for optimizer in _optimizers(game)], dict(vars(game))
        self.ops.rows.keys, self.ops.flat.updates = self._key_array, self._updates
        try:
            with _with_keys(game, Keys(keys)):
                captured = capture(
                    self.device, lambda: schedule(game, **{name: given(name) for name in draws}, **counts)
                )
        except CaptureError:
            vars(game).update(attributes)  # the iteration is still to be played
            raise
        finally:
            self.ops.rows.keys = self.ops.flat.updates = None
            for optimizer, t in zip(_optimizers(game), before, strict=True):
                optimizer.t = t
        self.captured = captured

    def _hosts(self) -> list[Event]:
        assert self.events is not None  # noqa: S101
        return [event for event in self.events if event.on_host]

    def _replayed(self, game: Any, drawn: list[tuple[Event, Any]]) -> Any:
        """Give the graph its batches, keys and times, and launch it."""
        assert self.captured is not None  # noqa: S101
        batches = [batch for event, batch in drawn if event.on_host]
        for targets, batch in zip(self._batches, batches, strict=True):
            for target, x in zip(targets, arrays_of(batch), strict=True):
                target.set(np.ascontiguousarray(x))
        keys = [x.reshape(-1) for event, x in drawn if event.source == KEYS and x.size]
        if keys:
            self._key_array.set(np.concatenate(keys))
        self._updates.give()
        found = self.captured.replay()
        for optimizer, steps in zip(_optimizers(game), self._steps, strict=True):
            optimizer.t += steps
        for player in game.players.values():
            player.network.mark_modified()
        return found


@contextmanager
def _with_keys(game: Any, keys: Keys) -> Iterator[None]:
    """Put `keys` in the place of the game's stream, where it has one."""
    rng = game.rng
    if rng is not None:
        game.rng = keys
    try:
        yield
    finally:
        game.rng = rng


def _optimizers(game: Any) -> list[Any]:
    return [player.optimizer for player in game.players.values()]
