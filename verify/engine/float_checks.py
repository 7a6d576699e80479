"""Errors that were measured in floats, against a gate.

A measured error is a float of this machine: another one, with another BLAS, measures another.  What a certificate
claims, and a replay must meet again, is that the errors lie between 0 and the gate.  So an error that passes is kept as
the ball [0, x]; one that does not is kept as x, and refutes.
"""

from flint import arb

from verify.arithmetic.balls import ball, between, exact
from verify.arithmetic.decide import Verdict
from verify.engine.proof import Proof


def check_error(proof: Proof, name: str, x: float | arb, gate: str) -> Verdict:
    """Check 0 <= x <= gate for an error x >= 0."""
    error = arb(x)
    passes = error.is_finite() and error <= ball(exact("gate", gate))
    return proof.at_most(name, between(0, error.upper()) if passes else error, gate)
