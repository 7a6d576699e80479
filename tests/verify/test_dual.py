"""Dual numbers over balls: derivatives, second derivatives, and branches that are decided or raise Undecided."""

import math

import numpy as np
import pytest
from flint import arb, arb_mat
from hypothesis import given
from hypothesis import strategies as st

from minigan.ops import reference
from verify.arithmetic.balls import precision
from verify.arithmetic.decide import Undecided
from verify.arithmetic.dual import Dual, along, balls, row, sign, slopes, values, variables

numbers = st.floats(-3, 3).filter(lambda x: abs(x) > 1e-3)


def expression(x, y):
    """Return a value that uses every operation, on floats, complex numbers, balls and duals."""
    a = np.array([x * y - 2 * x / (1 + y * y), 3 - x + y, -(x - y) * 1.5, 1 / (2 + x * x)])
    return (np.tanh(a) * np.exp(-a * a) + np.sqrt(1 + a * a) * np.log1p(a * a)).sum()


@given(numbers, numbers)
def test_gradient_of_an_expression_is_the_complex_step(x, y):
    dual = expression(*variables(np.array([x, y])))
    got = [float(v) for v in row(dual.slope, 2)]
    want = [expression(x + 1e-30j, y).imag / 1e-30, expression(x, y + 1e-30j).imag / 1e-30]
    assert got == pytest.approx(want, rel=1e-12, abs=1e-12)
    assert float(dual.value) == pytest.approx(expression(x, y), rel=1e-13, abs=1e-13)


@given(numbers, numbers)
def test_nested_duals_are_second_derivatives(x, y):
    """d/ds d/dt of f along (3, -1) and (1, 2), against central differences of enclosed first derivatives."""

    def inner(s):
        return along(balls(np.array([x + 3 * s, y - s])), balls(np.array([1.0, 2.0])))

    outer = along(inner(0), [Dual(arb(3), arb(0)), Dual(arb(-1), arb(0))])
    h = 1e-5
    difference = (float(expression(*inner(h)).slope) - float(expression(*inner(-h)).slope)) / (2 * h)
    assert float(expression(*outer).slope.slope) == pytest.approx(difference, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("f", [reference.softplus, reference.sigmoid, np.tanh, np.exp])
def test_slopes_enclose_high_precision_derivatives(f):
    x = np.array([-50.0, -0.3, 0.4, 2.0, 60.0])
    with precision(60):
        y = f(along(balls(x), balls(np.ones(5))))
        step = arb(10) ** -20
        for dual, v in zip(y, x, strict=True):
            above, below = (f(np.array([arb(v) + s]))[0] for s in (step, -step))
            assert abs((above - below) / (2 * step) - dual.slope) < 1e-35 * (1 + abs(dual.slope))


def test_a_ball_across_zero_is_undecided():
    x = np.array([Dual(arb(0, 0.5), arb(1))])
    for decide in (reference.relu, reference.softplus):
        with pytest.raises(Undecided, match="a branch depends on the sign of"):
            decide(x)


def test_a_tie_is_a_kink_unless_nothing_varies():
    assert sign(Dual(arb(0), 0), 0) == 0
    assert sign(Dual(arb(0), arb_mat(1, 3)), 0) == 0
    assert not Dual(arb(0), arb(0)) > 0
    assert Dual(arb(0), arb(0)) >= 0
    for slope in (arb(1), arb_mat(1, 2, [0, 1]), arb(0, 1e-9), Dual(arb(0), arb(1))):
        with pytest.raises(Undecided):
            sign(Dual(arb(0) if not isinstance(slope, Dual) else slope * 0, slope), 0)


def test_arrays_of_parts():
    x = along(balls(np.array([1.0, 2.0])), [3, 4])
    assert [float(v) for v in values(x)] == [1, 2]
    assert [float(v) for v in slopes(x)] == [3, 4]
    assert [float(v) for v in slopes(balls([1, 2]))] == [0, 0]
    assert math.isclose(float(balls(0.1).item()), 0.1)
    assert row(arb(0), 2) == [0, 0]


def test_a_constant_stands_where_the_ball_run_has_it():
    """The last bit of a product's radius depends on the order of the factors, and both runs must give the same ball."""
    a, b = arb("0.3 +/- 1e-30"), arb("0.7 +/- 3e-31")
    for left, right in ((a, b), (b, a)):
        for got, want in ((left * Dual(right, arb(1)), left * right), (left + Dual(right, arb(1)), left + right)):
            assert got.value.mid() == want.mid()
            assert got.value.rad() == want.rad()


class Order:
    """A number that records the order of its operands."""

    def __init__(self, name):
        self.name = name

    def __mul__(self, other):
        return Order(f"{self.name}*{other.name}") if isinstance(other, Order) else NotImplemented

    def __add__(self, other):
        return Order(f"{self.name}+{other.name}") if isinstance(other, Order) else NotImplemented


def test_a_constant_on_the_left_stays_on_the_left():
    k, x = Order("k"), Dual(Order("x"), Order("dx"))
    assert (k * x).value.name == "k*x"
    assert (k * x).slope.name == "k*dx"
    assert (k + x).value.name == "k+x"
    assert (x * k).value.name == "x*k"
