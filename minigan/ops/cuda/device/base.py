"""What the real and the emulated device share: kernel launches with checked arguments."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigan.ops.cuda.device import source
from minigan.ops.cuda.device.source import Kernel, KernelError, Parameter, Source

Size = int | tuple[int, ...]
Triple = tuple[int, int, int]
PRECISIONS = ("fp32", "tf32", "bf16")
MAX_THREADS = 1024
MAX_BLOCKS = (2**31 - 1, 65535, 65535)


class Device:
    """Runs kernels on arrays of its own module `xp`.

    launch    one kernel of one file over a grid of blocks
    gemm      a product of matrices
    array     a copy of a host array on the device; `host` is the way back

    Every kernel file is compiled once for each set of `defines`.  `folders` are searched for kernel files before the
    library's own.
    """

    name: str
    xp: Any
    processors: int
    """How many blocks can run at once, at least: the multiprocessors."""

    def __init__(self, *, folders: Sequence[Path | str] = ()) -> None:
        self.folders = (*map(Path, folders), source.KERNELS)
        self._programs: dict[Any, tuple[Source, Any]] = {}
        self._entries: dict[Any, _Entry] = {}

    def launch(
        self, file: str, kernel: str, grid: Size, block: Size, *args: Any, shared: int = 0, **defines: Any
    ) -> None:
        """Run a kernel of FILE.cu; `shared` is dynamic shared memory in bytes, `defines` become -D options.

        A pointer parameter takes an array of this device, C-contiguous and of its dtype, or None for a null pointer;
        a number one takes a number that it can hold.  KernelError names what does not fit.
        """
        key = (file, kernel, *defines.items())
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = self._entry(file, kernel, defines)
        blocks, threads = _sizes(entry, grid, block)
        parameters = entry.kernel.parameters
        if len(args) != len(parameters):
            accepted = f"{len(parameters)} ({', '.join(map(str, parameters))})"
            raise KernelError(f"{entry.where}: {len(args)} arguments given; expected {accepted}")
        values, kind = [], self.xp.ndarray
        for parameter, dtype, arg in zip(parameters, entry.dtypes, args, strict=True):
            if not parameter.pointer:
                values.append(_number(entry.where, parameter, dtype, arg))
                continue
            if arg is not None and not (type(arg) is kind and arg.dtype == dtype and arg.flags.c_contiguous):
                self._require_array(f"{entry.where}: {parameter.name}", dtype, arg)
            values.append(arg)
        if math.prod(blocks):
            self._run(entry.where, entry.program, entry.kernel, blocks, threads, values, shared)

    def gemm(
        self,
        a: Any,
        b: Any,
        out: Any,
        *,
        transpose_a: bool = False,
        transpose_b: bool = False,
        alpha: float = 1.0,
        beta: float = 0.0,
        precision: str = "fp32",
    ) -> None:
        """Out <- alpha a b + beta out, row-major.    a (M, K)   b (K, N)   out (M, N); transposed: (K, M), (N, K)

        With beta = 0 what was in `out` does not count, not even NaN.  `precision` "tf32" or "bf16" rounds the
        operands; the sums are float32.
        """
        (M, K), (K2, N) = (
            matrix.shape[::-1] if t else matrix.shape for matrix, t in ((a, transpose_a), (b, transpose_b))
        )
        if K != K2 or out.shape != (M, N):
            raise KernelError(f"gemm: a {a.shape}, b {b.shape}, out {out.shape} do not fit each other")
        for name, matrix in (("a", a), ("b", b), ("out", out)):
            self._require_array(f"gemm: {name}", out.dtype, matrix)
        if out.dtype not in (np.float32, np.float64):
            raise KernelError(f"gemm: dtype {out.dtype} given; expected float32 or float64")
        if precision not in PRECISIONS:
            raise KernelError(f"gemm: precision {precision!r} given; expected {', '.join(PRECISIONS)}")
        self._gemm(a, b, out, transpose_a, transpose_b, alpha, beta, precision)

    def capture(self, step: Callable[[], Any]) -> Any:
        """Return what `step` does as a graph (`minigan.ops.cuda.device.graph.capture`)."""
        from minigan.ops.cuda.device.graph import capture

        return capture(self, step)

    def array(self, host: np.ndarray) -> Any:
        """Return a copy on the device."""
        return self.xp.asarray(host)

    def host(self, array: Any) -> np.ndarray:
        """Return a copy on the host."""
        return array.get()

    def session(self) -> AbstractContextManager[Any]:
        """A block whose work is the device's."""
        return nullcontext()

    # --- what a device defines ------------------------------------------------------------------

    def recording(self) -> Any:
        """Return what a graph is captured with: a context, and then `launch`."""
        raise NotImplementedError(f"{type(self).__name__} does not define recording")

    def _build(self, found: Source, defines: Mapping[str, Any]) -> Any:
        """Return the compiled file."""
        raise NotImplementedError(f"{type(self).__name__} does not define _build")

    def _run(
        self, where: str, program: Any, entry: Kernel, grid: Triple, block: Triple, values: list[Any], shared: int
    ) -> None:
        """Run a kernel; each value is an array of the device, None, or a NumPy scalar of the parameter's type."""
        raise NotImplementedError(f"{type(self).__name__} does not define _run")

    def _gemm(
        self, a: Any, b: Any, out: Any, transpose_a: bool, transpose_b: bool, alpha: float, beta: float, precision: str
    ) -> None:
        """`gemm` of arguments that fit."""
        raise NotImplementedError(f"{type(self).__name__} does not define _gemm")

    # --- checks ---------------------------------------------------------------------------------

    def _entry(self, file: str, kernel: str, defines: Mapping[str, Any]) -> "_Entry":
        key = (file, *defines.items())
        if key not in self._programs:
            found = source.read(file, self.folders)
            self._programs[key] = found, self._build(found, defines)
        found, program = self._programs[key]
        real = str(defines.get("REAL", "float"))
        one = found.kernel(kernel)
        return _Entry(f"{file}.cu, {kernel}", program, one, tuple(p.dtype(real) for p in one.parameters))

    def _require_array(self, what: str, dtype: np.dtype, array: Any) -> None:
        if not isinstance(array, self.xp.ndarray):
            raise KernelError(f"{what} is {type(array).__name__}; expected an array of the {self.name} device")
        if array.dtype != dtype:
            raise KernelError(f"{what} is {array.dtype}; expected {dtype}")
        if not array.flags.c_contiguous:
            raise KernelError(f"{what} of shape {array.shape} is not C-contiguous; expected a contiguous copy of it")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One kernel, compiled: what it is called in errors, and the dtypes of its parameters."""

    where: str
    program: Any
    kernel: Kernel
    dtypes: tuple[np.dtype, ...]


def _number(where: str, parameter: Parameter, dtype: np.dtype, arg: Any) -> Any:
    """The number as the parameter holds it."""
    if dtype.kind == "f":
        if isinstance(arg, (int, float, np.floating, np.integer)):
            return dtype.type(arg)
    elif isinstance(arg, (int, np.integer)):
        low, high = _limits(dtype)
        if low <= arg <= high:
            return dtype.type(arg)
    raise KernelError(f"{where}: {parameter.name} is {arg!r}; expected {parameter.kind} ({dtype})")


@functools.cache
def _limits(dtype: np.dtype) -> tuple[int, int]:
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def _sizes(entry: _Entry, grid: Size, block: Size) -> tuple[Triple, Triple]:
    blocks, threads = _triple(entry.where, "grid", grid), _triple(entry.where, "block", block)
    if blocks[0] > MAX_BLOCKS[0] or blocks[1] > MAX_BLOCKS[1] or blocks[2] > MAX_BLOCKS[2]:
        raise KernelError(f"{entry.where}: grid {grid} given; expected at most {MAX_BLOCKS}")
    most = entry.kernel.threads or MAX_THREADS
    if not 1 <= math.prod(threads) <= most or threads[2] > 64:
        raise KernelError(f"{entry.where}: block {block} given; expected 1 to {most} threads")
    return blocks, threads


def _triple(where: str, name: str, size: Size) -> Triple:
    if type(size) is int and size >= 0:
        return size, 1, 1
    given = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    if not 1 <= len(given) <= 3 or not all(isinstance(n, (int, np.integer)) and n >= 0 for n in given):
        raise KernelError(f"{where}: {name} {size!r} given; expected 1 to 3 whole numbers")
    x, y, z = (*map(int, given), 1, 1)[:3]
    return x, y, z


def blocks_for(n: int, threads: int, most: int) -> int:
    """Return how many blocks of `threads` a loop over n elements needs: 1 or more, and `most` at most.

    >>> blocks_for(1000, 256, 500), blocks_for(10**9, 256, 500), blocks_for(0, 256, 500)
    (4, 500, 1)
    """
    return max(1, min(-(-n // threads), most))
