"""The section of docs/benchmarks.md on `mnist-fast`."""

from benchmarks.report import sets
from benchmarks.report.parts import Result, folded, span, table

HEAD = ["implementation", "instructions", "ms of an iteration", "time / minigan's"]


def section(found: sets.Sets) -> str:
    """Return the section as Markdown, from the results of one or two instruction sets."""
    first = next(iter(found.values()))
    rows = []
    for name, about in first["contestants"].items():
        for isa, result in found.items():
            if name in result["seconds"]:
                ratio = result["ratio"].get(name)
                times = [span(result["seconds"][name], 1e3), "" if ratio is None else f"{ratio:.2f}"]
            else:
                times = [f"absent: {result['absent'].get(name, 'not measured')}", ""]
            rows.append([f"{name} ({about})", sets.label(isa, result), *times])
    lines = [
        "## A recipe with a gradient penalty: `mnist-fast`",
        "",
        f"`python -m benchmarks fast`: the whole iteration with {first['threads']} threads: the simultaneous update of "
        f"both players, the penalty R1 in one of {first['iterations_per_block']} iterations, and the moving average of "
        "G. Both libraries compute the same, so the ratio of the times of an iteration is that of the times to equal "
        "samples.",
        "",
        *table(HEAD, rows, texts=2),
        "",
        *(sentence(sets.label(isa, result), result) for isa, result in found.items()),
        "",
    ]
    check = first["check"]
    how = [
        f"{first['rounds']} rounds in turns of {first['seconds_each']:g} s; a time is that of a block of "
        f"{first['iterations_per_block']} iterations, divided by their number.",
        f"Check: {check['iterations']} iterations in {check['dtype']} on small settings, with and without the penalty; "
        "parameters, running statistics and averages agree with minigan's reference backend to "
        f"{_worst(check['against_reference'])}, with PyTorch to {_worst(check['against_torch'])}.",
        "PyTorch computes the penalty by a double backward through the pass of D that the update needs, averages G "
        "with `torch._foreach_lerp_`, and keeps its unbiased running variance.",
        "",
        *sets.lines(found, "fast"),
        "",
        *sets.provenances(found),
    ]
    return "\n".join([*lines, *folded("mnist-fast: how it was measured and checked", how)][:-1])


def sentence(label: str, result: Result) -> str:
    """Return how the fastest eager PyTorch and the usual one compare with minigan."""
    best, usual = result["best_torch"], result["usual_torch"]
    if best is None:
        return f"- {label}: PyTorch was not measured."
    return (
        f"- {label}: the fastest eager PyTorch (`{best}`) takes {result['ratio'][best]:.2f} times as long as minigan"
        + (f", the usual one (`{usual}`) {result['ratio'][usual]:.2f} times." if usual in result["ratio"] else ".")
    )


def _worst(differences: dict[str, float] | str) -> str:
    return differences if isinstance(differences, str) else f"{max(differences.values()):.1e}"
