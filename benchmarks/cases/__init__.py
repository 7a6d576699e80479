"""The recipes and variants that the benchmarks compare."""
