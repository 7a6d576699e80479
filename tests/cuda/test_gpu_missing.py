"""Without a GPU, the error says what was found and what to do."""

import importlib.util
import sys
from types import SimpleNamespace

import pytest

from minigan.ops import BackendUnavailable
from minigan.ops.cuda.device import gpu


def cupy(*, available=False, driver=0, devices=0):
    class CUDARuntimeError(RuntimeError):
        pass

    def count():
        if not devices:
            raise CUDARuntimeError("cudaErrorNoDevice")
        return devices

    runtime = SimpleNamespace(driverGetVersion=lambda: driver, getDeviceCount=count, CUDARuntimeError=CUDARuntimeError)
    return SimpleNamespace(__version__="14.2.0", cuda=SimpleNamespace(is_available=lambda: available, runtime=runtime))


FOUND = [
    (cupy(), "no NVIDIA driver was found; install the driver"),
    (cupy(driver=12080), "the driver is for CUDA 12.8, which is older than 13.0; update it"),
    (cupy(driver=13000), r"the driver \(CUDA 13.0\) shows 0 devices; see `nvidia-smi` and CUDA_VISIBLE_DEVICES"),
]


@pytest.fixture
def found(monkeypatch):
    """Return a function that replaces CuPy by a module, or by none."""

    def put(module):
        monkeypatch.setitem(sys.modules, "cupy", module)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: module)

    return put


@pytest.mark.parametrize(("module", "message"), FOUND)
def test_without_a_device(module, message, found):
    found(module)
    with pytest.raises(
        BackendUnavailable, match=f"ops='cuda' is not available: CuPy 14.2.0 is installed, but {message}"
    ):
        gpu.GPU()
    assert gpu.why_not().endswith("expected here: ops='cpu' (fast) or ops='reference' (every dtype)")


def test_without_cupy(found):
    found(None)
    assert gpu.why_not().startswith("CuPy is not installed; to install what is needed: pip install 'minigan[gpu]'")


def test_with_a_device(found):
    found(cupy(available=True, driver=13000, devices=1))
    assert gpu.why_not() == ""
