"""The report as one self-contained HTML file: it loads nothing, and can be read without its script."""

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from minigan.training.files import PathLike, atomic_write
from verify.engine.certificate import Certificate
from verify.engine.proof import Profile
from verify.engine.registry import RIGOR
from verify.report.figures import digits_proved, dirac_orbits, optimal_discriminator, proposition_2
from verify.report.markup import Markup, tag
from verify.report.numerals import powers, seconds
from verify.report.rows import COLUMNS, badge, body
from verify.report.status import NONE, Status, by_rigor, headline, status_of

MEANING = {
    Status.PROVED: "proved, and every negative control refuted",
    Status.UNGUARDED: "the checks hold, but a negative control was not refuted: this proves nothing",
    Status.UNDECIDED: "not decided, which is not a pass",
    Status.REFUTED: "shown to be false",
}


def write_html(
    certificates: Sequence[Certificate], path: PathLike, *, profile: Profile, elapsed: float | None = None
) -> Path:
    """Write the report to a file, atomically.

    Parameters
    ----------
    certificates : sequence of Certificate
        One or more.
    path : str or Path
        The file, which is replaced if it exists.
    profile : Profile
        The profile of the run.
    elapsed : float, optional
        The time of the run in seconds; by default the sum over the claims.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If there are no certificates.

    """
    page = html_page(certificates, profile=profile, elapsed=elapsed)
    return atomic_write(path, lambda stream: stream.write(page.encode()))


def html_page(certificates: Sequence[Certificate], *, profile: Profile, elapsed: float | None = None) -> str:
    """Return the report as HTML, which depends on the arguments alone.

    Parameters
    ----------
    certificates : sequence of Certificate
        One or more.
    profile : Profile
        The profile of the run.
    elapsed : float, optional
        The time of the run in seconds; by default the sum over the claims.

    Returns
    -------
    str
        The text of an HTML file.

    Raises
    ------
    ValueError
        If there are no certificates.

    """
    if not certificates:
        raise ValueError("certificates is empty; expected one certificate or more")
    worst = max(map(status_of, certificates), key=list(Status).index)
    style, script = _resource("style.css"), _resource("filter.js")
    outcome = headline(certificates)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"verify: {outcome}"),
        tag("style", style),
    )
    content = tag(
        "main",
        _summary(certificates, profile, elapsed),
        _theory(),
        _table(certificates),
        _digits(certificates),
        id="content",
    )
    document = tag("html", head, tag("body", _header(outcome, worst), content, tag("script", script)), lang="en")
    return f"<!DOCTYPE html>\n{document}\n"


def _resource(name: str) -> Markup:
    return Markup(files("verify.report").joinpath(name).read_text("utf-8"))


def _policy(style: str, script: str) -> str:
    """Return a content security policy that allows this style and this script, and forbids loading anything."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return f"default-src 'none'; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'"


def _header(outcome: str, worst: Status) -> Markup:
    links = [
        ("summary", "Summary"),
        ("theory", "The theory drawn"),
        ("certificates", "Certificates"),
        ("digits", "Digits"),
    ]
    return tag(
        "header",
        tag("a", "Skip to the content", href="#content", class_="skip"),
        tag("h1", "The theory of GANs, with certificates"),
        tag("p", badge(worst), f" {outcome}.", class_="outcome"),
        tag("nav", tag("ul", [tag("li", tag("a", text, href=f"#{name}")) for name, text in links]), aria_label="Page"),
    )


def _section(name: str, title: str, *children: object) -> Markup:
    heading = tag("h2", title, id=f"{name}-title")
    return tag("section", heading, *children, id=name, aria_labelledby=f"{name}-title")


def _summary(certificates: Sequence[Certificate], profile: Profile, elapsed: float | None) -> Markup:
    spent = sum(one.seconds for one in certificates) if elapsed is None else elapsed
    versions = {name: version for one in certificates for name, version in one.versions.items()}
    identity = f"identities to a radius of {powers(f'1e-{profile.digits}')} or less"
    facts: list[tuple[str, object]] = [
        ("Profile", f"{profile.name}: {identity}"),
        ("Time", seconds(spent)),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions.items()) or NONE),
    ]
    present = Counter(map(status_of, certificates))
    kinds = [kind for kind in Status if present[kind]]
    meaning = [tag("li", badge(kind), " ", MEANING[kind]) for kind in kinds]
    return _section(
        "summary",
        "Summary",
        _verdicts(certificates),
        tag(
            "div",
            tag("ul", meaning, class_="meaning"),
            tag("dl", [tag("div", tag("dt", name), tag("dd", fact)) for name, fact in facts], class_="facts"),
        ),
    )


def _verdicts(certificates: Sequence[Certificate]) -> Markup:
    """Return the table of claims by rigor and status."""
    counts = by_rigor(certificates)
    total = sum(counts.values(), Counter())
    kinds = [kind for kind in Status if total[kind] or kind is not Status.UNGUARDED]
    head = tag("tr", [tag("th", text, scope="col") for text in ("Rigor", *kinds, "all")])
    rows = [
        tag(
            "tr",
            tag("th", rigor, tag("small", RIGOR[rigor]), scope="row"),
            [_count(count[kind], kind) for kind in kinds],
            tag("td", count.total()),
        )
        for rigor, count in counts.items()
    ]
    foot = tag(
        "tr", tag("th", "all", scope="row"), [_count(total[kind], kind) for kind in kinds], tag("td", total.total())
    )
    table = tag(
        "table",
        tag("caption", "Claims by rigor and verdict"),
        tag("thead", head),
        tag("tbody", rows),
        tag("tfoot", foot),
    )
    return tag("div", table, class_="scroll", role="region", aria_label="Claims by rigor and verdict", tabindex=0)


def _count(number: int, kind: Status) -> Markup:
    return tag("td", number or NONE, class_=f"count {kind}" if number else "count")


def _theory() -> Markup:
    figures = tag("div", optimal_discriminator(), proposition_2(), dirac_orbits(), class_="figures")
    return _section("theory", "The theory drawn", figures)


def _table(certificates: Sequence[Certificate]) -> Markup:
    head = tag("tr", [tag("th", text, scope="col", role="columnheader") for text in COLUMNS], role="row")
    table = tag(
        "table",
        tag(
            "caption", "Every claim; open a row's evidence for its assumptions, enclosures and checks", class_="unseen"
        ),
        tag("thead", head, role="rowgroup"),
        [body(one) for one in certificates],
        role="table",
        class_="claims",
    )
    return _section("certificates", "Certificates", _filter(certificates), table)


def _filter(certificates: Sequence[Certificate]) -> Markup:
    """Return the filter, which the script reveals; without the script it stays hidden and all rows are visible."""
    rigors = list(by_rigor(certificates))
    statuses = [kind for kind in Status if any(status_of(one) is kind for one in certificates)]
    return tag(
        "form",
        tag("label", "Search ", tag("input", type="search", name="text", autocomplete="off")),
        _choice("Rigor", "rigor", rigors),
        _choice("Verdict", "status", statuses),
        tag("button", "Open all", type="button", name="open"),
        tag("button", "Close all", type="button", name="close"),
        tag("output", f"{len(certificates)} of {len(certificates)} shown", aria_live="polite"),
        id="filter",
        role="search",
        aria_label="Certificates",
        hidden=True,
    )


def _choice(label: str, name: str, values: Sequence[str]) -> Markup:
    options = [tag("option", "all", value=""), [tag("option", value, value=value) for value in values]]
    return tag("label", f"{label} ", tag("select", options, name=name))


def _digits(certificates: Sequence[Certificate]) -> Markup:
    charts = digits_proved(certificates)
    others = sum(one.radius is None for one in certificates)
    text = (
        "For every identity, −log₁₀ of the radius of its widest enclosure of 0: the number of decimal digits that "
        "are proved. The mark is the tolerance it was held to."
    )
    rest = f" Without a radius, and not drawn: {others} (exact, symbolic, inequalities, measured)." if others else ""
    return _section("digits", "Digits proved", tag("p", text, rest), tag("div", charts, class_="columns"))
