"""The device for the tests, and the marks of tests that need a compiler.

It is the emulated one, or with MINIGAN_CUDA_DEVICE=gpu in the environment CuPy's GPU: the same tests, so far as they
are not about the emulator.
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
OF_THE_EMULATOR = pytest.mark.skipif(ON_GPU, reason="about the emulator")
NEEDS_NVRTC = pytest.mark.skipif(bool(_missing(compiler.require)), reason=_missing(compiler.require))


@functools.cache
def _gpu():
    from minigan.ops.cuda.device.gpu import GPU

    return GPU(folders=(KERNELS,))


@functools.cache
def device(schedule="forward", *, guard=True, seed=3):
    """One device for all tests with the same options: its programs are loaded once.  Of a GPU there is one."""
    if ON_GPU:
        return _gpu()
    return EmulatedDevice(schedule=schedule, guard=guard, seed=seed, folders=(KERNELS,))


ON_EACH_SCHEDULE = pytest.mark.parametrize("schedule", SCHEDULES)


def error_of(found, expected):
    """The largest difference, relative to the largest number of `expected`."""
    scale = max(float(abs(expected).max(initial=0)), 1e-300)
    return float(abs(found - expected).max(initial=0)) / scale
