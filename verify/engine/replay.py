"""Replay: check certificates again without trusting them.

A record is refused if its digest does not match; if a verdict does not follow from its balls; if it does not state and
check what the claim of its id does (each check by its name, relation and tolerance); or if a ball does not overlap the
one that is computed again at higher precision.
Balls of C and JSD are computed again by `verify.engine.independent`, all others by the claim's own check.  The record
of a trained run names its folder and the checksums of its weights, which must be there, unchanged; they are certified
again.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from flint import arb

from verify.arithmetic.balls import Enclosure, power_of_ten
from verify.arithmetic.decide import conjunction
from verify.engine import independent
from verify.engine.certificate import Certificate
from verify.engine.certify import certificate
from verify.engine.proof import PROFILES, Profile, first_tolerance, widest
from verify.engine.registry import Claim, Registry
from verify.trained.pair import RUN_ID
from verify.trained.run import FOLDER, WEIGHTS, claim_about_run

EXTRA_DIGITS = 10  # of the second computation
SPARE_DIGITS = 5  # by which the radius of a stored ball may exceed the new one, apart from EXTRA_DIGITS
ROUNDING = 1 + arb(2) ** -20


@dataclass(frozen=True)
class Replayed:
    """The outcome for one record.

    Attributes
    ----------
    id
        The id of the claim.
    reasons
        Why the record is refused; empty if it is accepted.
    independent
        The number of balls that the independent checker computed again.
    rerun
        The number of balls that the claim's check computed again.

    """

    id: str
    reasons: tuple[str, ...] = ()
    independent: int = 0
    rerun: int = 0

    @property
    def accepted(self) -> bool:
        """Whether there is no reason to refuse the record."""
        return not self.reasons

    def __str__(self) -> str:
        counts = ((self.independent, "independently"), (self.rerun, "by a new run"))
        balls = "".join(f", {count} balls confirmed {how}" for count, how in counts if count)
        return f"{self.id:<40}" + (f"accepted{balls}" if self.accepted else "REFUSED")


def replay(record: Mapping[str, Any], claims: Registry, base_dir: Path = Path()) -> Replayed:
    """Check one record.

    Parameters
    ----------
    record : mapping
        What `Certificate.as_json` returned.
    claims : Registry
        The claims of this version.
    base_dir : Path
        The folder that a trained run's folder is relative to; by default the current one.

    Returns
    -------
    Replayed
        The outcome, with the reasons of a refusal.

    """
    try:
        one = Certificate.from_json(record)
        claim = claim_about_run(one.notes, base_dir) if one.id == RUN_ID else claims[one.id]
        return _check(one, claim)
    except (ValueError, TypeError) as error:
        return Replayed(str(record.get("id")), (str(error),))


def _check(one: Certificate, claim: Claim) -> Replayed:
    """Compare a record with itself, with its claim, and with balls that are computed again."""
    faults = inconsistencies(one)
    if one.statement not in (claim.statement, *claim.formerly):
        faults.append("its statement is not that of the claim")
    for name in ("latex", "assumptions", "source", "rigor"):
        if getattr(one, name) != getattr(claim, name):
            faults.append(f"its {name} is not that of the claim")
    if [control.name for control in one.negative_controls] != list(claim.controls):
        faults.append("its negative controls are not those of the claim")
    if one.id != RUN_ID and one.digits != PROFILES[one.profile].digits:
        faults.append(
            f"it is to {one.digits} digits; expected {PROFILES[one.profile].digits}, as profile {one.profile}"
        )
    if not one.passed:
        faults.append(f"it is {one.verdict}, or a negative control is not refuted")
    if faults:
        return Replayed(one.id, tuple(faults))

    recomputed = certificate(claim, Profile(one.profile, one.digits + EXTRA_DIGITS))
    if not recomputed.passed:
        faults.append(f"at higher precision it is {recomputed.verdict}, or a negative control is not refuted")
    faults += _checks(one, recomputed) + _other_fields(one, recomputed)
    named = {name: x for name, x in one.enclosures.items() if independent.knows(name)}
    if set(recomputed.enclosures) != set(one.enclosures):
        faults.append("its enclosures are not those of the claim")
    else:
        for name, stored in named.items():
            faults += overlap_faults(name, stored, partial(independent.enclose, name, one.digits + EXTRA_DIGITS))
        for name, stored in one.enclosures.items():
            faults += overlap_faults(name, stored, recomputed.enclosures[name].arb)
            faults += width_faults(name, stored, recomputed.enclosures[name], one.digits)
    balls = len(one.enclosures) + sum(check.ball is not None for check in one.checks)
    return Replayed(one.id, tuple(faults), len(named), balls - len(named))


RENAMED_IN_CHECKS = (("factor_G=", "g_scale="), ("factor=", "d_scale="), ("pooled=", "mean_over_all="))
"""Arguments of the library that were renamed, in the order in which they are replaced in the names of old checks."""


def _in_present_words(name: str) -> str:
    """Return the name of a check of an earlier version as the present version writes it."""
    for old, new in RENAMED_IN_CHECKS:
        name = name.replace(old, new)
    return name


def _checks(one: Certificate, recomputed: Certificate) -> list[str]:
    """Compare the name, relation, tolerance and ball of each check with those of the claim."""
    if len(one.checks) != len(recomputed.checks):
        return [f"it has {len(one.checks)} checks; expected the {len(recomputed.checks)} of the claim"]
    faults = []
    for old, new in zip(one.checks, recomputed.checks, strict=True):
        # a tolerance of 10^-digits depends on the digits, of which the second computation has more
        tolerance = f"1e-{one.digits}" if new.tolerance == f"1e-{recomputed.digits}" else new.tolerance
        if new.name not in (old.name, _in_present_words(old.name)) or (old.ball is None) != (new.ball is None):
            faults.append(f"its check '{old.name}' is not one of the claim")
        elif old.relation != new.relation:
            faults.append(f"its check '{old.name}' has the relation '{old.relation}'; expected '{new.relation}'")
        elif old.tolerance != tolerance:
            faults.append(f"its check '{old.name}' has the tolerance {old.tolerance}; expected {tolerance}")
        elif old.ball is not None and new.ball is not None:
            faults += overlap_faults(old.name, old.ball, new.ball.arb)
            faults += width_faults(old.name, old.ball, new.ball, one.digits)
    return faults


def _other_fields(one: Certificate, recomputed: Certificate) -> list[str]:
    """Compare the seed, lemmas, notes and tail bound; more digits can raise the bound only by a rounding error."""
    faults = [] if one.seed == recomputed.seed else ["its seed is not that of the claim"]
    if one.lemmas != recomputed.lemmas:
        faults.append("its lemmas are not those of the claim")
    faults += _notes(one, recomputed)
    stored, bound = one.tail_bound, recomputed.tail_bound
    if (stored is None) != (bound is None):
        faults.append("its tail bound is not that of the claim")
    elif stored is not None and bound is not None and not bound.arb() <= stored.arb() * ROUNDING:
        faults.append(f"its tail bound {stored} is below {bound}, computed at higher precision")
    return faults


NUMBER = re.compile(r"(\d+(\.\d+)?(e[-+]?\d+)?|inf|nan)")


def _notes(one: Certificate, recomputed: Certificate) -> list[str]:
    """Compare the notes, except for numbers measured in floats, which differ between machines."""
    measured = one.rigor in ("float", "statistical") or one.id.startswith("Lib.")

    def shown(text: str) -> str:
        return NUMBER.sub("#", text) if measured else text

    own = {key: text for key, text in one.notes.items() if one.id != RUN_ID or key not in (FOLDER, *WEIGHTS)}
    return [
        f"its note '{key}' is {own.get(key)!r}; expected {recomputed.notes.get(key)!r}"
        for key in sorted(own.keys() | recomputed.notes.keys())
        if shown(own.get(key, "")) != shown(recomputed.notes.get(key, ""))
    ]


def inconsistencies(one: Certificate) -> list[str]:
    """Return where a verdict, radius or tolerance does not follow from the record's own checks."""
    faults = [
        f"'{check.name}' is {check.verdict}, but its ball makes it {found}"
        for check in one.checks
        if (found := check.redecide()) is not check.verdict
    ]
    if conjunction(check.verdict for check in one.checks) is not one.verdict:
        faults.append(
            f"it is {one.verdict}, but its checks make it {conjunction(check.verdict for check in one.checks)}"
        )
    if one.radius != widest(one.checks):
        faults.append("its radius is not the widest of its balls about 0")
    if one.tolerance != first_tolerance(one.checks):
        faults.append("its tolerance is not that of its checks")
    if one.rigor == "ball" and any(
        check.tolerance != f"1e-{one.digits}" for check in one.checks if check.relation == "= 0"
    ):
        faults.append(f"a check to zero is not to 10^-{one.digits}")
    return faults


def overlap_faults(name: str, stored: Enclosure, recompute: Callable[[], arb]) -> list[str]:
    """Return a fault if the stored ball does not overlap the new one: then one of them is wrong."""
    x = recompute()
    if not x.is_finite():
        return [f"{name} could not be enclosed again"]
    return (
        []
        if x.overlaps(stored.arb())
        else [f"{name} = {stored} does not overlap {x.str(20)}, computed at higher precision"]
    )


def width_faults(name: str, stored: Enclosure, recomputed: Enclosure, digits: int) -> list[str]:
    """Return a fault if a ball is too wide.

    Its radius must be at most 10^-digits, relative to 1 + its size, or at most 10^(EXTRA_DIGITS + SPARE_DIGITS) times
    that of the new ball.
    """
    x, better = stored.arb(), recomputed.arb()
    allowed = (1 + abs(x.mid())) * power_of_ten(-digits)
    if x.rad() <= allowed or x.rad() <= better.rad() * power_of_ten(EXTRA_DIGITS + SPARE_DIGITS):
        return []
    return [f"{name} has the radius {x.rad().str(3)}: wider than {digits} digits"]


def replay_all(
    records: Sequence[Mapping[str, Any]],
    claims: Registry,
    *,
    base_dir: Path = Path(),
    done: Callable[[Replayed], None] = lambda _: None,
) -> list[Replayed]:
    """Check all records of a file.

    Parameters
    ----------
    records : sequence of mapping
        What `Certificate.as_json` returned.
    claims : Registry
        The claims of this version.
    base_dir : Path
        The folder of the file, which a trained run's folder is relative to; by default the current one.
    done : callable
        ``done(replayed)`` is called after each record; by default nothing is.

    Returns
    -------
    list of Replayed
        The outcomes, in the order of the records.  The second record of a claim is refused.

    """
    found: list[Replayed] = []
    seen: set[str] = set()
    for record in records:
        one = replay(record, claims, base_dir)
        if one.id in seen:
            one = replace(one, reasons=(*one.reasons, "it is the second certificate of this claim; expected one"))
        seen.add(one.id)
        found.append(one)
        done(one)
    return found
