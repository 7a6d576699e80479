"""A process that compiles the kernels which iterations of recipes need.

It runs one iteration of each recipe in which no kernel computes anything, only to record which ones are called
(`minigan.ops.cpu.kernels.numba.recording`), and compiles them from the last to the first, except those that another
process is compiling at that moment.  So several such processes share the work, and so do one of them and a run, which
needs the kernels from the first to the last.
"""

import gc
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from minigan._names import ConfigError
from minigan.initializers import Initializer
from minigan.ops import compiling
from minigan.ops.cpu.kernels.numba.recording import record
from minigan.ops.cpu.vector import Flat
from minigan.recipes import RunOptions, get_recipe
from minigan.training.loop import trained_vectors

MIN_IMAGES = 256
"""How many blank images replace a data set, if no batch is larger."""


def main() -> None:
    """Compile what `minigan.recipes.compilation.command` describes, and report it as JSON, one object per line.

    "skipped" and "reason" name a recipe that cannot be built here; "kernels" is the number of all kernels; "kernel" is
    the number of one that is stored now, with "name", and "compiled" if this process has compiled it; "folders" are
    those in which they are stored.
    """
    specifications, *parent = sys.argv[1:]
    if parent:
        gc.disable()  # the process ends soon; collecting takes 5 % of the time of compiling
    compiling.compile_alone()
    calls = record()
    _compute_nothing()
    with np.errstate(all="ignore"):
        for specification in json.loads(specifications):
            try:
                _run_iteration(specification)
            except ConfigError as error:
                _print(skipped=specification["recipe"], reason=str(error))
            except Exception:
                # The results are meaningless, so an iteration may fail; what has been recorded so far is compiled.
                if not calls:
                    raise
    kernels = list(calls)
    _print(kernels=len(kernels))
    for number, (dispatcher, types) in reversed(list(enumerate(kernels))):
        if parent and os.getppid() != int(parent[0]):
            return
        if dispatcher._cache.is_claimed_elsewhere(types, dispatcher.targetctx):
            continue
        dispatcher.compile(types)
        _print(kernel=number, name=dispatcher.py_func.__name__, compiled=_misses(dispatcher) > 0)
    _print(folders=sorted({dispatcher._cache.cache_path for dispatcher, _ in kernels}))


def _compute_nothing() -> None:
    """Replace what takes most of an iteration's time, beside the kernels, by functions that only return arrays.

    They leave memory untouched, because the system takes longer to provide it than NumPy to fill it.
    """
    matmul = np.matmul

    def shape_of_product(a: Any, b: Any, out: Any = None, **options: Any) -> Any:
        if out is not None:
            return out
        if np.ndim(a) < 2 or np.ndim(b) < 2:
            return matmul(a, b, **options)
        shape = *np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]
        return np.empty(shape, np.result_type(a, b))

    def zero_vector(flat: Flat, size: int, dtype: Any) -> Any:
        return np.zeros(size, dtype)

    setattr(np, "matmul", shape_of_product)  # noqa: B010  (mypy refuses the assignment)
    setattr(Flat, "zero_vector", zero_vector)  # noqa: B010
    for initializer in _subclasses(Initializer):
        setattr(initializer, "draw", lambda *_: np.float64(0))  # noqa: B010


def _subclasses(cls: type[Any]) -> Iterator[type[Any]]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _run_iteration(specification: Mapping[str, Any]) -> None:
    """Run an iteration of the recipe on blank images, and the check that the training loop makes after it."""
    recipe = get_recipe(specification["recipe"])
    config = recipe.configure(specification["settings"])
    images = labels = None
    shape = recipe.image_shape(config)
    if shape is not None:
        images = np.zeros((max(MIN_IMAGES, 2 * getattr(config, "batch_size", 0)), *shape), np.uint8)
        labels = np.zeros(len(images), np.uint8)
    run_options = RunOptions(
        dtype=specification["dtype"], options=specification["options"], images=images, labels=labels
    )
    experiment = recipe.build(config, run_options)
    with experiment.game.ops.session():
        experiment.play()
        for vector in trained_vectors(experiment.game):
            experiment.game.ops.finite(vector)


def _misses(dispatcher: Any) -> int:
    """Return how many types of arguments this process has compiled the kernel for."""
    return sum(dispatcher.stats.cache_misses.values())


def _print(**report: Any) -> None:
    with suppress(OSError):  # nobody reads it any more
        print(json.dumps(report), flush=True)
