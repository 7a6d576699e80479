"""Emulated devices for the tests, and the marks of tests that need a compiler."""

import functools
from pathlib import Path

import pytest

from minigan.ops.cuda import compiler
from minigan.ops.cuda.emulator import EmulatedDevice, build
from minigan.ops.cuda.source import KernelError

KERNELS = Path(__file__).parent / "kernels"
SCHEDULES = ("forward", "reverse", "random")


def _missing(find):
    try:
        find()
    except KernelError as error:
        return str(error)
    return ""


NEEDS_HOST_COMPILER = pytest.mark.skipif(bool(_missing(build.compiler)), reason=_missing(build.compiler))
NEEDS_NVRTC = pytest.mark.skipif(bool(_missing(compiler.require)), reason=_missing(compiler.require))


@functools.cache
def device(schedule="forward", *, guard=True, seed=3):
    """One device for all tests with the same options: its programs are loaded once."""
    return EmulatedDevice(schedule=schedule, guard=guard, seed=seed, folders=(KERNELS,))


ON_EACH_SCHEDULE = pytest.mark.parametrize("schedule", SCHEDULES)


def error_of(found, expected):
    """The largest difference, relative to the largest number of `expected`."""
    scale = max(float(abs(expected).max(initial=0)), 1e-300)
    return float(abs(found - expected).max(initial=0)) / scale
