"""Find the random streams of an experiment: checkpoints contain only those that have a name."""

from collections.abc import Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from minigan.layers.base import Layer
from minigan.network import Network
from minigan.ops.protocol import Ops
from minigan.training.experiment import Experiment, Run

STREAM_TYPES = (np.random.Generator, np.random.RandomState, np.random.BitGenerator)
OPAQUE_TYPES = (
    Network,
    Layer,
    np.ndarray,
    np.generic,
    str,
    bytes,
    type,
    ModuleType,
    BuiltinFunctionType,
    Experiment,
    Run,
)
"""The types of objects that are not searched, because they hold no random stream or are searched elsewhere."""
MAX_DEPTH = 10
"""The most levels of nested objects that are searched."""
MAX_ITEMS = 1000
"""The most items of a container that are searched."""

Found = tuple[str, Any]  # an expression for messages, and the object


def require_named(experiment: Experiment) -> None:
    """Raise ValueError if an iteration draws from a stream that checkpoints would not contain.

    The search covers the game and `play`: attributes of objects, items of containers, and the closures, defaults and
    globals of functions.  A source (`Experiment.sources`) of another library is assumed to return its stream in its
    `state`.

    Parameters
    ----------
    experiment : Experiment
        An experiment that will be trained with checkpoints.

    Raises
    ------
    ValueError
        If there is such a stream; the message names each one that is not in ``experiment.streams``.

    """
    named = {id(_bit_generator_of(rng)) for rng in experiment.streams.values()}
    trusted = {id(source) for source in experiment.sources.values() if not _is_ours(type(source).__module__)}
    seen: set[int] = set(trusted)
    found: dict[int, str] = {}
    for place, thing in [("game", experiment.game), ("play", experiment.play)]:
        for path, rng in _reachable(place, thing, seen, MAX_DEPTH):
            if id(_bit_generator_of(rng)) not in named:
                found.setdefault(id(_bit_generator_of(rng)), path)
    if found:
        raise ValueError(
            f"a random stream of the experiment has no name in its streams ({', '.join(found.values())}): checkpoints "
            "would not keep it, and a resumed run would not be the same; expected each stream in "
            "Experiment(streams={...}), as those of random_streams(seed, 'NAME')"
        )


def _bit_generator_of(rng: Any) -> Any:
    """Return the object with the state of a stream, which several generators may share."""
    if isinstance(rng, np.random.RandomState):
        return rng._bit_generator
    return getattr(rng, "bit_generator", rng)


def _reachable(path: str, thing: Any, seen: set[int], depth: int) -> Iterator[Found]:
    """Yield each stream that `thing` refers to, with its path."""
    if id(thing) in seen or depth == 0:
        return
    seen.add(id(thing))
    if isinstance(thing, STREAM_TYPES):
        yield path, thing
    elif not isinstance(thing, OPAQUE_TYPES) and not _is_backend(thing):
        for name, part in _parts(path, thing):
            yield from _reachable(name, part, seen, depth - 1)


def _is_backend(thing: Any) -> bool:
    return type(thing).__module__.startswith("minigan.ops") and hasattr(thing, Ops.play.__name__)


def _parts(path: str, thing: Any) -> Iterator[Found]:
    if isinstance(thing, FunctionType):
        yield from _variables_of(path, thing)
    elif isinstance(thing, MethodType):
        yield from ((path, thing.__self__), (path, thing.__func__))
    elif isinstance(thing, partial):
        yield from ((path, part) for part in (thing.func, thing.args, thing.keywords))
    elif isinstance(thing, dict):
        yield from ((f"{path}[{key!r}]", value) for key, value in [*thing.items()][:MAX_ITEMS])
    elif isinstance(thing, (list, tuple)):
        yield from ((f"{path}[{i}]", value) for i, value in enumerate(thing[:MAX_ITEMS]))
    else:
        yield from ((f"{path}.{name}", value) for name, value in [*getattr(thing, "__dict__", {}).items()])
        if not _is_ours(type(thing).__module__):
            methods = [vars(kind) for kind in type(thing).__mro__ if not _is_ours(kind.__module__)]
            functions = [f for known in methods for f in known.values() if isinstance(f, FunctionType)]
            yield from ((f"{path}.{function.__name__}", function) for function in functions)


def _variables_of(path: str, function: FunctionType) -> Iterator[Found]:
    """Yield the variables of a function's closure, its defaults, and the globals that it uses."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"{path}: {name}", cell.cell_contents
        except ValueError:  # a variable without a value yet
            continue
    for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        yield f"{path}: a default", value
    if not _is_ours(function.__module__ or ""):
        known = function.__globals__
        yield from ((f"{path}: {name}", known[name]) for name in function.__code__.co_names if name in known)


def _is_ours(module: str) -> bool:
    """Whether a module belongs to the library, Python or NumPy, which have no stream in a global variable."""
    return module.split(".")[0] in ("minigan", "numpy", "builtins", "abc", "typing", "functools")
