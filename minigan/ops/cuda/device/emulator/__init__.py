"""The emulated device: kernels are compiled for the host, threads are fibers, and arrays are in host memory.

It tests kernels, and the Python code that launches them, on machines without a GPU.  It is slow.
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
"""Most bytes of shared memory per block on an H100 or H200."""


class EmulatedDevice(Device):
    """The device of ``get_ops("cuda", device="emulated")``.

    Parameters
    ----------
    schedule : str
        The order in which blocks, and threads between barriers, run: "forward", the default, "reverse" or "random".
        A correct kernel gives the same numbers with each.
    seed : int
        The seed of the random schedule, in which every launch has another order.
    guard : bool
        Whether kernels run on copies of their arrays that lie between inaccessible pages, by default not, since it is
        slower.  With it an index out of bounds ends the process with SIGSEGV, and a write less than 16 bytes after an
        array raises KernelError.
    folders : sequence of path
        Folders that are searched for kernel files before the library's, by default none.

    Raises
    ------
    ValueError
        If `schedule` is none of these.
    HostCompilerMissing
        If there is no C++ compiler, or this machine does not run Linux.

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
        """Return a context that records a graph; its method `launch` then replays it."""
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
            self._launch_on_host(where, program, entry, grid, block, values, shared)

        self._run_or_record(job, *(value for value in values if isinstance(value, arrays.ndarray)))

    @staticmethod
    def _run_or_record(job: Callable[[], None], *used: arrays.ndarray) -> None:
        """Run a job that uses these arrays; during a capture, record it too."""
        if arrays.recorder is None:
            job()
        else:
            arrays.recorder.run(job, [array._host for array in used])

    def _launch_on_host(
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
        used = [value if isinstance(value, arrays.ndarray) else None for value in values]
        guard = Guard([array for array in used if array is not None]) if self.guard else None
        scalars = []  # the values of the arguments, of which the kernel is given the addresses
        for value, array, parameter in zip(values, used, entry.parameters, strict=True):
            if parameter.pointer:
                address = 0 if array is None else guard.address(array) if guard else array.address
                scalars.append(np.array(address, np.uintp))
            else:
                scalars.append(np.array(value))
        arguments = (ctypes.c_void_p * len(scalars))(*(scalar.ctypes.data for scalar in scalars))
        launch = getattr(program, f"launch_{entry.name}")
        triple = ctypes.c_uint * 3
        self._launches += 1
        seed = ctypes.c_ulonglong(self.seed * 1_000_003 + self._launches)
        order = SCHEDULES.index(self.schedule)
        failed = launch(triple(*grid), triple(*block), ctypes.c_size_t(shared), order, seed, arguments)
        if failed:
            raise KernelError(f"{where}: {program.minigan_error().decode()}")
        if guard:
            guard.write_back(where)

    def _gemm(
        self, a: Any, b: Any, out: Any, transpose_a: bool, transpose_b: bool, alpha: float, beta: float, precision: str
    ) -> None:
        real = out.dtype.type
        result = out._host

        def job() -> None:
            left, right = (_round_operand(matrix._host, precision) for matrix in (a, b))
            product = (left.T if transpose_a else left) @ (right.T if transpose_b else right)
            result[...] = real(alpha) * product + (real(beta) * result if beta else 0)

        self._run_or_record(job, a, b, out)


def _round_operand(x: np.ndarray, precision: str) -> np.ndarray:
    """Round an operand as tensor cores do: float32 to the nearest tf32 or bf16, ties to even."""
    if precision == "fp32" or x.dtype != np.float32:
        return x
    word = np.ascontiguousarray(x).view(np.uint32)
    bits = np.uint32(13 if precision == "tf32" else 16)  # how many are dropped
    half = np.uint32((1 << (bits - 1)) - 1)
    rounded = (word + half + (word >> bits & np.uint32(1))) >> bits << bits
    return np.where(np.isfinite(x), rounded.view(np.float32), x)
