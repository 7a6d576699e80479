"""The section of docs/benchmarks.md on the GPU, and its plot, from benchmarks/results/gpu.json."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.gpu import algorithms
from benchmarks.gpu.steps import FUSED_BF16_ITERATION_SECONDS
from benchmarks.report.parts import folded, plot_lines, provenance, span, table

Result = dict[str, Any]
WAYS = ("forward", "backward")


def section(result: Result) -> str:
    """Return the section as Markdown, from the result of `python -m benchmarks.gpu`."""
    gpu = result["gpu"]
    versions = ", ".join(f"{name} {number}" for name, number in gpu["versions"].items() if number)
    memory = f", {gpu['memory_gib']} GiB" if "memory_gib" in gpu else ""
    lines = [
        "## On a GPU",
        "",
        f"`python -m benchmarks.gpu`: {gpu['name']}, {gpu['processors']} multiprocessors{memory}; {versions}. Results "
        "are checked before they are timed. Times are medians, with minimum and maximum in brackets: device time for "
        "kernels, with caches flushed before each repeat; wall time for iterations, Python included. PyTorch "
        "computes in the same precision: strict fp32, TF32, or autocast to bf16.",
        *(f"Absent: {name}: {why}." for name, why in result["absent"].items()),
        *(f"Failed: {name}: {why}." for name, why in result.get("failed", {}).items()),
        "",
    ]
    for name, section_of in SECTIONS.items():
        if name in result:
            lines += [*section_of(result[name]), ""]
    lines += plot_lines(result, "gpu", "Iterations on the GPU, compared with PyTorch; CPU against GPU")
    return "\n".join([*lines, provenance(result)])


def _tests(found: Result) -> list[str]:
    return [
        "### Tests on the GPU",
        "",
        f"The tests of `tests/cuda`: {found['passed']} passed, {found['skipped']} skipped, {len(found['failed'])} "
        f"failed ({found['status']}).",
        *(f"Failed: `{name}`." for name in found["failed"]),
    ]


def _checkers(found: Result | str) -> list[str]:
    if isinstance(found, str):
        return [f"Memory and race checkers: {found}."]
    return [f"Tests under `{tool}`: {row['passed']} passed, {row['status']}." for tool, row in found.items()]


def _roofline(found: Result) -> list[str]:
    def rate(name: str, row: Result) -> str:
        per = row["per_second"]
        return f"{per / 1e9:.0f} GB/s" if name == "copy" else f"{per / 1e12:.1f} TFLOP/s"

    rows = [f"| {name} | {rate(name, row)} |" for name, row in found.items()]
    return ["### Measured limits", "", "| operation | rate |", "|---|---|", *rows]


def _kernels(found: Result) -> list[str]:
    worst = ", ".join(f"{error:.1e} in {precision}" for precision, error in found["worst"].items())
    lines = [
        "### Kernels",
        "",
        f"Check: relative errors against the reference in float64: {worst} at most.",
        "",
    ]
    columns = ["minigan", "PyTorch", "PyTorch / minigan"]
    single = [[row["kernel"], *_compared(row)] for row in found["single"]]
    lines += ["Milliseconds (share of the measured limit):", "", *table(["kernel", *columns], single), ""]
    rows: list[list[str]] = []
    before: list[str] = []
    for row in found["pieces"]:
        piece = [f"{row['piece']} {row['layers']}", "x".join(map(str, row["x"]))]
        cells = [cell for way in WAYS for cell in _compared(row, f" {way}")]
        rows.append([*(["", ""] if piece == before else piece), row["precision"], *cells])  # a piece's name only once
        before = piece
    head = ["piece", "x", "precision", *(f"{way}: {column}" for way in WAYS for column in columns)]
    lines += folded("Layers: ms (share of the limit)", table(head, rows, texts=3))
    return [*lines[:-1], *([f"\nNot all were timed: {found['left_out']}."] if "left_out" in found else [])]


def _compared(row: Result, way: str = "") -> list[str]:
    """Return three cells: minigan's time, PyTorch's, and their ratio; `way` is " forward", " backward" or empty."""
    ours, torch = row["seconds"][f"minigan{way}"], row["seconds"].get(f"torch{way}")
    ratio = "" if torch is None else f"{torch['median'] / ours['median']:.2f}"
    return [_cell(row, f"minigan{way}"), _cell(row, f"torch{way}"), ratio]


def _cell(row: Result, name: str) -> str:
    if name not in row["seconds"]:
        return ""
    return f"{1e3 * row['seconds'][name]['median']:.3g} ({100 * row['rate'][name]['share']:.0f} %)"


def _steps(found: Result) -> list[str]:
    worst = max((case["difference"] for case in found.values()), default=float("nan"))
    lines = [
        "### A whole iteration of each recipe",
        "",
        f"Check: two iterations in float64 on small settings agree with the reference backend to {worst:.1e}. Batches "
        "are gathered from the device and noise is drawn there, except in `host draws`, which is `minigan train`. "
        "PyTorch's Adam is the fused one.",
        "",
    ]
    for recipe, case in found.items():
        settings = ", ".join(f"{key} = {value}" for key, value in case["settings"].items())
        precisions = _precisions(case)
        head = [text for precision in precisions for text in (f"{precision}, ms", "time / minigan's")]
        names = dict.fromkeys(name for one in precisions.values() for name in (*one["seconds"], *one["absent"]))
        rows = [[name, *(cell for one in precisions.values() for cell in _time(one, name))] for name in names]
        lines += [f"#### {recipe}{f' ({settings})' if settings else ''}", ""]
        lines += [*table(["implementation", *head], rows), ""]
        for precision, one in precisions.items():
            if "flop_per_second" in one:
                share = one.get("share_of_floor")
                line = f"- {precision}: {one['flop_per_second'] / 1e12:.0f} TFLOP/s of the direct sums."
                if share is not None:
                    milliseconds = 1e3 * FUSED_BF16_ITERATION_SECONDS
                    line += f" A fully fused iteration would take an estimated {milliseconds:g} ms, {100 * share:.0f} %"
                    line += " of minigan's time."
                lines.append(line)
        if lines[-1]:
            lines.append("")
    return lines[:-1]


def _precisions(case: Result) -> Result:
    """Return the results of a recipe by precision."""
    return {key: one for key, one in case.items() if key not in ("settings", "difference")}


def _time(one: Result, name: str) -> list[str]:
    """Return two cells: the time of an implementation, or why there is none, and its ratio to minigan's."""
    if name not in one["seconds"]:
        return [f"absent: {one['absent'].get(name, 'not measured')}", ""]
    return [span(one["seconds"][name], 1e3), f"{one['ratio'][name]:.2f}" if name in one["ratio"] else ""]


def _gaussian(found: Result) -> list[str]:
    lines = [
        "### The Gaussian game",
        "",
        f"Check: the single kernel and the library's own steps agree to {found['check']['greatest_difference']:.1e} in "
        "float64, on the same draws. An iteration is 10 + 10 updates on 1000 + 1000 samples.",
        "",
        "| implementation | us per iteration | eager PyTorch / this |",
        "|---|---|---|",
        *(f"| {name} | {span(row, 1e6)} | {found['ratio'].get(name, '')} |" for name, row in found["seconds"].items()),
        *(f"| {name} | absent: {why} | |" for name, why in found["absent"].items()),
        "",
        "| GANs at once | GAN-iterations per second |",
        "|---|---|",
        *(f"| {row['gans']:,} | {row['per_second']:.4g} |" for row in found["ensembles"]),
    ]
    for row in found["ensembles"]:
        if "whole_run" in row:
            whole = row["whole_run"]
            lines += [
                "",
                f"{row['gans']:,} GANs trained for {whole['iterations']:,} iterations in {whole['seconds']:.3g} s: "
                f"{whole['finite']:,} ended finite, the mean of G at {whole['mean']['median']:.3f} (std over GANs "
                f"{whole['mean']['std']:.3f}), its std at {whole['std']['median']:.3f} ({whole['std']['std']:.3f}).",
            ]
    return lines


def _crossover(found: Result) -> list[str]:
    lines = ["### CPU against GPU", "", "Both run as in `minigan train`, with batches drawn by NumPy.", ""]
    for name, game in found.items():
        rows, at = game["rows"], game["crossing"]
        settings = ", ".join(f"{key} = {value}" for key, value in game["settings"].items())
        lines += [
            f"{name}{f' ({settings})' if settings else ''}: "
            + (
                "the CPU is faster at all batch sizes below."
                if at is None
                else f"the GPU is faster from a batch of {at:.4g}."
            ),
            "",
        ]
        times = [
            [f"{device.upper()}, ms", *(f"{1e3 * row[device]['median']:.4g}" if device in row else "" for row in rows)]
            for device in ("cpu", "gpu")
        ]
        lines += [*table(["batch", *(str(row["batch"]) for row in rows)], times), ""]
    return lines[:-1]


def _kernel_steps(found: Result) -> list[str]:
    if "absent" in found:
        return [f"The kernels of docs/kernels: {found['absent']}."]
    rows = [
        f"| {name} | {row['median']:.3g} ({row['min']:.3g} ... {row['max']:.3g}) |" for name, row in found["ms"].items()
    ]
    return ["### One kernel, from naive to fast", "", "| version | ms |", "|---|---|", *rows]


def _algorithms(found: Any) -> list[str]:
    if isinstance(found, str):
        return [f"Algorithms of the convolutions: {found}."]
    rows = [{**row, "times": {int(tile): times for tile, times in row["times"].items()}} for row in found]
    title = "### Convolutions by im2col and by tiles"
    summary = "Convolutions: ms, and the choice of the plan"
    return [title, "", *folded(summary, algorithms.table(rows).splitlines())[:-1]]


SECTIONS = {
    "tests": _tests,
    "ceilings": _roofline,
    "steps": _steps,
    "gaussian": _gaussian,
    "crossing": _crossover,
    "kernels": _kernels,
    "lessons": _kernel_steps,
    "ways": _algorithms,
    "checkers": _checkers,
}


def plot(result: Result) -> Figure:
    """Return the times of iterations on the left, and those of CPU and GPU by batch size on the right."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    ticks: list[str] = []
    colours: dict[str, str] = {}
    for name, case in result.get("steps", {}).items():
        for precision, one in _precisions(case).items():
            for i, (implementation, row) in enumerate(one["seconds"].items()):
                colour = colours.setdefault(implementation, f"C{len(colours)}")
                left.barh(len(ticks) + 0.1 * i, 1e3 * row["median"], height=0.09, color=colour)
            ticks.append(f"{name} {precision}")
    k = len(ticks)
    left.set_yticks(np.arange(k) + 0.3, ticks)
    left.invert_yaxis()
    left.set_xscale("log")
    left.set_xlabel("ms per iteration")
    if colours:
        left.legend(
            handles=[left.barh([0], [np.nan], color=colour, label=label) for label, colour in colours.items()],
            frameon=False, fontsize=7,
        )  # fmt: skip
    for i, (name, game) in enumerate(result.get("crossing", {}).items()):
        for device, style in (("cpu", "--"), ("gpu", "-")):
            rows = [row for row in game["rows"] if device in row]
            times = [1e3 * row[device]["median"] for row in rows]
            right.loglog(
                [row["batch"] for row in rows],
                times,
                style,
                marker="o",
                color=f"C{i}",
                label=f"{name} {device.upper()}",
            )
    right.set_xlabel("batch")
    right.set_ylabel("ms per iteration")
    right.grid(alpha=0.3)
    if right.lines:
        right.legend(frameon=False, fontsize=7)
    return figure
