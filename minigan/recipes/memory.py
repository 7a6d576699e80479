"""Lower bounds of the memory that a configuration needs: what cannot fit is refused before it is allocated."""

import math
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigan._names import ConfigError
from minigan.layers.base import Shape
from minigan.layers.chain import Chain

if TYPE_CHECKING:
    from minigan.recipes.base import Recipe

LIMIT_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""The files with a container's limit on Linux, in versions 2 and 1 of control groups."""

GIB = 2**30


def machine() -> int | None:
    """Return the memory of this machine or container in bytes; None where the system does not report it."""
    known = []
    with suppress(AttributeError, ValueError, OSError):  # AttributeError: Windows has no sysconf
        known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in LIMIT_FILES:
        with suppress(ValueError, OSError):  # ValueError: "max", which is no limit
            known.append(int(path.read_text()))
    return min((size for size in known if size > 0), default=None)


def parameters(recipe: "Recipe", config: Any) -> int:
    """Return the number of parameters of G and D together."""
    chains = recipe.architecture(config)
    return sum(Chain(tuple(layers)).n_parameters for layers in (chains.G, chains.D))


def initial(recipe: "Recipe", config: Any, dtype: np.dtype[Any]) -> int:
    """Return the bytes that G and D need while they get their initial parameters, each drawn in float64 and cast."""
    chains = recipe.architecture(config)
    shapes = [p.shape for layers in (chains.G, chains.D) for p in Chain(tuple(layers)).parameters().values()]
    return parameters(recipe, config) * dtype.itemsize + max(map(math.prod, shapes)) * (8 + dtype.itemsize)


def needed(recipe: "Recipe", config: Any, dtype: np.dtype[Any]) -> int:
    """Return the bytes that training needs at least.

    Parameters
    ----------
    recipe, config
        The recipe and its hyper-parameters.
    dtype
        The dtype of the networks.

    Returns
    -------
    int
        The bytes of theta, its gradient, the optimizer's moments and the copy that a divergence goes back to, of both
        networks, and of what G's step on one batch keeps for its backward pass: the x of each layer with parameters, of
        G and of D.  The data set, the workspace of a backend and D's own step come on top.

    """
    chains = recipe.architecture(config)
    vectors = (3 + recipe.moments) * parameters(recipe, config)
    kept = _read_by(chains.G, chains.noise_shape) + _read_by(chains.D, chains.data_shape)
    return int(dtype.itemsize * (vectors + config.batch_size * kept))


def _read_by(layers: Any, shape: Shape) -> int:
    """Return the number of inputs, per example, of all layers with parameters."""
    total = 0
    for layer in layers:
        total += math.prod(shape) if layer.n_parameters else 0
        shape = layer.output_shape(shape)
    return total


def require(what: str, needs: int) -> None:
    """Raise ConfigError where `what` (as "n=1000") needs more bytes than the machine has."""
    has = machine()
    if has is not None and needs > has:
        raise ConfigError(
            f"{what}: needs about {needs / GIB:,.1f} GiB of memory; expected at most the {has / GIB:,.1f} GiB "
            "that this machine has"
        )


def require_networks(recipe: "Recipe", config: Any, dtype: np.dtype[Any]) -> None:
    """Raise ConfigError, naming a hyper-parameter, where the initial parameters do not fit."""
    require(_largest(recipe, config, lambda c: initial(recipe, c, dtype)), initial(recipe, config, dtype))


def require_training(recipe: "Recipe", config: Any, dtype: np.dtype[Any]) -> None:
    """Raise ConfigError, naming a hyper-parameter, where the training does not fit."""
    require(_largest(recipe, config, lambda c: needed(recipe, c, dtype)), needed(recipe, config, dtype))


def require_samples(recipe: "Recipe", config: Any, n: int, dtype: np.dtype[Any]) -> None:
    """Raise ConfigError where n samples do not fit: their noise, and G's output twice (its blocks, and as one)."""
    chains = recipe.architecture(config)
    require(f"n={n}", n * dtype.itemsize * (math.prod(chains.noise_shape) + 2 * math.prod(chains.data_shape)))


def _largest(recipe: "Recipe", config: Any, needs: Any) -> str:
    """Return the integer hyper-parameter whose default would save the most memory, as "hidden=1000"."""
    default = vars(recipe.Config())
    sizes = [key for key, value in default.items() if type(value) is int and vars(config)[key] != value]
    saved = {key: needs(config) - needs(replace(config, **{key: default[key]})) for key in sizes}
    key = max(saved, key=saved.__getitem__, default="batch_size")
    return f"{key}={vars(config)[key]}"
