"""Benchmarks: the result is checked first, then timed; contestants run alternately, a process each.

python -m benchmarks all             everything: results/*.json, docs/benchmarks.md and its plots
python -m benchmarks steps           one of: steps, layers, scaling, memory, imports, gaussian
python -m benchmarks all --quick     a smoke run on small settings
python -m benchmarks.report.page           the page and the plots from the results that are there
"""
