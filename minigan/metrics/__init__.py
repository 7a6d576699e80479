"""Metrics: how far a generator is from the data."""

from minigan.metrics.divergences import integrate, jsd, kl, optimal_discriminator, value, value_at_point
from minigan.metrics.neighbours import nearest

__all__ = ["integrate", "jsd", "kl", "nearest", "optimal_discriminator", "value", "value_at_point"]
