"""Networks and games in JAX."""
