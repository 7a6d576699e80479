"""Trained networks: how far from Proposition 1 and Theorem 1 a training stopped, certified.

from verify.trained import certify_run
found = certify_run("runs/gaussian/001")
found.gap                                # an enclosure of V(D*) - V(D)
"""

from verify.trained.logit import NotCertifiable, discriminator
from verify.trained.run import Optimality, certify_networks, certify_pair, certify_run

__all__ = ["NotCertifiable", "Optimality", "certify_networks", "certify_pair", "certify_run", "discriminator"]
