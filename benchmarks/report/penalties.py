"""The section of the page on gradient penalties."""

from benchmarks.report.parts import Result, provenance, span, table


def section(result: Result) -> str:
    """Return the section of the page."""
    test = result["check"]
    lines = [
        "## Gradient penalties",
        "",
        f"`python -m benchmarks penalties`: {result['rounds']} rounds, {result['threads']} threads. An update of D (a "
        "step of Adam) with the second derivatives of a gradient penalty, beside PyTorch's double backward.",
        f"Check: the parameters of both libraries agree to {test['greatest_difference']:.1e} of their movement after "
        f"{test['updates']} updates in {test['dtype']}.",
        "",
    ]
    names = list(next(iter(result["updates"].values()))["seconds"])
    rows = []
    for key, row in result["updates"].items():
        best = min(row["ratio"].values())
        rows.append([key, *(span(row["seconds"][name], 1e3) for name in names), f"{best:.2f}"])
    head = ["D, penalty", *(f"{name}, ms" for name in names), "fastest PyTorch / minigan"]
    return "\n".join([*lines, *table(head, rows), "", provenance(result)])
