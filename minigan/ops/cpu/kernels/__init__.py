"""The inner loops of the CPU backend, in NumPy and compiled by numba: the same functions in both."""
