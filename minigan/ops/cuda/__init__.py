"""The CUDA backend: CuPy arrays and kernels of our own, or the same kernels run on the host (`emulator`)."""
