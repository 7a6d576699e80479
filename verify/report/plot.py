"""A chart as inline SVG: two axes, lines, dots and labels at the places that the data give.

Lengths are in units of the viewBox.  The style sheet of the page sets the colours, by class.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from verify.report.markup import Markup, tag
from verify.report.numerals import MINUS, powers

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic axis.

    Attributes
    ----------
    low, high
        The numbers at its ends.
    ticks
        The numbers that are labelled.
    label
        The text of the axis; empty for none.
    log
        Whether it is logarithmic; all numbers must then be > 0.

    """

    low: float
    high: float
    ticks: Sequence[float]
    label: str
    log: bool = False

    def fraction(self, value: float) -> float:
        """Return the position of a value on the axis: 0 at `low`, 1 at `high`."""
        low, high, x = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return (x - low) / (high - low)

    def text(self, tick: float) -> str:
        """Return the label of a tick."""
        if self.log:
            return powers(f"1e{round(math.log10(tick))}")
        return f"{tick:g}".replace("-", MINUS)


class Plot:
    """A chart of `width` by `height` with margins for the axes.

    >>> plot = Plot(100, 100, Axis(0, 1, [0, 1], "x"), Axis(0, 10, [0, 10], "y"), left=20, right=0, top=0, bottom=20)
    >>> plot.at((0.5, 5))
    (60.0, 40.0)
    """

    def __init__(
        self, width: int, height: int, x: Axis, y: Axis,
        *, left: int = 48, right: int = 12, top: int = 12, bottom: int = 42,
    ) -> None:  # fmt: skip
        self.width, self.height, self.x, self.y = width, height, x, y
        self.left, self.right, self.top, self.bottom = left, width - right, top, height - bottom
        self.parts: list[Markup] = []
        self._axes()

    def at(self, point: Point) -> Point:
        """Return the position of a point in the viewBox."""
        across, up = self.x.fraction(point[0]), self.y.fraction(point[1])
        return self.left + across * (self.right - self.left), self.bottom - up * (self.bottom - self.top)

    def line(self, points: Iterable[Point], style: str, name: str) -> None:
        """Draw a curve through the points."""
        path = " ".join(f"{x:.2f},{y:.2f}" for x, y in map(self.at, points))
        self.parts.append(tag("polyline", points=path, class_=f"curve {style}", data_name=name))

    def dots(self, points: Iterable[Point], style: str, name: str, *, square: bool = False) -> None:
        """Mark the points."""
        marks = []
        for x, y in map(self.at, points):
            if square:
                marks.append(tag("rect", x=f"{x - 4:.2f}", y=f"{y - 4:.2f}", width=8, height=8))
            else:
                marks.append(tag("circle", cx=f"{x:.2f}", cy=f"{y:.2f}", r=4.5))
        self.parts.append(tag("g", marks, class_=f"dots {style}", data_name=name))

    def note(self, point: Point, text: str, style: str, *, dx: float = 0, dy: float = 0, anchor: str = "start") -> None:
        """Write a text at a point, shifted by dx and dy."""
        x, y = self.at(point)
        self.parts.append(
            tag("text", text, x=f"{x + dx:.2f}", y=f"{y + dy:.2f}", class_=f"label {style}", text_anchor=anchor)
        )

    def svg(self, name: str, title: str, description: str) -> Markup:
        """Return the chart, with a title and a description for screen readers."""
        return drawing(name, title, description, self.width, self.height, self.parts)

    def _axes(self) -> None:
        for tick in self.x.ticks:
            x, _ = self.at((tick, self.y.low))
            self._grid(x, x, self.bottom, self.top)
            self._tick(self.x.text(tick), x, self.bottom + 17, "middle")
        for tick in self.y.ticks:
            _, y = self.at((self.x.low, tick))
            self._grid(self.left, self.right, y, y)
            self._tick(self.y.text(tick), self.left - 6, y + 4.5, "end")
        middle = (self.left + self.right) / 2
        self._tick(self.x.label, middle, self.height - 5, "middle")
        self._tick(self.y.label, self.left, self.top - 8, "start")

    def _grid(self, x1: float, x2: float, y1: float, y2: float) -> None:
        ends = {"x1": x1, "x2": x2, "y1": y1, "y2": y2}
        self.parts.append(tag("line", class_="grid", **{key: f"{value:.2f}" for key, value in ends.items()}))

    def _tick(self, text: str, x: float, y: float, anchor: str) -> None:
        if text:
            self.parts.append(tag("text", text, x=f"{x:.2f}", y=f"{y:.2f}", class_="tick", text_anchor=anchor))


def drawing(name: str, title: str, description: str, width: int, height: int, parts: Iterable[Markup]) -> Markup:
    """Return an SVG element with a title and a description; `name` must be unique on the page."""
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-desc"),
        list(parts),
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_labelledby=f"{name}-title",
        aria_describedby=f"{name}-desc",
        id=name,
    )
