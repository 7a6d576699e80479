"""The page docs/benchmarks.md and its plots, made from benchmarks/results/."""
