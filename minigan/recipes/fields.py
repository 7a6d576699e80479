"""Checks of a recipe: the fields of `Recipe`, and what its functions return."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from minigan._arguments import shape
from minigan._names import ConfigError
from minigan.layers.chain import Chain

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
"""The name of a recipe: it is part of the paths of run folders, and contains no colon, which separates a module from an
object in `minigan.recipes.get_recipe`."""
SETTING_TYPES = (bool, int, float, str)
"""The types of hyper-parameters, which strings as from ``--set key=value`` can be converted to."""


def require_fields(recipe: Any) -> None:
    """Raise TypeError or ValueError, which names the field, unless the fields of a `Recipe` are valid."""
    if not isinstance(recipe.name, str) or not NAME.fullmatch(recipe.name):
        raise ValueError(f"a recipe is named {recipe.name!r}; expected letters, digits, '.', '_' and '-': 'my-gan'")
    place = f"recipe {recipe.name!r}"
    for name in ("about", "source"):
        _require(place, name, getattr(recipe, name), str, "a string")
    for name in ("architecture", "assemble", "makes_images"):
        if not callable(getattr(recipe, name)):
            raise TypeError(f"{place}: {name} must be callable, got {getattr(recipe, name)!r}")
    for name in ("prior", "to_images", "normal_data"):
        value = getattr(recipe, name)
        if value is not None and not callable(value):
            raise TypeError(f"{place}: {name} must be callable or None, got {value!r}")
    _require(place, "optimizer_vectors", recipe.optimizer_vectors, int, "an int >= 0")
    if recipe.optimizer_vectors < 0:
        raise ValueError(f"{place}: optimizer_vectors must be an int >= 0, got {recipe.optimizer_vectors}")
    for name in ("stored_defaults", "ensembles"):
        _require(place, name, getattr(recipe, name), Mapping, "a mapping")
    if isinstance(recipe.streams, str) or not isinstance(recipe.streams, Sequence):
        raise TypeError(f"{place}: streams must be a sequence of names, got {recipe.streams!r}")
    _require_config(place, recipe.Config)


def _require(place: str, name: str, value: Any, kind: type, expected: str) -> None:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{place}: {name} must be {expected}, got {value!r}")


def _require_config(place: str, Config: Any) -> None:
    """Raise unless Config is a frozen dataclass whose fields have defaults of `SETTING_TYPES`."""
    if not isinstance(Config, type) or not is_dataclass(Config):
        raise TypeError(f"{place}: Config must be a frozen dataclass, the class itself, got {Config!r}")
    if not Config.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise TypeError(f"{place}: {Config.__name__} is not frozen; expected @dataclass(frozen=True)")
    for field in fields(Config):
        if field.default is MISSING:
            raise TypeError(f"{place}: {Config.__name__}.{field.name} has no default value; expected one")
        if type(field.default) not in SETTING_TYPES:
            kinds = ", ".join(kind.__name__ for kind in SETTING_TYPES)
            raise TypeError(f"{place}: {Config.__name__}.{field.name} is {field.default!r}; expected one of {kinds}")


def require_kind(name: str, function: str, given: Any, kinds: tuple[type, ...]) -> None:
    """Raise ConfigError unless `given`, the result of a function of the recipe `name`, is of one of these classes."""
    if not isinstance(given, kinds):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise ConfigError(f"{name}: {function} returned {_shown(given)}; expected an object of class {expected}")


def require_layers(place: str, layers: Any, input_shape: Any) -> None:
    """Raise ConfigError unless `layers` are layers that fit each other and an input of this shape."""
    try:
        Chain(tuple(layers)).output_shape(shape("input_shape", input_shape))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{place}: {error}") from None


def require_batch(name: str, given: Any, n: int, of_one: tuple[int, ...]) -> None:
    """Raise ConfigError unless `given`, noise that `prior` returned, is an array of n rows of the noise's shape."""
    found = getattr(given, "shape", None)
    if found != (n, *of_one):
        got = _shown(given) if found is None else f"an array of shape {found}"
        raise ConfigError(f"{name}: prior(config, {n}, rng) returned {got}; expected one of shape {(n, *of_one)}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"an object of type {type(value).__name__}"
