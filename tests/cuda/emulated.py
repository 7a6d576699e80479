"""The device of the tests, and marks for tests that need a compiler.

The device is the emulated one, or CuPy's GPU if MINIGAN_CUDA_DEVICE=gpu is set: then the same tests run there, except
those of the emulator.
"""

import functools
import os
from pathlib import Path

import pytest

from minigan.ops.cuda.device import compiler
from minigan.ops.cuda.device.emulator import EmulatedDevice, build
from minigan.ops.cuda.device.source import KernelError

KERNELS = Path(__file__).parent / "kernels"
ON_GPU = os.environ.get("MINIGAN_CUDA_DEVICE") == "gpu"
NAME = "gpu" if ON_GPU else "emulated"
"""``get_ops("cuda", device=NAME)``"""
SCHEDULES = ("forward", "reverse", "random")


def _missing(find):
    try:
        find()
    except KernelError as error:
        return str(error)
    return ""


NEEDS_HOST_COMPILER = pytest.mark.skipif(not ON_GPU and bool(_missing(build.compiler)), reason=_missing(build.compiler))
EMULATOR_ONLY = pytest.mark.skipif(ON_GPU, reason="tests the emulator")
NEEDS_NVRTC = pytest.mark.skipif(bool(_missing(compiler.require)), reason=_missing(compiler.require))


@functools.cache
def _gpu():
    from minigan.ops.cuda.device.gpu import GPU

    return GPU(folders=(KERNELS,))


@functools.cache
def device(schedule="forward", *, guard=True, seed=3):
    """Return one device for all tests with the same options, so that programs are loaded once, or the GPU."""
    if ON_GPU:
        return _gpu()
    return EmulatedDevice(schedule=schedule, guard=guard, seed=seed, folders=(KERNELS,))


ON_EACH_SCHEDULE = pytest.mark.parametrize("schedule", SCHEDULES)


def error_of(found, expected):
    """Return the largest difference, relative to the largest number of `expected`."""
    scale = max(float(abs(expected).max(initial=0)), 1e-300)
    return float(abs(found - expected).max(initial=0)) / scale
