"""verify: the theory of generative adversarial networks with certificates.

Every statement is checked in ball arithmetic, in exact rationals or symbolically; the verdict is proved, refuted or
undecided.  Every claim has negative controls: wrong statements that its check must refute.

    python -m verify run --profile quick
"""

try:
    import flint as _flint  # noqa: F401
except ImportError as error:
    raise ImportError("verify needs python-flint; install it with: pip install 'minigan[verify]'") from error

from verify.analysis.divergences import Divergences, certify
from verify.arithmetic.balls import Enclosure, precision
from verify.arithmetic.decide import Undecided, Verdict, prove_nonnegative, prove_positive, prove_zero
from verify.claims import load_claims
from verify.engine.certificate import Certificate, ControlResult
from verify.engine.certify import certificate
from verify.engine.proof import PROFILES, Profile, Proof
from verify.engine.registry import GOODFELLOW, REGISTRY, Claim, Source, claim
from verify.engine.runner import run

__all__ = [
    "GOODFELLOW",
    "PROFILES",
    "REGISTRY",
    "Certificate",
    "Claim",
    "ControlResult",
    "Divergences",
    "Enclosure",
    "Profile",
    "Proof",
    "Source",
    "Undecided",
    "Verdict",
    "certificate",
    "certify",
    "claim",
    "load_claims",
    "precision",
    "prove_nonnegative",
    "prove_positive",
    "prove_zero",
    "run",
]
