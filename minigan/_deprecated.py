"""Names of the version before, which go on working for one release and say what they are called now."""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


def renamed(module: str, names: Mapping[str, str], values: Mapping[str, Any], name: str) -> Any:
    """Return what an old name of a module means, with a DeprecationWarning; AttributeError for any other name.

    Parameters
    ----------
    module
        The module's name, for messages.
    names
        The new name of each old one.
    values
        The module's variables.
    name
        The name that was asked for.

    """
    if name not in names:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    new = names[name]
    warnings.warn(f"{module}.{name} is now called {module}.{new}", DeprecationWarning, stacklevel=3)
    return values[new]


def renamed_arguments(**names: str) -> Callable[[F], F]:
    """Let a function take keyword arguments by their old names, with a DeprecationWarning: ``old="new"``."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            for old, new in names.items():
                if old not in kwargs:
                    continue
                if new in kwargs:
                    raise TypeError(f"{function.__qualname__} got {old} and {new}; expected {new} alone")
                warnings.warn(
                    f"{function.__qualname__}: the argument {old} is now called {new}", DeprecationWarning, stacklevel=2
                )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return cast(F, call)

    return decorate
