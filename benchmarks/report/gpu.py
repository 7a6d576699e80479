"""The section of docs/benchmarks.md on the GPU, and its plot, from benchmarks/results/gpu.json."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.gpu import algorithms
from benchmarks.gpu.steps import FUSED_BF16_ITERATION_SECONDS
from benchmarks.report.parts import plot_lines, provenance, span

Result = dict[str, Any]


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
        "| piece | precision | x | minigan: ms, rate, share | PyTorch: ms, rate, share | PyTorch / minigan |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["pieces"]:
        for direction in ("forward", "backward"):
            x = "x".join(map(str, row["x"]))
            cells = [_cell(row, f"{name} {direction}") for name in ("minigan", "torch")]
            ratio = _ratio(row["seconds"].get(f"torch {direction}"), row["seconds"][f"minigan {direction}"])
            piece = f"{row['piece']} {row['layers']} {direction}"
            lines.append(f"| {piece} | {row['precision']} | {x} | {' | '.join(cells)} | {ratio} |")
    for row in found["single"]:
        cells = [_cell(row, name) for name in ("minigan", "torch")]
        ratio = _ratio(row["seconds"].get("torch"), row["seconds"]["minigan"])
        lines.append(f"| {row['kernel']} | fp32 | | {' | '.join(cells)} | {ratio} |")
    return [*lines, *([f"\nNot all were timed: {found['left_out']}."] if "left_out" in found else [])]


def _cell(row: Result, name: str) -> str:
    if name not in row["seconds"]:
        return ""
    unit = "GFLOP/s" if row["unit"] == "flop" else "GB/s"
    time, rate = row["seconds"][name]["median"], row["rate"][name]
    return f"{1e3 * time:.3g}, {rate['per_second'] / 1e9:.4g} {unit}, {100 * rate['share']:.0f} %"


def _ratio(torch: Result | None, minigan: Result) -> str:
    return "" if torch is None else f"{torch['median'] / minigan['median']:.2f}"


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
        lines += [f"#### {recipe}{f' ({settings})' if settings else ''}", ""]
        lines += ["| precision | implementation | ms | time / minigan's |", "|---|---|---|---|"]
        for precision, one in ((key, row) for key, row in case.items() if key not in ("settings", "difference")):
            for name, row in one["seconds"].items():
                lines.append(f"| {precision} | {name} | {span(row, 1e3)} | {one['ratio'].get(name, '')} |")
            lines += [f"| {precision} | {name} | absent: {why} | |" for name, why in one["absent"].items()]
        lines.append("")
        for precision, one in ((key, row) for key, row in case.items() if key not in ("settings", "difference")):
            if "flop_per_second" in one:
                share = one.get("share_of_floor")
                line = f"{precision}: {one['flop_per_second'] / 1e12:.0f} TFLOP/s of the direct sums."
                if share is not None:
                    milliseconds = 1e3 * FUSED_BF16_ITERATION_SECONDS
                    line += f" A fully fused iteration would take an estimated {milliseconds:g} ms, {100 * share:.0f} %"
                    line += " of minigan's time."
                lines.append(line)
        lines.append("")
    return lines


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
            "| batch | " + " | ".join(str(row["batch"]) for row in rows) + " |",
            "|---|" + "---|" * len(rows),
        ]
        for device in ("cpu", "gpu"):
            cells = [f"{1e3 * row[device]['median']:.4g}" if device in row else "" for row in rows]
            lines.append(f"| {device.upper()}, ms | " + " | ".join(cells) + " |")
        lines.append("")
    return lines


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
    title = "### Convolutions by im2col and by tiles, and the choice of the plan; ms"
    return [title, "", *algorithms.table(rows).splitlines()]


SECTIONS = {
    "tests": _tests,
    "ceilings": _roofline,
    "kernels": _kernels,
    "steps": _steps,
    "gaussian": _gaussian,
    "crossing": _crossover,
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
        for precision, one in ((key, row) for key, row in case.items() if key not in ("settings", "difference")):
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
