"""Run whole iterations of a game as CUDA graphs: one step by step, one captured, all later ones replayed.

A graph repeats the same launches.  Everything that differs between iterations is computed as without a graph and
copied to the device before each replay:

    batches    A batch drawn on the host (a data set, noise) is copied into arrays that the graph reads.  A batch drawn
               on the device is drawn within the graph.  A batch may be a tuple of arrays.
    dropout    The keys are drawn from the game's stream in the order of the layers and copied into an array; the
               kernels of the graph get the index of a key instead of the key.
    updates    The optimizers compute the step-dependent scalars (Adam's bias corrections, scheduled rates), which are
               copied into an array too (`minigan.ops.cuda.capture.updates`).

Iterations that compute different things have a graph each (`minigan.game.Game.iteration_kind`): with lazy gradient
penalties, those whose updates of D have penalties and those without.

So a captured run makes the same draws in the same order as a run without graphs, and its checkpoints resume with or
without graphs.  If an iteration cannot be captured, a CaptureWarning says why and it runs step by step.  If an
attribute of the game changes, the graph is discarded, because it holds the old value.
"""

import threading
import warnings
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigan._batch import arrays_of, map_batch
from minigan.ops.cuda.capture.dependencies import flatten, graph_dependencies, is_same
from minigan.ops.cuda.capture.draws import (
    KEYS,
    Draw,
    Event,
    device_part,
    event_of,
    host_part,
    next_or,
    prepare,
    record_keys,
)
from minigan.ops.cuda.capture.keys import Keys, draw_keys
from minigan.ops.cuda.capture.updates import UpdateScalars
from minigan.ops.cuda.device.graph import Captured, CaptureError, capture
from minigan.ops.protocol import Array

Schedule = Callable[..., Any]
Draws = Mapping[str, Draw]
Counts = Mapping[str, Any]
MAX_DISCARDED_GRAPHS = 3
"""How many graphs of one game may be discarded because the game changed; after that it runs step by step."""


class CaptureWarning(RuntimeWarning):
    """Warn that an iteration runs step by step because it could not be captured as a graph."""


class Iterations:
    """Run iterations ``schedule(game, **draws, **counts)``, as graphs where they can be captured.

    Parameters
    ----------
    ops : minigan.ops.cuda.backend.CUDA
        The backend whose launches are captured.
    enabled : bool
        Whether to capture graphs; False runs every iteration step by step.

    """

    def __init__(self, ops: Any, *, enabled: bool = True) -> None:
        self.ops, self.enabled = ops, enabled
        self._by_id: dict[int, _Kinds] = {}
        self._local = threading.local()  # the iteration that this thread is running

    def play(self, schedule: Schedule, game: Any, draws: Draws, counts: Counts) -> Any:
        """Run one iteration and return what `schedule` returns.

        Parameters
        ----------
        schedule : callable
            The update schedule, called as ``schedule(game, **draws, **counts)``.
        game : Game
            The game to be played; each game has its own graphs, one for each kind of iteration.
        draws : mapping of str to callable
            Functions without arguments that return the next batch, an array or a tuple of arrays.
        counts : mapping of str to object
            Further arguments of `schedule`, such as the number of D's updates.

        Returns
        -------
        object
            The result of `schedule`.  Its arrays belong to the graph: the next iteration overwrites them.

        """
        with self.ops.session():  # the calling thread may use another stream
            outer: _Iteration | None = getattr(self._local, "playing", None)
            if outer is not None:
                outer.nesting = "the iteration plays another game, or a schedule within its own"
            if outer is not None or not self.enabled:
                return schedule(game, **{name: self._to_device(draw) for name, draw in draws.items()}, **counts)
            self._local.playing = iteration = self._find(game)
            try:
                return iteration.play(schedule, game, draws, counts)
            finally:
                self._local.playing = None
                self._by_id[id(game)].add(iteration)

    def _find(self, game: Any) -> "_Iteration":
        """Return the iteration of the kind that the game plays next; a new one if it has played none of that kind."""
        known = self._by_id.get(id(game))
        if known is None or known.game() is not game:  # an id may be used again
            self._by_id = {key: kinds for key, kinds in self._by_id.items() if kinds.game() is not None}
            known = self._by_id[id(game)] = _Kinds(weakref.ref(game))
        if known.last is None:
            return _Iteration(self)
        return known.iterations.get(game.iteration_kind(known.last.next_steps(game))) or _Iteration(self)

    def _to_device(self, draw: Draw) -> Draw:
        """Wrap a draw: copy a host batch to the device and prepare it there."""
        return lambda: prepare(draw, self._batch_to_device(host_part(draw)()))

    def _batch_to_device(self, batch: Any) -> Any:
        return map_batch(lambda x: self.ops.device.array(x) if isinstance(x, np.ndarray) else x, batch)


@dataclass
class _Kinds:
    """The iterations of one game by their kind (`Game.iteration_kind`), and the one that it has played last."""

    game: weakref.ref[Any]
    iterations: "dict[Hashable, _Iteration]" = field(default_factory=dict)
    last: "_Iteration | None" = None

    def add(self, iteration: "_Iteration") -> None:
        """Add an iteration that has been played, or forget it if it failed before its draws were recorded."""
        if iteration.events is not None:
            self.iterations.setdefault(iteration.kind, iteration)
            self.last = iteration


class _Iteration:
    """The graph of one game, for one kind of iteration, and the inputs of its replays."""

    def __init__(self, owner: Iterations) -> None:
        self.ops, self.device = owner.ops, owner.ops.device
        self._to_device, self._batch_to_device = owner._to_device, owner._batch_to_device
        self.events: list[Event] | None = None
        self.updates: dict[str, int] = {}  # the number of updates of each player in the recorded iteration
        self.kind: Hashable = None  # that of the recorded iteration
        self._recorded: tuple[Any, ...] = ()
        self.captured: Captured | None = None
        self._dependencies: tuple[Any, ...] = ()
        self._n_discarded = 0
        self.refused = False
        self.nesting = ""  # why the iteration cannot be captured, if it plays another game

    def play(self, schedule: Schedule, game: Any, draws: Draws, counts: Counts) -> Any:
        """Run the iteration step by step, or capture its graph, or replay it."""
        recorded = self._recorded_with(schedule, game, counts)
        dependencies = (*recorded, *graph_dependencies(game), *self._draw_dependencies(draws))
        if self.captured is None and self.events is not None and not is_same(recorded, self._recorded):
            self._discard("the schedule has changed")  # it may draw something else
        if self.captured is not None and not is_same(dependencies, self._dependencies):  # a rate, an array, a rule
            self._discard("the game or a draw has changed")
        self._dependencies = dependencies
        if self.refused:
            return schedule(game, **{name: self._to_device(draw) for name, draw in draws.items()}, **counts)
        if self.events is None:
            return self._record(schedule, game, draws, counts)
        drawn = self._draw_on_host(game, draws)
        if [event for event, _ in drawn] != self.events:
            self._discard("the draws have another shape")
            return self._replay_draws(schedule, game, drawn, draws, counts)
        if self.captured is None:
            try:
                self._capture(schedule, game, draws, counts)
            except CaptureError as error:
                self._refuse(str(error), stacklevel=6)
                return self._replay_draws(schedule, game, drawn, draws, counts)
        return self._replay(game, drawn)

    def next_steps(self, game: Any) -> dict[str, range]:
        """Return the steps that each player's optimizer makes in an iteration like this one, played now."""
        return {
            name: range(player.optimizer.t, player.optimizer.t + self.updates[name])
            for name, player in game.players.items()
        }

    def _recorded_with(self, schedule: Schedule, game: Any, counts: Counts) -> tuple[Any, ...]:
        """Return what decides which draws and updates an iteration makes."""
        kind = game.iteration_kind(self.next_steps(game)) if self.updates else None
        return (schedule, *flatten(dict(counts)), *flatten(kind))

    def _draw_dependencies(self, draws: Draws) -> list[Any]:
        """Return what a graph depends on in the draws: their transformations, and the draws made on the device."""
        device_sources = {event.source for event in self.events or () if not event.on_host}
        transformations = [device_part(draw) for draw in draws.values()]
        return [*transformations, *(draw for source, draw in draws.items() if source in device_sources)]

    def _refuse(self, why: str, *, stacklevel: int) -> None:
        self.refused = True
        message = f"the iteration runs step by step because it could not be captured: {why}"
        warnings.warn(message, CaptureWarning, stacklevel=stacklevel)

    def _discard(self, why: str) -> None:
        """Discard the graph; the next iteration is recorded again."""
        self.captured = self.events = None
        self._n_discarded += 1
        if self._n_discarded >= MAX_DISCARDED_GRAPHS:
            self.refused = True
            message = f"iterations run step by step: {self._n_discarded} graphs were discarded, the last because {why}"
            warnings.warn(message, CaptureWarning, stacklevel=6)

    # --- step by step -----------------------------------------------------------------------------

    def _record(self, schedule: Schedule, game: Any, draws: Draws, counts: Counts) -> Any:
        """Run step by step and record the draws in order."""
        events: list[Event] = []
        obstacles: list[str] = []

        def recorded_draw(name: str) -> Draw:
            def draw() -> Any:
                batch = host_part(draws[name])()
                events.append(event_of(name, batch))
                if len({isinstance(x, np.ndarray) for x in arrays_of(batch)}) > 1:
                    obstacles.append(f"{name} has arrays of the host and of the device")
                return prepare(draws[name], self._batch_to_device(batch))

            return draw

        rng, steps_before = game.rng, [optimizer.t for optimizer in _optimizers(game)]
        t_before = {name: player.optimizer.t for name, player in game.players.items()}
        keys = Keys(lambda shape: record_keys(events, shape, draw_keys(rng, shape)), rng)
        with _with_keys(game, keys):
            results = schedule(game, **{name: recorded_draw(name) for name in draws}, **counts)
        obstacles += filter(None, (keys.obstacle, self.nesting))
        if obstacles:
            self._refuse(obstacles[0], stacklevel=7)
        self.events = events
        made = zip(_optimizers(game), steps_before, strict=True)
        self._updates_per_iteration = [optimizer.t - t for optimizer, t in made]
        steps = {name: range(t_before[name], player.optimizer.t) for name, player in game.players.items()}
        self.updates = {name: len(made) for name, made in steps.items()}
        self.kind = game.iteration_kind(steps)
        self._recorded = (schedule, *flatten(dict(counts)), *flatten(self.kind))
        return results

    def _replay_draws(
        self, schedule: Schedule, game: Any, drawn: list[tuple[Event, Any]], draws: Draws, counts: Counts
    ) -> Any:
        """Run step by step with the batches and keys that were already drawn."""
        remaining = {name: iter([x for event, x in drawn if event.source == name]) for name in (*draws, KEYS)}

        def replayed_draw(name: str) -> Draw:
            def draw() -> Any:
                batch = next(remaining[name], None)
                if batch is None:
                    return self._to_device(draws[name])()
                return prepare(draws[name], self._batch_to_device(batch))

            return draw

        rng = game.rng
        with _with_keys(game, Keys(lambda shape: next_or(remaining[KEYS], lambda: draw_keys(rng, shape)), rng)):
            return schedule(game, **{name: replayed_draw(name) for name in draws}, **counts)

    # --- as a graph -------------------------------------------------------------------------------

    def _draw_on_host(self, game: Any, draws: Draws) -> list[tuple[Event, Any]]:
        """Draw the host batches and keys of one iteration, in the recorded order."""
        assert self.events is not None  # noqa: S101
        drawn: list[tuple[Event, Any]] = []
        for event in self.events:
            if event.source == KEYS:
                drawn.append((event, draw_keys(game.rng, event.shapes[0])))
            elif not event.on_host:
                drawn.append((event, None))
            else:
                batch = host_part(draws[event.source])()
                drawn.append((event_of(event.source, batch), batch))
        return drawn

    def _capture(self, schedule: Schedule, game: Any, draws: Draws, counts: Counts) -> None:
        """Capture the graph of an iteration, whose inputs are arrays on the device.  The iteration is not executed."""
        assert self.events is not None  # noqa: S101
        xp = self.device.xp
        self._batches = [
            tuple(xp.empty(shape, dtype=dtype) for shape, dtype in zip(event.shapes, event.dtypes, strict=True))
            for event in self._host_events()
        ]
        n_keys = sum(int(np.prod(event.shapes[0])) for event in self.events if event.source == KEYS)
        self._key_array = xp.zeros(max(1, n_keys), dtype=np.uint64)
        scalars = UpdateScalars(self.device, self.ops.flat, _optimizers(game), self._updates_per_iteration)
        self._update_scalars = scalars
        batches = list(zip(self._host_events(), self._batches, strict=True))
        inputs = {name: iter([x[0] if e.single else x for e, x in batches if e.source == name]) for name in draws}
        key_indices = iter(range(self._key_array.size))

        def captured_draw(name: str) -> Draw:
            def draw() -> Any:
                batch = next(inputs[name], None)
                return prepare(draws[name], host_part(draws[name])() if batch is None else batch)

            return draw

        def keys(shape: tuple[int, ...]) -> Array:
            count = int(np.prod(shape))
            return np.array([next(key_indices) for _ in range(count)], np.uint64).reshape(shape)

        steps_before, attributes = [optimizer.t for optimizer in _optimizers(game)], dict(vars(game))
        self.ops.norm_act.keys, self.ops.flat.update_scalars = self._key_array, self._update_scalars
        try:
            with _with_keys(game, Keys(keys)):
                captured = capture(
                    self.device, lambda: schedule(game, **{name: captured_draw(name) for name in draws}, **counts)
                )
        except CaptureError:
            vars(game).update(attributes)  # the iteration has not run yet
            raise
        finally:
            self.ops.norm_act.keys = self.ops.flat.update_scalars = None
            for optimizer, t in zip(_optimizers(game), steps_before, strict=True):
                optimizer.t = t
        self.captured = captured

    def _host_events(self) -> list[Event]:
        assert self.events is not None  # noqa: S101
        return [event for event in self.events if event.on_host]

    def _replay(self, game: Any, drawn: list[tuple[Event, Any]]) -> Any:
        """Copy the batches, keys and update scalars to the device and launch the graph."""
        assert self.captured is not None  # noqa: S101
        batches = [batch for event, batch in drawn if event.on_host]
        for targets, batch in zip(self._batches, batches, strict=True):
            for target, x in zip(targets, arrays_of(batch), strict=True):
                target.set(np.ascontiguousarray(x))
        keys = [x.reshape(-1) for event, x in drawn if event.source == KEYS and x.size]
        if keys:
            self._key_array.set(np.concatenate(keys))
        self._update_scalars.upload()
        results = self.captured.replay()
        for optimizer, n in zip(_optimizers(game), self._updates_per_iteration, strict=True):
            optimizer.t += n
        for player in game.players.values():
            player.network.mark_modified()
        return results


@contextmanager
def _with_keys(game: Any, keys: Keys) -> Iterator[None]:
    """Replace the game's random stream, if it has one, by `keys` within the block."""
    rng = game.rng
    if rng is not None:
        game.rng = keys
    try:
        yield
    finally:
        game.rng = rng


def _optimizers(game: Any) -> list[Any]:
    return [player.optimizer for player in game.players.values()]
