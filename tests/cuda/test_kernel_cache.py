"""Compiled files are cached completely or not at all, and used only for the same source, options and compiler."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from emulated import EMULATOR_ONLY, NEEDS_HOST_COMPILER, NEEDS_NVRTC

from minigan.ops import BackendUnavailable, get_ops
from minigan.ops.cuda.device import cache, compiler, cublas, source
from minigan.ops.cuda.device.emulator import build

SMALL = """#include "minigan.cuh"
extern "C" __global__ void __launch_bounds__(32) one(real* x) { x[threadIdx.x] = real(VALUE); }
"""


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """Return an empty cache folder."""
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kernels"


@pytest.fixture
def small(tmp_path):
    """Return a file with one kernel."""
    (tmp_path / "small.cu").write_text(SMALL)
    return source.read("small", (tmp_path, source.KERNELS))


def writes(text):
    return lambda path: path.write_text(text) and None


def never(path):
    pytest.fail(f"{path} is made again")


def python(code, **environ):
    """Run code in another process; return what it prints and its exit status."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **environ}
    )
    return done.stdout.strip(), done.returncode


# --- the folder ------------------------------------------------------------------------------------


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the places of Linux")
def test_the_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("MINIGAN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "minigan" / "kernels"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == tmp_path / "xdg" / "minigan" / "kernels"
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "own"))
    assert cache.folder() == tmp_path / "own" / "kernels"


def test_without_write_access_a_temporary_folder_is_used(tmp_path):
    (tmp_path / "file").write_text("")
    code = """
from minigan.ops.cuda.device import cache
made = []
make = lambda path: made.append(path.write_text("whole"))
paths = {cache.cached("a.so", make), cache.cached("a.so", make)}
(path,) = paths
assert len(made) == 1 and path.read_text() == "whole" and cache.cached("b.so", make).parent == path.parent
print(path.parent)
"""
    printed, status = python(code, MINIGAN_CACHE=str(tmp_path / "file"))
    assert status == 0
    assert Path(printed).is_absolute()
    assert not Path(printed).exists()


# --- complete or not at all ------------------------------------------------------------------------


def test_a_file_is_written_once(kernels):
    assert cache.cached("a.so", writes("whole")).read_text() == "whole"
    assert cache.cached("a.so", never) == kernels / "a.so"
    assert [path.name for path in kernels.iterdir()] == ["a.so"]


def test_a_killed_process_leaves_no_incomplete_file(kernels):
    code = """
import os, signal
from minigan.ops.cuda.device import cache
def half(path):
    path.write_text("ha")
    os.kill(os.getpid(), signal.SIGKILL)
cache.cached("a.so", half)
"""
    assert python(code)[1] == -9
    assert cache.cached("a.so", writes("whole")).read_text() == "whole"


def test_a_failure_leaves_nothing(kernels):
    def fails(path):
        path.write_text("ha")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        cache.cached("a.so", fails)
    assert not list(kernels.iterdir())


def test_two_processes_may_write_one_file(kernels):
    def while_another_does(path):
        path.write_text("ha")
        assert cache.cached("a.so", writes("theirs")).read_text() == "theirs"
        path.write_text("ours")

    assert cache.cached("a.so", while_another_does).read_text() == "ours"
    assert [path.name for path in kernels.iterdir()] == ["a.so"]


def test_stale_folders_are_removed_after_an_hour(kernels):
    for name in ("old", "new"):
        (kernels / f"{cache.PARTIAL_PREFIX}{name}").mkdir(parents=True)
        (kernels / f"{cache.PARTIAL_PREFIX}{name}" / "a.so").write_text("ha")
    before = time.time() - 2 * cache.STALE_SECONDS
    os.utime(kernels / f"{cache.PARTIAL_PREFIX}old", (before, before))
    cache.cached("b.so", writes("whole"))
    assert sorted(path.name for path in kernels.iterdir()) == [f"{cache.PARTIAL_PREFIX}new", "b.so"]


# --- what a file depends on ------------------------------------------------------------------------


@EMULATOR_ONLY
@NEEDS_HOST_COMPILER
def test_a_library_depends_on_source_options_headers_and_compiler(kernels, small, monkeypatch, tmp_path):
    path, version = build.compiler()

    def known():
        return len(list(kernels.glob("small-*.so")))

    build.build(small, {"VALUE": 1})
    with monkeypatch.context() as without:
        without.setattr(build.subprocess, "run", lambda *_, **__: pytest.fail("compiled again"))
        build.build(small, {"VALUE": 1})
    assert known() == 1
    build.build(small, {"VALUE": 2})
    assert known() == 2
    with monkeypatch.context() as other:
        other.setattr(build, "_headers", lambda: "// an emulator that was changed")
        build.build(small, {"VALUE": 1})
    assert known() == 3
    with monkeypatch.context() as other:
        other.setattr(build, "compiler", lambda: (path, f"{version}, the next one"))
        build.build(small, {"VALUE": 1})
    assert known() == 4
    (tmp_path / "small.cu").write_text(SMALL.replace("VALUE)", "VALUE + 1)"))
    build.build(source.read("small", (tmp_path, source.KERNELS)), {"VALUE": 1})
    assert known() == 5


@NEEDS_NVRTC
def test_a_cubin_depends_on_source_options_architecture_and_compiler(kernels, small, monkeypatch, tmp_path):
    nvrtc, version = compiler._nvrtc()

    def compiled(found=small, value=1, arch="sm_90"):
        return compiler.compile_source(found, {"VALUE": value}, arch).path

    paths = [compiled(), compiled(value=2), compiled(arch="sm_80")]
    with monkeypatch.context() as other:
        other.setattr(compiler, "_nvrtc", lambda: (nvrtc, f"{version}, the next one"))
        paths.append(compiled())
    (tmp_path / "small.cu").write_text(SMALL.replace("VALUE)", "VALUE + 1)"))
    paths.append(compiled(source.read("small", (tmp_path, source.KERNELS))))
    assert len({*paths}) == 5
    monkeypatch.setattr(compiler, "_compile", lambda *_: pytest.fail("compiled again"))
    assert compiled() == paths[0]


# --- missing parts ---------------------------------------------------------------------------------


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the emulated device is Linux's")
def test_a_broken_compiler_makes_the_backend_unavailable(monkeypatch, tmp_path):
    fails = tmp_path / "fails"
    fails.write_text("#!/bin/sh\nexit 1\n")
    fails.chmod(0o755)
    for cxx, message in (
        (str(tmp_path / "none"), "none on the PATH; expected g[+][+] >= 9 or clang"),
        (str(fails), "fails does not run here"),
    ):
        monkeypatch.setenv("CXX", cxx)
        with pytest.raises(BackendUnavailable, match=message):
            build.compiler.__wrapped__()


def test_products_need_cublas(monkeypatch):
    def missing(*_, **__):
        raise OSError("not there")

    monkeypatch.setattr(cublas.ctypes, "CDLL", missing)
    with pytest.raises(BackendUnavailable, match=r"no libcublas .*pip install 'minigan\[gpu\]'"):
        cublas.find_library()


def test_the_device_is_a_name_or_a_device():
    with pytest.raises(TypeError, match="device is 3; expected 'gpu', 'emulated', or a Device"):
        get_ops("cuda", device=3)
