"""Trained networks: certified distances from the optimum of Proposition 1 and Theorem 1.

from verify.trained import certify_run
found = certify_run("runs/gaussian/001")
found.suboptimality                      # an enclosure of V(D*) - V(D)
"""

from verify.trained.logit import NotCertifiable, discriminator
from verify.trained.pair import Optimality, certify_networks, certify_pair
from verify.trained.run import certify_run

__all__ = ["NotCertifiable", "Optimality", "certify_networks", "certify_pair", "certify_run", "discriminator"]
