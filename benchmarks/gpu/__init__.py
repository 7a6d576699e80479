"""The CUDA backend on a GPU: tests, limits, kernels, steps, the Gaussian game, CPU against GPU.

python -m benchmarks.gpu             10 minutes at most; writes benchmarks/results/gpu.json, the page and its plots
python -m benchmarks.gpu --quick     a smoke run on small settings: the numbers mean nothing

Each stage checks before it times.  Without a GPU nothing is measured, and the exit status is 2.
"""
