"""Run claims: each one in its own precision, its controls beside it, in one process or in several."""

import multiprocessing
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor

from minigan.training.workers import _held
from verify.arithmetic.balls import precision
from verify.arithmetic.decide import Verdict
from verify.claims import load_claims
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


def run(
    claims: Sequence[Claim],
    profile: Profile = PROFILES["quick"],
    *,
    workers: int = 1,
    done: Callable[[Certificate], None] = lambda _: None,
) -> list[Certificate]:
    """Return a certificate for each claim, in their order; `done` is called as each one is finished.

    With more than one worker, claims are looked up by id in fresh processes: they must be those of `load_claims`.
    """
    certificates: Iterable[Certificate]
    if workers == 1:
        return [_tell(certificate(claim, profile), done) for claim in claims]
    # fresh processes: the precision of flint is global to each, and a fork would copy our threads' locks
    others = multiprocessing.active_children()
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            with _held():  # a terminal sends Ctrl-C to the workers too: they never hear it, and end when terminated
                certificates = pool.map(_by_id, [(claim.id, profile) for claim in claims])
            return [_tell(one, done) for one in certificates]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                if worker not in others:
                    worker.terminate()
            raise


def _by_id(job: tuple[str, Profile]) -> Certificate:
    claim_id, profile = job
    return certificate(load_claims()[claim_id], profile)


def _tell(one: Certificate, done: Callable[[Certificate], None]) -> Certificate:
    done(one)
    return one
