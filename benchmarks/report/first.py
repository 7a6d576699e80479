"""The section of docs/benchmarks.md on first iterations."""

from benchmarks.report import sets
from benchmarks.report.parts import provenance, span


def section(found: sets.Sets) -> str:
    """Return the section as Markdown, from the results of one or two instruction sets."""
    lines = [
        "## The first iteration",
        "",
        "`python -m benchmarks first`: seconds from building the networks to the end of the first iteration, in a new "
        "process: on a machine that never compiled (an empty folder for numba's kernels), with the kernels that the "
        "process before stored, and with NumPy alone, which compiles nothing. Imports are not counted.",
        "",
        *sets.lines(found, "first"),
        "",
        "| recipe | instructions | never compiled, s | stored kernels, s | NumPy alone, s | "
        "never compiled - NumPy alone, s | kernels |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in dict.fromkeys(case for result in found.values() for case in result["cases"]):
        for isa, result in found.items():
            one = result["cases"].get(case)
            if one is not None:
                cells = [span(row, digits=3) for row in one["seconds"].values()]
                cells += [f"{one['beyond_numpy']:.3g}", str(one["kernels"])]
                lines.append(f"| {case} | {sets.label(isa, result)} | {' | '.join(cells)} |")
    for result in found.values():
        lines += ["", provenance(result)]
    return "\n".join(lines)
