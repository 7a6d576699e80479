"""The same kernels in NumPy, for a machine without numba."""
