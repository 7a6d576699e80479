"""Recipes from outside the package: objects of a module, and those that installed packages register.

A package registers recipes by entry points of the group "minigan.recipes", in its pyproject.toml:

    [project.entry-points."minigan.recipes"]
    my-gan = "my_package.my_gan:RECIPE"

The names of entry points are read without importing the packages.
"""

import importlib
import pkgutil
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from minigan._names import ConfigError, unknown
from minigan.recipes.base import Recipe

GROUP = "minigan.recipes"
EXPECTED = "expected MODULE:OBJECT, such as my_gan:RECIPE"


def registered() -> dict[str, EntryPoint]:
    """Return the entry points of installed packages by name; nothing is imported."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def find_recipe(name: str, builtin: Mapping[str, Recipe]) -> Recipe:
    """Return a recipe that is not built in: the object of a module, or the one that a package has registered.

    Parameters
    ----------
    name : str
        ``module:object``, or the name of an entry point.
    builtin : mapping of str to Recipe
        The recipes of this package.

    Returns
    -------
    Recipe
        The recipe, whose `reference` is `name`.

    Raises
    ------
    ConfigError
        If there is no such recipe, or it cannot be imported; the message says what was tried.

    """
    if ":" in name:
        return _of_module(name, builtin)
    entries = registered()
    if name not in entries:
        raise ConfigError(unknown("recipe", name, [*builtin, *entries]) + f", or {EXPECTED.removeprefix('expected ')}")
    return load_registered(entries[name])


def load_registered(entry: EntryPoint) -> Recipe:
    """Import the recipe of an entry point; raise ConfigError, which names the package, if that fails."""
    package = "an installed package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
    place = f"recipe {entry.name!r} of {package}"
    try:
        found = _load(entry.value.partition("[")[0].strip())
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None
    if found.name != entry.name:
        raise ConfigError(f"{place}: {entry.value} is named {found.name!r}; expected the entry point's name")
    return replace(found, reference=entry.name)


def load_all_registered(builtin: Mapping[str, Recipe]) -> Iterator[Recipe | ConfigError]:
    """Yield the registered recipes in the order of their names, and an error in place of each that cannot be used."""
    for name, entry in sorted(registered().items()):
        try:
            if name in builtin:
                raise ConfigError(f"recipe {name!r} of {entry.value} is ignored: minigan has a recipe of that name")
            yield load_registered(entry)
        except ConfigError as error:
            yield error


def _of_module(name: str, builtin: Mapping[str, Recipe]) -> Recipe:
    found = _load(name)
    if builtin.get(found.name) is found:
        return found
    entry = registered().get(found.name)
    if found.name in builtin or (entry is not None and entry.value.partition("[")[0].strip() != name):
        owner = "minigan" if entry is None or found.name in builtin else entry.value
        raise ConfigError(f"{name} is named {found.name!r}, as a recipe of {owner} is; expected another name")
    return replace(found, reference=name)


def _load(reference: str) -> Recipe:
    """Import ``module:object``; every failure is a ConfigError."""
    module, _, path = reference.partition(":")
    if re.search(r"[\\/]|\.py$", module):
        stem = re.split(r"[\\/]", module.removesuffix(".py"))[-1]
        raise ConfigError(f"{reference!r} names a file; expected its module in the current folder, {stem}:{path}")
    if not all(part.isidentifier() for part in (*module.split("."), *path.split("."))):
        raise ConfigError(f"{reference!r} given; {EXPECTED}")
    found: Any = _import(module)
    for attribute in path.split("."):
        if not hasattr(found, attribute):
            raise ConfigError(f"module {module} has no {path!r}{_hint(path, _recipes_in(found))}")
        found = getattr(found, attribute)
    if not isinstance(found, Recipe):
        what = found.__name__ if isinstance(found, type) else f"of type {type(found).__name__}"
        raise ConfigError(f"{reference} is {what}; expected a minigan.recipes.Recipe")
    return found


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and (module == missing or module.startswith(f"{missing}.")):
            known = [found.name for found in pkgutil.iter_modules()] if "." not in missing else []
            hint = _hint(missing, known, listed=False)
            raise ConfigError(f"no module named {missing!r}{hint} in the current folder or installed") from None
        raise ConfigError(f"importing {module} failed: {type(error).__name__}: {error}{_where(error)}") from None


def _where(error: BaseException) -> str:
    """Return " (FILE, line N)", the place in the user's code at which an import failed; "" if it is unknown."""
    if isinstance(error, SyntaxError):  # its message has the place
        return ""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__ and "<" not in f.filename]
    frames = [f for f in frames if f.filename != importlib.__file__]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _recipes_in(module: Any) -> list[str]:
    return [name for name, value in vars(module).items() if isinstance(value, Recipe)]


def _hint(given: str, known: Iterable[str], *, listed: bool = True) -> str:
    """Return " (did you mean 'x'?)" for a similar name, and with `listed` the known names."""
    names = list(known)
    close = get_close_matches(given, names, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return hint + (f"; its recipes: {', '.join(names) or 'none'}" if listed else "")
