"""Kernels compiled by numba; imported only where it is installed."""
