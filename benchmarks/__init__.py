"""Benchmarks: the result is checked first, then timed; contestants run alternately, a process each.

python -m benchmarks.gaussian        the whole `gaussian` run beside PyTorch
python -m benchmarks.table           the table in docs/benchmarks.md from the results
"""
