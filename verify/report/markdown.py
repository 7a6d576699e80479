"""The matrix of claims as Markdown, for the documentation."""

import re
from collections.abc import Iterable, Sequence

from verify.engine.certificate import Certificate
from verify.report.status import NONE, Status, by_rigor, controls_text, digits_text, headline, radius_text, status_of

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&])")


def matrix_markdown(certificates: Sequence[Certificate]) -> str:
    """Return the outcome, the counts by rigor, and a table with a row for each claim, as Markdown.

    Parameters
    ----------
    certificates : sequence of Certificate
        The certificates, in the order of the rows.

    Returns
    -------
    str
        The text, which ends with a line break.

    """
    kinds = [kind for kind in Status if any(status_of(one) is kind for one in certificates)]
    counts = [
        [rigor, *(str(count[kind] or NONE) for kind in kinds), str(count.total())]
        for rigor, count in by_rigor(certificates).items()
    ]
    rows = [
        [
            f"`{one.id}`", escaped(one.statement), one.rigor, status_of(one).value, digits_text(one), radius_text(one),
            controls_text(one),
        ]
        for one in certificates
    ]  # fmt: skip
    return "\n".join(
        (
            f"{headline(certificates)}.",
            "",
            *table(["rigor", *kinds, "all"], counts),
            "",
            *table(["claim", "statement", "rigor", "verdict", "digits", "radius", "controls refuted"], rows),
            "",
        )
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    lines = [list(head), ["---"] * len(head), *map(list, rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def escaped(text: str) -> str:
    r"""Return text with the special characters of Markdown escaped, and white space collapsed.

    >>> escaped("D* < 1 | x_1")
    'D\\* \\< 1 \\| x\\_1'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
