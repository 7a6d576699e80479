"""The figures of the page: the optimal discriminator, Proposition 2, the Dirac-GAN, the digits of every claim."""

import math
from collections.abc import Sequence
from functools import cache

from flint import arb

from verify.arithmetic.balls import Enclosure
from verify.engine.certificate import Certificate
from verify.engine.proof import Check
from verify.report import curves
from verify.report.markup import Markup, join, tag
from verify.report.numerals import exact_digits, spelled
from verify.report.plot import Axis, Plot, drawing
from verify.report.status import proved_digits, status_of, topics

WIDTH, HEIGHT = 360, 270
ROW, TOP, BAR = 28, 6, 7  # of a chart of bars: the height of a row, the margin above, the height of a bar


def figure(chart: object, caption: object, legend: Sequence[tuple[str, str]] = (), *more: object) -> Markup:
    """Return a chart with its legend (style, text) and caption.  A style may ask for a mark: "s1 dot", "s2 square"."""
    keys = [tag("li", _swatch(*style.split()), text) for style, text in legend]
    return tag("figure", chart, tag("ul", keys, class_="legend") if keys else None, tag("figcaption", caption), *more)


def _swatch(style: str, mark: str = "") -> Markup:
    line = tag("line", x1=1, y1=6, x2=33, y2=6, class_=f"curve {style}{' whole' if mark else ''}")
    marks = {"dot": tag("circle", cx=17, cy=6, r=4.5), "square": tag("rect", x=13, y=2, width=8, height=8)}
    marked = tag("g", marks[mark], class_=f"dots {style}") if mark else None
    return tag("svg", line, marked, viewBox="0 0 34 12", class_="swatch", aria_hidden="true")


@cache
def optimal_discriminator() -> Markup:
    """Draw p = N(4, 2^2), q = N(0, 1) and D*."""
    pair = curves.density_curves()
    plot = Plot(WIDTH, HEIGHT, Axis(-5, 11, range(-4, 11, 2), "x"), Axis(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1], ""))
    for values, style, name in ((pair.p_values, "s1", "p"), (pair.q_values, "s2", "q"), (pair.d_star, "s3", "D*")):
        plot.line(pair.curve(values), style, name)
    chart = plot.svg(
        "figure-densities",
        "The densities p and q and the optimal discriminator",
        "p is the normal density with mean 4 and standard deviation 2, q the one with mean 0 and standard deviation 1. "
        f"D* = p / (p + q) is at least {min(pair.d_star):.4f}, near x = -4/3, and tends to 1 on both sides.",
    )
    numbers = tag("dl", _entry("C", pair.c), _entry("JSD", pair.jsd), class_="numbers")
    return figure(
        chart,
        [
            "The optimal discriminator D* = p / (p + q) of Proposition 1: 1/2 where the curves of p and q cross.",
            numbers,
        ],
        (("s1", "data p = N(4, 2²)"), ("s2", "model q = N(0, 1)"), ("s3", "D*(x)")),
    )


def _entry(name: str, x: arb) -> Markup:
    return tag("div", tag("dt", name), tag("dd", spelled(Enclosure.of(x), 20)))


@cache
def proposition_2() -> Markup:
    """Draw TV and JSD along q+ = (p + q) / 2."""
    path = curves.halving_path()
    last = len(path.tv) - 1
    decades = [10.0**k for k in range(-7, 1)]
    plot = Plot(WIDTH, HEIGHT, Axis(0, last, range(0, last + 1, 2), "step k"), Axis(1e-7, 1, decades, "", log=True))
    for values, style, name, square in ((list(map(float, path.tv)), "s1", "TV", False), (path.jsd, "s2", "JSD", True)):
        points = list(enumerate(values))
        plot.line(points, f"{style} whole", name)
        plot.dots(points, style, name, square=square)
    chart = plot.svg(
        "figure-halving",
        "Total variation and Jensen-Shannon divergence along Proposition 2",
        f"On a logarithmic scale both fall in straight lines: TV from {path.tv[0]} by exactly one half a step, "
        f"JSD from {path.jsd[0]:.4f} to {path.jsd[-1]:.3g}, by one quarter a step in the limit.",
    )
    rows = [
        tag("tr", tag("th", k, scope="row"), tag("td", f"{tv}"), tag("td", f"{divergence:.10g}"))
        for k, (tv, divergence) in enumerate(zip(path.tv, path.jsd, strict=True))
    ]
    head = tag("tr", [tag("th", text, scope="col") for text in ("k", "TV (exact)", "JSD")])
    table = tag("table", tag("thead", head), tag("tbody", rows))
    p, start = (", ".join(map(str, weights)) for weights in (path.p, path.start))
    return figure(
        chart,
        f"Proposition 2 in function space: q₊ = (p + q)/2 from q₀ = ({start}) towards p = ({p}). TV halves "
        "exactly; the ratio of JSD tends to one quarter.",
        (("s1 dot", "TV(p, q)"), ("s2 square", "JSD(p, q)")),
        tag("details", tag("summary", "The numbers"), scrolled(table, "TV and JSD at each step")),
    )  # fmt: skip


def scrolled(table: Markup, name: str) -> Markup:
    """Return a wide table in a box that scrolls, also by keyboard."""
    return tag("div", table, class_="scroll", role="region", aria_label=name, tabindex=0)


@cache
def dirac_orbits() -> Markup:
    """Draw the orbits of the Dirac-GAN: simultaneous, alternating, and simultaneous with the R1 penalty."""
    runs = (
        ("s1 dot", "simultaneous", "simultaneous steps", curves.dirac_orbit(alternating=False, steps=500)),
        ("s2 square", "alternating", "alternating steps", curves.dirac_orbit(alternating=True, steps=500)),
        ("s3", "R1", "simultaneous steps with R1, γ = 1", curves.dirac_orbit(alternating=False, gamma=1, steps=200)),
    )
    ticks = [-2, -1, 0, 1, 2]
    plot = Plot(WIDTH, WIDTH, Axis(-2, 2, ticks, "θ (generator)"), Axis(-2, 2, ticks, "ψ (discriminator)"), top=26)
    for style, name, _, orbit in runs:
        series, _, mark = style.partition(" ")
        plot.line(orbit.points, f"{series} whole" if mark else series, name)
        plot.dots([orbit.points[-1]], series, name, square=mark == "square")
    plot.note((0, 0), "equilibrium", "", dy=22, anchor="middle")
    simultaneous, alternating, cured = (orbit for *_, orbit in runs)
    outcome = (
        f"From distance 1, 500 simultaneous steps end at distance {simultaneous.distances[-1]:.4f}; "
        f"500 alternating steps stay between {min(alternating.distances):.4f} and {max(alternating.distances):.4f}; "
        f"with R1, 200 steps end at {cured.distances[-1]:.4f}."
    )
    chart = plot.svg("figure-dirac", "Orbits of the Dirac-GAN around its equilibrium", outcome)
    return figure(
        chart,
        f"The Dirac-GAN, step 1/10. {outcome} A mark shows where each ends.",
        [(style, text) for style, _, text, _ in runs],
    )


def digits_proved(certificates: Sequence[Certificate]) -> list[Markup]:
    """Return a chart of bars for each topic, with -log10 of the radius of every claim that has one."""
    with_radius = [one for one in certificates if one.radius is not None]
    finite = [d for d in map(proved_digits, with_radius) if d is not None and math.isfinite(d)]
    tolerances = [d for d in map(tolerance_digits, with_radius) if d is not None]
    longest = 10 * math.ceil(max([*finite, *tolerances, 1]) / 10)
    return [
        tag("figure", _bars(topic, claims, longest), class_="bars") for topic, claims in topics(with_radius).items()
    ]  # fmt: skip


def tolerance_digits(one: Certificate) -> float | None:
    """Return -log10 of the largest tolerance of the checks to 0; None without such a check."""
    zero = [check for check in one.checks if check.relation == "= 0" and check.tolerance]
    return min(map(_check_digits, zero), default=None)


def _check_digits(check: Check) -> float:
    return exact_digits(check.tolerance or "1")


def _bars(topic: str, claims: Sequence[Certificate], longest: int) -> Markup:
    left, right, height = 4, WIDTH - 44, TOP + ROW * len(claims) + 20
    step = 10 if longest <= 60 else 20

    def x(digits: float) -> float:
        return left + (right - left) * min(max(digits, 0), longest) / longest

    parts = []
    for tick in range(0, longest + 1, step):
        parts.append(tag("line", class_="grid", x1=f"{x(tick):.2f}", x2=f"{x(tick):.2f}", y1=TOP, y2=height - 18))
        parts.append(tag("text", tick, class_="tick", x=f"{x(tick):.2f}", y=height - 4, text_anchor="middle"))
    for row, one in enumerate(claims):
        digits, tolerance, y = proved_digits(one) or 0.0, tolerance_digits(one), TOP + ROW * row
        value = "exact" if math.isinf(digits) else f"{max(digits, 0):.1f}"
        kind = f"bar {status_of(one)}"
        parts.append(tag("text", one.id, class_="name", x=left, y=y + 12))
        parts.append(
            tag("rect", x=left, y=y + 16, width=f"{x(digits) - left:.2f}", height=BAR, class_=kind, data_id=one.id)
        )
        parts.append(tag("text", value, class_="value", x=WIDTH - 2, y=y + 23, text_anchor="end"))
        if tolerance is not None:
            at = f"{x(tolerance):.2f}"
            parts.append(tag("line", class_="tolerance", x1=at, x2=at, y1=y + 13, y2=y + 26))
    names = join(f"{one.id}: {status_of(one)}. " for one in claims)
    title = f"Digits proved, topic {topic}"
    return drawing(f"figure-digits-{topic}", title, names, WIDTH, height, parts)
