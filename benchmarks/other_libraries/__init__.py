"""The same networks and games in PyTorch and JAX, whose results are compared with minigan's before they are timed."""
