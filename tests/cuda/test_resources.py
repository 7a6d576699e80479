"""Every kernel file compiles for sm_90, without a GPU, and its kernels have the resources that they need."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
from emulated import KERNELS, NEEDS_NVRTC

from minigan.ops import BackendUnavailable
from minigan.ops.cuda.device import compiler, source
from minigan.ops.cuda.device.compiler import compile_source
from minigan.ops.cuda.device.source import KernelError

pytestmark = NEEDS_NVRTC

FILES = [(path.stem, path.parent) for folder in (source.KERNELS, KERNELS) for path in sorted(folder.glob("*.cu"))]
ONLY_FLOAT: set[str] = {"convolution"}
"""Files whose arrays are float32 only."""
REGISTERS = {("gan1d", "gan1d"): 255}
"""Most registers per thread by (file, kernel), where it is not 128."""
WIDE = {"norm_act", "bias"}
"""Files that are compiled for loads of one number and of 16 bytes."""
DEFINES = {real: [{"REAL": real}, {"REAL": real, "WIDTH": width}] for real, width in (("float", 4), ("double", 2))}

VARIANTS = [
    pytest.param(file, folder, defines, id="-".join([file, *map(str, defines.values())]))
    for file, folder in FILES
    for real in (["float"] if file in ONLY_FLOAT else ["float", "double"])
    for defines in DEFINES[real][: 2 if file in WIDE else 1]
]


@pytest.mark.parametrize(("file", "folder", "defines"), VARIANTS)
def test_no_spills_no_stack_and_few_registers(file, folder, defines):
    found = source.read(file, (folder, source.KERNELS))
    cubin = compile_source(found, defines)
    assert cubin.path.read_bytes()[:4] == b"\x7fELF"
    assert "warning" not in cubin.log, cubin.log
    assert set(cubin.resources) == set(found.kernels)
    for name, used in cubin.resources.items():
        assert (used.stack, used.spill_stores, used.spill_loads) == (0, 0, 0), (name, used)
        assert used.registers <= REGISTERS.get((file, name), 128), (name, used)
        assert used.registers * (found.kernels[name].threads or 1024) <= 65536, (name, used)
        assert used.shared <= 48 * 1024, (name, used)


@pytest.mark.parametrize("arch", ["sm_80", "sm_100"])
def test_older_and_newer_gpus(arch):
    """Every file compiles for them too; kernels may spill there."""
    for path in sorted(source.KERNELS.glob("*.cu")):
        assert compile_source(source.read(path.stem), {"REAL": "float"}, arch).resources


def test_a_stack_frame_shows_in_the_report(tmp_path):
    text = """#include "minigan.cuh"
    extern "C" __global__ void __launch_bounds__(256) indexed(real* x, int n) {
      real kept[40];
      for (int i = 0; i < 40; i++) kept[i * n % 40] = x[i];
      x[n] = kept[n % 40];
    }"""
    (tmp_path / "stacked.cu").write_text(text)
    cubin = compile_source(source.read("stacked", (tmp_path, source.KERNELS)), {})
    assert cubin.resources["indexed"].stack >= 160


def test_headers_of_a_toolkit_replace_incomplete_wheels(tmp_path, monkeypatch):
    """For example, PyTorch has installed the runtime's wheel, which has no `crt`, and nvcc is installed."""
    wheels, toolkit = tmp_path / "nvidia", tmp_path / "cuda"
    for folder in (wheels / "cu13" / "include", toolkit / "include" / "crt", toolkit / "bin"):
        folder.mkdir(parents=True)
    for folder in (wheels / "cu13", toolkit):
        (folder / "include" / "cuda_runtime.h").touch()
    find, found = importlib.util.find_spec, SimpleNamespace(submodule_search_locations=[str(wheels)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found if name == "nvidia" else find(name))
    monkeypatch.setattr(compiler, "_toolkits", lambda: [tmp_path / "none", toolkit])
    assert compiler.include_folders() == [toolkit / "include"]
    monkeypatch.setattr(compiler, "_toolkits", lambda: [tmp_path / "none"])
    with pytest.raises(BackendUnavailable, match="nvidia-cuda-crt is not installed"):
        compiler.include_folders()
    (wheels / "cu13" / "include" / "crt").mkdir()
    assert compiler.include_folders() == [wheels / "cu13" / "include"]


def test_where_a_toolkit_is_searched_for(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(compiler.shutil, "which", lambda name: str(tmp_path / "bin" / name))
    monkeypatch.setenv("CUDA_PATH", "/one")
    monkeypatch.delenv("CUDA_HOME", raising=False)
    assert compiler._toolkits() == [Path("/one"), tmp_path.resolve(), Path("/usr/local/cuda")]


def test_an_nvrtc_error_names_the_line(tmp_path):
    (tmp_path / "wrong.cu").write_text('#include "minigan.cuh"\nextern "C" __global__ void f(int n) {\n  oops;\n}\n')
    with pytest.raises(KernelError, match=r"wrong\.cu\(3\): error: identifier \"oops\" is undefined"):
        compile_source(source.read("wrong", (tmp_path, source.KERNELS)), {})
