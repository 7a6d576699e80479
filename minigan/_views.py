"""Named views of one flat vector, and what may be copied into them."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigan.initializers import Shape
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


def converted_numbers(
    label: str, value: Array, dtype: np.dtype[Any], problems: list[str], *, name: str, xp: Any = np
) -> Array:
    """Return a copy of `value` in another dtype, and add a line to `problems` for numbers that `name` cannot hold.

    Those are numbers that are finite in their own dtype and overflow in the network's; and of running statistics, also
    NaN and infinity, and variances below 0.  (Parameters may hold NaN: a run that diverged is read with them.)
    """
    with np.errstate(over="ignore"):
        array = value.astype(dtype)
    if dtype.kind not in "fc" or value.dtype.kind == "O":
        return array
    own, finite = name.rpartition(".")[2], xp.isfinite(array)
    if bool((~finite & xp.isfinite(value)).any()):
        problems.append(f"{label} overflows in {dtype}; expected numbers up to {np.finfo(dtype).max:.3g}")
    elif own in ("running_mean", "running_var") and not bool(finite.all()):
        problems.append(f"{label} holds NaN or infinity; expected finite numbers")
    elif own == "running_var" and bool((array.real < 0).any()):
        problems.append(f"{label} is a variance and goes down to {float(array.real.min()):.6g}; expected numbers >= 0")
    return array


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
            # a copy: the given arrays may be views of the targets
            converted[name] = converted_numbers(repr(name), value, target.dtype, problems, name=name, xp=xp)
    if problems:
        raise ValueError(f"{what} do not fit the network: " + "; ".join(problems))
    for name, value in converted.items():
        targets[name][...] = value
