"""Dual numbers over balls: derivatives by forward mode, which shares no code with a backward pass.

A dual is a + b eps with eps^2 = 0, so that

    (a + b eps) + (c + d eps) = (a + c) + (b + d) eps
    (a + b eps) (c + d eps)   = a c + (a d + b c) eps
    f(a + b eps)              = f(a) + f'(a) b eps

so that the forward pass of a network on duals gives its derivative together with its value.  Every part is a ball, so
both are enclosed.  The slope b is a ball, a row of balls (`flint.arb_mat`: all partial derivatives at once), or
another dual (for second derivatives).

Where two numbers are compared, a branch is chosen (the mask of a ReLU, the maximum of a maxout), and the derivative is
that of the branch.  If the balls do not decide the comparison, it raises Undecided.  A dual of slope 0 is thus a ball
whose comparisons are always decided.

>>> x = Dual(arb(2), arb(1))
>>> y = x * x + 1 / x
>>> y.value, y.slope
(4.50000000000000, 3.75000000000000)
>>> Dual(arb(0, 1), arb(1)) > 0
Traceback (most recent call last):
verify.arithmetic.decide.Undecided: a branch depends on the sign of [+/- 1.01]
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flint import arb, arb_mat
from numpy.typing import NDArray

from verify.arithmetic.decide import Undecided

Array = NDArray[Any]


class Dual:
    """The dual number value + slope eps."""

    __slots__ = ("slope", "value")

    def __init__(self, value: Any, slope: Any) -> None:
        self.value, self.slope = value, slope

    def __add__(self, other: Any) -> "Dual":
        if isinstance(other, Dual):
            return Dual(self.value + other.value, self.slope + other.slope)
        return Dual(self.value + other, self.slope)

    def __mul__(self, other: Any) -> "Dual":
        if isinstance(other, Dual):
            return Dual(self.value * other.value, self.slope * other.value + other.slope * self.value)
        return Dual(self.value * other, self.slope * other)

    def __truediv__(self, other: Any) -> "Dual":
        if isinstance(other, Dual):
            y = self.value / other.value
            return Dual(y, (self.slope - other.slope * y) * (1 / other.value))
        return Dual(self.value / other, self.slope * (1 / arb(other)))

    def __rtruediv__(self, other: Any) -> "Dual":
        y = other / self.value
        return Dual(y, self.slope * (-y / self.value))

    def __neg__(self) -> "Dual":
        return Dual(-self.value, -self.slope)

    def __sub__(self, other: Any) -> "Dual":
        if isinstance(other, Dual):
            return Dual(self.value - other.value, self.slope - other.slope)
        return Dual(self.value - other, self.slope)

    def __rsub__(self, other: Any) -> "Dual":
        return Dual(other - self.value, -self.slope)

    # In the order of the operands: the last bit of a ball's radius depends on it.

    def __radd__(self, other: Any) -> "Dual":
        return Dual(other + self.value, self.slope)

    def __rmul__(self, other: Any) -> "Dual":
        return Dual(other * self.value, other * self.slope)

    # The functions that NumPy calls on arrays of objects.

    def exp(self) -> "Dual":
        """Return e^a + e^a b eps."""
        y = self.value.exp()
        return Dual(y, self.slope * y)

    def expm1(self) -> "Dual":
        """Return e^a - 1 + e^a b eps."""
        return Dual(self.value.expm1(), self.slope * self.value.exp())

    def log(self) -> "Dual":
        """Return log a + b / a eps."""
        return Dual(self.value.log(), self.slope * (1 / self.value))

    def log1p(self) -> "Dual":
        """Return log(1 + a) + b / (1 + a) eps."""
        return Dual(self.value.log1p(), self.slope * (1 / (1 + self.value)))

    def tanh(self) -> "Dual":
        """Return tanh a + (1 - tanh^2 a) b eps."""
        y = self.value.tanh()
        return Dual(y, self.slope * (1 - y * y))

    def sqrt(self) -> "Dual":
        """Return sqrt a + b / (2 sqrt a) eps."""
        y = self.value.sqrt()
        return Dual(y, self.slope * (1 / (2 * y)))

    # Branches.

    def __gt__(self, other: Any) -> bool:
        return sign(self, other) > 0

    def __ge__(self, other: Any) -> bool:
        return sign(self, other) >= 0

    def __lt__(self, other: Any) -> bool:
        return sign(self, other) < 0

    def __le__(self, other: Any) -> bool:
        return sign(self, other) <= 0


def sign(a: Any, b: Any) -> int:
    """Return the sign of a - b; raise Undecided if the balls do not decide it.

    A tie is a kink, which has no derivative, and raises Undecided too.  Only a difference of exactly 0 with slope 0,
    which is constant, has the sign 0.
    """
    d = a - b
    difference = arb(primal(d))
    if difference > 0 or difference < 0:
        return 1 if difference > 0 else -1
    if difference == 0 and not (isinstance(d, Dual) and varies(d.slope)):
        return 0
    raise Undecided(f"a branch depends on the sign of {difference.str(3)}")


def varies(slope: Any) -> bool:
    """Return whether a slope is not exactly zero."""
    if isinstance(slope, Dual):
        return varies(slope.value) or varies(slope.slope)
    entries = slope.entries() if isinstance(slope, arb_mat) else [slope]
    return not all(entry == 0 for entry in entries)


def primal(x: Any) -> Any:
    """Return the value of a dual, of a nested dual, or of a number that is not a dual."""
    while isinstance(x, Dual):
        x = x.value
    return x


def each(function: Callable[[Any], Any], x: Any) -> Array:
    """Apply a function to every element; return an array of objects with the shape of x."""
    a = np.asarray(x)
    out = np.empty(a.size, dtype=object)
    out[:] = [function(v) for v in a.ravel().tolist()]
    return out.reshape(a.shape)


def balls(x: Any) -> Array:
    """Return the array as exact balls; a float stands for the binary fraction that it stores."""
    return each(arb, x)


def values(x: Array) -> Array:
    """Return the values of an array of duals."""
    return each(lambda v: v.value if isinstance(v, Dual) else v, x)


def slopes(x: Array) -> Array:
    """Return the slopes of an array of duals, and 0 for an element that is not a dual."""
    return each(lambda v: v.slope if isinstance(v, Dual) else arb(0), x)


def variables(x: Array) -> Array:
    """Return x_j + e_j eps with the j-th unit row e_j; the slope of f of them is the gradient of f.    x (P,)"""
    P = len(x)
    out = np.empty(P, dtype=object)
    out[:] = [Dual(v, arb_mat(1, P, [int(i == j) for i in range(P)])) for j, v in enumerate(balls(x))]
    return out


def along(x: Array, v: Sequence[Any] | Array) -> Array:
    """Return x_j + v_j eps; the slope of f of them is the derivative of f along v.    x (P,)  v (P,)"""
    out = np.empty(len(x), dtype=object)
    out[:] = [Dual(a, b) for a, b in zip(x, v, strict=True)]
    return out


def row(slope: arb_mat | arb, P: int) -> list[arb]:
    """Return the P partial derivatives of a slope; all are zero if it is the slope of a constant."""
    return list(slope.entries()) if isinstance(slope, arb_mat) else [arb(0)] * P
