"""Check that errors measured in floats are within a tolerance.

A measured error depends on the machine and its BLAS.  A certificate claims only that it lies between 0 and the
tolerance, which a replay on another machine can confirm.  So an error x that passes is stored as the ball [0, x]; one
that does not is stored as x, which refutes the check.
"""

from flint import arb

from verify.arithmetic.balls import ball, between, exact
from verify.arithmetic.decide import Verdict
from verify.engine.proof import Proof


def check_error(proof: Proof, name: str, x: float | arb, tolerance: str) -> Verdict:
    """Check 0 <= x <= tolerance for a measured error x.

    Parameters
    ----------
    proof : Proof
        The record of the checks.
    name : str
        What is measured.
    x : float or arb
        The error, >= 0.
    tolerance : str
        The largest error that passes, as a decimal text such as "1e-13".

    Returns
    -------
    Verdict
        The decision.

    """
    error = arb(x)
    passes = error.is_finite() and error <= ball(exact("tolerance", tolerance))
    return proof.at_most(name, between(0, error.upper()) if passes else error, tolerance)
