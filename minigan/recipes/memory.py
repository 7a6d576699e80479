"""Lower bounds of the memory that a configuration needs, so that one that cannot fit is refused before allocation."""

import math
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from minigan._names import ConfigError
from minigan.layers.base import Shape
from minigan.layers.chain import Chain


class Model(Protocol):
    """What of a recipe decides how much memory it needs: `minigan.recipes.base.Recipe` has it."""

    @property
    def Config(self) -> Any:
        """The class of its hyper-parameters."""

    @property
    def architecture(self) -> Callable[[Any], Any]:
        """The function that returns the layers of all players and their input shapes for a configuration."""

    @property
    def optimizer_vectors(self) -> int:
        """The vectors of theta's size that its optimizer keeps."""


LIMIT_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""The files with a container's limit on Linux, in versions 2 and 1 of control groups."""

GIB = 2**30


def machine_bytes() -> int | None:
    """Return the memory of this machine or container in bytes, or None if the system does not report it."""
    known = []
    with suppress(AttributeError, ValueError, OSError):  # AttributeError: Windows has no sysconf
        known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in LIMIT_FILES:
        with suppress(ValueError, OSError):  # ValueError: "max", which is no limit
            known.append(int(path.read_text()))
    return min((size for size in known if size > 0), default=None)


def parameter_count(recipe: Model, config: Any) -> int:
    """Return the number of parameters of all players together."""
    return sum(Chain(tuple(player.layers)).n_parameters for player in recipe.architecture(config).players.values())


def initial_bytes(recipe: Model, config: Any, dtype: np.dtype[Any]) -> int:
    """Return the bytes that initialisation needs: all parameters, and the largest one twice, in float64 and cast."""
    shapes = [
        p.shape
        for player in recipe.architecture(config).players.values()
        for p in Chain(tuple(player.layers)).parameters().values()
    ]
    return parameter_count(recipe, config) * dtype.itemsize + max(map(math.prod, shapes)) * (8 + dtype.itemsize)


def training_bytes(recipe: Model, config: Any, dtype: np.dtype[Any]) -> int:
    """Return a lower bound of the bytes that training needs.

    Parameters
    ----------
    recipe : Recipe
        The recipe.
    config
        Its hyper-parameters.
    dtype : dtype
        The dtype of the networks.

    Returns
    -------
    int
        For all networks, the bytes of theta, its gradient, the optimizer's vectors and the copy of theta that is
        restored after a divergence; and those of the arrays that a step of G keeps for its backward pass: the inputs of
        all layers with parameters, of G and of D.  The data set, the workspace of a backend and the step of D are not
        counted.

    """
    vectors = (3 + recipe.optimizer_vectors) * parameter_count(recipe, config)
    players = recipe.architecture(config).players
    packs = {"D": getattr(config, "pack", 1)}  # D sees a pack at a time
    inputs = sum(
        _input_size(player.layers, player.input_shape) // packs.get(name, 1) for name, player in players.items()
    )
    return int(dtype.itemsize * (vectors + getattr(config, "batch_size", 1) * inputs))


def _input_size(layers: Any, shape: Shape) -> int:
    """Return the number of input values per example, summed over all layers with parameters."""
    total = 0
    for layer in layers:
        total += math.prod(shape) if layer.n_parameters else 0
        shape = layer.output_shape(shape)
    return total


def require(what: str, needs: int) -> None:
    """Raise ConfigError if `what`, such as "n=1000", needs more bytes than the machine has."""
    has = machine_bytes()
    if has is not None and needs > has:
        raise ConfigError(
            f"{what}: needs about {needs / GIB:,.1f} GiB of memory; expected at most the {has / GIB:,.1f} GiB "
            "that this machine has"
        )


def require_networks(recipe: Model, config: Any, dtype: np.dtype[Any]) -> None:
    """Raise ConfigError, which names a hyper-parameter, if the initial parameters do not fit into memory."""
    require(_largest(recipe, config, lambda c: initial_bytes(recipe, c, dtype)), initial_bytes(recipe, config, dtype))


def require_training(recipe: Model, config: Any, dtype: np.dtype[Any]) -> None:
    """Raise ConfigError, which names a hyper-parameter, if training does not fit into memory."""
    require(_largest(recipe, config, lambda c: training_bytes(recipe, c, dtype)), training_bytes(recipe, config, dtype))


def require_samples(recipe: Model, config: Any, n: int, dtype: np.dtype[Any]) -> None:
    """Raise ConfigError if n samples do not fit into memory: the noise, G's output in blocks, and its concatenation."""
    architecture = recipe.architecture(config)
    sample = Chain(tuple(architecture.G)).output_shape(architecture.noise_shape)
    require(f"n={n}", n * dtype.itemsize * (math.prod(architecture.noise_shape) + 2 * math.prod(sample)))


def _largest(recipe: Model, config: Any, needs: Any) -> str:
    """Return the integer hyper-parameter whose default value would save the most memory, such as "hidden=1000"."""
    default = vars(recipe.Config())
    sizes = [key for key, value in default.items() if type(value) is int and vars(config)[key] != value]
    saved = {}
    for key in sizes:
        with suppress(ConfigError):  # the default may not fit the other settings: a batch size that `pack` divides
            saved[key] = needs(config) - needs(replace(config, **{key: default[key]}))
    key = max(saved, key=saved.__getitem__, default="batch_size")
    return f"{key}={vars(config)[key]}" if key in default else "the networks"
