"""The status of a certificate, the digits that it proves, and counts over many certificates.

A claim has the status "proved" only if it has negative controls and all of them are refuted.
"""

import math
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from verify.arithmetic.decide import Verdict
from verify.engine.certificate import Certificate
from verify.engine.registry import RIGOR
from verify.report.numerals import bound, magnitude, powers

NONE = "\N{EN DASH}"


class Status(StrEnum):
    """The verdict on a claim, taking its negative controls into account."""

    PROVED = "proved"
    UNGUARDED = "unguarded"  # proved, but a negative control was not refuted, or there is none
    UNDECIDED = "undecided"
    REFUTED = "refuted"


SIGN = {Status.PROVED: "✓", Status.UNGUARDED: "!", Status.UNDECIDED: "?", Status.REFUTED: "✗"}


def status_of(one: Certificate) -> Status:
    """Return the status of a certificate."""
    if one.verdict is Verdict.PROVED:
        return Status.PROVED if one.passed else Status.UNGUARDED
    return Status.REFUTED if one.verdict is Verdict.REFUTED else Status.UNDECIDED


def proved_digits(one: Certificate) -> float | None:
    """Return -log10 of the radius: infinite if it is 0, None if the claim has no radius."""
    if one.radius is None:
        return None
    size = magnitude(one.radius)
    return math.inf if size is None else -size


def digits_text(one: Certificate) -> str:
    """Return the number of digits that are proved, "exact", or a dash for a claim that has no radius."""
    digits = proved_digits(one)
    if digits is None:
        return "exact" if one.rigor in ("symbolic", "exact-rational") else NONE
    return "exact" if math.isinf(digits) else str(max(0, math.floor(digits)))


def radius_text(one: Certificate) -> str:
    """Return the radius, rounded up."""
    return NONE if one.radius is None else powers(bound(one.radius))


def controls_text(one: Certificate) -> str:
    """Return how many of the negative controls are refuted, such as "2 of 2"."""
    refuted = sum(control.verdict is Verdict.REFUTED for control in one.negative_controls)
    return f"{refuted} of {len(one.negative_controls)}"


def by_rigor(certificates: Sequence[Certificate]) -> dict[str, Counter[Status]]:
    """Return the number of claims of each status, for each kind of rigor that occurs."""
    counts = {rigor: Counter(status_of(one) for one in certificates if one.rigor == rigor) for rigor in RIGOR}
    return {rigor: count for rigor, count in counts.items() if count}


def headline(certificates: Sequence[Certificate]) -> str:
    """Return the outcome in a sentence."""
    total, counts = len(certificates), Counter(map(status_of, certificates))
    controls = [control for one in certificates for control in one.negative_controls]
    refuted = sum(control.verdict is Verdict.REFUTED for control in controls)
    found = [f"{counts[kind]} {kind}" for kind in Status if counts[kind] and kind is not Status.PROVED]
    return (
        f"{counts[Status.PROVED]} of {total} {'claim' if total == 1 else 'claims'} proved"
        + "".join(f", {text}" for text in found)
        + f"; {refuted} of {len(controls)} negative controls refuted"
    )


def topics(certificates: Sequence[Certificate]) -> dict[str, list[Certificate]]:
    """Return the certificates by topic, which is the part of the id before the first dot."""
    groups: dict[str, list[Certificate]] = {}
    for one in certificates:
        groups.setdefault(one.id.partition(".")[0], []).append(one)
    return groups
