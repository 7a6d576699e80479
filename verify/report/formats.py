"""Certificates as a table for the terminal, and as JSON that `replay` reads."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minigan.training.files import PathLike, atomic_write
from verify.arithmetic.decide import Verdict
from verify.engine.certificate import Certificate, digest, versions
from verify.engine.registry import RIGOR, Registry

FORMAT = "minigan.verify/1"


def passed(certificates: Sequence[Certificate]) -> bool:
    """Return whether there are certificates, and all are proved with all their controls refuted."""
    return bool(certificates) and all(one.passed for one in certificates)


def magnitude(one: Certificate) -> str:
    """Return the radius as a power of ten, rounded up, such as 'e-34'."""
    if one.radius is None:
        return ""
    (m, e), largest = one.radius.mid, 2**1000
    if m == 0:
        return "exact"
    return f"e{math.ceil(math.log10(m) + e * math.log10(2)):+d}" if m < largest else "wide"


def row(one: Certificate) -> str:
    """Return one line of the table."""
    refuted = sum(control.verdict is Verdict.REFUTED for control in one.negative_controls)
    controls = f"{refuted}/{len(one.negative_controls)}"
    mark = "ok" if one.passed else "FAILED"
    return f"{one.id:<40}{one.rigor:<16}{one.verdict:<11}{magnitude(one):>7}{controls:>7}{one.seconds:>8.2f} s  {mark}"


HEADER = f"{'claim':<40}{'rigor':<16}{'verdict':<11}{'radius':>7}{'wrong':>7}{'time':>10}"


def table(certificates: Sequence[Certificate]) -> str:
    """Return the table of all certificates, the reasons of those that do not pass, and the counts."""
    lines = [HEADER, *(row(one) for one in certificates)]
    for one in certificates:
        lines += [f"\n{one.id}: {reason}" for reason in reasons(one)]
    return "\n".join([*lines, "", summary(certificates)])


def reasons(one: Certificate) -> list[str]:
    """Return why a certificate does not pass; an empty list if it does."""
    found = [
        f"{check.name} {check.relation}: {check.verdict}{f' ({check.ball})' if check.ball else ''}"
        for check in one.checks
        if check.verdict is not Verdict.PROVED
    ]
    if not one.checks:
        found.append("it checks nothing")
    if not one.negative_controls:
        found.append("it has no negative control")
    return found + [
        f"the wrong statement '{control.name}' is {control.verdict}, not refuted"
        for control in one.negative_controls
        if control.verdict is not Verdict.REFUTED
    ]


def summary(certificates: Sequence[Certificate]) -> str:
    """Return the counts: claims by verdict and by rigor, and wrong statements refuted."""
    verdicts = Counter(str(one.verdict) for one in certificates)
    rigors = Counter(one.rigor for one in certificates)
    controls = [control for one in certificates for control in one.negative_controls]
    refuted = sum(control.verdict is Verdict.REFUTED for control in controls)
    by_rigor = ", ".join(f"{rigors[rigor]} {rigor}" for rigor in RIGOR if rigors[rigor])
    by_verdict = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in Verdict)
    return (
        f"{len(certificates)} claims ({by_rigor}): {by_verdict}; {refuted} of {len(controls)} wrong statements refuted"
    )


def as_json(certificates: Sequence[Certificate]) -> dict[str, Any]:
    """Return the report as data for JSON, with the digest of all other fields as `digest`."""
    data = {
        "format": FORMAT,
        "passed": passed(certificates),
        "summary": summary(certificates),
        "versions": dict(versions()),
        "certificates": [one.as_json() for one in certificates],
    }
    return {**data, "digest": seal(data)}


def seal(report: Mapping[str, Any]) -> str:
    """Return the digest of a report: of its other fields, with each certificate replaced by its digest."""
    own = {key: value for key, value in report.items() if key != "digest"}
    return digest({**own, "certificates": [one.get("digest") for one in report["certificates"]]})


def write_json(path: PathLike, certificates: Sequence[Certificate]) -> Path:
    """Write the report to a file, atomically; return its path."""
    text = json.dumps(as_json(certificates), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    return atomic_write(path, lambda stream: stream.write(text.encode()))


def read_json(path: PathLike) -> dict[str, Any]:
    """Read a report; ValueError if the file cannot be read or has no certificates.  Digests are not checked."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    records = data.get("certificates") if isinstance(data, dict) else None
    if not isinstance(records, list) or not records or not all(isinstance(one, dict) for one in records):
        raise ValueError(f"{path} has no certificates; expected what `verify run --json` writes")
    return data


def contradictions(report: Mapping[str, Any]) -> list[str]:
    """Return where a report does not follow from its certificates.

    Parameters
    ----------
    report : mapping
        What `read_json` returned.

    Returns
    -------
    list of str
        One text for each fault: the format, the summary, `passed`, the versions, or a claim with several certificates.
        Fields that the report lacks are not compared; `replay` refuses a certificate that cannot be read.

    """
    ids = Counter(str(one.get("id")) for one in report["certificates"])
    faults = [f"{name} has {n} certificates; expected one" for name, n in ids.items() if n > 1]
    try:
        certificates = [Certificate.from_json(one) for one in report["certificates"]]
    except ValueError:
        return faults
    expected = {"format": FORMAT, "passed": passed(certificates), "summary": summary(certificates)}
    expected["versions"] = dict(certificates[0].versions)
    faults += [
        f"its {name} is {report[name]!r}; expected {value!r}, from its certificates"
        for name, value in expected.items()
        if name in report and report[name] != value
    ]
    differing = [one.id for one in certificates if one.versions != certificates[0].versions]
    return faults + [f"the versions of {name} are not those of {certificates[0].id}" for name in differing[:1]]


MAX_LISTED_IDS = 5  # in a message


def coverage(records: Sequence[Mapping[str, Any]], claims: Registry) -> str:
    """Return what the records cover: the profiles, the number of claims of this version, and those without a record."""
    profiles = ", ".join(sorted({f"{one.get('profile')} ({one.get('digits')} digits)" for one in records}))
    held = {str(one.get("id")) for one in records}
    absent = [claim.id for claim in claims if claim.id not in held]
    text = f": profile {profiles}; {len(claims) - len(absent)} of the {len(claims)} claims of this version"
    if absent:
        more = f" and {len(absent) - MAX_LISTED_IDS} more" if len(absent) > MAX_LISTED_IDS else ""
        text += f"; no certificate here of {', '.join(absent[:MAX_LISTED_IDS])}{more}"
    return text + "\nnot checked: seconds, versions, and numbers that were measured in floats"
