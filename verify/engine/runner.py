"""Run the checks of claims and their negative controls, in one process or in several."""

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
    """Check claims and their negative controls.

    Parameters
    ----------
    claims : sequence of Claim
        The claims.  With several workers they are looked up by id in new processes, so they must be registered by a
        module of `verify.claims`.
    profile : Profile
        The digits and sizes; by default `quick`, 30 digits.
    workers : int
        The number of processes; by default the current one alone.
    done : callable
        ``done(certificate)`` is called in the order of the claims as each is finished; by default nothing is.

    Returns
    -------
    list of Certificate
        One for each claim, in the order of the claims.

    """
    certificates: Iterable[Certificate]
    if workers == 1:
        return [_report(certificate(claim, profile), done) for claim in claims]
    # spawned, not forked: a fork would copy locks that threads of this process hold
    others = multiprocessing.active_children()
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            with signals_blocked():  # workers must ignore the Ctrl-C that a terminal sends to them too
                certificates = pool.map(_by_id, [(claim.id, profile) for claim in claims])
            return [_report(one, done) for one in certificates]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                if worker not in others:
                    worker.terminate()
            raise


def _by_id(job: tuple[str, Profile]) -> Certificate:
    claim_id, profile = job
    return certificate(load_claims()[claim_id], profile)


def _report(one: Certificate, done: Callable[[Certificate], None]) -> Certificate:
    done(one)
    return one
