"""Named views of a flat vector, and checked copies into them."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigan.initializers import Shape
from minigan.ops.protocol import Array

Named = dict[str, Array]


def named_views(vector: Array, shapes: Mapping[str, Shape]) -> Named:
    """Return consecutive parts of a flat vector as views of the given shapes, by name.

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
    """Whether numbers may be converted: real ones to any dtype, complex ones not to a real one, objects never."""
    return given == to or given.kind in "biuf" or (given.kind == "c" and to.kind in "cO")


def converted_numbers(
    label: str, value: Array, dtype: np.dtype[Any], problems: list[str], *, name: str, xp: Any = np
) -> Array:
    """Return a copy of `value` in another dtype, and add a message to `problems` for invalid numbers.

    Invalid are finite numbers that overflow in the new dtype; in running statistics also NaN, infinity and negative
    variances.  Parameters may be NaN, so that a diverged run can be loaded.
    """
    with np.errstate(over="ignore"):
        array = value.astype(dtype)
    if dtype.kind not in "fc" or value.dtype.kind == "O":
        return array
    last, finite = name.rpartition(".")[2], xp.isfinite(array)
    if bool((~finite & xp.isfinite(value)).any()):
        problems.append(f"{label} overflows in {dtype}; expected numbers up to {np.finfo(dtype).max:.3g}")
    elif last in ("running_mean", "running_var") and not bool(finite.all()):
        problems.append(f"{label} holds NaN or infinity; expected finite numbers")
    elif last == "running_var" and bool((array.real < 0).any()):
        problems.append(f"{label} is a variance and goes down to {float(array.real.min()):.6g}; expected numbers >= 0")
    return array


def copy_named(what: str, targets: Named, given: Mapping[str, Any], xp: Any) -> None:
    """Copy named arrays into the targets; if any does not fit, change nothing and raise a ValueError that names all."""
    problems = [f"missing {name!r}" for name in targets if name not in given]
    problems += [f"unexpected {name!r}" for name in given if name not in targets]
    converted = {}
    for name, target in targets.items():
        if name not in given:
            continue
        try:
            value = xp.asarray(given[name])
        except (TypeError, ValueError) as error:
            problems.append(f"{name!r} is not an array ({error})")
            continue
        if value.shape != target.shape:
            problems.append(f"{name!r} has shape {value.shape}, expected {target.shape}")
        elif not castable(value.dtype, target.dtype):
            problems.append(f"{name!r} is {value.dtype}, expected {target.dtype} or real numbers")
        else:
            # converted_numbers copies: the given arrays may be views of the targets
            converted[name] = converted_numbers(repr(name), value, target.dtype, problems, name=name, xp=xp)
    if problems:
        raise ValueError(f"{what} do not fit the network: " + "; ".join(problems))
    for name, value in converted.items():
        targets[name][...] = value
