r"""Claim: a discriminator fitted to n examples of each kind lacks tr(H^-1 S) / (2n) to V(D*) on average.

For a logistic D, s = theta . phi(x), that contains D*, the maximum theta_n of V on n real and n fake examples is
asymptotically normal, and

    E[2 n (V(D*) - V(D_n))] -> tr(H^-1 S)
    H = integral (p + q) D* (1 - D*) phi phi^T                        (minus the Hessian of V)
    S = Cov_p[(1 - D*) phi] + Cov_q[D* phi]                           (n times the covariance of the score)

A finite sample proves nothing about a limit.  For x in {0, 1} no sampling is needed: the counts of ones k ~ Bin(n, a)
and l ~ Bin(n, b) determine D_n, which is k / (k + l) at 1, so that the expectation is a finite sum, in balls.  (It is
taken over the samples in which all four counts are positive, since V(D_n) = -infinity for the others; the probability
of those is enclosed.)
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from math import comb

import numpy as np
from flint import arb

import minigan as mg
from minigan.gan import discriminator_gradient
from minigan.network import Network
from verify.arithmetic.balls import ball
from verify.arithmetic.dual import balls, each
from verify.engine.proof import Proof
from verify.engine.registry import Source, claim
from verify.library.differentiable import worst_difference

P, Q = Fraction(1, 3), Fraction(1, 2)  # P(x = 1) under p and under q
SIZES = (40, 80, 160, 320)
Matrix = list[list[Fraction]]


def trace(p: Fraction, q: Fraction, *, stratified: bool = True) -> Fraction:
    """Return tr(H^-1 S) with phi = (1, x), exactly; if not `stratified`, S is that of randomly drawn kinds."""
    H, S = _zero(), _zero()
    mean_p, mean_q = [Fraction(0)] * 2, [Fraction(0)] * 2
    for x in (0, 1):
        a, b = (p, q) if x else (1 - p, 1 - q)
        D, phi = a / (a + b), (1, x)
        for i in range(2):
            mean_p[i] += a * (1 - D) * phi[i]
            mean_q[i] += b * D * phi[i]
            for j in range(2):
                H[i][j] += (a + b) * D * (1 - D) * phi[i] * phi[j]
                S[i][j] += (a * (1 - D) ** 2 + b * D**2) * phi[i] * phi[j]
    if stratified:
        for i in range(2):
            for j in range(2):
                S[i][j] -= mean_p[i] * mean_p[j] + mean_q[i] * mean_q[j]
    det = H[0][0] * H[1][1] - H[0][1] * H[1][0]
    return (H[1][1] * S[0][0] - H[0][1] * S[1][0] + H[0][0] * S[1][1] - H[1][0] * S[0][1]) / det


def _zero() -> Matrix:
    return [[Fraction(0)] * 2 for _ in range(2)]


def expectation(n: int, p: Fraction, q: Fraction) -> tuple[arb, arb]:
    """Enclose E[2n (V(D*) - V(D_n)); all counts positive] and the probability of the other samples."""
    log = [arb(0), *(arb(m).log() for m in range(1, 2 * n + 1))]
    wp, wq = _binomial(n, p), _binomial(n, q)
    best = sum(
        (ball(x) * ball(x / (p_x + q_x)).log() for p_x, q_x in ((p, q), (1 - p, 1 - q)) for x in (p_x, q_x)), arb(0)
    )
    one, zero = ball(p + q), ball(2 - p - q)
    total, mass = arb(0), arb(0)
    for k in range(1, n):
        at_k = ball(p) * log[k] + ball(1 - p) * log[n - k]
        for m in range(1, n):
            weight = wp[k] * wq[m]
            reached = at_k + ball(q) * log[m] + ball(1 - q) * log[n - m] - one * log[k + m] - zero * log[2 * n - k - m]
            total += weight * (best - reached)
            mass += weight
    return 2 * n * total, 1 - mass


def _binomial(n: int, p: Fraction) -> Sequence[arb]:
    return [ball(comb(n, k) * p**k * (1 - p) ** (n - k)) for k in range(n + 1)]


def stationary(proof: Proof, k: int, m: int, n: int) -> None:
    """Check that D_n is the maximum of V: minigan's dJ_D/dtheta is 0 there, in balls."""
    D = Network([mg.Dense(1, 1)], rng=np.random.default_rng(0), dtype="float64").astype(object, arb)
    at_0, at_1 = (ball(Fraction(a, b)).log() for a, b in ((n - k, n - m), (k, m)))
    D.theta = each(lambda v: v, [at_1 - at_0, at_0])
    ones = [balls(np.arange(n)[:, None] < count) for count in (k, m)]
    g, _ = discriminator_gradient(D, mg.NonSaturating(), *ones)
    proof.zero(f"dJ_D/dtheta at D_n, k = {k}, l = {m}, n = {n}", worst_difference(list(g)))


def convergence(proof: Proof, limit: Fraction | None = None) -> None:
    """Check E_n = tr + c / n + O(1/n^2): E_n is within 4/n of tr, and 2 E_2n - E_n within 40/n^2."""
    right = trace(P, Q)
    target = ball(right if limit is None else limit)
    for k, m in ((3, 5), (1, 7), (6, 2)):
        stationary(proof, k, m, 8)
    proof.holds("tr(H^-1 S) = 36/35", right == Fraction(36, 35))
    sizes = SIZES[: proof.scale(quick=3, full=4, deep=4)]
    found = []
    for n in sizes:
        expected, missing = expectation(n, P, Q)
        found.append(proof.enclose(f"E[2n (V* - V)], n = {n}", expected))
        proof.enclose(f"probability of a count of 0, n = {n}", missing)
        proof.positive(f"4/n - |E[2n (V* - V)] - tr|, n = {n}", arb(4) / n - abs(expected - target))
    for n, one, two in zip(sizes, found, found[1:], strict=False):
        proof.positive(f"40/n^2 - |2 E_2n - E_n - tr|, n = {n}", arb(40) / n**2 - abs(2 * two - one - target))


claim(
    "Stat.logistic.expected-gap",
    "A well-specified logistic D fitted to n examples of each kind lacks tr(H^-1 S) / (2n) to V(D*) on average.",
    latex=r"\mathrm E\,[2n(V(D^*) - V(D_n))] \to \operatorname{tr}(H^{-1} S)",
    source=Source("White 1982", "Maximum likelihood estimation of misspecified models, Theorem 3.2", "minigan", "gan"),
    rigor="ball",
    idea="On {0, 1} the expectation is a finite sum over two binomial counts: enclosed at n, 2n, 4n and extrapolated.",
    controls={
        "2, the number of parameters: S as if the kinds were drawn too": partial(
            convergence, limit=trace(P, Q, stratified=False)
        ),
        "tr(H^-1 S) + 1/20": partial(convergence, limit=trace(P, Q) + Fraction(1, 20)),
    },
    assumptions=(
        "x in {0, 1}, p(1) = 1/3, q(1) = 1/2; at the n that were computed, over the samples without a count of 0",
    ),
)(convergence)
