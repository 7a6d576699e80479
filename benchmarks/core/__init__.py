"""Shared by all benchmarks: alternating runs, worker processes, checks before timing, results as JSON."""
