"""The benchmarks on the CPU."""
