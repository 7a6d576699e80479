"""The CPU backend's threads, how they wait for work, and the limit on BLAS's own threads."""
