"""Errors that several parts of the library raise, and a check that raises one."""

from typing import Any


class BackendUnavailable(RuntimeError):
    """Raised if a backend exists but cannot run here."""


class ShapeError(ValueError):
    """Raised if the shape of an array or of a layer does not fit."""


def require_equal_shapes(function: str, **arrays: Any) -> None:
    """Raise ValueError unless all arrays have the shape of the first.

    Parameters
    ----------
    function
        The function whose arguments these are, for the error.
    **arrays
        The arrays, under the names of the arguments.

    Raises
    ------
    ValueError
        If an array has another shape than the first.

    """
    (first, expected), *others = ((name, array.shape) for name, array in arrays.items())
    for name, shape in others:
        if shape != expected:
            raise ValueError(
                f"{function}: {first} has shape {expected}, {name} has shape {shape}; expected equal shapes"
            )
