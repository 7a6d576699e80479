"""The exact matrices of the Cook-Toom algorithm F(m, r): m outputs of r taps each by n = m + r - 1 products.

First for polynomials: let g have r coefficients and e have m.  Their product s = g e has n of them, and its values at n
points determine it; at a point a the value is s(a) = g(a) e(a), one product, and at infinity (the leading
coefficient) it is g_{r-1} e_{m-1}.  With V_w the n x w matrix whose row i is (1, a_i, a_i^2, ..., a_i^{w-1}), the last
row (0, ..., 0, 1) for infinity,

    s = V_n^-1 [(V_r g) . (V_m e)]          (. multiplies element by element)

The transposition principle (Winograd 1980) follows.  For fixed g the map e -> s is the n x m matrix T_ij = g_{i-j}; its
transpose takes n numbers d to (T^t d)_j = sum_i g_i d_{i+j}, j < m: the correlation of d with g.  And
T = V_n^-1 diag(V_r g) V_m, so

    T^t d = V_m^t [(V_r g) . (V_n^-t d)]    that is    A^t [(G g) . (B^t d)],   A = V_m,  G = V_r,  B^t = V_n^-t

Lagrange's formula gives the inverse: row i of V_n^-t holds the coefficients of prod_{j != i} (X - a_j) / f_i with
f_i = prod_{j != i} (a_i - a_j), the last one those of prod_j (X - a_j).  Moving 1 / f_i from row i of B^t to row i of G
makes B^t, which multiplies the data, a matrix of integers if the points are integers.

Two dimensions: A^t [(G g G^t) . (B^t d B)] A, row by row and then column by column (Lavin and Gray 2016).
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

FINITE_POINTS = (0, 1, -1, 2, -2)
"""The finite points in the order of their use; the last point is always infinity."""

Matrix = tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True)
class CookToom:
    """A^t (m, n), G (n, r) and B^t (n, n) with  A^t [(G g) . (B^t d)]_j = sum_i g_i d_{i+j}.

    Attributes
    ----------
    At
        Takes n products to m outputs.
    G
        Takes r taps to n points.
    Bt
        Takes n data to n points.

    """

    At: Matrix
    G: Matrix
    Bt: Matrix


@functools.cache
def cook_toom(m: int, r: int, points: tuple[int | Fraction, ...] | None = None) -> CookToom:
    """Return the exact matrices of F(m, r).

    Parameters
    ----------
    m
        The number of outputs, at least 1.
    r
        The number of taps, at least 1.
    points
        m + r - 2 different finite points.  The default is the first of `FINITE_POINTS`: the smaller the points, the
        smaller the rounding errors.

    Returns
    -------
    CookToom
        The matrices A^t, G and B^t.

    Raises
    ------
    ValueError
        If m or r is below 1, or if there are too few, too many or equal points.

    Examples
    --------
    >>> [[int(b) for b in row] for row in cook_toom(2, 3).Bt]
    [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]]

    """
    n = m + r - 1
    if min(m, r) < 1:
        raise ValueError(f"m={m}, r={r} given; expected whole numbers >= 1")
    chosen = FINITE_POINTS[: n - 1] if points is None else points
    if len(chosen) != n - 1 or len(set(chosen)) != n - 1:
        raise ValueError(f"points={chosen} given for F({m}, {r}); expected {n - 1} different numbers")
    a = [Fraction(point) for point in chosen]
    G, A, Bt = [], [], []
    for i, point in enumerate(a):
        others = a[:i] + a[i + 1 :]
        f = Fraction(1)
        for other in others:
            f *= point - other
        sign = 1 if f > 0 else -1  # moved to B^t, so that each row of G begins with a positive number
        G.append(tuple(g / abs(f) for g in _powers(point, r)))
        A.append(_powers(point, m))
        Bt.append((*(sign * b for b in _from_roots(others)), Fraction(0)))
    G.append(_infinity_row(r))
    A.append(_infinity_row(m))
    Bt.append(_from_roots(a))
    return CookToom(At=tuple(zip(*A, strict=True)), G=tuple(G), Bt=tuple(Bt))


def _powers(point: Fraction, count: int) -> tuple[Fraction, ...]:
    return tuple(point**k for k in range(count))


def _infinity_row(count: int) -> tuple[Fraction, ...]:
    """Return (0, ..., 0, 1), the row of the point infinity: it picks the leading coefficient."""
    return (*[Fraction(0)] * (count - 1), Fraction(1))


def _from_roots(roots: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """Return the coefficients of prod (X - root), the constant term first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        coefficients = [s - root * c for s, c in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
    return tuple(coefficients)
