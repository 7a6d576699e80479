"""The parts of docs/benchmarks.md on the time by operation: groups of operations, and every operation."""

from typing import Any

from benchmarks.cpu.breakdown import MIN_SHARE, OTHER, REST
from benchmarks.report import sets
from benchmarks.report.parts import Result, folded, plot_lines, product_rate, table
from benchmarks.report.steps import check_sentence

TITLES = {"cases": "minigan", "numpy_cases": "NumPy alone"}


def section(found: sets.Sets) -> str:
    """Return the section on the groups as Markdown, from the results of one or two instruction sets."""
    lines = [
        "## Where the time goes",
        "",
        "Milliseconds of an iteration by groups of operations, with the limit in brackets: the time of the operations "
        "that run (Winograd's if the cost model chooses them) at the machine's best rate of a product, or of reading "
        "and writing the arrays at the rate of a copy of their size, whichever is longer. A limit below a hundredth of "
        "the time is not shown. `layers in Python` is the time of layers besides their operations, with NumPy's "
        f"functions that they call; `{REST}` is what no operation covers.",
        "",
    ]
    for key, title in TITLES.items():
        if sets.cases(found, key):
            lines += [f"{title}:", "", *groups(found, key), ""]
    for isa, result in found.items():
        if isa == "native":
            lines += plot_lines(result, "breakdown", "Parts of an iteration, and their limits")
    how = [
        "The best rate of a product is that of BLAS or of minigan's own kernel. All rates were measured in the same "
        "run:",
        "",
        *(f"- {_ceilings(isa, result)}" for isa, result in found.items()),
        "",
        check_sentence(next(iter(found.values()))["check"]),
        "",
        *sets.lines(found, "breakdown"),
        "",
        *sets.provenances(found),
    ]
    return "\n".join([*lines, *folded("Time by operation: how it was measured", how)][:-1])


def details(found: sets.Sets) -> list[str]:
    """Return folded tables of minigan's operations for each recipe."""
    lines = [
        "### Operations",
        "",
        "minigan's operations by their shapes, with the limit in percent of the time. What takes less than "
        f"{100 * MIN_SHARE:g} % of an iteration is in `{OTHER}`. The operations of NumPy alone are in "
        "`benchmarks/results/breakdown.json`.",
        "",
    ]
    for case in sets.cases(found):
        lines += folded(f"{case}: operations", operations(found, case))
    return lines


def _ceilings(isa: str, result: Result) -> str:
    """Return a sentence on the run and the machine's rates."""
    top = result["ceilings"]
    runs = f", the middle one of {result['rounds']} runs" if result["rounds"] > 1 else ", one run"
    text = f"{sets.label(isa, result)}: {result['threads']} threads{runs}; "
    text += f"product: {product_rate(result) / 1e9:.0f} GFLOP/s"
    if top.get("compiled"):
        text += f" (BLAS {top['sgemm'] / 1e9:.0f}, minigan's kernel {top['compiled'] / 1e9:.0f})"
    copies = "".join(f", {rate / 1e9:.0f} at {size / 2**20:g} MiB" for size, rate in top.get("copies", [])[:-1])
    return f"{text}; copy: {top['copy'] / 1e9:.0f} GB/s in main memory{copies}."


def groups(found: sets.Sets, key: str) -> list[str]:
    """Return the table of the groups of operations, without groups that no case has.

    Parameters
    ----------
    found
        The results of one or two instruction sets.
    key
        "cases", or "numpy_cases".

    """
    cases = [
        (case, sets.label(isa, result), result[key][case])
        for case in sets.cases(found, key)
        for isa, result in found.items()
        if case in result.get(key, {})
    ]
    names = list(dict.fromkeys(name for _, _, one in cases for name in one["groups"]))
    shown = [name for name in names if any(one["groups"][name]["seconds"] > 0 for _, _, one in cases)]
    rows = []
    for case, isa, one in cases:
        limit = sum(row["limit"] for row in one["groups"].values())
        cells = [_cell(one["groups"][name]) for name in shown]
        rows.append([case, isa, _cell({"seconds": one["seconds"], "limit": limit}), *cells])
    return table(["recipe", "instructions", "all", *shown], rows, texts=2)


def _cell(row: dict[str, float]) -> str:
    """Return "ms (limit)", "ms" if the limit is less than a hundredth of it, or nothing for a group without time."""
    limit = f" ({1e3 * row['limit']:.3g})" if row["limit"] >= 0.01 * row["seconds"] else ""
    return f"{1e3 * row['seconds']:.3g}{limit}" if row["seconds"] > 0 else ""


def operations(found: sets.Sets, case: str) -> list[str]:
    """Return the table of a case's operations: milliseconds and the limit's share of them, by instruction set."""
    columns = {isa: result["cases"][case] for isa, result in found.items() if case in result["cases"]}
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for isa, one in columns.items():
        for row in one["rows"]:
            rows.setdefault(row["name"], {})[isa] = row
    others = rows.pop(OTHER, {})
    if others:
        rows[OTHER] = others
    lines = []
    for name, by_set in rows.items():
        calls = dict.fromkeys(f"{row['calls']:g}" for row in by_set.values())
        lines.append([name, " / ".join(calls), *(_share(by_set.get(isa)) for isa in columns)])
    lines.append([REST, "", *(_share({"limit": 0.0, **one["groups"][REST]}) for one in columns.values())])
    return table(["operation", "calls", *(f"{sets.label(isa, found[isa])}, ms" for isa in columns)], lines)


def _share(row: dict[str, Any] | None) -> str:
    """Return "ms (limit / time)"; nothing for an operation that has no row of its own."""
    if row is None:
        return ""
    share = f" ({100 * row['limit'] / row['seconds']:.0f} %)" if row["limit"] and row["seconds"] else ""
    return f"{1e3 * row['seconds']:.3g}{share}"
