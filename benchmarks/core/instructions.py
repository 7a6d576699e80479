"""The instruction set that every library is limited to, and what each library says that it uses.

A library chooses its kernels by the processor.  Environment variables limit that choice, so a processor with AVX-512
also shows what one without it computes with.  They have to be set before a process starts, because every library reads
them once.  Each process of a benchmark reports what its libraries use (`observed`); nothing is concluded from the
variables alone.  This module imports no library itself.
"""

import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

LIMITS: dict[str, dict[str, str]] = {
    "native": {},
    "avx2": {
        "NUMBA_CPU_NAME": "znver3",
        "NUMBA_CPU_FEATURES": "+avx2,+fma,+bmi,+bmi2,+f16c,+sse4.2,+popcnt,+lzcnt",
        "OPENBLAS_CORETYPE": "Haswell",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    },
}
"""By the value of ``--isa``: the environment variables that limit the libraries."""
OTHER_VARIABLES = ("OPENBLAS_L2_SIZE", "DNNL_MAX_CPU_ISA")
"""Further variables that change a library's choice; the processes of a benchmark run without them."""
WIDTHS = {"zmm": "AVX-512", "ymm": "AVX2", "xmm": "SSE"}
"""The vector registers of an assembly text, longest first, and the instruction set that has them."""
ONEDNN_ISAS = {"avx512": "AVX-512", "avx2": "AVX2"}
"""A part of the name of oneDNN's implementations, such as "jit:avx512_core", and the instruction set."""


def environment(isa: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of processes that use an instruction set.

    Parameters
    ----------
    isa
        A key of `LIMITS`: "native", what the machine has, or "avx2".
    inherited
        The variables of the calling process.  Those that change a library's choice are left out; of XLA_FLAGS, the
        flags on other things stay.

    Returns
    -------
    dict
        All variables.

    """
    names = {name for limits in LIMITS.values() for name in limits} - {"XLA_FLAGS"}
    found = {name: value for name, value in inherited.items() if name not in names and name not in OTHER_VARIABLES}
    flags = [flag for flag in found.pop("XLA_FLAGS", "").split() if not flag.startswith("--xla_cpu_max_isa")]
    limits = dict(LIMITS[isa])
    flags += limits.pop("XLA_FLAGS", "").split()
    return {**found, **limits, **({"XLA_FLAGS": " ".join(flags)} if flags else {})}


def limited(flags: str) -> bool:
    """Return whether XLA's flags limit it to AVX2.

    >>> limited("--xla_cpu_max_isa=AVX2 --xla_dump_to=folder"), limited("")
    (True, False)
    """
    return LIMITS["avx2"]["XLA_FLAGS"] in flags.split()


def observed() -> dict[str, str]:
    """Return what the libraries that this process has imported say about their instructions, by library.

    Returns
    -------
    dict
        For NumPy, the groups of instructions that it enabled; for OpenBLAS, the architecture of its kernels; for numba,
        the registers in the code that it emits, and the processor; for PyTorch, ATen's capability and the kernel of a
        convolution in oneDNN; for JAX, XLA's flags and the instructions of YNNPACK, which computes its products.

    """
    found = {}
    if "numpy" in sys.modules:
        found["NumPy"] = _numpy()
        found.update(_openblas())
    if "numba" in sys.modules:
        found["numba"] = _numba()
    if "torch" in sys.modules:
        found.update(_torch(sys.modules["torch"]))
    if "jax" in sys.modules:
        from benchmarks.core import ynnpack

        found.update({"XLA": os.environ.get("XLA_FLAGS", "no limit"), "YNNPACK (JAX)": ynnpack.report()})
    return found


def _numpy() -> str:
    import numpy

    umath = numpy._core._multiarray_umath  # type: ignore[attr-defined]
    names = [*umath.__cpu_baseline__, *umath.__cpu_dispatch__]
    return ", ".join(name for name in names if umath.__cpu_features__.get(name))


def _openblas() -> dict[str, str]:
    from threadpoolctl import threadpool_info

    libraries = [one for one in threadpool_info() if one["internal_api"] == "openblas"]
    return {f"OpenBLAS {one['version']}": str(one.get("architecture")) for one in libraries}


def _numba() -> str:
    """Return the longest registers that numba's compiler uses for the sum of two vectors of 64 bytes."""
    from llvmlite import binding
    from numba.core.registry import cpu_target

    codegen = cpu_target.target_context.codegen()
    triple, processor, _ = codegen.magic_tuple()
    program = (
        f'target triple = "{triple}"\n'
        "define <16 x float> @sum(<16 x float> %a, <16 x float> %b) {\n"
        "  %c = fadd <16 x float> %a, %b\n"
        "  ret <16 x float> %c\n}\n"
    )
    assembly = codegen._tm.emit_assembly(binding.parse_assembly(program))
    return f"{longest_registers(assembly)} ({processor})"


def longest_registers(assembly: str) -> str:
    """Return the instruction set of the longest vector registers in an assembly text.

    >>> longest_registers("vaddps %ymm2, %ymm0, %ymm0")
    'AVX2'
    """
    return next((isa for register, isa in WIDTHS.items() if register in assembly), "no vector registers")


def _torch(torch: Any) -> dict[str, str]:
    x, W = torch.ones(4, 16, 32, 32), torch.ones(16, 16, 3, 3)
    with tempfile.TemporaryFile() as file:  # oneDNN writes to the descriptor of stdout
        kept, _ = os.dup(1), sys.stdout.flush()
        os.dup2(file.fileno(), 1)
        try:
            with torch.no_grad(), torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
                torch.nn.functional.conv2d(x, W)
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        file.seek(0)
        said = file.read().decode(errors="replace")
    kernels = [line.split(",convolution,")[1].split(",")[0] for line in said.splitlines() if ",convolution," in line]
    kernel = kernels[-1] if kernels else "no convolution seen"
    isa = next((isa for part, isa in ONEDNN_ISAS.items() if part in kernel), "unknown")
    return {"ATen": torch.backends.cpu.get_cpu_capability(), "oneDNN": f"{isa} ({kernel})"}


_reports: list[Mapping[str, str]] = []


def collect(answer: Any) -> Any:
    """Keep the report of a process for `reports`, and return the rest of its answer.

    Parameters
    ----------
    answer
        What a process printed; the report is the entry "instructions" of a dict.

    """
    if isinstance(answer, dict) and "instructions" in answer:
        _reports.append(answer.pop("instructions"))
    return answer


def reports() -> dict[str, str]:
    """Return what the processes since the last call reported, by library; different answers of a library are joined."""
    found = joined(_reports)
    _reports.clear()
    return found


def joined(reports: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return one report for several.

    >>> joined([{"numba": "AVX2"}, {"numba": "AVX2", "ATen": "AVX2"}, {"ATen": "AVX512"}])
    {'numba': 'AVX2', 'ATen': 'AVX2 or AVX512'}
    """
    answers: dict[str, dict[str, None]] = {}
    for report in reports:
        for library, text in report.items():
            answers.setdefault(library, {})[text] = None
    return {library: " or ".join(texts) for library, texts in answers.items()}
