"""Proof, the object in which the check of a claim records its decisions and the balls they are taken from."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from flint import arb

from minigan._names import unknown
from verify.arithmetic.balls import Enclosure, ball, check_digits, exact, power_of_ten
from verify.arithmetic.decide import Verdict, conjunction, prove_nonnegative, prove_positive, prove_zero

T = TypeVar("T")

GUARD = 15  # working digits beyond those that are claimed


@dataclass(frozen=True)
class Profile:
    """How narrow enclosures must be, and how many cases are computed.

    Parameters
    ----------
    name : str
        "quick", "full" or "deep", which sets the sizes: numbers of samples, steps and random cases.
    digits : int
        Every identity is checked to a radius of at most 10^-digits.

    Raises
    ------
    ValueError
        If the name is unknown or digits is no whole number from 1 to 10000.

    """

    name: str
    digits: int

    def __post_init__(self) -> None:
        check_digits(self.digits)
        if self.name not in NAMES:
            raise ValueError(unknown("profile", self.name, NAMES))


NAMES = ("quick", "full", "deep")
PROFILES = {name: Profile(name, digits) for name, digits in zip(NAMES, (30, 50, 100), strict=True)}


@dataclass(frozen=True)
class Check:
    """One decision.

    Attributes
    ----------
    name
        What is compared.
    relation
        "= 0", "> 0", ">= 0", "<= gate", or "holds" for a fact that was decided exactly.
    verdict
        The decision.
    ball
        The ball that it was taken from; None for "holds", and for a ball that is not finite.
    tolerance
        The largest radius for "= 0", or the largest value for "<= gate", as a decimal text; else None.

    """

    name: str
    relation: str
    verdict: Verdict
    ball: Enclosure | None = None
    tolerance: str | None = None

    def redecide(self) -> Verdict:
        """Decide again from the stored ball; a check that "holds" has none and keeps its verdict."""
        if self.ball is None:
            return self.verdict if self.relation == "holds" else Verdict.UNDECIDED
        return decide(self.relation, self.ball.arb(), self.tolerance)


def decide(relation: str, x: arb, tolerance: str | None = None) -> Verdict:
    """Return the verdict on `x relation`; ValueError for an unknown relation, or one without its tolerance."""
    if relation == "= 0" and tolerance is not None:
        return prove_zero(x, ball(exact("tolerance", tolerance)))
    if relation == "<= gate" and tolerance is not None:
        return prove_nonnegative(ball(exact("tolerance", tolerance)) - x)
    if relation == "> 0":
        return prove_positive(x)
    if relation == ">= 0":
        return prove_nonnegative(x)
    raise ValueError(unknown("relation", relation, ["= 0", "> 0", ">= 0", "<= gate"]))


def widest(checks: Iterable[Check]) -> Enclosure | None:
    """Return the largest radius of the balls that were checked to be 0, or None if there is none."""
    radii = [check.ball.arb().rad() for check in checks if check.relation == "= 0" and check.ball is not None]
    return Enclosure.of(max(radii, key=float)) if radii else None


def first_tolerance(checks: Iterable[Check]) -> str | None:
    """Return the first tolerance of the checks, or None."""
    return next((check.tolerance for check in checks if check.tolerance), None)


class Proof:
    """The record of one run of a check: a claim is proved if all its checks are, and refuted if one is.

    Parameters
    ----------
    claim_id : str
        The id of the claim, from which the seed of its random numbers is computed.
    profile : Profile
        The digits and sizes.

    Examples
    --------
    >>> proof = Proof("doc.test", PROFILES["quick"])
    >>> proof.zero("sin(pi)", arb.pi().sin() * power_of_ten(-20)), proof.positive("pi - 3", arb.pi() - 3)
    (<Verdict.PROVED: 'proved'>, <Verdict.PROVED: 'proved'>)
    >>> proof.verdict.value
    'proved'

    """

    def __init__(self, claim_id: str, profile: Profile) -> None:
        self.claim_id, self.profile, self.digits = claim_id, profile, profile.digits
        self.checks: list[Check] = []
        self.enclosures: dict[str, Enclosure] = {}
        self.notes: dict[str, str] = {}
        self.lemmas: list[str] = []
        self.tail_bound: Enclosure | None = None
        self.seed = zlib.crc32(claim_id.encode())

    @property
    def tolerance(self) -> arb:
        """The tolerance 10^-digits of an identity."""
        return power_of_ten(-self.digits)

    @cached_property
    def rng(self) -> np.random.Generator:
        """A random generator whose seed depends on the claim's id alone."""
        return np.random.default_rng(self.seed)

    @property
    def profile_digits(self) -> int:
        """The digits of the named profile, which set how many iterations a check computes.

        A replay works with more digits.  It must enclose the same numbers, hence compute as many iterations.
        """
        return PROFILES[self.profile.name].digits

    def scale(self, *, quick: T, full: T, deep: T) -> T:
        """Return the size for the profile, such as a number of samples or steps."""
        return {"quick": quick, "full": full, "deep": deep}[self.profile.name]

    def zero(self, name: str, x: arb, tolerance: str | None = None) -> Verdict:
        """Check x = 0 to within `tolerance`, a decimal text; by default 10^-digits."""
        return self._check(name, "= 0", x, tolerance or f"1e-{self.digits}")

    def positive(self, name: str, x: arb) -> Verdict:
        """Check x > 0."""
        return self._check(name, "> 0", x)

    def nonnegative(self, name: str, x: arb) -> Verdict:
        """Check x >= 0."""
        return self._check(name, ">= 0", x)

    def at_most(self, name: str, x: float | arb, tolerance: str) -> Verdict:
        """Check x <= tolerance, a decimal text, for a measured float or a ball."""
        return self._check(name, "<= gate", arb(x), tolerance)

    def holds(self, name: str, fact: bool | None) -> Verdict:
        """Record a fact that was decided exactly: symbolically, in rationals, or case by case; None is undecided."""
        verdict = Verdict.UNDECIDED if fact is None else Verdict.PROVED if fact else Verdict.REFUTED
        self.checks.append(Check(name, "holds", verdict))
        return verdict

    def undecided(self, name: str) -> Verdict:
        """Record that a fact could not be decided."""
        return self.holds(name, None)

    def enclose(self, name: str, x: arb) -> arb:
        """Store a ball that the certificate shows, and that the ball of a replay must overlap; return it."""
        if x.is_finite():
            self.enclosures[name] = Enclosure.of(x)
        else:
            self.undecided(f"{name} is finite")
        return x

    def tail(self, bound: arb) -> None:
        """Store a bound on the tails that an integral left out, if it is the largest so far."""
        if self.tail_bound is None or not bound <= self.tail_bound.arb():
            self.tail_bound = Enclosure.of(bound)

    def lemma(self, text: str) -> None:
        """Record a lemma that the proof uses without proving it."""
        if text not in self.lemmas:
            self.lemmas.append(text)

    def note(self, key: str, text: object) -> None:
        """Record a fact for the reader; it decides nothing."""
        self.notes[key] = str(text)

    @property
    def verdict(self) -> Verdict:
        """The conjunction of all checks; undecided if there is none."""
        return conjunction(check.verdict for check in self.checks)

    @property
    def radius(self) -> Enclosure | None:
        """The largest radius of the balls that were checked to be 0; None if there is none."""
        return widest(self.checks)

    def _check(self, name: str, relation: str, x: arb, tolerance: str | None = None) -> Verdict:
        verdict = decide(relation, x, tolerance)
        stored = Enclosure.of(x) if x.is_finite() else None
        self.checks.append(Check(name, relation, verdict, stored, tolerance))
        return verdict
