"""The base class of the GPU and the emulated device: kernel launches and matrix products with checked arguments."""

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
"""The precisions of float32 products; convolution.cu is given their index."""
MAX_THREADS = 1024
"""Most threads per block, unless a kernel's launch bounds say less."""
MAX_THREADS_Z = 64
"""Most threads along a block's third axis."""
MAX_BLOCKS = (2**31 - 1, 65535, 65535)
"""Most blocks along each axis of a grid."""


class Device:
    """Launches kernels on device arrays.

    A kernel file is compiled once for each set of `defines`.

    Parameters
    ----------
    folders : sequence of path
        Folders that are searched for kernel files before the library's, in order; by default none.

    Attributes
    ----------
    name : str
        What errors call the device.
    xp : module
        The array module, CuPy or one like it.
    processors : int
        The number of multiprocessors, from which the sizes of grids are computed.

    """

    name: str
    xp: Any
    processors: int

    def __init__(self, *, folders: Sequence[Path | str] = ()) -> None:
        self.folders = (*map(Path, folders), source.KERNELS)
        self._programs: dict[Any, tuple[Source, Any]] = {}
        self._entries: dict[Any, _Entry] = {}

    def launch(
        self, file: str, kernel: str, grid: Size, block: Size, *args: Any, shared: int = 0, **defines: Any
    ) -> None:
        """Launch a kernel.

        Parameters
        ----------
        file : str
            The name of the kernel's file without ".cu".
        kernel : str
            The kernel's name.
        grid, block : int or tuple of int
            The number of blocks, and of threads per block, along one to three axes.  A grid with a 0 launches nothing.
        *args
            An argument for each parameter of the kernel.  A pointer takes a C-contiguous array of this device with the
            parameter's dtype, or None for a null pointer; a number must be in the range of the parameter's type.
        shared : int
            Bytes of dynamic shared memory, by default none.
        **defines
            Preprocessor macros with which the file is compiled, such as ``REAL="double"``.

        Raises
        ------
        KernelError
            If the kernel does not exist or does not compile, or an argument does not fit.

        """
        key = (file, kernel, *defines.items())
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = self._entry(file, kernel, defines)
        blocks, threads = _sizes(entry, grid, block)
        parameters = entry.kernel.parameters
        if len(args) != len(parameters):
            expected = f"{len(parameters)} ({', '.join(map(str, parameters))})"
            raise KernelError(f"{entry.where}: {len(args)} arguments given; expected {expected}")
        values, array_type = [], self.xp.ndarray
        for parameter, dtype, arg in zip(parameters, entry.dtypes, args, strict=True):
            if not parameter.pointer:
                values.append(_number(entry.where, parameter, dtype, arg))
                continue
            if arg is not None and not (type(arg) is array_type and arg.dtype == dtype and arg.flags.c_contiguous):
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
        """Set out to alpha a b + beta out, where a or b may be given as its transpose.

        Parameters
        ----------
        a : (M, K) array, or (K, M) with `transpose_a`
            The left operand; all arrays are C-contiguous, float32 or float64, of one dtype.
        b : (K, N) array, or (N, K) with `transpose_b`
            The right operand.
        out : (M, N) array
            The result.
        transpose_a, transpose_b : bool
            Whether the operand is given as its transpose.
        alpha, beta : float
            The factors; the defaults write the product.  With beta = 0 the old numbers of `out` do not matter, not even
            NaN.
        precision : str
            The precision of float32 products, one of PRECISIONS: "tf32" and "bf16" round the operands and add in
            float32, "fp32", the default, rounds nothing.

        Raises
        ------
        KernelError
            If a shape, a dtype or `precision` does not fit.

        """
        M, K = a.shape[::-1] if transpose_a else a.shape
        K_of_b, N = b.shape[::-1] if transpose_b else b.shape
        if K_of_b != K or out.shape != (M, N):
            raise KernelError(
                f"gemm: a {a.shape}, b {b.shape}, out {out.shape} given; expected the shapes of a matrix product"
            )
        for name, matrix in (("a", a), ("b", b), ("out", out)):
            self._require_array(f"gemm: {name}", out.dtype, matrix)
        if out.dtype not in (np.float32, np.float64):
            raise KernelError(f"gemm: dtype {out.dtype} given; expected float32 or float64")
        if precision not in PRECISIONS:
            raise KernelError(f"gemm: precision {precision!r} given; expected {', '.join(PRECISIONS)}")
        self._gemm(a, b, out, transpose_a, transpose_b, alpha, beta, precision)

    def capture(self, step: Callable[[], Any]) -> Any:
        """Return the launches of `step` as a graph; see `minigan.ops.cuda.device.graph.capture`."""
        from minigan.ops.cuda.device.graph import capture

        return capture(self, step)

    def array(self, host: np.ndarray) -> Any:
        """Return a copy of a host array on the device."""
        return self.xp.asarray(host)

    def host(self, array: Any) -> np.ndarray:
        """Return a copy of a device array on the host."""
        return array.get()

    def session(self) -> AbstractContextManager[Any]:
        """Return a context in which array operations run on the device's stream."""
        return nullcontext()

    # --- what a subclass defines ----------------------------------------------------------------

    def recording(self) -> Any:
        """Return a context that records a graph; its method `launch` then replays it."""
        raise NotImplementedError(f"{type(self).__name__} does not define recording")

    def _build(self, found: Source, defines: Mapping[str, Any]) -> Any:
        """Return the compiled program of a kernel file."""
        raise NotImplementedError(f"{type(self).__name__} does not define _build")

    def _run(
        self, where: str, program: Any, entry: Kernel, grid: Triple, block: Triple, values: list[Any], shared: int
    ) -> None:
        """Run a kernel; each value is an array of the device, None, or a NumPy scalar of the parameter's type."""
        raise NotImplementedError(f"{type(self).__name__} does not define _run")

    def _gemm(
        self, a: Any, b: Any, out: Any, transpose_a: bool, transpose_b: bool, alpha: float, beta: float, precision: str
    ) -> None:
        """Compute `gemm`, whose arguments have been checked."""
        raise NotImplementedError(f"{type(self).__name__} does not define _gemm")

    # --- checks ---------------------------------------------------------------------------------

    def _entry(self, file: str, kernel: str, defines: Mapping[str, Any]) -> "_Entry":
        """Compile the file unless it has been compiled, and return one of its kernels."""
        key = (file, *defines.items())
        if key not in self._programs:
            found = source.read(file, self.folders)
            self._programs[key] = found, self._build(found, defines)
        found, program = self._programs[key]
        real = str(defines.get("REAL", "float"))
        declared = found.kernel(kernel)
        dtypes = tuple(parameter.dtype(real) for parameter in declared.parameters)
        return _Entry(f"{file}.cu, {kernel}", program, declared, dtypes)

    def _require_array(self, what: str, dtype: np.dtype, array: Any) -> None:
        """Raise KernelError unless `array` is a C-contiguous array of this device with that dtype."""
        if not isinstance(array, self.xp.ndarray):
            raise KernelError(f"{what} is {type(array).__name__}; expected an array of the {self.name} device")
        if array.dtype != dtype:
            raise KernelError(f"{what} is {array.dtype}; expected {dtype}")
        if not array.flags.c_contiguous:
            raise KernelError(f"{what} of shape {array.shape} is not C-contiguous; expected a contiguous copy of it")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A compiled kernel: its name in errors, its program and declaration, and the dtypes of its parameters."""

    where: str
    program: Any
    kernel: Kernel
    dtypes: tuple[np.dtype, ...]


def _number(where: str, parameter: Parameter, dtype: np.dtype, arg: Any) -> Any:
    """Return the argument as a NumPy scalar of the parameter's type; KernelError if the type cannot hold it."""
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
    """Return the least and the greatest integer of a dtype."""
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def _sizes(entry: _Entry, grid: Size, block: Size) -> tuple[Triple, Triple]:
    """Return blocks and threads along three axes, or raise KernelError if the kernel cannot be launched so."""
    blocks, threads = _triple(entry.where, "grid", grid), _triple(entry.where, "block", block)
    if blocks[0] > MAX_BLOCKS[0] or blocks[1] > MAX_BLOCKS[1] or blocks[2] > MAX_BLOCKS[2]:
        raise KernelError(f"{entry.where}: grid {grid} given; expected at most {MAX_BLOCKS}")
    max_threads = entry.kernel.threads or MAX_THREADS
    if not 1 <= math.prod(threads) <= max_threads or threads[2] > MAX_THREADS_Z:
        raise KernelError(f"{entry.where}: block {block} given; expected 1 to {max_threads} threads")
    return blocks, threads


def _triple(where: str, name: str, size: Size) -> Triple:
    """Return a size along three axes."""
    if type(size) is int and size >= 0:
        return size, 1, 1
    given = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    if not 1 <= len(given) <= 3 or not all(isinstance(n, (int, np.integer)) and n >= 0 for n in given):
        raise KernelError(f"{where}: {name} {size!r} given; expected 1 to 3 whole numbers")
    x, y, z = (*map(int, given), 1, 1)[:3]
    return x, y, z


def blocks_for(n: int, threads: int, max_blocks: int) -> int:
    """Return the number of blocks for a grid-stride loop over n elements.

    Parameters
    ----------
    n : int
        The number of elements, at least 0.
    threads : int
        Elements that one block takes in a pass of the loop: its threads, times the elements of each.
    max_blocks : int
        The most blocks, at least 1.

    Returns
    -------
    int
        n / threads rounded up, but in 1 ... max_blocks.

    Examples
    --------
    >>> blocks_for(1000, 256, 500), blocks_for(10**9, 256, 500), blocks_for(0, 256, 500)
    (4, 500, 1)

    """
    return max(1, min(-(-n // threads), max_blocks))
