"""Benchmarks: results are checked before they are timed; implementations run alternately, each in its own process.

python -m benchmarks all             run all; write results/*.json, docs/benchmarks.md and its plots
python -m benchmarks steps           run one of: steps, fast, first, breakdown, layers, scaling, memory, imports, ...
python -m benchmarks steps --isa avx2    limit every library to AVX2; results in steps-avx2.json
python -m benchmarks all --quick     a smoke run on small settings
python -m benchmarks.report.page     rebuild the page and the plots from the stored results
"""
