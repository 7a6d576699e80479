"""The emulated device: the kernels compiled for the host, threads as fibers, arrays in host memory.

What it is for: to test kernels, and the Python that launches them, where there is no GPU.  It is slow.
"""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigan._names import unknown
from minigan.ops.cuda.device.base import Device, Triple
from minigan.ops.cuda.device.emulator import arrays, build
from minigan.ops.cuda.device.emulator.guard import Guard
from minigan.ops.cuda.device.emulator.recording import Recording
from minigan.ops.cuda.device.source import Kernel, KernelError, Source

SCHEDULES = ("forward", "reverse", "random")
MAX_SHARED_BYTES = 227 * 1024
"""Bytes of shared memory a block of an H200 can have."""


class EmulatedDevice(Device):
    """``get_ops("cuda", device="emulated")``.

    schedule  which threads and blocks come first: "forward", "reverse" or "random"; a correct kernel gives the same
    seed      of the random schedule; each launch has an order of its own
    guard     run kernels on copies of their arrays between pages that nobody may touch: an index out of bounds ends
              the process (SIGSEGV); what was written less than 16 bytes behind an array is a KernelError
    folders   searched for kernel files before the library's own
    """

    name = "emulated CUDA"
    xp = arrays
    processors = 4

    def __init__(
        self, *, schedule: str = "forward", seed: int = 0, guard: bool = False, folders: Sequence[Path | str] = ()
    ) -> None:
        if schedule not in SCHEDULES:
            raise ValueError(unknown("schedule", schedule, SCHEDULES))
        build.compiler()
        super().__init__(folders=folders)
        self.schedule, self.seed, self.guard = schedule, seed, guard
        self._launches = 0

    def __repr__(self) -> str:
        return f"EmulatedDevice(schedule={self.schedule!r}, seed={self.seed}, guard={self.guard})"

    def _build(self, found: Source, defines: Mapping[str, Any]) -> ctypes.CDLL:
        return build.build(found, defines)

    def recording(self) -> Recording:
        """Return what records a graph."""
        return Recording(arrays)

    def _run(
        self,
        where: str,
        program: ctypes.CDLL,
        entry: Kernel,
        grid: Triple,
        block: Triple,
        values: list[Any],
        shared: int,
    ) -> None:
        def job() -> None:
            self._run_now(where, program, entry, grid, block, values, shared)

        self._do(job, *(value for value in values if isinstance(value, arrays.ndarray)))

    @staticmethod
    def _do(job: Callable[[], None], *used: arrays.ndarray) -> None:
        if arrays.recorder is None:
            job()
        else:
            arrays.recorder.run(job, [array._host for array in used])

    def _run_now(
        self,
        where: str,
        program: ctypes.CDLL,
        entry: Kernel,
        grid: Triple,
        block: Triple,
        values: list[Any],
        shared: int,
    ) -> None:
        if not 0 <= shared <= MAX_SHARED_BYTES:
            raise KernelError(f"{where}: {shared} bytes of shared memory; expected at most {MAX_SHARED_BYTES}")
        pointers = [value if isinstance(value, arrays.ndarray) else None for value in values]
        guard = Guard([p for p in pointers if p is not None]) if self.guard else None
        held = []
        for value, pointer, parameter in zip(values, pointers, entry.parameters, strict=True):
            if parameter.pointer:
                address = 0 if pointer is None else guard.address(pointer) if guard else pointer.address
                held.append(np.array(address, np.uintp))
            else:
                held.append(np.array(value))
        arguments = (ctypes.c_void_p * len(held))(*(value.ctypes.data for value in held))
        launch = getattr(program, f"launch_{entry.name}")
        three = ctypes.c_uint * 3
        self._launches += 1
        seed = ctypes.c_ulonglong(self.seed * 1_000_003 + self._launches)
        order = SCHEDULES.index(self.schedule)
        failed = launch(three(*grid), three(*block), ctypes.c_size_t(shared), order, seed, arguments)
        if failed:
            raise KernelError(f"{where}: {program.minigan_error().decode()}")
        if guard:
            guard.give_back(where)

    def _gemm(
        self, a: Any, b: Any, out: Any, transpose_a: bool, transpose_b: bool, alpha: float, beta: float, precision: str
    ) -> None:
        real = out.dtype.type
        into = out._host

        def job() -> None:
            left, right = (_rounded(matrix._host, precision) for matrix in (a, b))
            product = (left.T if transpose_a else left) @ (right.T if transpose_b else right)
            into[...] = real(alpha) * product + (real(beta) * into if beta else 0)

        self._do(job, a, b, out)


def _rounded(x: np.ndarray, precision: str) -> np.ndarray:
    """The operand of a product on tensor cores: to the nearest bf16 or tf32, ties to even."""
    if precision == "fp32" or x.dtype != np.float32:
        return x
    word = np.ascontiguousarray(x).view(np.uint32)
    bits = np.uint32(13 if precision == "tf32" else 16)  # that are dropped
    half = np.uint32((1 << (bits - 1)) - 1)
    rounded = (word + half + (word >> bits & np.uint32(1))) >> bits << bits
    return np.where(np.isfinite(x), rounded.view(np.float32), x)
