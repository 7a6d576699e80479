"""Run claims: each one in its own precision, its controls beside it, in one process or in several."""

import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor

from minigan.training.workers import signals_blocked
from verify.claims import load_claims
from verify.engine.certificate import Certificate
from verify.engine.certify import certificate
from verify.engine.proof import PROFILES, Profile
from verify.engine.registry import Claim


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
            with (
                signals_blocked()
            ):  # a terminal sends Ctrl-C to the workers too: they never hear it, and end when terminated
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
