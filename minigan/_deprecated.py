"""Names of the previous version: each works for one more release and warns with its new name."""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def renamed(module: str, names: Mapping[str, str], values: Mapping[str, Any], name: str) -> Any:
    """Return the object that an old name of a module refers to, with a DeprecationWarning.

    Parameters
    ----------
    module : str
        The module's name, for messages.
    names : mapping of str to str
        The new name of each old one.
    values : mapping
        The module's variables.
    name : str
        The requested name.

    Raises
    ------
    AttributeError
        If `name` is not an old name.

    """
    if name not in names:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    new = names[name]
    warnings.warn(f"{module}.{name} is now called {module}.{new}", DeprecationWarning, stacklevel=3)
    return values[new]


def renamed_arguments(**names: str) -> Callable[[F], F]:
    """Let a function accept keyword arguments by their old names, ``old="new"``, with a DeprecationWarning.

    A TypeError is raised if a call has both names.
    """

    def decorate(function: F) -> F:
        called = function.__qualname__.removesuffix(".__init__")

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            for old, new in names.items():
                if old not in kwargs:
                    continue
                if new in kwargs:
                    raise TypeError(f"{called} got {old} and {new}; expected {new} alone")
                warnings.warn(f"{called}: the argument {old} is now called {new}", DeprecationWarning, stacklevel=2)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return cast(F, call)

    return decorate


def renamed_fields(**names: str) -> Callable[[type[T]], type[T]]:
    """Let a dataclass accept and return its fields by their old names, ``old="new"``, with a DeprecationWarning."""

    def decorate(cls: type[T]) -> type[T]:
        dataclass: Any = cls
        dataclass.__init__ = renamed_arguments(**names)(dataclass.__init__)
        for old, new in names.items():
            setattr(cls, old, _old_attribute(cls.__name__, old, new))
        return cls

    return decorate


def _old_attribute(class_name: str, old: str, new: str) -> property:
    def warn() -> None:
        warnings.warn(f"{class_name}.{old} is now called {new}", DeprecationWarning, stacklevel=3)

    def read(instance: Any) -> Any:
        warn()
        return getattr(instance, new)

    def write(instance: Any, value: Any) -> None:
        warn()
        setattr(instance, new, value)

    return property(read, write, doc=f"`{new}` by its old name (deprecated).")
