"""Every claim beyond Proposition 1 and Theorem 1: proved, its controls refuted, nothing undecided."""

import importlib

from verify.engine.registry import REGISTRY

MODULES = (
    "prop2", "prop2_literal", "dirac", "generator", "unconscious_statistician", "fgan", "metric", "likelihood",
    "errata_criterion", "errata_training", "errata_game", "errata_networks",
)  # fmt: skip
TOPICS = {"P2", "Dirac", "Gradient", "Lotus", "FGan", "Metric", "Ratio", "Mle", *(f"E{k}" for k in range(1, 27))}

for name in MODULES:
    importlib.import_module(f"verify.claims.{name}")
CLAIMS = [claim for claim in REGISTRY if claim.id.split(".")[0] in TOPICS]


def test_the_list_is_whole():
    assert len(CLAIMS) >= 60
    errata = {claim.id.split(".")[0] for claim in CLAIMS if claim.id[0] == "E"}
    left_out = {"E18", "E19", "E21", "E23", "E25"}
    assert errata == {f"E{k}" for k in range(1, 27)} - left_out
    reasons = importlib.import_module("verify.claims.errata_networks").__doc__
    assert all(one in reasons for one in left_out)
