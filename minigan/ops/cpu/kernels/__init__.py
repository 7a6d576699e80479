"""The inner loops of the CPU backend.

`numba/` holds all of them, compiled; `numpy/` holds those of `norm_act` and `vector`, for machines without numba.
"""
