"""docs/benchmarks.md and its plots, generated from benchmarks/results/."""
