"""The matrices of F(m, r), in fractions: the identity that defines them, and published examples."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.ops.cpu.conv.cook_toom import cook_toom
from minigan.ops.cpu.conv.plan import ORDERS_BY_ACCURACY

SIZES = st.tuples(st.integers(1, 6), st.integers(1, 6)).filter(lambda size: sum(size) <= 8)
FRACTIONS = st.fractions(-3, 3, max_denominator=4)


def arrays(matrices):
    return (np.array(M, dtype=object) for M in (matrices.At, matrices.G, matrices.Bt))


def fractions(rng, *shape):
    return np.vectorize(lambda v: Fraction(int(v), 7), otypes=[object])(rng.integers(-99, 99, shape))


def correlation(g, d):
    return [sum(g[i] * d[i + j] for i in range(len(g))) for j in range(len(d) - len(g) + 1)]


@given(st.data(), st.integers(0, 2**32 - 1))
def test_products_at_points_are_the_correlation(data, seed):
    """A^t [(G g) . (B^t d)] = correlation of d with g, for any points."""
    m, r = data.draw(SIZES)
    n = m + r - 1
    points = data.draw(st.one_of(st.none(), st.lists(FRACTIONS, min_size=n - 1, max_size=n - 1, unique=True)))
    if points is None and n > 6:
        return
    At, G, Bt = arrays(cook_toom(m, r, None if points is None else tuple(points)))
    assert (At.shape, G.shape, Bt.shape) == ((m, n), (n, r), (n, n))
    rng = np.random.default_rng(seed)
    g, d = fractions(rng, r), fractions(rng, n)
    assert (At @ ((G @ g) * (Bt @ d))).tolist() == correlation(g, d)


@pytest.mark.parametrize(("m", "r"), ORDERS_BY_ACCURACY["fast"])
def test_in_two_dimensions(m, r):
    """A^t [(G g G^t) . (B^t d B)] A, and its two adjoints."""
    rng, (At, G, Bt) = np.random.default_rng(0), arrays(cook_toom(m, r))
    n = m + r - 1
    g, d, dy = fractions(rng, r, r), fractions(rng, n, n), fractions(rng, m, m)
    U, V, M = G @ g @ G.T, Bt @ d @ Bt.T, At.T @ dy @ At
    y = At @ (U * V) @ At.T
    want = [[(g * d[p : p + r, q : q + r]).sum() for q in range(m)] for p in range(m)]
    assert y.tolist() == want
    dd, dg = Bt.T @ (M * U) @ Bt, G.T @ (M * V) @ G
    assert (y * dy).sum() == (d * dd).sum() == (g * dg).sum()


@pytest.mark.parametrize(("m", "r"), ORDERS_BY_ACCURACY["fast"])
def test_what_meets_the_data_is_whole_and_what_is_balanced_needs_halves_at_most(m, r):
    At, G, Bt = arrays(cook_toom(m, r))
    assert all(Fraction(v).denominator == 1 for M in (At, Bt) for v in M.ravel())
    if (m, r) in ORDERS_BY_ACCURACY["balanced"]:
        assert m + r - 1 <= 4
        assert {Fraction(v).denominator for v in G.ravel()} <= {1, 2}
        assert {abs(v) for M in (At, Bt) for v in M.ravel()} == {0, 1}


def test_the_matrices_of_lavin_and_gray():
    """F(2, 3) of Lavin and Gray 2016, eq. 5 and 9, up to the sign of one product; F(4, 3): their B^t."""
    few = cook_toom(2, 3)
    half = Fraction(1, 2)
    assert few.G[:2] == ((1, 0, 0), (half, half, half))
    assert few.G[2:] == ((half, -half, half), (0, 0, 1))
    assert few.Bt[:3] == ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0))
    assert few.Bt[3] == (0, -1, 0, 1)
    assert few.At[0] == (1, 1, 1, 0)
    assert few.At[1] == (0, 1, -1, 1)
    assert cook_toom(4, 3).Bt[0] == (4, 0, -5, 0, 1, 0)
    assert cook_toom(4, 3).G[3] == (Fraction(1, 24), Fraction(1, 12), Fraction(1, 6))


def test_bad_sizes_and_points_are_refused():
    with pytest.raises(ValueError, match="m=0, r=3 given; expected whole numbers >= 1"):
        cook_toom(0, 3)
    for points in ((0, 1), (0, 1, 1), (0, 1, 2, 3)):
        with pytest.raises(ValueError, match="expected 3 different numbers"):
            cook_toom(2, 3, points)
    with pytest.raises(ValueError, match="expected 6 different numbers"):
        cook_toom(4, 4)
