"""A GPU as a device: CuPy's arrays and streams, and this library's compiled kernels.

All work of the backend is submitted to one stream, which does not wait for the default stream, so that a graph can be
captured from it.  Creating the device makes that stream CuPy's current one in this thread; other threads must work
within ``with device.session():``.
"""

import functools
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minigan.ops.cuda.device import compiler, cublas
from minigan.ops.cuda.device.base import Device, Triple
from minigan.ops.cuda.device.source import Kernel, KernelError, Source
from minigan.ops.errors import BackendUnavailable

STATIC_SHARED_BYTES = 48 * 1024
"""The most bytes of shared memory that a kernel may use without an opt-in."""
CPU_INSTEAD = "expected here: ops='cpu' (fast) or ops='reference' (every dtype)"


def why_not() -> str:
    """Return why no GPU can be used.

    CuPy reports this without raising an exception, so no other failure can be mistaken for a missing GPU.

    Returns
    -------
    str
        What was found and what to do about it; "" if a GPU can be used.

    """
    if importlib.util.find_spec("cupy") is None:
        return f"CuPy is not installed; to install what is needed: pip install 'minigan[gpu]'; {CPU_INSTEAD}"
    try:
        import cupy
    except ImportError as error:
        return f"CuPy is installed but does not import ({error}); pip install 'minigan[gpu]' again; {CPU_INSTEAD}"
    if cupy.cuda.is_available():
        return ""
    driver = cupy.cuda.runtime.driverGetVersion()
    if not driver:
        found, todo = (
            "no NVIDIA driver was found",
            "install the driver (>= 580 for CUDA 13), or use a machine with a GPU",
        )
    elif driver < 13000:
        found = f"the driver is for CUDA {_version(driver)}, which is older than 13.0"
        todo = "update it (>= 580)"
    else:
        found = f"the driver (CUDA {_version(driver)}) shows {_count(cupy)} devices"
        todo = "see `nvidia-smi` and CUDA_VISIBLE_DEVICES"
    return f"CuPy {cupy.__version__} is installed, but {found}; {todo}; {CPU_INSTEAD}"


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _count(cupy: Any) -> int:
    try:
        return int(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError:
        return 0


@functools.cache
def _stream(number: int) -> Any:
    """Return the stream of a GPU: the same one for all `GPU` objects, so that their work keeps its order."""
    import cupy

    with cupy.cuda.Device(number):
        return cupy.cuda.Stream(non_blocking=True)


@contextmanager
def current(stream: Any) -> Iterator[Any]:
    """Return a context in which a stream is CuPy's current one; afterwards the previous stream is current again.

    The block waits for all work that was submitted to the previous stream, and the previous stream then waits for the
    work of the block.  So arrays may be used inside and outside the block, in any thread.

    CuPy's own ``with stream`` restores the stream of the enclosing ``with`` and ignores what `use` has chosen: it would
    restore the default stream, which does not wait for this one.
    """
    import cupy

    before = cupy.cuda.get_current_stream()
    other = before.ptr != stream.ptr
    if other:
        stream.wait_event(before.record())
    stream.use()
    try:
        yield stream
    finally:
        if other:
            before.wait_event(stream.record())
        before.use()


class GPU(Device):
    """CuPy's current GPU, the device of ``get_ops("cuda")``.

    Parameters
    ----------
    folders : sequence of path
        Folders that are searched for kernel files before the library's, in order; by default none.

    Raises
    ------
    BackendUnavailable
        If no GPU can be used, or its compute capability is less than 8.0.

    """

    name = "CUDA"

    def __init__(self, *, folders: Sequence[Path | str] = ()) -> None:
        why = why_not()
        if why:
            raise BackendUnavailable(f"ops='cuda' is not available: {why}")
        super().__init__(folders=folders)
        import cupy

        self.xp = cupy
        self._device = cupy.cuda.Device()
        self.arch = f"sm_{self._device.compute_capability}"
        if int(self._device.compute_capability) < 80:
            raise BackendUnavailable(
                f"ops='cuda' needs compute capability 8.0, this GPU has {self.arch}; {CPU_INSTEAD}"
            )
        self.processors = int(self._device.attributes["MultiProcessorCount"])
        self.max_shared_bytes = int(self._device.attributes["MaxSharedMemoryPerBlockOptin"])
        self.stream = _stream(self._device.id)
        self.stream.use()
        self._kernels: dict[tuple[int, str], Any] = {}
        self._blas: cublas.Cublas | None = None

    def __repr__(self) -> str:
        name = self.xp.cuda.runtime.getDeviceProperties(self._device.id)["name"].decode()
        return f"GPU({name}, {self.arch})"

    def recording(self) -> Any:
        """Return a context that records a graph from the device's stream."""
        from minigan.ops.cuda.device.stream_recording import StreamRecording

        return StreamRecording(self.stream, self.session())

    def session(self) -> AbstractContextManager[Any]:
        """Return a context in which the device's stream is the current one of the calling thread."""
        return current(self.stream)

    def synchronize(self) -> None:
        """Wait until all launched work has ended."""
        self.xp.cuda.get_current_stream().synchronize()

    def _build(self, found: Source, defines: Mapping[str, Any]) -> Any:
        return self.xp.RawModule(path=str(compiler.compile_source(found, defines, self.arch).path))

    def _run(
        self,
        where: str,
        program: Any,
        entry: Kernel,
        grid: Triple,
        block: Triple,
        values: list[Any],
        shared: int,
    ) -> None:
        kernel = self._kernels.get((id(program), entry.name))
        if kernel is None:
            kernel = self._kernels[id(program), entry.name] = program.get_function(entry.name)
        if shared > STATIC_SHARED_BYTES and shared > kernel.max_dynamic_shared_size_bytes:
            if shared > self.max_shared_bytes:
                raise KernelError(f"{where}: {shared} bytes of shared memory; expected at most {self.max_shared_bytes}")
            kernel.max_dynamic_shared_size_bytes = shared
        kernel(grid, block, tuple(np.uintp(0) if value is None else value for value in values), shared_mem=shared)

    def _gemm(
        self, a: Any, b: Any, out: Any, transpose_a: bool, transpose_b: bool, alpha: float, beta: float, precision: str
    ) -> None:
        if self._blas is None:
            self._workspace = self.xp.cuda.Memory(
                cublas.WORKSPACE_BYTES
            )  # not from CuPy's pool: its address must not change
            self._blas = cublas.Cublas(cublas.find_library(), self._workspace.ptr)
        M, N = out.shape
        self._blas.gemm(
            self.xp.cuda.get_current_stream().ptr, out.dtype, (M, N, a.shape[0 if transpose_a else 1]),
            a.data.ptr, b.data.ptr, out.data.ptr, transpose_a=transpose_a, transpose_b=transpose_b,
            alpha=alpha, beta=beta, precision=precision,
        )  # fmt: skip
