"""Run the check of a claim and its negative controls, and return the certificate."""

import time

from verify.arithmetic.balls import precision
from verify.arithmetic.decide import Verdict
from verify.engine.certificate import Certificate, ControlResult, versions
from verify.engine.proof import GUARD, PROFILES, Check, Profile, Proof, first_tolerance
from verify.engine.registry import CheckFunction, Claim


def certificate(claim: Claim, profile: Profile = PROFILES["quick"]) -> Certificate:
    """Check a claim and its negative controls.

    Parameters
    ----------
    claim : Claim
        The claim.
    profile : Profile
        The digits and sizes; by default `quick`, 30 digits.

    Returns
    -------
    Certificate
        The record.  An error in a check does not raise: it is recorded as an undecided check.

    """
    start = time.perf_counter()
    proof = _prove(claim.id, claim.check, profile)
    controls = tuple(
        ControlResult(name, _prove(claim.id, control, profile).verdict) for name, control in claim.controls.items()
    )
    return Certificate(
        id=claim.id,
        statement=claim.statement,
        latex=claim.latex,
        assumptions=claim.assumptions,
        source=claim.source,
        rigor=claim.rigor,
        verdict=proof.verdict,
        profile=profile.name,
        digits=profile.digits,
        checks=tuple(proof.checks),
        enclosures=dict(proof.enclosures),
        radius=proof.radius,
        tolerance=first_tolerance(proof.checks),
        tail_bound=proof.tail_bound,
        lemmas=tuple(proof.lemmas),
        negative_controls=controls,
        notes=dict(proof.notes),
        seed=proof.seed,
        versions=versions(),
        seconds=round(time.perf_counter() - start, 3),
    )


def _prove(claim_id: str, check: CheckFunction, profile: Profile) -> Proof:
    """Run one check.  An error becomes an undecided check, which makes the claim undecided."""
    proof = Proof(claim_id, profile)
    try:
        with precision(profile.digits + GUARD):
            check(proof)
    except Exception as error:
        if interrupted(error):
            raise KeyboardInterrupt from None
        proof.checks.append(Check(f"{type(error).__name__}: {error}", "holds", Verdict.UNDECIDED))
    return proof


def interrupted(error: BaseException) -> bool:
    """Return whether Ctrl-C caused an error.  Within an integrand, `acb.integral` raises it as a SystemError."""
    return isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, KeyboardInterrupt)
