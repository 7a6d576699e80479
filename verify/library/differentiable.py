"""Checks of the gradient that the library's backward passes give for a real function of a vector.

    complex step         Im f(t + i h v) / h = <grad f, v> + O(h^2), without a subtraction: at h = 1e-30 exact to
                         rounding.  Step and tolerances are those of CONTRIBUTING.md.
    Hessian              Im grad f(t + i h v) / h = H v, a complex step through the backward pass; <u, H v> = <v, H u>
    balls                the backward pass on balls against dual numbers through the forward pass: two enclosures of
                         every entry, which must overlap; and the distance of the float64 backward pass from them

All of them run the same code of the library, on float64, complex128, balls and duals in turn.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flint import arb

from minigan.gradient_check.numeric import H, complex_step
from verify.arithmetic.decide import Undecided
from verify.arithmetic.dual import Array, Dual, balls, each, primal, row, variables
from verify.engine.float_checks import check_error
from verify.engine.proof import Proof

MAX_TENSOR_ERROR = "1e-13"  # |d| / max |g| of each tensor: relative to the largest entry of its gradient g
MAX_DIRECTION_ERROR = "2e-15"  # |d| / (||g|| ||v||), along a direction v
NEGLIGIBLE = 1e-9  # a tensor with a smaller share of max |g| (a structural zero) is compared on the scale of all


@dataclass(frozen=True)
class Differentiable:
    """A real function f(t) of t (P,) and its gradient by the library.

    Attributes
    ----------
    point
        The point t (P,) in float64 at which the gradient is checked.
    tensors
        The slice of t that each named tensor occupies.
    value
        ``value(t)`` returns f(t) for t of any dtype.
    gradient
        ``gradient(t)`` returns grad f(t) (P,) in the dtype of t.
    scale
        A lower bound on ||grad f|| in relative errors: the size of the terms of a sum that may nearly cancel.

    """

    point: Array
    tensors: Mapping[str, slice]
    value: Callable[[Array], Any]
    gradient: Callable[[Array], Array]
    scale: float = 0.0

    def with_fault(self, tensor: str, fault: Callable[[Array], Array]) -> "Differentiable":
        """Return the same function with the gradient g of one tensor replaced by fault(g)."""
        right, part = self.gradient, self.tensors[tensor]

        def wrong(t: Array) -> Array:
            g = right(t).copy()
            g[part] = fault(g[part])
            return g

        return replace(self, gradient=wrong)


def relative(factor: float | arb) -> Callable[[Array], Array]:
    """Return the fault g -> factor g."""
    return lambda g: g * factor


def layout(**arrays: Array) -> tuple[Array, dict[str, slice]]:
    """Return the concatenation of the raveled arrays, and the slice of each."""
    parts, at = {}, 0
    for name, a in arrays.items():
        parts[name] = slice(at, at + a.size)
        at += a.size
    return np.concatenate([a.ravel() for a in arrays.values()]), parts


def gradient_by_complex_step(f: Differentiable) -> Array:
    """Return grad f (P,) by the complex step, one entry at a time."""
    return complex_step(f.value, f.point)


def check_tensors(proof: Proof, name: str, f: Differentiable) -> float:
    """Check every entry against the complex step, |d| / max |g| <= 1e-13 in each tensor; return the largest error."""
    got, want, worst = f.gradient(f.point), gradient_by_complex_step(f), 0.0
    for tensor, part in f.tensors.items():
        error = np.abs(got[part] - want[part]).max() / _scale(want, part)
        check_error(proof, f"{name}: d{tensor}", float(error), MAX_TENSOR_ERROR)
        worst = max(worst, float(error))
    return worst


def check_direction(proof: Proof, name: str, f: Differentiable, v: Array) -> None:
    """Check the derivative along v (P,): |<g, v> - f'(t; v)| / (||g|| ||v||) <= 2e-15."""
    check_error(proof, f"{name}: along a direction", direction_error(f, v), MAX_DIRECTION_ERROR)


def direction_error(f: Differentiable, v: Array) -> float:
    """Return |<g, v> - Im f(t + i h v) / h| / (||g|| ||v||)."""
    g = f.gradient(f.point)
    derivative = float(np.imag(f.value(f.point + 1j * H * v))) / H
    size = max(float(np.linalg.norm(g)), f.scale) * float(np.linalg.norm(v))
    error = abs(float(g @ v) - derivative)
    return error / size if size else error


def hessian_product(f: Differentiable, v: Array) -> Array:
    """Return H v = Im grad f(t + i h v) / h: a complex step through the backward pass."""
    return np.imag(f.gradient(f.point + 1j * H * v)) / H


def enclosures(f: Differentiable) -> tuple[Array, list[arb]]:
    """Enclose grad f by the backward pass on balls, and by duals through the forward pass.

    The run on duals decides all comparisons of the forward pass, or raises Undecided.  The run on balls performs the
    same operations on the same balls, so it takes the same branches; that both values are the same ball is checked.
    """
    exact = balls(f.point)
    plain, carried = f.value(exact), f.value(variables(f.point))
    if not identical(arb(plain), primal(carried)):
        raise Undecided("the runs on balls and on duals differ")
    forward = row(carried.slope if isinstance(carried, Dual) else arb(0), len(exact))
    return balls_of(f.gradient(exact)), forward


def check_enclosed(proof: Proof, name: str, f: Differentiable, *, tolerance: str = MAX_TENSOR_ERROR) -> float:
    """Check that both enclosures agree, and the rounding of the float64 backward pass; return its largest error.

    Errors are in units of max |g|.
    """
    backward, forward = enclosures(f)
    rounded, worst = f.gradient(f.point), 0.0
    for tensor, part in f.tensors.items():
        g, d = backward[part], forward[part]
        proof.zero(
            f"{name}: d{tensor} backward - forward", worst_difference([a - b for a, b in zip(g, d, strict=True)])
        )
        scale = _ball_scale(backward, part)
        errors = [abs(arb(float(x)) - a) for x, a in zip(rounded[part], g, strict=True)]
        error = max((e.upper() for e in errors), key=float) / scale
        check_error(proof, f"{name}: rounding of d{tensor} in float64", error, tolerance)
        worst = max(worst, float(error.upper()))
    return worst


def worst_difference(differences: list[arb]) -> arb:
    """Return the ball that decides whether all differences are 0.

    It is the first that is not finite; else the one farthest from 0, if some do not contain 0; else the widest.
    """
    for x in differences:
        if not x.is_finite():
            return x
    nonzero = [x for x in differences if not x.contains(0)]
    if nonzero:
        return max(nonzero, key=lambda x: float(x.abs_lower()))
    return max(differences, key=lambda x: float(x.rad()))


def identical(a: arb, b: arb) -> bool:
    """Return whether two balls have the same midpoint and the same radius."""
    return bool(a.mid() == b.mid() and a.rad() == b.rad())


def balls_of(x: Array) -> Array:
    """Return the array with all elements as balls; masked entries come as integers."""
    return each(arb, x)


def _scale(g: Array, part: slice) -> float:
    own, everything = float(np.abs(g[part]).max()), float(np.abs(g).max())
    return own if own > NEGLIGIBLE * everything else everything or 1.0


def _ball_scale(g: Array, part: slice) -> arb:
    own, everything = (max((abs(x).mid() for x in some), key=float) for some in (g[part], g))
    return own if own > NEGLIGIBLE * everything else everything if everything > 0 else arb(1)
