"""The section of docs/benchmarks.md on whole iterations."""

from typing import Any

from benchmarks.report import sets
from benchmarks.report.parts import Result, plot_lines, provenance, span

NUMPY = "minigan-numpy"


def section(found: sets.Sets) -> str:
    """Return the section as Markdown, from the results of one or two instruction sets."""
    first = next(iter(found.values()))
    lines = [
        "## A whole iteration of each recipe",
        "",
        *_about(first, "steps"),
        "",
        *sets.lines(found, "steps"),
        "",
        *table(found),
        "",
        *_contestants(first),
        "",
    ]
    for isa, result in found.items():
        if isa == "native":
            lines += plot_lines(result, "steps", "Times of an iteration, compared with PyTorch's")
    for case in dict.fromkeys(case for result in found.values() for case in result["cases"]):
        for isa, result in found.items():
            if case in result["cases"]:
                one = result["cases"][case]
                summary = f"{case}, {sets.label(isa, result)}: {one['about']}"
                lines += sets.details(summary, implementations(one))
    return "\n".join([*lines, *(text for result in found.values() for text in (provenance(result), ""))][:-1])


def malloc_section(result: Result) -> str:
    """Return the section on a run in which all implementations have the same malloc settings."""
    lines = ["## A whole iteration of each recipe, equal malloc settings", "", *_about(result, "steps --malloc"), ""]
    lines += ["Settings: " + ", ".join(f"`{k}={v}`" for k, v in result["malloc"].items()) + ".", ""]
    for case, one in result["cases"].items():
        lines += [f"### {case}: {one['about']}", "", *implementations(one), ""]
    return "\n".join([*lines, provenance(result)])


def table(found: sets.Sets) -> list[str]:
    """Return the table of all recipes: a row for each instruction set, milliseconds and ratios."""
    lines = [
        "| recipe | instructions | minigan, ms | NumPy alone | fastest PyTorch | usual PyTorch | JAX | "
        "fastest PyTorch / minigan | JAX / minigan | usual PyTorch / NumPy alone |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for case in dict.fromkeys(case for result in found.values() for case in result["cases"]):
        for isa in sets.NAMES:
            result = found.get(isa)
            one = None if result is None else result["cases"].get(case)
            if result is None or one is None:
                lines.append(f"| {case} | {sets.NAMES[isa]} | not measured |" + " |" * 7)
                continue
            times = [_median(one, name) for name in ("minigan", NUMPY, one["best_torch"], one["usual_torch"], "jax")]
            ratios = [one["ratio"].get("minigan"), one.get("ratio_to_jax", {}).get("minigan")]
            ratios.append(one["ratio_to_usual"].get(NUMPY))
            cells = [*times, *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios)]
            lines.append(f"| {case} | {sets.label(isa, result)} | {' | '.join(cells)} |")
    return lines


def _median(one: dict[str, Any], name: str | None) -> str:
    row = one["seconds"].get(name)
    return "" if row is None else f"{1e3 * row['median']:.4g}"


def implementations(one: dict[str, Any]) -> list[str]:
    """Return the table of all implementations of a case."""
    lines = ["| implementation | ms | first, s | fastest PyTorch / this | usual PyTorch / this | JAX / this |"]
    lines += ["|---|---|---|---|---|---|"]
    for name, row in one["seconds"].items():
        ratio = one["ratio"].get(name, "the fastest" if name == one["best_torch"] else "")
        usual = one["ratio_to_usual"].get(name, "the usual" if name == one["usual_torch"] else "")
        jax = one.get("ratio_to_jax", {}).get(name, "")
        lines.append(f"| {name} | {span(row, 1e3)} | {one['first'][name]:.3g} | {ratio} | {usual} | {jax} |")
    return lines + [f"| {name} | absent: {why} | | | | |" for name, why in one["absent"].items()]


def _about(result: Result, command: str) -> list[str]:
    """Return what is measured and compared, and what was checked."""
    jax = any("jax" in found["seconds"] for found in result["cases"].values())
    return [
        f"`python -m benchmarks {command}`: {result['threads']} threads for each library, "
        f"{result['rounds']} rounds in turns of {result['seconds_each']:g} s, after three warm-up "
        'iterations (with kernels stored by earlier runs: the column "first"). All libraries draw the same batches '
        "with NumPy.",
        "The ratios compare with the fastest eager PyTorch of the recipe, and with PyTorch as most people write it: "
        "eager, `torch.optim.Adam` without options, convolutions in channels_last.",
        "Real and fake examples pass through D separately in `mnist-dcgan` (two updates) and `mnist-maxout`, "
        "and as one batch in the recipes `mnist-softmax`, `mnist-dense` and `gaussian`. In `dcgan64` they pass "
        "separately in PyTorch, and as one batch with statistics of each half in minigan, which is equivalent.",
        check_sentence(result["check"]),
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


def check_sentence(checks: Result) -> str:
    """Return a sentence on the results of the games' checks."""
    reference = max(max(c["against_reference"].values()) for c in checks.values() if "against_reference" in c)
    text = (
        "Check: whole iterations in float64 on small settings, from the same weights, batches, noise and dropout "
        f"masks; parameters and running statistics agree with minigan's reference backend to {reference:.1e}"
    )
    for name, key in (("PyTorch", "against_torch"), ("JAX", "against_jax")):
        differences = [max(c[key].values()) for c in checks.values() if isinstance(c.get(key), dict)]
        if differences:
            text += f", with {name} to {max(differences):.1e}"
    return text + "."
