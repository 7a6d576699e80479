"""Every position in a figure is a computed number: the axes are inverted and the numbers compared."""

import math
from fractions import Fraction

import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st
from reporting import QUICK, certificate, claim, everything, read

from verify.arithmetic.balls import Enclosure
from verify.arithmetic.decide import Undecided
from verify.report import curves, figures
from verify.report.numerals import bound, decimal
from verify.report.plot import Axis, Plot

HALF = 0.006  # positions are rounded to hundredths of a unit


def points(svg, name):
    text = svg.one("polyline", data_name=name)["points"]
    return [tuple(map(float, pair.split(","))) for pair in text.split()]


def check(svg, name, plot, expected):
    drawn = points(svg, name)
    assert len(drawn) == len(expected)
    for (x, y), point in zip(drawn, expected, strict=True):
        at = plot.at(point)
        assert abs(x - at[0]) < HALF
        assert abs(y - at[1]) < HALF


def axes(width, height, x, y, **margins):
    return Plot(width, height, Axis(*x, [], ""), Axis(*y, [], "", log=margins.pop("log", False)), **margins)


def test_densities():
    pair, svg = curves.density_curves(), read(figures.optimal_discriminator()).one("svg", role="img")
    plot = axes(360, 270, (-5, 11), (0, 1))
    x = [float(at) for at in pair.x]
    assert (x[0], x[-1], len(x)) == (-5, 11, 161)
    for name, values in (("p", pair.p_values), ("q", pair.q_values), ("D*", pair.d_star)):
        check(svg, name, plot, list(zip(x, values, strict=True)))
    for k, at in enumerate(x):
        p = math.exp(-((at - 4) ** 2) / 8) / math.sqrt(8 * math.pi)
        q = math.exp(-(at**2) / 2) / math.sqrt(2 * math.pi)
        assert math.isclose(pair.p_values[k], p, rel_tol=1e-12)
        assert math.isclose(pair.q_values[k], q, rel_tol=1e-12)
        assert math.isclose(pair.d_star[k], p / (p + q), rel_tol=1e-12)
    assert pair.c.overlaps(2 * pair.jsd - arb(4).log())
    assert abs(float(pair.jsd) - 0.474307) < 1e-6


def test_the_caption_holds_the_enclosures():
    pair, text = curves.density_curves(), read(figures.optimal_discriminator()).one("dl", class_="numbers").text
    assert text.startswith("C-0.43767953866283307")
    assert "JSD" + decimal(Enclosure.of(pair.jsd), 20).partition(" ")[0] in text


def test_proposition_2():
    path, root = curves.halving_path(), read(figures.proposition_2())
    plot = axes(360, 270, (0, 10), (1e-7, 1), log=True)
    svg = root.one("svg", role="img")
    check(svg, "TV", plot, list(enumerate(map(float, path.tv))))
    check(svg, "JSD", plot, list(enumerate(path.jsd)))
    for before, after in zip(path.tv, path.tv[1:], strict=False):
        assert after == before / 2
    circles = [(float(c["cx"]), float(c["cy"])) for c in svg.all("circle")]
    assert circles == points(svg, "TV")
    assert [row.all("td")[0].text for row in root.one("tbody").all("tr")] == [str(tv) for tv in path.tv]


@given(st.lists(st.integers(1, 100), min_size=2, max_size=6), st.data())
def test_halving_of_any_pair(weights, data):
    other = data.draw(st.lists(st.integers(1, 100), min_size=len(weights), max_size=len(weights)))
    p, q = ([Fraction(w, sum(ws)) for w in ws] for ws in (weights, other))
    path = curves.halving_path(p, q, steps=4)
    assert path.tv == tuple(path.tv[0] / 2**k for k in range(5))
    for tv, jsd in zip(map(float, path.tv), path.jsd, strict=True):
        assert tv**2 / 2 - 1e-15 <= jsd <= tv * math.log(2) + 1e-15


def test_dirac_orbits():
    svg = read(figures.dirac_orbits()).one("svg", role="img")
    plot = axes(360, 360, (-2, 2), (-2, 2), top=26)
    simultaneous = curves.dirac_orbit(alternating=False, steps=500)
    alternating = curves.dirac_orbit(alternating=True, steps=500)
    cured = curves.dirac_orbit(alternating=False, gamma=1, steps=200)
    for name, orbit in (("simultaneous", simultaneous), ("alternating", alternating), ("R1", cured)):
        assert orbit.points[0] == (1, 0)
        check(svg, name, plot, orbit.points)
    assert all(b > a for a, b in zip(simultaneous.distances, simultaneous.distances[1:], strict=False))
    assert 0.993 < min(alternating.distances) < max(alternating.distances) < 1.0193
    assert cured.distances[-1] < 0.01
    step = simultaneous.points[1]
    assert math.isclose(step[0], 1)
    assert math.isclose(step[1], -0.05)  # -h theta sigma(0) = -1/10 * 1 * 1/2


def test_a_wide_ball_is_not_drawn():
    with pytest.raises(Undecided, match="too wide to be drawn"):
        curves.number(arb(0, "1e-3"))
    with pytest.raises(Undecided):
        curves.number(arb("nan"))


def test_bars_are_the_digits_of_the_radii():
    certificates = everything()
    (bars,) = figures.digits_proved(certificates)
    svg = read(bars).one("svg")
    rects = {rect["data-id"]: float(rect["width"]) for rect in svg.all("rect")}
    assert set(rects) == {"A.proved", "A.exact"}
    full = 360 - 44 - 4  # the axis ends at 40 digits
    assert rects["A.exact"] == full
    digits = -math.log10(float(certificates[0].radius.arb()))
    assert abs(rects["A.proved"] - full * digits / 40) < HALF
    tolerances = {float(line["x1"]) for line in svg.all("line", class_="tolerance")}
    assert tolerances == {4 + full * 30 / 40}
    assert "A.proved: proved." in svg.one("desc").text


def test_the_bar_of_an_undecided_identity_is_not_that_of_a_proved_one():
    wide = certificate(claim("A.wide", lambda proof: proof.zero("x", arb(0, "1e-10"))), QUICK)
    (bars,) = figures.digits_proved([wide])
    assert read(bars).one("rect")["class"] == "bar undecided"


@given(st.integers(1, 10**40), st.integers(-3000, 3000))
def test_bound_rounds_up_by_little(mantissa, exponent):
    shift = (mantissa & -mantissa).bit_length() - 1
    x = Enclosure((mantissa >> shift, exponent + shift), (0, 0))
    exact, shown = Fraction(mantissa) * Fraction(2) ** exponent, Fraction(bound(x))
    assert exact <= shown <= exact * Fraction(11, 10)


@given(st.integers(-(10**30), 10**30), st.integers(-300, 100), st.integers(0, 10**9), st.integers(-400, 0))
def test_decimal_holds_the_ball(mid, exponent, rad, scale):
    ball = arb((mid, exponent), (rad, scale))
    midpoint, mark, radius = decimal(Enclosure.of(ball)).partition(" ± ")
    shown = Fraction(midpoint), Fraction(radius) if mark else Fraction(0)
    stored = Enclosure.of(ball)
    m, r = (Fraction(a) * Fraction(2) ** b for a, b in (stored.mid, stored.rad))
    assert shown[0] - shown[1] <= m - r
    assert m + r <= shown[0] + shown[1]
