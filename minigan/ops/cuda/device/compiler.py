"""NVRTC: a kernel file to a cubin, and what each of its kernels takes of the machine.  No GPU is needed."""

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
FORMAT = "1"
"""Of the report beside a cubin; raised with every change of it."""


class CompilerMissing(KernelError, BackendUnavailable):
    """A part of the compiler that is not installed."""


@dataclass(frozen=True)
class Resources:
    """What one kernel takes: registers a thread; bytes of stack, of spills and of static shared memory."""

    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    shared: int


@dataclass(frozen=True)
class Cubin:
    """The compiled file, the resources of its kernels by name, and what the compiler said."""

    path: Path
    resources: Mapping[str, Resources]
    log: str


def compile_source(source: Source, defines: Mapping[str, Any], arch: str = "sm_90") -> Cubin:
    """Compile for the architecture, or take what an earlier call left in the cache."""
    options = [
        f"--gpu-architecture={arch}",
        "--std=c++17",
        "--generate-line-info",
        "--ptxas-options=-v",
        *(f"--define-macro={name}={value}" for name, value in sorted(defines.items())),
    ]
    nvrtc, version = _nvrtc()
    name = f"{source.name}-{cache.key(FORMAT, source.text, *options, version)}"
    made: dict[str, Any] = {}

    def compiled() -> dict[str, Any]:
        if not made:
            made["cubin"], made["log"] = _compile(nvrtc, source, options)
        return made

    def write_report(path: Path) -> None:
        log = compiled()["log"]
        resources = {kernel: asdict(found) for kernel, found in read_log(log).items()}
        path.write_text(json.dumps({"log": log, "resources": resources}), encoding="utf-8")

    path = cache.kept(f"{name}.cubin", lambda path: _none(path.write_bytes(compiled()["cubin"])))
    report = cache.kept(f"{name}.json", write_report)
    try:
        return Cubin(path, *_read_report(report))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # damaged: it is made again
        report.unlink(missing_ok=True)
        return Cubin(path, *_read_report(cache.kept(report.name, write_report)))


def _read_report(path: Path) -> tuple[dict[str, Resources], str]:
    report = json.loads(path.read_text(encoding="utf-8"))
    return {kernel: Resources(**found) for kernel, found in report["resources"].items()}, report["log"]


def read_log(log: str) -> dict[str, Resources]:
    """Return the resources of each kernel that ptxas names.

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
            raise KernelError(f"the log of ptxas is not understood: {part}")
        shared = re.search(r"(\d+) bytes smem", part)
        stack, stores, loads = map(int, frame.groups())
        found[name] = Resources(int(used[1]), stack, stores, loads, int(shared[1]) if shared else 0)
    return found


def require() -> None:
    """CompilerMissing, which says what to install, unless kernels can be compiled here."""
    _nvrtc()
    include_folders()


def _none(_: object) -> None:
    return None


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


def _missing(what: str) -> str:
    return (
        f"{what} is not installed, and CUDA kernels cannot be compiled without it; "
        f"to install what is needed: pip install 'minigan[gpu]' (or: pip install {' '.join(PACKAGES)})"
    )


def include_folders() -> list[Path]:
    """The folders with CUDA's headers: of the wheels, or of a toolkit ($CUDA_PATH, $CUDA_HOME, nvcc's, /usr/local)."""
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
    """Where a CUDA toolkit may be."""
    nvcc = shutil.which("nvcc")
    named = [os.environ.get("CUDA_PATH"), os.environ.get("CUDA_HOME"), nvcc and Path(nvcc).resolve().parent.parent]
    return [Path(place) for place in (*named, "/usr/local/cuda") if place]


def _compile(nvrtc: Any, source: Source, options: list[str]) -> tuple[bytes, str]:
    error, program = nvrtc.nvrtcCreateProgram(source.text.encode(), f"{source.name}.cu".encode(), 0, [], [])
    if error:
        raise KernelError(f"nvrtcCreateProgram: {error}")
    try:
        given = [option.encode() for option in [*options, *(f"-I{folder}" for folder in include_folders())]]
        (error,) = nvrtc.nvrtcCompileProgram(program, len(given), given)
        log = _bytes(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program).rstrip(b"\0").decode()
        if error:
            raise CompileError(f"{source.name}.cu is not accepted by NVRTC ({error.name}):\n{log}")
        return _bytes(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program), log
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _bytes(size: Any, get: Any, program: Any) -> bytes:
    error, n = size(program)
    into = b"\0" * n
    if not error:
        (error,) = get(program, into)  # written in place, as the bindings have it
    if error:
        raise KernelError(f"{get.__name__}: {error}")
    return into
