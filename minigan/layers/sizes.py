"""Sizes and paddings on the two axes of an image: the arguments of the image layers."""

from typing import Any

from minigan._arguments import size
from minigan._names import unknown
from minigan.layers.base import Layer, Shape, ShapeError
from minigan.ops.geometry import Pair, Sides

Size = int | Pair
Padding = int | str | Sides
WORDS = ("same", "valid")


def pair(name: str, value: Any, *, low: int = 1) -> Pair:
    """Return (vertical, horizontal) from an int for both axes or from two, each >= low; otherwise raise ValueError.

    >>> pair("stride", 2), pair("stride", (1, 3))
    ((2, 2), (1, 3))
    >>> pair("stride", (0, 1))
    Traceback (most recent call last):
    ValueError: stride must be an int >= 1 or two of them (vertical, horizontal), got (0, 1)
    """
    numbers = value if isinstance(value, (tuple, list)) else (value, value)
    try:
        first, second = (size(name, n, low=low) for n in numbers)
    except ValueError:
        raise ValueError(
            f"{name} must be an int >= {low} or two of them (vertical, horizontal), got {value!r}"
        ) from None
    return first, second


def padding_of(padding: Any) -> Padding:
    """Return "same" or "valid" unchanged, and any other padding as ((top, bottom), (left, right)); raise ValueError."""
    if isinstance(padding, str):
        if padding not in WORDS:
            raise ValueError(unknown("padding", padding, WORDS))
        return padding
    return sides(padding, ", 'same' or 'valid'")


def sides(padding: Any, more: str = "") -> Sides:
    """Return ((top, bottom), (left, right)) from an int or such a pair of pairs; raise ValueError.

    The error names the expected values; `more` adds to them.

    >>> sides(1), sides(((0, 1), (0, 1)))
    (((1, 1), (1, 1)), ((0, 1), (0, 1)))
    """
    try:
        if isinstance(padding, (tuple, list)):
            rows, columns = padding
            if not isinstance(rows, (tuple, list)) or not isinstance(columns, (tuple, list)):
                raise ValueError  # (1, 2) is ambiguous
            return pair("padding", rows, low=0), pair("padding", columns, low=0)
        both = pair("padding", padding, low=0)
    except ValueError:
        raise ValueError(
            f"padding must be an int >= 0{',' if more else ' or'} ((top, bottom), (left, right)){more}, got {padding!r}"
        ) from None
    return both, both


def require_image(layer: Layer, shape: Shape, channels: int | None = None) -> Pair:
    """Return (H, W) of a shape (H, W, C); raise ShapeError for another rank, a size of 0 or other channels."""
    if len(shape) != 3 or min(shape) < 1 or (channels is not None and shape[2] != channels):
        raise ShapeError(f"images have shape {shape}; expected (H, W, {channels or 'C'}), none of them 0")
    return shape[0], shape[1]
