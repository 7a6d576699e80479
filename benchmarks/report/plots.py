"""The plots of docs/benchmarks.md, from the results.

Each library has one colour in all plots (`COLOURS`); its variants are labelled at the axis.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from benchmarks.report.parts import product_rate

Result = dict[str, Any]

DPI = 110
COLOURS = {"minigan": "#0072b2", "torch": "#d55e00", "jax": "#009e73"}
LIMIT_COLOUR = "#666666"
MARKERS = {"forward": ("o", True), "backward": ("o", False)}
"""By direction: the marker, and whether it is filled."""


def save(figure: Figure, path: Path) -> Path:
    """Write the figure as a PNG without a date, so that equal figures give equal files; return the path."""
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})
    return path


def _groups(figure: Figure, rows: dict[str, dict[str, float]], label: str) -> None:
    """Draw horizontal bars: a group for each row, a colour for each library, paler for further variants."""
    axes = figure.subplots()
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    height, variants = 0.8 / max(1, len(names)), Counter[str]()
    for k, name in enumerate(names):
        at = [i + k * height for i, row in enumerate(rows.values()) if name in row]
        values = [row[name] for row in rows.values() if name in row]
        colour = _colour(name)
        axes.barh(at, values, height=height, label=name, color=colour, alpha=0.65 ** variants[colour])
        variants[colour] += 1
    axes.set_yticks([i + 0.4 - height / 2 for i in range(len(rows))], list(rows))
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=4)


def _colour(name: str) -> str:
    """Return the colour of the library that an implementation belongs to."""
    return COLOURS[next(library for library in COLOURS if name.startswith(library))]


def steps(result: Result) -> Figure:
    """Return a panel for each recipe: the median times of all implementations, fastest first, and their ranges.

    Relative to the fastest eager PyTorch, on one axis for all panels.
    """
    cases = result["cases"]
    heights = [len(found["seconds"]) + 1.5 for found in cases.values()]
    figure = Figure(figsize=(9, 0.21 * sum(heights) + 0.8), layout="constrained")
    panels = figure.subplots(len(cases), 1, sharex=True, height_ratios=heights, squeeze=False).ravel()
    for axes, (case, found) in zip(panels, cases.items(), strict=True):
        best = found["best_torch"] or "minigan"
        one = found["seconds"].get(best, {"median": 1.0})["median"]
        rows = sorted(found["seconds"].items(), key=lambda item: item[1]["median"])
        for at, (name, row) in enumerate(rows):
            low, middle, high = (row[key] / one for key in ("min", "median", "max"))
            axes.barh(at, middle, height=0.75, color=_colour(name))
            axes.plot([low, high], [at, at], color="black", linewidth=0.8)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_title(f"{case}   (1 = {best}, {1e3 * one:.3g} ms)", fontsize=9, loc="left", fontweight="bold")
        axes.axvline(1, color=LIMIT_COLOUR, linestyle=":", linewidth=1)
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
    panels[-1].set_xlim(left=0)
    panels[-1].set_xlabel(
        "time of an iteration (fastest eager PyTorch = 1): median; lines from the minimum to the maximum"
    )
    return figure


def breakdown(result: Result) -> Figure:
    """Return bars for the parts of each recipe's iteration and, below them, their limits, as shares of it."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    ticks = []
    for i, (case, found) in enumerate(result["cases"].items()):
        ticks.append(case)
        for k, key in enumerate(("seconds", "limit")):
            left = 0.0
            for colour, (group, row) in enumerate(found["groups"].items()):
                share = row[key] / found["seconds"]
                label = group if i == k == 0 else None
                axes.barh(
                    i + 0.38 * k, share, left=left, height=0.36, color=f"C{colour}", alpha=1 - 0.5 * k, label=label
                )
                left += share
    axes.set_yticks([i + 0.19 for i in range(len(ticks))], ticks)
    axes.invert_yaxis()
    axes.set_xlabel("share of the iteration; below, paler: the limits of the machine")
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=3)
    return figure


def memory(result: Result) -> Figure:
    """Return bars for the peak memory of each recipe."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    rows = {case: {n: row["max"] for n, row in found["mib"].items()} for case, found in result["cases"].items()}
    _groups(figure, rows, "MiB")
    return figure


def scaling(result: Result) -> Figure:
    """Return a panel for each axis: times over size, logarithmic, with the fitted lines."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    for axes, (axis, found) in zip(figure.subplots(2, 2).ravel(), result["axes"].items(), strict=False):
        sizes = np.array(found["sizes"], float)
        for name, rows in found["seconds"].items():
            times, b = np.array([1e3 * row["median"] for row in rows]), found["exponent"][name]
            axes.loglog(
                sizes, times, "o", color=_colour(name), label=name if b is None else f"{name}: exponent {b:.2f}"
            )
            if b is not None:
                a = np.exp(np.mean(np.log(times) - b * np.log(sizes)))
                axes.loglog(sizes, a * sizes**b, color=_colour(name), linewidth=1)
        axes.set_title(f"{axis}: {found['game']}", fontsize=8)
        axes.set_xlabel(found["what"])
        axes.set_ylabel("ms")
        axes.set_xticks(sizes, [f"{n:g}" for n in sizes], minor=False)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    return figure


def layers(result: Result) -> Figure:
    """Return a panel for each recipe: its pieces with matrices, a dot for each rate, and the machine's limit.

    Logarithmic, so that a factor is the same length everywhere.
    """
    recipes: dict[str, list[Result]] = {}
    for row in result["pieces"]:
        if row["unit"] == "flop":
            recipes.setdefault(row["piece"].split()[0], []).append(row)
    heights = [len(rows) + 1.2 for rows in recipes.values()]
    figure = Figure(figsize=(9, 0.25 * sum(heights) + 1.2), layout="constrained")
    panels = figure.subplots(len(recipes), 1, sharex=True, height_ratios=heights, squeeze=False).ravel()
    handles: dict[str, Any] = {}
    for axes, (recipe, rows) in zip(panels, recipes.items(), strict=True):
        for at, row in enumerate(rows):
            rates = {name: rate["per_second"] / 1e9 for name, rate in row["rate"].items() if "numpy" not in name}
            for name, rate in rates.items():
                library, direction = name.rsplit(" ", 1)
                mark, filled = MARKERS[direction]
                offset = -0.16 if library == "minigan" else 0.16
                colour = _colour(library)
                (handles[name],) = axes.plot(
                    rate, at + offset, mark, color=colour, markerfacecolor=colour if filled else "none", markersize=5,
                    linestyle="none",
                )  # fmt: skip
        labels = [f"{row['piece'].removeprefix(recipe).strip()} {row['layers']}" for row in rows]
        axes.set_yticks(range(len(rows)), labels, fontsize=8)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xscale("log")
        axes.set_title(recipe, fontsize=9, loc="left", fontweight="bold")
        limit = axes.axvline(product_rate(result) / 1e9, color=LIMIT_COLOUR, linestyle=":", linewidth=1)
        axes.grid(alpha=0.3)
    handles["this machine's matrix product"] = limit
    panels[-1].set_xlabel("GFLOP/s of the direct sums")
    figure.legend(handles.values(), handles, frameon=False, fontsize=8, loc="outside lower center", ncols=len(handles))
    return figure


def gpu(result: Result) -> Figure:
    """Return the plot of the section on the GPU."""
    from benchmarks.report.gpu import plot

    return plot(result)


PLOTS: dict[str, Callable[[Result], Figure]] = {
    "steps": steps,
    "memory": memory,
    "breakdown": breakdown,
    "scaling": scaling,
    "layers": layers,
    "gpu": gpu,
}
