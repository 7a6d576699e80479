"""A kernel file: its text with local includes resolved, and the kernels in it with their parameters.

A kernel is declared as ``extern "C" __global__ void __launch_bounds__(256) name(const real* __restrict__ x, int n)``.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

KERNELS = Path(__file__).parents[1] / "kernels"
SCALARS = {
    "float": np.float32, "double": np.float64, "int": np.int32, "unsigned": np.uint32, "long long": np.int64,
    "unsigned long long": np.uint64, "unsigned char": np.uint8, "unsigned short": np.uint16,
    "__nv_bfloat16": np.uint16,
}  # fmt: skip
"""C's names of the numbers that kernels take, and NumPy's."""


class KernelError(Exception):
    """A kernel that cannot be found, compiled, launched or run to its end."""


class CompileError(KernelError):
    """A kernel file that a compiler refuses."""


@dataclass(frozen=True)
class Parameter:
    """One parameter: a number, or a pointer to numbers, of the C type `kind` ("real" is float or double)."""

    name: str
    kind: str
    pointer: bool
    const: bool

    def dtype(self, real: str) -> np.dtype:
        """NumPy's name of the number, or of what is pointed to, where ``real`` is "float" or "double"."""
        return _dtype(real if self.kind == "real" else self.kind)

    def __str__(self) -> str:
        return f"{'const ' if self.const else ''}{self.kind}{'*' if self.pointer else ''} {self.name}"


@functools.cache
def _dtype(kind: str) -> np.dtype:
    return np.dtype(SCALARS[kind])


@dataclass(frozen=True)
class Kernel:
    """The name, the parameters and the most threads a block may have (None where the file does not say)."""

    name: str
    parameters: tuple[Parameter, ...]
    threads: int | None


@dataclass(frozen=True)
class Source:
    """A file's name and text (includes resolved; #line says where each line is from), its kernels."""

    name: str
    path: Path
    text: str
    kernels: Mapping[str, Kernel]

    def kernel(self, name: str) -> Kernel:
        """Return the kernel of that name."""
        if name not in self.kernels:
            raise KernelError(f"{self.name}.cu has no kernel {name!r}; expected {', '.join(self.kernels)}")
        return self.kernels[name]


def read(name: str, folders: Sequence[Path] = (KERNELS,)) -> Source:
    """Read NAME.cu of the first of the folders that has it; includes are looked for in the folders, then beside it."""
    path = next((folder / f"{name}.cu" for folder in folders if (folder / f"{name}.cu").is_file()), None)
    if path is None:
        found = sorted({path.stem for folder in folders for path in folder.glob("*.cu")})
        raise KernelError(f"no kernel file {name!r}; expected {', '.join(found)}")
    text = _resolved(path, folders, set())
    return Source(name, path, text, {kernel.name: kernel for kernel in _kernels(text, path)})


def _resolved(path: Path, folders: Sequence[Path], seen: set[str]) -> str:
    """The text with each ``#include "..."`` replaced by its file, once."""
    lines = [f'#line 1 "{path.name}"']
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        include = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not include:
            lines.append(line)
            continue
        if include[1] not in seen:
            seen.add(include[1])
            places = [folder / include[1] for folder in (*folders, path.parent)]
            found = next((place for place in places if place.is_file()), None)
            if found is None:
                raise KernelError(f"{path.name}, line {number}: no file {include[1]!r}")
            lines.append(_resolved(found, folders, seen))
        lines.append(f'#line {number + 1} "{path.name}"')
    return "\n".join(lines)


_KERNEL = re.compile(
    r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\(([^)]*)\)\s*)?(\w+)\s*\(([^)]*)\)\s*\{', re.DOTALL
)
_PARAMETER = re.compile(r"(const\s+)?([A-Za-z_][\w\s]*?)\s*(\*\s*(?:const\s+)?(?:__restrict__\s*)?)?\b(\w+)\s*")


def _kernels(text: str, path: Path) -> list[Kernel]:
    code = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    kernels = []
    for bounds, name, listed in _KERNEL.findall(code):
        parameters = tuple(_parameter(part, name, path) for part in listed.split(",") if part.strip())
        kernels.append(Kernel(name, parameters, _number(bounds.partition(",")[0].strip(), code)))
    if len(kernels) != code.count("__global__") - code.count("define __global__"):
        raise KernelError(f'{path.name}: a kernel is not declared as extern "C" __global__ void name(...) {{')
    return kernels


def _parameter(text: str, kernel: str, path: Path) -> Parameter:
    match = _PARAMETER.fullmatch(text.strip())
    kind = re.sub(r"\s+", " ", match[2]).strip() if match else ""
    if match is None or (kind != "real" and kind not in SCALARS):
        accepted = f"{', '.join(['real', *SCALARS])}, and pointers to them"
        raise KernelError(f"{path.name}, {kernel}: parameter {text.strip()!r}; expected {accepted}")
    return Parameter(match[4], kind, match[3] is not None, match[1] is not None)


def _number(word: str, code: str) -> int | None:
    """The number that a literal, a ``#define`` or a ``constexpr int`` stands for."""
    if word.isdecimal() or not word:
        return int(word) if word else None
    match = re.search(rf"(?:#\s*define\s+{word}\s+|constexpr\s+int\s+{word}\s*=\s*)(\d+)", code)
    return int(match[1]) if match else None
