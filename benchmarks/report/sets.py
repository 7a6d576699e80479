"""Results of two instruction sets beside each other: their names, and what each library used."""

from typing import Any

from benchmarks.report.parts import Result, provenance

Sets = dict[str, Result]
"""The results of a benchmark by instruction set, "native" and "avx2"; one that was not measured is missing."""
NAMES = {"native": "native", "avx2": "AVX2"}
COMMANDS = {"native": "", "avx2": " --isa avx2"}


def label(isa: str, result: Result) -> str:
    """Return the name of an instruction set in tables: "AVX2", or what numba used without a limit, "AVX-512"."""
    numba = observed(result).get("numba", "")
    return NAMES[isa] if isa != "native" or not numba else numba.partition(" ")[0]


def observed(result: Result) -> dict[str, str]:
    """Return what each library said about its instructions; nothing for a result that has no such report."""
    found: Any = result.get("instruction_set", {}).get("observed", {})
    return dict(found)


def cases(sets: Sets, key: str = "cases") -> list[str]:
    """Return the names of the cases that at least one of the results has."""
    return list(dict.fromkeys(case for result in sets.values() for case in result.get(key, {})))


def lines(sets: Sets, benchmark: str) -> list[str]:
    """Return a list of what the libraries used with each instruction set, or that it was not measured."""
    found = []
    for isa, name in NAMES.items():
        command = f"`python -m benchmarks {benchmark}{COMMANDS[isa]}`"
        if isa not in sets:
            found.append(f"- {name}: not measured ({command}).")
            continue
        report = observed(sets[isa])
        said = ", ".join(f"{library}: {text}" for library, text in report.items())
        found.append(f"- {name} ({command}): {said or 'what the libraries used was not recorded'}.")
    return found


def provenances(sets: Sets) -> list[str]:
    """Return the dates, machines and versions of the results: one paragraph if they are the same for all."""
    paragraphs = dict.fromkeys(provenance(result) for result in sets.values())
    return [line for paragraph in paragraphs for line in (paragraph, "")][:-1]
