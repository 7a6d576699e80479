"""The state of a run between two iterations: everything on which later iterations depend."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minigan._views import copy_named
from minigan.game import Game
from minigan.network import Network
from minigan.optimizers import Optimizer
from minigan.training.checkpoint import Checkpoints, Tree
from minigan.training.experiment import RECIPE_OBJECT, Callback, Experiment, Metrics, Run
from minigan.training.files import RunError, jsonable, sync


def identity(experiment: Experiment) -> dict[str, Any]:
    """Return what identifies an experiment: recipe, seed, dtype, backend, hyper-parameters and layers, for JSON."""
    config = {key: value for key, value in experiment.config.items() if key != RECIPE_OBJECT}
    return jsonable({"recipe": experiment.name, **config, "networks": describe(experiment.game)})


def describe(game: Game) -> dict[str, Any]:
    """Return the layers of each player's network (JSON-serializable)."""
    return {name: player.network.to_config() for name, player in game.players.items()}


RESERVED_NAMES = ("identity", "iteration", "streams", "sources", "callbacks", "before", "clock", "resumed", "every")
"""The names in a checkpoint that players and their optimizers must not have."""


def require_names(game: Game) -> None:
    """Raise ValueError if two players, or a player and another entry, have the same name in the run's files."""
    optimizers = {_optimizer(name) for name in game.players}
    for name in game.players:
        if name in RESERVED_NAMES or name in optimizers:
            raise ValueError(
                f"a player is named {name!r}, which checkpoints use for something else; expected another name"
            )
    files = [game.file_of(name).casefold() for name in game.players]  # some file systems ignore case
    if len({*files}) < len(files):
        raise ValueError(f"the players {', '.join(game.players)} share a file name; expected one for each of them")


def _optimizer(name: str) -> str:
    return f"optimizer_{name}"


def state_of(run: Run) -> Tree:
    """Return the state after `run.iteration`, without copying its arrays."""
    experiment = run.experiment
    players = experiment.game.players
    networks = {name: player.network for name, player in players.items()}
    optimizers = {_optimizer(name): player.optimizer for name, player in players.items()}
    return {
        "identity": identity(experiment),
        "iteration": run.iteration,
        **{name: {"theta": net.theta, "state": net.state} for name, net in networks.items()},
        **{name: {"t": optimizer.t, "state": optimizer.state} for name, optimizer in optimizers.items()},
        "streams": {name: rng.bit_generator.state for name, rng in experiment.streams.items()},
        "sources": {name: source.state() for name, source in experiment.sources.items()},
        "callbacks": {name: state for name, callback in _named(run.callbacks).items() if (state := callback.state())},
        "before": jsonable(run.pretraining),
        "clock": run.clock.read(),
        "resumed": run.resumed,
    }


def restore(run: Run, tree: Tree, *, path: Path) -> None:
    """Restore the state in `tree`, read from `path`, in a new run; raise RunError if it belongs to another run."""
    experiment = run.experiment
    theirs, ours = tree["identity"], identity(experiment)
    # A hyper-parameter that was added later is not in the checkpoint; the recipe has given it the run's value.
    added = {key: value for key, value in ours.get("settings", {}).items() if key not in theirs.get("settings", {})}
    if "settings" in theirs:
        theirs = {**theirs, "settings": {**theirs["settings"], **added}}
    differ = [name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]
    if differ:
        raise RunError(f"{path}: a checkpoint of another run: it differs in {', '.join(differ)}")
    named = _named(run.callbacks)
    missing = [name for name in tree["callbacks"] if name not in named]
    if missing:
        raise RunError(f"{path}: the run was started with {', '.join(missing)}; expected the same callbacks again")
    try:
        for name, player in experiment.game.players.items():
            _restore_network(player.network, tree[name])
            _restore_optimizer(_optimizer(name), player.optimizer, tree[_optimizer(name)])
        for name, rng in experiment.streams.items():
            rng.bit_generator.state = tree["streams"][name]
        for name, source in experiment.sources.items():
            source.restore(tree["sources"][name])
    except (KeyError, ValueError) as error:
        raise RunError(f"{path}: it does not fit the run: {error}") from None
    except (TypeError, AttributeError):
        raise RunError(f"{path}: it does not fit the run: a value is of the wrong type") from None
    run.iteration, run.pretraining = tree["iteration"], tree["before"]
    run.resumed = [*tree["resumed"], {"iteration": run.iteration, "checkpoint": path.name}]
    run.clock.add(tree["clock"])
    for name, state in tree["callbacks"].items():
        named[name].restore(run, state)


def _named(callbacks: Sequence[Callback]) -> dict[str, Callback]:
    """Return the callbacks by the names of their classes: EarlyStop, EarlyStop 2, ..."""
    seen: Counter[str] = Counter()
    named = {}
    for callback in callbacks:
        kind = type(callback).__name__
        seen[kind] += 1
        named[kind if seen[kind] == 1 else f"{kind} {seen[kind]}"] = callback
    return named


def _restore_network(net: Network, tree: Tree) -> None:
    net.theta = tree["theta"]
    net.load_state(tree["state"])


def _restore_optimizer(name: str, optimizer: Optimizer, tree: Tree) -> None:
    copy_named(name, optimizer.state, tree["state"], optimizer.net.ops.xp)
    optimizer.t = tree["t"]


def read_metrics(path: Path, iterations: int) -> tuple[list[Metrics], int]:
    """Return the metrics of iterations 1 ... `iterations` from metrics.jsonl, and the offset in bytes of their end."""
    history, end = [], 0
    try:
        with path.open("rb") as stream:
            for iteration in range(1, iterations + 1):
                line = stream.readline()
                metrics = json.loads(line)
                if metrics.pop("iteration") != iteration or not line.endswith(b"\n"):
                    raise ValueError(f"{line[:40]!r}...")
                history.append({k: float(v) if isinstance(v, str) else v for k, v in metrics.items()})
                end += len(line)
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(
            f"{path}: damaged at line {len(history) + 1} ({error}); the checkpoint needs the first {iterations} lines, "
            "expected an older one, checkpoint=FILE"
        ) from None
    return history, end


class Saver:
    """Write the checkpoints of a run."""

    def __init__(self, run: Run, checkpoints: Checkpoints, *, every: int) -> None:
        self.run, self.checkpoints, self.every = run, checkpoints, every
        self.saved_iteration: int | None = None

    def save(self) -> None:
        """Write a checkpoint, unless there is one of this iteration."""
        run = self.run
        if run.iteration != self.saved_iteration:
            # A checkpoint needs the lines of the metrics, so they must be on disk first.
            sync(self.checkpoints.run / "metrics.jsonl")
            self.checkpoints.write(run.iteration, {"every": self.every, **state_of(run)})
            self.saved_iteration = run.iteration
