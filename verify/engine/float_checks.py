"""Check errors that are measured in floats against a gate.

A measured error depends on the machine and its BLAS.  A certificate claims only that it lies between 0 and the gate,
which a replay on another machine can confirm.  So an error x that passes is stored as the ball [0, x]; one that does
not is stored as x, which refutes the check.
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
