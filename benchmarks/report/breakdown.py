"""The section of docs/benchmarks.md on the time by operation."""

from benchmarks.cpu.breakdown import REST, table
from benchmarks.report import sets
from benchmarks.report.parts import Result, plot_lines, product_rate, provenance

ALL = "all"


def section(found: sets.Sets) -> str:
    """Return the section as Markdown, from the results of one or two instruction sets."""
    lines = [
        "## Where the time goes",
        "",
        "`python -m benchmarks breakdown`: every operation of an iteration, by its shapes. The limit is the time of "
        "the operations that run (Winograd's if the cost model chooses them) at the machine's best rate of a product, "
        "whether BLAS's or minigan's own, or of reading and writing the arrays at the rate of a copy of their size, "
        "whichever is longer; all rates were measured in the same run. `layers in Python` is the time of layers "
        f"besides their operations, with NumPy's functions that they call; `{REST}` is what no operation covers.",
        "",
        *sets.lines(found, "breakdown"),
        "",
    ]
    for isa, result in found.items():
        name = sets.label(isa, result)
        lines += [f"### {name}", "", _ceilings(result), "", *groups(result["cases"])]
        if result.get("numpy_cases"):
            lines += ["", "NumPy alone:", "", *groups(result["numpy_cases"])]
        lines.append("")
        for title, cases in (("", result["cases"]), (", NumPy alone", result.get("numpy_cases", {}))):
            for case, one in cases.items():
                if "rows" in one:
                    lines += sets.details(f"{case}{title}, {name}: every operation", table(one))
        if isa == "native":
            lines += plot_lines(result, "breakdown", "Parts of an iteration, and their limits")
        lines += [provenance(result), ""]
    return "\n".join(lines[:-1])


def _ceilings(result: Result) -> str:
    """Return a sentence on the run and the machine's rates."""
    top = result["ceilings"]
    text = f"{result['threads']} threads, the middle one of {result['rounds']} runs. "
    text += f"Product: {product_rate(result) / 1e9:.0f} GFLOP/s"
    if top.get("compiled"):
        text += f" (BLAS {top['sgemm'] / 1e9:.0f}, minigan's kernel {top['compiled'] / 1e9:.0f})"
    copies = "".join(f", {rate / 1e9:.0f} at {size / 2**20:g} MiB" for size, rate in top.get("copies", [])[:-1])
    return f"{text}; copy: {top['copy'] / 1e9:.0f} GB/s in main memory{copies}."


def groups(cases: Result) -> list[str]:
    """Return the table of the groups of operations, without groups that no case has."""
    names = list(next(iter(cases.values()))["groups"])
    shown = [name for name in names if any(one["groups"][name]["seconds"] > 0 for one in cases.values())]
    lines = [f"| ms (limit) | {' | '.join(shown)} | {ALL} |", "|---|" + "---|" * (len(shown) + 1)]
    for case, one in cases.items():
        cells = []
        for name in shown:
            row = one["groups"][name]
            limit = f" ({1e3 * row['limit']:.3g})" if row["limit"] > 0 else ""
            cells.append(f"{1e3 * row['seconds']:.3g}{limit}" if row["seconds"] > 0 else "")
        total = sum(row["limit"] for row in one["groups"].values())
        lines.append(f"| {case} | {' | '.join(cells)} | {1e3 * one['seconds']:.4g} ({1e3 * total:.3g}) |")
    return lines
