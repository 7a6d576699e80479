"""The section of docs/benchmarks.md on first iterations."""

from benchmarks.report import sets
from benchmarks.report.parts import folded, span, table

HEAD = ["recipe", "instructions", "never compiled, s", "stored kernels, s", "NumPy alone, s",
        "never compiled - NumPy alone, s", "kernels compiled"]  # fmt: skip


def section(found: sets.Sets) -> str:
    """Return the section as Markdown, from the results of one or two instruction sets."""
    rows = []
    for case in sets.cases(found):
        for isa, result in found.items():
            one = result["cases"].get(case)
            if one is not None:
                times = [span(row, digits=3) for row in one["seconds"].values()]
                rows.append([case, sets.label(isa, result), *times, f"{one['beyond_numpy']:.3g}", str(one["kernels"])])
    lines = [
        "## The first iteration",
        "",
        "Seconds from building the networks to the end of the first iteration, in a new process, imports not counted: "
        "on a machine that never compiled, with the kernels that an earlier process stored, and with NumPy alone, "
        "which compiles nothing.",
        "",
        *table(HEAD, rows, texts=2),
        "",
    ]
    how = ["An empty folder for numba's kernels stands for a machine that never compiled.", ""]
    how += [*sets.lines(found, "first"), "", *sets.provenances(found)]
    return "\n".join([*lines, *folded("First iterations: how they were measured", how)][:-1])
