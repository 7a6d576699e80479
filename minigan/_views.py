"""Named views of one flat vector, and what may be copied into them."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigan.initializers import Shape
from minigan.ops import Array

Named = dict[str, Array]
Layout = list[dict[str, Shape]]


def total(layout: Layout) -> int:
    """Return how many numbers the vector holds."""
    return sum(math.prod(shape) for shapes in layout for shape in shapes.values())


def split(vector: Array, layout: Layout) -> list[dict[str, Array]]:
    """Cut a flat vector into one dict of shaped views a layer."""
    views, at = [], 0
    for shapes in layout:
        named = {}
        for name, shape in shapes.items():
            n = math.prod(shape)
            named[name] = vector[at : at + n].reshape(shape)
            at += n
        views.append(named)
    return views


def flatten(views: list[dict[str, Array]]) -> Named:
    """Return all views in one dict: "0.W", "0.b", "2.gamma", ..."""
    return {f"{i}.{name}": view for i, named in enumerate(views) for name, view in named.items()}


def castable(given: np.dtype[Any], to: np.dtype[Any]) -> bool:
    """Whether numbers may change dtype: real ones always, complex ones not to real, objects not at all."""
    return given == to or given.kind in "biuf" or (given.kind == "c" and to.kind in "cO")


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
