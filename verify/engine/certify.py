"""One claim: its check and those of its wrong statements run, and the certificate that they give."""

import time

from verify.arithmetic.balls import precision
from verify.arithmetic.decide import Verdict
from verify.engine.certificate import Certificate, ControlResult, versions
from verify.engine.proof import GUARD, PROFILES, Check, Profile, Proof, first_tolerance
from verify.engine.registry import CheckFunction, Claim


def certificate(claim: Claim, profile: Profile = PROFILES["quick"]) -> Certificate:
    """Check a claim and its negative controls; return what was found."""
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
    """Run one check.  An error in it decides nothing: it is noted, and the claim is undecided."""
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
    """Whether Ctrl-C is behind an error: inside of an integrand it leaves `acb.integral` as a SystemError."""
    return isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, KeyboardInterrupt)
