"""The CUDA backend: CuPy arrays and this library's kernels (`minigan.ops.cuda.backend`)."""

from minigan.ops.cuda.backend import CUDA, DEVICES, PRECISIONS

__all__ = ["CUDA", "DEVICES", "PRECISIONS"]
