"""Metrics: how far a generator is from the data."""

from minigan.metrics.divergences import integrate, jsd, kl, optimal_discriminator, value, value_at_point

__all__ = ["integrate", "jsd", "kl", "optimal_discriminator", "value", "value_at_point"]
