"""The real device: CuPy's arrays and streams, our cubins.

All work of the backend goes to one stream of its own, which does not wait for the default stream, so that a graph can
be captured from it; making the device makes it CuPy's current stream in this thread.  Other threads work within
``with device.session():``.
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
"""Bytes of shared memory that a kernel may have without asking for more."""
CPU_INSTEAD = "expected here: ops='cpu' (fast) or ops='reference' (every dtype)"


def why_not() -> str:
    """Why there is no GPU to compute on: what was found and what to do; "" where there is one.

    CuPy says it without an exception, so nothing else that fails is mistaken for it.
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
    """The stream of a GPU: one for all its devices, so that their work keeps its order."""
    import cupy

    with cupy.cuda.Device(number):
        return cupy.cuda.Stream(non_blocking=True)


@contextmanager
def current(stream: Any) -> Iterator[Any]:
    """Make a stream CuPy's current one for a block, and then the one before it again.

    The block waits for the work already submitted to the stream before it, and that stream then waits for the block's:
    so arrays may be used inside and outside the block, in any thread.

    CuPy's own ``with stream`` goes back to the ``with`` around it, and past what `use` has chosen: to the default
    stream, which would not wait for this one.
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
    """``get_ops("cuda")``: CuPy's current device.  BackendUnavailable where there is none.

    folders  searched for kernel files before the library's own
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
        self.most_shared = int(self._device.attributes["MaxSharedMemoryPerBlockOptin"])
        self.stream = _stream(self._device.id)
        self.stream.use()
        self._kernels: dict[tuple[int, str], Any] = {}
        self._blas: cublas.Cublas | None = None

    def __repr__(self) -> str:
        name = self.xp.cuda.runtime.getDeviceProperties(self._device.id)["name"].decode()
        return f"GPU({name}, {self.arch})"

    def recording(self) -> Any:
        """Return what records a graph."""
        from minigan.ops.cuda.device.stream_recording import StreamRecording

        return StreamRecording(self.stream, self.session())

    def session(self) -> AbstractContextManager[Any]:
        """Make the device's stream the current one, in whichever thread this is."""
        return current(self.stream)

    def synchronize(self) -> None:
        """Wait until all that was launched has ended."""
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
            if shared > self.most_shared:
                raise KernelError(f"{where}: {shared} bytes of shared memory; expected at most {self.most_shared}")
            kernel.max_dynamic_shared_size_bytes = shared
        kernel(grid, block, tuple(np.uintp(0) if value is None else value for value in values), shared_mem=shared)

    def _gemm(
        self, a: Any, b: Any, out: Any, transpose_a: bool, transpose_b: bool, alpha: float, beta: float, precision: str
    ) -> None:
        if self._blas is None:
            self._workspace = self.xp.cuda.Memory(cublas.WORKSPACE_BYTES)  # not of the pool: it stays where it is
            self._blas = cublas.Cublas(cublas.find_library(), self._workspace.ptr)
        M, N = out.shape
        self._blas.gemm(
            self.xp.cuda.get_current_stream().ptr, out.dtype, (M, N, a.shape[0 if transpose_a else 1]),
            a.data.ptr, b.data.ptr, out.data.ptr, transpose_a=transpose_a, transpose_b=transpose_b,
            alpha=alpha, beta=beta, precision=precision,
        )  # fmt: skip
