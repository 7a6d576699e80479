"""Compile a kernel file to a cubin with NVRTC, and report the resources of its kernels.  No GPU is needed."""

import functools
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minigan.ops.cuda.device import cache
from minigan.ops.cuda.device.source import CompileError, KernelError, Source
from minigan.ops.errors import BackendUnavailable

PACKAGES = ("cuda-bindings", "nvidia-cuda-nvrtc", "nvidia-cuda-runtime", "nvidia-cuda-crt")
REPORT_VERSION = "1"
"""Version of the report next to a cubin; it changes with the report's format."""


class CompilerMissing(KernelError, BackendUnavailable):
    """Raised if a part of the compiler is not installed."""


@dataclass(frozen=True)
class Resources:
    """The resources that one kernel uses.

    Attributes
    ----------
    registers : int
        Registers per thread.
    stack, spill_stores, spill_loads : int
        Bytes per thread of the stack frame, and of registers that are spilled to it and loaded again.
    shared : int
        Bytes of static shared memory per block.

    """

    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    shared: int


@dataclass(frozen=True)
class Cubin:
    """A compiled file.

    Attributes
    ----------
    path : Path
        The cubin.
    resources : mapping of str to Resources
        The resources of its kernels, by name.
    log : str
        The compiler's log.

    """

    path: Path
    resources: Mapping[str, Resources]
    log: str


def compile_source(source: Source, defines: Mapping[str, Any], arch: str = "sm_90") -> Cubin:
    """Compile a kernel file, unless the cache has the cubin of an earlier call.

    Parameters
    ----------
    source : Source
        The file.
    defines : mapping of str to object
        Preprocessor macros.
    arch : str
        The GPU's architecture, by default that of an H100 or H200.

    Returns
    -------
    Cubin
        The compiled file.

    Raises
    ------
    CompilerMissing
        If a part of the compiler is not installed.
    CompileError
        If the file does not compile.

    """
    options = [
        f"--gpu-architecture={arch}",
        "--std=c++17",
        "--generate-line-info",
        "--ptxas-options=-v",
        *(f"--define-macro={name}={value}" for name, value in sorted(defines.items())),
    ]
    nvrtc, version = _nvrtc()
    name = f"{source.name}-{cache.key(REPORT_VERSION, source.text, *options, version)}"

    @functools.cache
    def compiled() -> tuple[bytes, str]:
        return _compile(nvrtc, source, options)

    def write_cubin(path: Path) -> None:
        path.write_bytes(compiled()[0])

    def write_report(path: Path) -> None:
        log = compiled()[1]
        resources = {kernel: asdict(found) for kernel, found in read_log(log).items()}
        path.write_text(json.dumps({"log": log, "resources": resources}), encoding="utf-8")

    path = cache.cached(f"{name}.cubin", write_cubin)
    report = cache.cached(f"{name}.json", write_report)
    try:
        return Cubin(path, *_read_report(report))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # damaged: write it again
        report.unlink(missing_ok=True)
        return Cubin(path, *_read_report(cache.cached(report.name, write_report)))


def _read_report(path: Path) -> tuple[dict[str, Resources], str]:
    report = json.loads(path.read_text(encoding="utf-8"))
    return {kernel: Resources(**found) for kernel, found in report["resources"].items()}, report["log"]


def read_log(log: str) -> dict[str, Resources]:
    """Return the resources of each kernel in a log of ptxas, by name.

    Parameters
    ----------
    log : str
        The log of a compilation with ``--ptxas-options=-v``.

    Returns
    -------
    dict of str to Resources
        The resources by the kernel's name.

    Raises
    ------
    KernelError
        If an entry has no number of registers or no stack frame.

    Examples
    --------
    >>> read_log('''ptxas info    : Compiling entry function 'fill' for 'sm_90'
    ... ptxas info    : Function properties for fill
    ... ptxas         .     8 bytes stack frame, 4 bytes spill stores, 0 bytes spill loads
    ... ptxas info    : Used 12 registers, used 1 barriers, 128 bytes smem''')
    {'fill': Resources(registers=12, stack=8, spill_stores=4, spill_loads=0, shared=128)}

    """
    found = {}
    for part in re.split(r"Compiling entry function '", log)[1:]:
        name = part.partition("'")[0]
        frame = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", part)
        used = re.search(r"Used (\d+) registers", part)
        if frame is None or used is None:
            raise KernelError(f"the log of ptxas has no registers or no stack frame: {part}")
        shared = re.search(r"(\d+) bytes smem", part)
        stack, stores, loads = map(int, frame.groups())
        found[name] = Resources(int(used[1]), stack, stores, loads, int(shared[1]) if shared else 0)
    return found


def require() -> None:
    """Check that kernels can be compiled here.

    Raises
    ------
    CompilerMissing
        If a part of the compiler is not installed; the message says which and how to install it.

    """
    _nvrtc()
    include_folders()


def _nvrtc() -> tuple[Any, str]:
    if importlib.util.find_spec("cuda") is None or importlib.util.find_spec("cuda.bindings") is None:
        raise CompilerMissing(_missing("cuda-bindings"))
    from cuda.bindings import nvrtc

    try:
        error, major, minor = nvrtc.nvrtcVersion()
    except RuntimeError as failure:
        raise CompilerMissing(_missing("nvidia-cuda-nvrtc")) from failure
    if error:
        raise KernelError(f"nvrtcVersion: {error}")
    return nvrtc, f"{major}.{minor} {_distribution('nvidia-cuda-nvrtc')}"


def _distribution(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _missing(package: str) -> str:
    return (
        f"{package} is not installed, and CUDA kernels cannot be compiled without it; "
        f"to install what is needed: pip install 'minigan[gpu]' (or: pip install {' '.join(PACKAGES)})"
    )


def include_folders() -> list[Path]:
    """Return the folders of CUDA's headers: those of the wheels, or that of a CUDA toolkit.

    The toolkit is searched for in $CUDA_PATH, $CUDA_HOME, nvcc's folder and /usr/local/cuda.

    Returns
    -------
    list of Path
        The folders.

    Raises
    ------
    CompilerMissing
        If there are neither wheels nor a toolkit.

    """
    spec = importlib.util.find_spec("nvidia")
    roots = [Path(root) for root in spec.submodule_search_locations or ()] if spec else []
    folders = sorted({header.parent for root in roots for header in root.glob("*/include/cuda_runtime.h")})
    if any((folder / "crt").is_dir() for folder in folders):
        return folders
    for toolkit in _toolkits():
        if (toolkit / "include" / "cuda_runtime.h").is_file() and (toolkit / "include" / "crt").is_dir():
            return [toolkit / "include"]
    raise CompilerMissing(_missing("nvidia-cuda-crt" if folders else "nvidia-cuda-runtime"))


def _toolkits() -> list[Path]:
    """Return the folders in which a CUDA toolkit may be installed."""
    nvcc = shutil.which("nvcc")
    candidates = [os.environ.get("CUDA_PATH"), os.environ.get("CUDA_HOME"), nvcc and Path(nvcc).resolve().parent.parent]
    return [Path(folder) for folder in (*candidates, "/usr/local/cuda") if folder]


def _compile(nvrtc: Any, source: Source, options: list[str]) -> tuple[bytes, str]:
    error, program = nvrtc.nvrtcCreateProgram(source.text.encode(), f"{source.name}.cu".encode(), 0, [], [])
    if error:
        raise KernelError(f"nvrtcCreateProgram: {error}")
    try:
        encoded = [option.encode() for option in [*options, *(f"-I{folder}" for folder in include_folders())]]
        (error,) = nvrtc.nvrtcCompileProgram(program, len(encoded), encoded)
        log = _bytes(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program).rstrip(b"\0").decode()
        if error:
            raise CompileError(f"{source.name}.cu does not compile with NVRTC ({error.name}):\n{log}")
        return _bytes(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program), log
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _bytes(size: Any, get: Any, program: Any) -> bytes:
    """Return what NVRTC's function `get` writes, as many bytes as its function `size` says."""
    error, n = size(program)
    buffer = b"\0" * n
    if not error:
        (error,) = get(program, buffer)  # the bindings write into the bytes object
    if error:
        raise KernelError(f"{get.__name__}: {error}")
    return buffer
