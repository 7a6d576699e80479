"""Compile a kernel file with the host's C++ compiler to a library that runs its kernels (`cuda_on_cpu.h`)."""

import ctypes
import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigan.ops.cuda.device import cache
from minigan.ops.cuda.device.source import CompileError, Kernel, KernelError, Source
from minigan.ops.errors import BackendUnavailable

HEADERS = Path(__file__).parent
COMPILERS = ("g++", "c++", "clang++")
OPTIONS = (
    "-O1", "-std=gnu++17", "-fPIC", "-shared", "-fno-strict-aliasing", "-ffp-contract=off", "-w",
    "-fsanitize=alignment", "-fsanitize-undefined-trap-on-error",  # as on a GPU, misaligned loads fail
)  # fmt: skip


class HostCompilerMissing(KernelError, BackendUnavailable):
    """Raised if there is no C++ compiler, or the emulator does not run on this machine."""


@functools.cache
def compiler() -> tuple[str, str]:
    """Find the C++ compiler: $CXX, or else the first of `COMPILERS` on the PATH.

    Returns
    -------
    path, version : str
        The compiler's path, and the first line of what it prints for ``--version``.

    Raises
    ------
    HostCompilerMissing
        If there is none, or this is not Linux.

    """
    if not sys.platform.startswith("linux"):
        raise HostCompilerMissing(f"the emulated CUDA device runs on Linux, not on {sys.platform}")
    names = [os.environ["CXX"]] if os.environ.get("CXX") else list(COMPILERS)
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        raise HostCompilerMissing(
            f"the emulated CUDA device needs a C++ compiler: no {', '.join(names)} on the PATH; "
            "expected g++ >= 9 or clang++ >= 10 (set CXX to say which)"
        )
    try:
        version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise HostCompilerMissing(f"{path} does not run here ({error}); set CXX to a C++ compiler") from error
    return path, version.stdout.partition("\n")[0]


@functools.cache
def _headers() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted(HEADERS.glob("*.h")))


def build(source: Source, defines: Mapping[str, Any]) -> ctypes.CDLL:
    """Compile a kernel file, unless the cache has the library of an earlier call, and load the library.

    Parameters
    ----------
    source : Source
        The file.
    defines : mapping of str to object
        Preprocessor macros.

    Returns
    -------
    ctypes.CDLL
        The library, with a function ``launch_NAME`` for each kernel and ``minigan_error``.

    Raises
    ------
    CompileError
        If the file does not compile.
    HostCompilerMissing
        If there is no compiler.

    """
    path, version = compiler()
    options = [*OPTIONS, *(f"-D{name}={value}" for name, value in sorted(defines.items()))]
    text = _program(source)
    name = f"{source.name}-{cache.key(text, _headers(), *options, path, version)}.so"

    def compile_to(target: Path) -> None:
        command = [path, *options, "-DMINIGAN_EMULATED", f"-I{HEADERS}", "-x", "c++", "-", "-o", str(target)]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise CompileError(f"{source.name}.cu does not compile with {path}:\n{done.stderr[:4000]}")

    library = ctypes.CDLL(str(cache.cached(name, compile_to)))
    library.minigan_error.restype = ctypes.c_char_p
    return library


def _program(source: Source) -> str:
    """Return the C++ program: the kernels in an anonymous namespace, and for each a function that launches it."""
    exports = "\n".join(_export(kernel) for kernel in source.kernels.values())
    text = re.sub(
        r'extern\s+"C"\s+(?=__global__)', "", source.text
    )  # names such as `copy` must not clash with the C library's
    return f"""#include <cuda_on_cpu.h>
namespace {{
{text}
static void** arguments;
{exports}
}}
extern "C" const char* minigan_error() {{ return emulator::message; }}
"""


def _export(kernel: Kernel) -> str:
    """Return ``launch_NAME(grid, block, shared, schedule, seed, arguments)``, which takes the arguments' addresses."""
    passed = []
    for i, p in enumerate(kernel.parameters):
        kind = f"{p.kind}*" if p.pointer else p.kind
        passed.append(f"*static_cast<{kind}*>(arguments[{i}])")
    return f"""extern "C" __attribute__((visibility("default")))
int launch_{kernel.name}(const unsigned* grid, const unsigned* block, size_t shared, int schedule,
                         unsigned long long seed, void** given) {{
  arguments = given;
  return emulator::run_grid(grid, block, shared, schedule, seed, [] {{ {kernel.name}({", ".join(passed)}); }});
}}"""
