"""Replay: read certificates as a sceptic does.

A record is refused if it was changed after it was sealed, if a verdict does not follow from its own balls, if it
does not state and check what the claim of its id does (each check by its name, relation and tolerance), or if a ball
does not meet the one found anew at higher precision.
Balls of C and JSD are found anew by the independent `checker`, all others by running the claim again.  The record of a
trained run names its folder and the checksums of its weights: they must be there, unchanged, and are certified again.
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
from verify.trained.run import FOLDER, RUN_ID, WEIGHTS, claim_again

MORE_DIGITS = 10
SPARE = 5  # powers of ten between two balls of different digits, beside those digits
ROUNDING = 1 + arb(2) ** -20


@dataclass(frozen=True)
class Replayed:
    """What became of one record: accepted, or refused for these reasons."""

    id: str
    reasons: tuple[str, ...] = ()
    independent: int = 0  # balls met by the independent
    rerun: int = 0  # balls met by running the claim again

    @property
    def accepted(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons

    def __str__(self) -> str:
        met = f", {self.independent} balls met independently" if self.independent else ""
        met += f", {self.rerun} by a new run" if self.rerun else ""
        return f"{self.id:<40}" + (f"accepted{met}" if self.accepted else "REFUSED")


def replay(record: Mapping[str, Any], claims: Registry, base_dir: Path = Path()) -> Replayed:
    """Check one sealed record; what it names is looked for from the folder `base_dir`."""
    try:
        one = Certificate.from_json(record)
        claim = claim_again(one.notes, base_dir) if one.id == RUN_ID else claims[one.id]
        return _check(one, claim)
    except (ValueError, TypeError) as error:
        return Replayed(str(record.get("id")), (str(error),))


def _check(one: Certificate, claim: Claim) -> Replayed:
    """Compare a record with itself, with its claim, and with balls that are found anew."""
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

    again = certificate(claim, Profile(one.profile, one.digits + MORE_DIGITS))
    if not again.passed:
        faults.append(f"at higher precision it is {again.verdict}, or a negative control is not refuted")
    faults += _checks(one, again) + _beside_the_balls(one, again)
    named = {name: x for name, x in one.enclosures.items() if independent.knows(name)}
    if set(again.enclosures) != set(one.enclosures):
        faults.append("it does not hold the balls and checks that the claim makes")
    else:
        for name, stored in named.items():
            faults += overlap_faults(name, stored, partial(independent.enclose, name, one.digits + MORE_DIGITS))
        for name, stored in one.enclosures.items():
            faults += overlap_faults(name, stored, again.enclosures[name].arb)
            faults += no_wider(name, stored, again.enclosures[name], one.digits)
    balls = len(one.enclosures) + sum(check.ball is not None for check in one.checks)
    return Replayed(one.id, tuple(faults), len(named), balls - len(named))


def _checks(one: Certificate, again: Certificate) -> list[str]:
    """Compare each check with the one that the claim makes: its name, relation, tolerance and ball."""
    if len(one.checks) != len(again.checks):
        return [f"it has {len(one.checks)} checks; expected the {len(again.checks)} of the claim"]
    faults = []
    for old, new in zip(one.checks, again.checks, strict=True):
        # a tolerance of 10^-digits follows the digits, which are more here
        tolerance = f"1e-{one.digits}" if new.tolerance == f"1e-{again.digits}" else new.tolerance
        if old.name != new.name or (old.ball is None) != (new.ball is None):
            faults.append(f"its check '{old.name}' is not one of the claim")
        elif old.relation != new.relation:
            faults.append(f"its check '{old.name}' says '{old.relation}'; expected '{new.relation}', as the claim does")
        elif old.tolerance != tolerance:
            faults.append(f"its check '{old.name}' has the tolerance {old.tolerance}; expected {tolerance}")
        elif old.ball is not None and new.ball is not None:
            faults += overlap_faults(old.name, old.ball, new.ball.arb)
            faults += no_wider(old.name, old.ball, new.ball, one.digits)
    return faults


def _beside_the_balls(one: Certificate, again: Certificate) -> list[str]:
    """Compare the lemmas, the seed and the bound on the tails, which more digits only lower (but for a rounding)."""
    faults = [] if one.seed == again.seed else ["its seed is not that of the claim"]
    if one.lemmas != again.lemmas:
        faults.append("its lemmas are not those of the claim")
    faults += _notes(one, again)
    stored, anew = one.tail_bound, again.tail_bound
    if (stored is None) != (anew is None):
        faults.append("its tail bound is not that of the claim")
    elif stored is not None and anew is not None and not anew.arb() <= stored.arb() * ROUNDING:
        faults.append(f"its tail bound {stored} is below {anew}, found at higher precision")
    return faults


NUMBER = re.compile(r"(\d+(\.\d+)?(e[-+]?\d+)?|inf|nan)")


def _notes(one: Certificate, again: Certificate) -> list[str]:
    """Compare the notes; a number that was measured in floats is another on another machine."""
    measured = one.rigor in ("float", "statistical") or one.id.startswith("Lib.")

    def shown(text: str) -> str:
        return NUMBER.sub("#", text) if measured else text

    own = {key: text for key, text in one.notes.items() if one.id != RUN_ID or key not in (FOLDER, *WEIGHTS)}
    return [
        f"its note '{key}' is {own.get(key)!r}; expected {again.notes.get(key)!r}"
        for key in sorted(own.keys() | again.notes.keys())
        if shown(own.get(key, "")) != shown(again.notes.get(key, ""))
    ]


def inconsistencies(one: Certificate) -> list[str]:
    """Compare every verdict with the balls of the record itself."""
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


def overlap_faults(name: str, stored: Enclosure, anew: Callable[[], arb]) -> list[str]:
    """Two enclosures of one number overlap, or one of them is wrong."""
    x = anew()
    if not x.is_finite():
        return [f"{name} could not be enclosed again"]
    return (
        [] if x.overlaps(stored.arb()) else [f"{name} = {stored} does not meet {x.str(20)}, found at higher precision"]
    )


def no_wider(name: str, stored: Enclosure, anew: Enclosure, digits: int) -> list[str]:
    """A ball is as narrow as its digits say, relative to its size, or loses no more than the digits added to it."""
    x, better = stored.arb(), anew.arb()
    allowed = (1 + abs(x.mid())) * power_of_ten(-digits)
    if x.rad() <= allowed or x.rad() <= better.rad() * power_of_ten(MORE_DIGITS + SPARE):
        return []
    return [f"{name} has the radius {x.rad().str(3)}: wider than {digits} digits"]


def replay_all(
    records: Sequence[Mapping[str, Any]],
    claims: Registry,
    *,
    base_dir: Path = Path(),
    done: Callable[[Replayed], None] = lambda _: None,
) -> list[Replayed]:
    """Check all records of a file in the folder `base_dir`; `done` is called after each."""
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
