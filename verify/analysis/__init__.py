"""Enclosures of integrals: divergences, total variation, the value of the game; branch and bound."""
