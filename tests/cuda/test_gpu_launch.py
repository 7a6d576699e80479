"""What the real device hands to CuPy: a stand-in for CuPy notes it, with host arrays for the GPU's."""

import ctypes
import functools
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from emulated import KERNELS, NEEDS_NVRTC

from minigan.ops import BackendUnavailable
from minigan.ops.cuda.device import cublas, gpu
from minigan.ops.cuda.device.emulator import arrays
from minigan.ops.cuda.device.graph import CaptureError, capture
from minigan.ops.cuda.device.source import KernelError

pytestmark = NEEDS_NVRTC


class Kernel:
    def __init__(self, name, calls):
        self.name, self.calls, self.max_dynamic_shared_size_bytes = name, calls, 49152

    def __call__(self, grid, block, args, *, shared_mem):
        self.calls.append((self.name, grid, block, args, shared_mem, self.max_dynamic_shared_size_bytes))


class Cupy(SimpleNamespace):
    """Of CuPy what the device asks of it."""

    def __init__(self, capability="90"):
        self.__spec__ = "found"
        self.calls, self.loaded = [], []
        attributes = {"MultiProcessorCount": 132, "MaxSharedMemoryPerBlockOptin": 232448}
        self.ndarray, self.zeros, self.asarray = arrays.ndarray, arrays.zeros, arrays.asarray
        self.cuda = SimpleNamespace(
            is_available=lambda: True, Stream=self._stream, Memory=lambda n: SimpleNamespace(ptr=n),
            Device=lambda *number: _Device(capability, attributes), get_current_stream=lambda: self.stream,
            MemoryPool=lambda: SimpleNamespace(malloc=None), using_allocator=lambda malloc: nullcontext(),
        )  # fmt: skip
        self.default = self.stream = _Stream(self, 0)
        self.entered = [self.default]

    def _stream(self, *, non_blocking):
        assert non_blocking
        return _Stream(self, 77)

    def RawModule(self, *, path):
        self.loaded.append(Path(path).read_bytes())
        return SimpleNamespace(get_function=lambda name: Kernel(name, self.calls))


class _Stream:
    """As CuPy's since version 10: what `with` goes back to is the `with` around it, not what `use` chose."""

    def __init__(self, cupy, ptr):
        self.cupy, self.ptr, self.waited = cupy, ptr, []

    def record(self):
        return f"event of {self.ptr}"

    def wait_event(self, event):
        self.waited.append(event)

    def use(self):
        self.cupy.stream = self

    def __enter__(self):
        self.cupy.entered.append(self)
        self.use()

    def __exit__(self, *_):
        self.cupy.entered.pop()
        self.cupy.entered[-1].use()

    def begin_capture(self):
        assert self.cupy.stream is self

    def end_capture(self):
        assert self.cupy.stream is self
        return SimpleNamespace(upload=lambda stream: None)


class _Device(SimpleNamespace):
    def __init__(self, capability, attributes):
        super().__init__(compute_capability=capability, attributes=attributes, id=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def cupy(monkeypatch):
    stand_in = Cupy()
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    monkeypatch.setattr(gpu, "_stream", functools.cache(gpu._stream.__wrapped__))  # a GPU's own stays what it is
    return stand_in


def test_numbers_have_the_width_of_their_parameters(cupy):
    device = gpu.GPU(folders=(KERNELS,))
    y = device.xp.zeros(8)
    device.launch("probes", "numbers", (2, 3), 1, y, 0.5, 0.5, -5, 7, 1, 2, 0.5, 255, REAL="double", shared=100)
    ((name, grid, block, args, shared, _),) = cupy.calls
    assert (name, grid, block, shared) == ("numbers", (2, 3, 1), (1, 1, 1), 100)
    assert args[0] is y
    assert [type(a) for a in args[1:]] == [
        np.float32, np.float64, np.int32, np.uint32, np.int64, np.uint64, np.float64, np.uint8
    ]  # fmt: skip
    assert cupy.loaded[0][:4] == b"\x7fELF"
    assert device.arch == "sm_90"
    assert device.processors == 132


def test_a_null_pointer_is_eight_bytes_of_zero(cupy):
    device = gpu.GPU(folders=(KERNELS,))
    x = device.xp.zeros(4, dtype="float32")
    device.launch("probes", "block_sums", 1, 32, x, None, 4)
    null = cupy.calls[0][3][1]
    assert (type(null), int(null), null.itemsize) == (np.uintp, 0, 8)


def test_a_file_is_loaded_once_for_each_set_of_defines(cupy):
    device = gpu.GPU(folders=(KERNELS,))
    for real in ("float", "float", "double"):
        x = device.xp.zeros(4, dtype="float32" if real == "float" else "float64")
        device.launch("probes", "block_sums", 1, 32, x, x, 4, REAL=real)
    assert len(cupy.loaded) == 2
    assert len(cupy.calls) == 3


def test_more_shared_memory_is_asked_for(cupy):
    device = gpu.GPU(folders=(KERNELS,))
    x = device.xp.zeros(4, dtype="float32")
    device.launch("probes", "reversed_parts", 1, 32, x, x, 4, shared=100_000)
    assert cupy.calls[0][4:] == (100_000, 100_000)
    with pytest.raises(KernelError, match="300000 bytes of shared memory; expected at most 232448"):
        device.launch("probes", "reversed_parts", 1, 32, x, x, 4, shared=300_000)


def test_nothing_is_launched_over_an_empty_grid(cupy):
    device = gpu.GPU(folders=(KERNELS,))
    x = device.xp.zeros(4, dtype="float32")
    device.launch("probes", "block_sums", 0, 32, x, x, 4)
    assert cupy.calls == []


def test_all_devices_of_a_gpu_have_one_stream(cupy):
    one, other = gpu.GPU(), gpu.GPU()
    assert one.stream is other.stream is cupy.stream


def test_the_stream_is_current_after_sessions_and_captures(cupy):
    """On the default stream what follows would not wait for it."""
    device = gpu.GPU()
    with device.session(), device.session():
        assert cupy.stream is device.stream
    assert cupy.stream is device.stream
    capture(device, lambda: None)
    assert cupy.stream is device.stream
    with pytest.raises(CaptureError):
        capture(device, lambda: 1 // 0)
    assert cupy.stream is device.stream
    cupy.default.use()  # as in another thread
    with device.session():
        capture(device, lambda: None)
        assert cupy.stream is device.stream
    assert cupy.stream is cupy.default


def test_a_session_and_the_stream_around_it_wait_for_each_other(cupy):
    """A thread that did not make the device is on the default stream, for which the device's stream does not wait."""
    device = gpu.GPU()
    with device.session():
        pass
    assert device.stream.waited == cupy.default.waited == []  # it is the device's stream already
    cupy.default.use()
    with device.session():
        assert device.stream.waited == ["event of 0"]
        assert cupy.default.waited == []
    assert cupy.default.waited == ["event of 77"]


def test_an_old_gpu_is_refused(cupy, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", Cupy("75"))
    with pytest.raises(BackendUnavailable, match=r"needs compute capability 8.0, this GPU has sm_75; expected"):
        gpu.GPU()


def test_a_product_is_cublas(cupy, monkeypatch):
    """(M, N, K), addresses, transposes: as the binding takes them, which test_cublas.py tests."""
    found = []
    kinds = {name: ctypes.CFUNCTYPE(ctypes.c_int, *types) for name, types in cublas.FUNCTIONS.items()}
    library = SimpleNamespace(**{name: kind(lambda *_: 0) for name, kind in kinds.items()})
    monkeypatch.setattr(cublas, "find_library", lambda: library)
    monkeypatch.setattr(cublas.Cublas, "gemm", lambda self, *args, **kwargs: found.append((args, kwargs)))
    monkeypatch.setattr(arrays.ndarray, "data", property(lambda x: SimpleNamespace(ptr=x.address)), raising=False)
    device = gpu.GPU()
    a, b, out = (device.xp.zeros(shape, dtype="float32") for shape in ((5, 2), (3, 5), (2, 3)))
    device.gemm(a, b, out, transpose_a=True, transpose_b=True, alpha=2.0, precision="tf32")
    ((args, kwargs),) = found
    assert args == (77, np.dtype("float32"), (2, 3, 5), a.address, b.address, out.address)
    assert kwargs == {"transpose_a": True, "transpose_b": True, "alpha": 2.0, "beta": 0.0, "precision": "tf32"}
