"""Generate docs/benchmarks.md and its plots from benchmarks/results/."""
