"""The section of docs/benchmarks.md on whole iterations."""

import statistics
from collections.abc import Mapping
from typing import Any

from benchmarks.core.checks import worst
from benchmarks.report import sets
from benchmarks.report.parts import Result, folded, plot_lines, provenance, span

NUMPY = "minigan-numpy"
RATIOS = {
    "fastest PyTorch / minigan": ("ratio", "minigan"),
    "JAX / minigan": ("ratio_to_jax", "minigan"),
    "usual PyTorch / NumPy alone": ("ratio_to_usual", NUMPY),
}
"""The ratios of the summary: the keys of a case."""


def section(found: sets.Sets) -> str:
    """Return the summary of the page as Markdown, from the results of one or two instruction sets."""
    first = next(iter(found.values()))
    lines = [
        "## Summary: a whole iteration of each recipe",
        "",
        f"Milliseconds of an iteration with {first['threads']} threads for each library; a ratio above 1: minigan is "
        "faster. The fastest PyTorch is the fastest eager variant for each recipe. The usual PyTorch is what most "
        "people write: eager, `torch.optim.Adam` without options, convolutions in channels_last.",
        "",
        *table(found),
        "",
        *(sentence for isa, result in found.items() for sentence in ranges(isa, result)),
        "",
    ]
    for isa, result in found.items():
        if isa == "native":
            lines += plot_lines(result, "steps", "Times of an iteration, compared with PyTorch's")
    how = [*_about(first, "steps"), "", *sets.lines(found, "steps"), "", *_contestants(first)]
    lines += folded("Iterations: how they were measured and checked, and all implementations", how)
    return "\n".join([*lines, *sets.provenances(found)])


def details(found: sets.Sets) -> list[str]:
    """Return folded tables of all implementations of each recipe."""
    lines = ["### All implementations of each recipe", ""]
    for case in sets.cases(found):
        one = {
            sets.label(isa, result): result["cases"][case] for isa, result in found.items() if case in result["cases"]
        }
        lines += folded(f"{case}: {next(iter(one.values()))['about']}", implementations(one))
    return lines


def malloc_section(result: Result) -> str:
    """Return the section on a run in which all implementations have the same malloc settings."""
    lines = ["## A whole iteration of each recipe, equal malloc settings", "", *_about(result, "steps --malloc"), ""]
    lines += ["Settings: " + ", ".join(f"`{k}={v}`" for k, v in result["malloc"].items()) + ".", ""]
    for case, one in result["cases"].items():
        lines += [f"### {case}: {one['about']}", "", *implementations({"": one}), ""]
    return "\n".join([*lines, provenance(result)])


def table(found: sets.Sets) -> list[str]:
    """Return the table of all recipes: a row for each instruction set, milliseconds and ratios."""
    lines = [
        f"| recipe | instructions | minigan, ms | NumPy alone | fastest PyTorch | usual PyTorch | JAX | "
        f"{' | '.join(RATIOS)} |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for case in sets.cases(found):
        for isa in sets.NAMES:
            result = found.get(isa)
            one = None if result is None else result["cases"].get(case)
            if result is None or one is None:
                lines.append(f"| {case} | {sets.NAMES[isa]} | not measured |" + " |" * 7)
                continue
            times = [_median(one, name) for name in ("minigan", NUMPY, one["best_torch"], one["usual_torch"], "jax")]
            ratios = [one.get(key, {}).get(name) for key, name in RATIOS.values()]
            cells = [*times, *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios)]
            lines.append(f"| {case} | {sets.label(isa, result)} | {' | '.join(cells)} |")
    return lines


def ranges(isa: str, result: Result) -> list[str]:
    """Return an item on the least, middle and greatest ratio over all recipes; none without a ratio."""
    found = []
    for text, (key, name) in RATIOS.items():
        by_case = {case: one[key][name] for case, one in result["cases"].items() if name in one.get(key, {})}
        if by_case:
            low, high = min(by_case, key=by_case.__getitem__), max(by_case, key=by_case.__getitem__)
            found.append(
                f"{text} {by_case[low]:.2f} (`{low}`) to {by_case[high]:.2f} (`{high}`), "
                f"median {statistics.median(by_case.values()):.2f}"
            )
    return [f"- {sets.label(isa, result)}: {'; '.join(found)}."] if found else []


def _median(one: dict[str, Any], name: str | None) -> str:
    row = one["seconds"].get(name)
    return "" if row is None else f"{1e3 * row['median']:.4g}"


def implementations(found: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return the table of all implementations of a case.

    Parameters
    ----------
    found
        The case's results by the name of the instruction set; "" if there is one without a name.

    """
    head, rule = "| implementation |", "|---|"
    for isa in found:
        head += f" {isa}{': ' if isa else ''}ms | first, s | fastest PyTorch / this |"
        rule += "--:|--:|--:|"
    lines = [head, rule]
    for name in dict.fromkeys(name for one in found.values() for name in (*one["seconds"], *one["absent"])):
        cells = []
        for one in found.values():
            if name in one["seconds"]:
                ratio = one["ratio"].get(name, "the fastest" if name == one["best_torch"] else "")
                text = f"{ratio:.2f}" if isinstance(ratio, float) else ratio
                cells += [span(one["seconds"][name], 1e3), f"{one['first'][name]:.3g}", text]
            else:
                cells += [f"absent: {one['absent'].get(name, 'not measured')}", "", ""]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _about(result: Result, command: str) -> list[str]:
    """Return what is measured and compared, and what was checked."""
    jax = any("jax" in found["seconds"] for found in result["cases"].values())
    return [
        f"`python -m benchmarks {command}`: {result['threads']} threads for each library, "
        f"{result['rounds']} rounds in turns of {result['seconds_each']:g} s, after three warm-up "
        'iterations (with kernels stored by earlier runs: the column "first"). All libraries draw the same batches '
        "with NumPy.",
        "Real and fake examples pass through D separately in `mnist-dcgan` (two updates) and `mnist-maxout`, "
        "and as one batch in the recipes `mnist-softmax`, `mnist-dense` and `gaussian`. In `dcgan64` they pass "
        "separately in PyTorch, and as one batch with statistics of each half in minigan, which is equivalent.",
        check_sentence(worst(result["check"])),
        "While timed, PyTorch draws its own dropout masks and uses its unbiased running variance."
        + (" JAX also draws its own masks; one compiled function holds all updates of an iteration." if jax else ""),
        "Not compared: " + ", ".join(f"{name} ({why})" for name, why in result["not_compared"].items()) + ".",
    ]


def _contestants(result: Result) -> list[str]:
    return [
        "| implementation | description |",
        "|---|---|",
        *(f"| {name} | {about} |" for name, about in result["contestants"].items()),
    ]


def check_sentence(found: Result) -> str:
    """Return a sentence on the checks of the games, from the result of `worst`."""
    text = (
        "Check: whole iterations in float64 on small settings, from the same weights, batches, noise and dropout "
        "masks; parameters and running statistics agree with minigan's reference backend to "
        f"{found['against_reference']:.1e}"
    )
    for name, key in (("PyTorch", "against_torch"), ("JAX", "against_jax")):
        if isinstance(found.get(key), float):
            text += f", with {name} to {found[key]:.1e}"
    return text + "."
