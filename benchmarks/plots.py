"""The plots of docs/benchmarks.md, from the results.  Small: 70 dots an inch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Result = dict[str, Any]


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG, the same bytes for the same figure."""
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png", dpi=70, metadata={"Software": None})
    return path


def _groups(figure: Figure, rows: dict[str, dict[str, float]], label: str) -> None:
    """Draw horizontal bars: a group for each row, a colour for each name."""
    axes = figure.subplots()
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    height, colours = 0.8 / max(1, len(names)), colormaps["tab20"]
    for k, name in enumerate(names):
        at = [i + k * height for i, row in enumerate(rows.values()) if name in row]
        values = [row[name] for row in rows.values() if name in row]
        axes.barh(at, values, height=height, label=name, color=colours(k) if len(names) > 10 else f"C{k}")
    axes.set_yticks([i + 0.4 - height / 2 for i in range(len(rows))], list(rows))
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=4)


def steps(result: Result) -> Figure:
    """Return, for each recipe, the times of all contestants relative to the fastest eager PyTorch."""
    figure = Figure(figsize=(8, 9), layout="constrained")
    rows = {}
    for case, found in result["cases"].items():
        one = found["seconds"].get(found["best_torch"] or "minigan", {"median": 1.0})["median"]
        rows[case] = {name: row["median"] / one for name, row in found["seconds"].items()}
    _groups(figure, rows, "time of an iteration (fastest eager PyTorch = 1)")
    figure.axes[0].axvline(1, color="black", linestyle=":", linewidth=1)
    return figure


def breakdown(result: Result) -> Figure:
    """Return the parts of each recipe's iteration and, below, what the ceilings allow, as shares of the iteration."""
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
    axes.set_xlabel("share of the iteration; below, paler: what the machine's ceilings allow")
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=3)
    return figure


def memory(result: Result) -> Figure:
    """Return the peak memory of each recipe."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    rows = {case: {n: row["max"] for n, row in found["mib"].items()} for case, found in result["cases"].items()}
    _groups(figure, rows, "MiB")
    return figure


def scaling(result: Result) -> Figure:
    """Return seconds over size for each axis, logarithmic, with the fitted lines."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    for axes, (axis, found) in zip(figure.subplots(2, 2).ravel(), result["axes"].items(), strict=False):
        sizes = np.array(found["sizes"], float)
        for k, (name, rows) in enumerate(found["seconds"].items()):
            times, b = np.array([1e3 * row["median"] for row in rows]), found["exponent"][name]
            axes.loglog(sizes, times, "o", color=f"C{k}", label=name if b is None else f"{name}: exponent {b:.2f}")
            if b is not None:
                a = np.exp(np.mean(np.log(times) - b * np.log(sizes)))
                axes.loglog(sizes, a * sizes**b, color=f"C{k}", linewidth=1)
        axes.set_title(f"{axis}: {found['game']}", fontsize=8)
        axes.set_xlabel(found["what"])
        axes.set_ylabel("ms")
        axes.set_xticks(sizes, [f"{n:g}" for n in sizes], minor=False)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    return figure


def layers(result: Result) -> Figure:
    """Return the rates of the pieces with matrices, and the ceiling."""
    pieces = [row for row in result["pieces"] if row["unit"] == "flop"]
    figure = Figure(figsize=(8, 2 + 0.45 * len(pieces)), layout="constrained")
    rows = {}
    for row in pieces:
        rates = {name: rate["per_second"] / 1e9 for name, rate in row["rate"].items() if "numpy" not in name}
        rows[f"{row['piece']} {row['layers']}"] = rates
    _groups(figure, rows, "GFLOP/s of the direct sums (line: this machine's matrix product)")
    figure.axes[0].axvline(result["ceilings"]["sgemm"] / 1e9, color="black", linestyle=":", linewidth=1)
    return figure


def gpu(result: Result) -> Figure:
    """Return iterations on the GPU, and CPU against GPU."""
    from benchmarks.gpu.report import plot

    return plot(result)


PLOTS: dict[str, Callable[[Result], Figure]] = {
    "steps": steps,
    "memory": memory,
    "breakdown": breakdown,
    "scaling": scaling,
    "layers": layers,
    "gpu": gpu,
}
