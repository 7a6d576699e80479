"""Named views of one flat vector, and what may be copied into them."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigan.initializers import Shape
from minigan.ops.errors import ShapeError
from minigan.ops.protocol import Array

Named = dict[str, Array]


def named_views(vector: Array, shapes: Mapping[str, Shape]) -> Named:
    """Cut a flat vector into shaped views, one after the other, by name.

    >>> named_views(np.arange(3), {"W": (1, 2), "b": (1,)})
    {'W': array([[0, 1]]), 'b': array([2])}
    """
    views, at = {}, 0
    for name, shape in shapes.items():
        n = math.prod(shape)
        views[name] = vector[at : at + n].reshape(shape)
        at += n
    return views


def castable(given: np.dtype[Any], to: np.dtype[Any]) -> bool:
    """Whether numbers may change dtype: real ones always, complex ones not to real, objects not at all."""
    return given == to or given.kind in "biuf" or (given.kind == "c" and to.kind in "cO")


def like(array: Any, name: str, kind: Any, dtype: np.dtype[Any], shape: Shape | None = None) -> Array:
    """Return what a layer returned as an array of the network's kind and dtype.

    Raises TypeError or ShapeError, which name the layer, where more than rounding would be lost.
    """
    if not isinstance(array, kind) or isinstance(array, np.ma.MaskedArray):
        given = f"a {type(array).__name__}" if array is not None else "None"
        raise TypeError(f"{name} is {given}; expected {_article(kind)} of {dtype}")
    if shape is not None and array.shape != shape:
        raise ShapeError(f"{name} has shape {array.shape}; expected {shape}, the shape of x")
    if not castable(array.dtype, dtype):
        raise TypeError(f"{name} is {array.dtype}; expected {dtype}, or real numbers to be rounded to it")
    return array.astype(dtype, copy=False) if type(array) is kind else array.astype(dtype).view(kind)


def _article(kind: Any) -> str:
    return f"a {kind.__module__.partition('.')[0]}.{kind.__name__}"


def copy_named(what: str, targets: Named, given: Mapping[str, Any], xp: Any) -> None:
    """Copy named arrays into the targets, or change nothing and name everything that does not fit."""
    problems = [f"missing {name!r}" for name in targets if name not in given]
    problems += [f"unexpected {name!r}" for name in given if name not in targets]
    converted = {}
    for name, target in targets.items():
        if name not in given:
            continue
        try:
            value = xp.asarray(given[name])
        except (TypeError, ValueError) as error:
            problems.append(f"{name!r} is no array ({error})")
            continue
        if value.shape != target.shape:
            problems.append(f"{name!r} has shape {value.shape}, accepted {target.shape}")
        elif not castable(value.dtype, target.dtype):
            problems.append(f"{name!r} is {value.dtype}, accepted {target.dtype} or real numbers")
        else:
            converted[name] = value.astype(target.dtype)  # a copy: the given arrays may be views of the targets
    if problems:
        raise ValueError(f"{what} do not fit the network: " + "; ".join(problems))
    for name, value in converted.items():
        targets[name][...] = value
