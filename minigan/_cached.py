"""Attributes that are computed once, without a lock.

Until Python 3.12 `functools.cached_property` holds a lock of the class while it computes.  A child that is forked while
another thread holds it would wait for it for ever.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class cached_property(Generic[T]):
    """An attribute whose value is computed at its first use; two threads may both compute it, then one value stays.

    Parameters
    ----------
    function
        Computes the value from the object, whose `__dict__` keeps it.

    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function, self.__doc__ = function, function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> T:
        """Compute the value and keep it; later uses find it in the object's `__dict__` and do not come here."""
        if instance is None:
            return cast(T, self)  # the class's own attribute
        value: T = instance.__dict__.setdefault(self._name, self._function(instance))
        return value
