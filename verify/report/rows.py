"""A certificate as two rows of the page's table: the claim with its status, and the evidence to unfold."""

from collections.abc import Sequence
from typing import Any

from verify.arithmetic.decide import Verdict
from verify.engine.certificate import Certificate, ControlResult
from verify.engine.proof import Check
from verify.report.figures import scrolled
from verify.report.latex import mathml
from verify.report.markup import Markup, join, tag
from verify.report.numerals import FLOAT_DIGITS, bound, powers, seconds, spelled
from verify.report.status import NONE, SIGN, Status, controls_text, digits_text, radius_text, status_of
from verify.report.tokenizer import LatexError

COLUMNS = ("Claim", "Statement", "Rigor", "Verdict", "Digits", "Radius", "Controls refuted")
MAX_CHECKS = 100  # shown for a certificate; checks that are not proved are always shown

_RELATIONS = {"= 0": "= 0", "> 0": "> 0", ">= 0": "≥ 0", "holds": "holds"}


def badge(kind: Status) -> Markup:
    """Return a status with a sign, so that it can be recognised without colour."""
    return tag("span", tag("span", SIGN[kind], aria_hidden="true"), " ", kind, class_=f"badge {kind}")


def formula(latex: str) -> Markup:
    """Return the formula as MathML, or its source if it cannot be converted."""
    try:
        return tag("div", mathml(latex), class_="formula")
    except LatexError:
        return tag("div", tag("code", latex), class_="formula")


def body(one: Certificate) -> Markup:
    """Return the rows of one certificate."""
    kind = status_of(one)
    refuted = all(control.verdict is Verdict.REFUTED for control in one.negative_controls)
    controls = tag("span", controls_text(one), class_=None if refuted and one.negative_controls else "badge unguarded")
    values: list[object] = [
        [tag("p", one.statement), formula(one.latex)], one.rigor, badge(kind), digits_text(one), radius_text(one),
        controls,
    ]  # fmt: skip
    names = ("statement", "rigor", "verdict", "digits", "radius", "controls")
    cells = [
        tag("td", value, role="cell", data_label=label, class_=f"{name} none" if value == NONE else name)
        for label, name, value in zip(COLUMNS[1:], names, values, strict=True)
    ]
    head = tag("th", tag("a", *_breakable(one.id), href=f"#{one.id}"), scope="row", role="rowheader", class_="id")
    evidence = tag("details", tag("summary", "Evidence", tag("span", f" for {one.id}", class_="unseen")), details(one))
    return tag(
        "tbody",
        tag("tr", head, cells, role="row"),
        tag("tr", tag("td", evidence, colspan=len(COLUMNS), role="cell"), role="row", class_="evidence"),
        id=one.id,
        role="rowgroup",
        data_rigor=one.rigor,
        data_status=kind,
    )


def _breakable(text: str) -> list[object]:
    """Return an id with line break opportunities after its dots and hyphens."""
    parts: list[object] = []
    for letter in text:
        parts.append(letter)
        if letter in ".-":
            parts.append(tag("wbr"))
    return parts


def details(one: Certificate) -> Markup:
    """Return all fields of a certificate, its enclosures and its checks."""
    facts: list[tuple[str, object]] = [
        ("LaTeX", tag("code", one.latex)),
        ("Source", str(one.source)),
        ("Assumptions", _list(one.assumptions)),
        ("Lemmas", _list(one.lemmas)),
        ("Negative controls", _list([_control(control) for control in one.negative_controls])),
        ("Tail bound", powers(bound(one.tail_bound)) if one.tail_bound else None),
        *((key, text) for key, text in one.notes.items()),
        ("Run", f"profile {one.profile}, {one.digits} digits, seed {one.seed}, {seconds(one.seconds)}"),
        ("Digest", tag("code", one.as_json()["digest"], class_="digest")),
    ]
    listed = [tag("div", tag("dt", name), tag("dd", fact)) for name, fact in facts if fact]
    return join([tag("dl", listed, class_="facts"), _enclosures(one), _checks(one)])


def _list(items: Sequence[object]) -> Markup | None:
    return tag("ul", [tag("li", item) for item in items]) if items else None


def _control(control: ControlResult) -> Markup:
    if control.verdict is Verdict.REFUTED:
        return join([control.name, ": refuted, as it must be"])
    return join([control.name, ": ", tag("span", f"{control.verdict}, but must be refuted", class_="badge unguarded")])


def _enclosures(one: Certificate) -> Markup | None:
    if not one.enclosures:
        return None
    rows = [(name, tag("td", spelled(x), class_="ball")) for name, x in one.enclosures.items()]
    return _table("Enclosures", ("Number", "Value"), rows)


def _checks(one: Certificate) -> Markup | None:
    """Return the table of checks; of more than MAX_CHECKS, those that are not proved and the first of the others."""
    if not one.checks:
        return None
    spare = MAX_CHECKS - sum(check.verdict is not Verdict.PROVED for check in one.checks)
    shown, proved = [], 0
    for check in one.checks:
        proved += check.verdict is Verdict.PROVED
        if check.verdict is not Verdict.PROVED or proved <= spare:
            shown.append(check)
    title = (
        "Checks" if len(shown) == len(one.checks) else f"Checks ({len(shown)} of {len(one.checks)}, the rest proved)"
    )
    enclosed = any(check.ball is not None for check in shown)
    rows = [
        (
            check.name,
            tag("td", relation(check), class_="is"),
            tag("td", badge(Status(check.verdict.value))),
            *([tag("td", _ball(check), class_="ball")] if enclosed else []),
        )
        for check in shown
    ]
    return _table(title, ("Check", "Is", "Verdict", *(["Enclosure"] if enclosed else [])), rows)


def _ball(check: Check) -> str:
    """Return the ball of a check; a measured error is shown to the digits of a float64."""
    if check.ball is None:
        return NONE
    return spelled(check.ball, FLOAT_DIGITS) if check.relation == "<= gate" else spelled(check.ball)


def relation(check: Check) -> str:
    """Return the relation of a check, with its tolerance, as text."""
    if check.relation == "<= gate":
        return f"≤ {powers(check.tolerance or '')}"
    within = f" within {powers(check.tolerance)}" if check.tolerance else ""
    return _RELATIONS.get(check.relation, check.relation) + within


def _table(title: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Markup:
    head = tag("thead", tag("tr", [tag("th", text, scope="col") for text in columns]))
    lines = [tag("tr", tag("th", row[0], scope="row"), list(row[1:])) for row in rows]
    return scrolled(tag("table", tag("caption", title), head, tag("tbody", lines)), title)
