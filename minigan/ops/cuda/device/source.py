"""Read a kernel file: its text with local includes resolved, and its kernels with their parameters.

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
"""NumPy's type for each C type that a kernel may take."""


class KernelError(Exception):
    """Raised if a kernel cannot be found, compiled or launched, or fails while it runs."""


class CompileError(KernelError):
    """Raised if a kernel file does not compile."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel: a number, or a pointer to numbers.

    Attributes
    ----------
    name : str
        The parameter's name.
    kind : str
        The C type of the number or numbers; "real" is float or double.
    pointer : bool
        Whether it is a pointer.
    const : bool
        Whether it is declared const.

    """

    name: str
    kind: str
    pointer: bool
    const: bool

    def dtype(self, real: str) -> np.dtype:
        """Return the dtype of the number or numbers, given the C type that ``real`` stands for."""
        return _dtype(real if self.kind == "real" else self.kind)

    def __str__(self) -> str:
        return f"{'const ' if self.const else ''}{self.kind}{'*' if self.pointer else ''} {self.name}"


@functools.cache
def _dtype(kind: str) -> np.dtype:
    return np.dtype(SCALARS[kind])


@dataclass(frozen=True)
class Kernel:
    """A kernel's declaration.

    Attributes
    ----------
    name : str
        The kernel's name.
    parameters : tuple of Parameter
        Its parameters in order.
    threads : int or None
        The most threads per block, from its launch bounds; None if it has none.

    """

    name: str
    parameters: tuple[Parameter, ...]
    threads: int | None


@dataclass(frozen=True)
class Source:
    """A kernel file.

    Attributes
    ----------
    name : str
        The file's name without ".cu".
    path : Path
        Where it is.
    text : str
        Its text with includes resolved; #line directives say where each line comes from.
    kernels : mapping of str to Kernel
        Its kernels by name.

    """

    name: str
    path: Path
    text: str
    kernels: Mapping[str, Kernel]

    def kernel(self, name: str) -> Kernel:
        """Return the kernel of that name; KernelError if there is none."""
        if name not in self.kernels:
            raise KernelError(f"{self.name}.cu has no kernel {name!r}; expected {', '.join(self.kernels)}")
        return self.kernels[name]


def read(name: str, folders: Sequence[Path] = (KERNELS,)) -> Source:
    """Read a kernel file.

    Parameters
    ----------
    name : str
        The file's name without ".cu".
    folders : sequence of Path
        Where to search for it, in order; by default in the library's kernels.  Included files are searched for in the
        folders too, then in the folder of the file that includes them.

    Returns
    -------
    Source
        The file.

    Raises
    ------
    KernelError
        If the file or an included one is not found, or a kernel is not declared as this module expects.

    """
    path = next((folder / f"{name}.cu" for folder in folders if (folder / f"{name}.cu").is_file()), None)
    if path is None:
        found = sorted({path.stem for folder in folders for path in folder.glob("*.cu")})
        raise KernelError(f"no kernel file {name!r}; expected {', '.join(found)}")
    text = _resolve_includes(path, folders, set())
    return Source(name, path, text, {kernel.name: kernel for kernel in _parse_kernels(text, path)})


def _resolve_includes(path: Path, folders: Sequence[Path], seen: set[str]) -> str:
    """Return a file's text with each ``#include "..."`` replaced by the file, or by nothing if `seen` has it."""
    lines = [f'#line 1 "{path.name}"']
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        include = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not include:
            lines.append(line)
            continue
        if include[1] not in seen:
            seen.add(include[1])
            candidates = [folder / include[1] for folder in (*folders, path.parent)]
            found = next((candidate for candidate in candidates if candidate.is_file()), None)
            if found is None:
                raise KernelError(f"{path.name}, line {number}: no file {include[1]!r}")
            lines.append(_resolve_includes(found, folders, seen))
        lines.append(f'#line {number + 1} "{path.name}"')
    return "\n".join(lines)


_KERNEL = re.compile(
    r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\(([^)]*)\)\s*)?(\w+)\s*\(([^)]*)\)\s*\{', re.DOTALL
)
_PARAMETER = re.compile(r"(const\s+)?([A-Za-z_][\w\s]*?)\s*(\*\s*(?:const\s+)?(?:__restrict__\s*)?)?\b(\w+)\s*")


def _parse_kernels(text: str, path: Path) -> list[Kernel]:
    """Return the kernels that a text declares; KernelError if a declaration is not understood."""
    code = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    kernels = []
    for bounds, name, listed in _KERNEL.findall(code):
        parameters = tuple(_parse_parameter(part, name, path) for part in listed.split(",") if part.strip())
        kernels.append(Kernel(name, parameters, _constant(bounds.partition(",")[0].strip(), code)))
    if len(kernels) != code.count("__global__") - code.count("define __global__"):
        raise KernelError(
            f'{path.name}: a kernel is declared otherwise; expected extern "C" __global__ void name(...) {{'
        )
    return kernels


def _parse_parameter(text: str, kernel: str, path: Path) -> Parameter:
    match = _PARAMETER.fullmatch(text.strip())
    kind = re.sub(r"\s+", " ", match[2]).strip() if match else ""
    if match is None or (kind != "real" and kind not in SCALARS):
        expected = f"{', '.join(['real', *SCALARS])}, and pointers to them"
        raise KernelError(f"{path.name}, {kernel}: parameter {text.strip()!r}; expected {expected}")
    return Parameter(match[4], kind, match[3] is not None, match[1] is not None)


def _constant(word: str, code: str) -> int | None:
    """Return the value of a literal, or of the ``#define`` or ``constexpr int`` of that name; None if there is none."""
    if word.isdecimal() or not word:
        return int(word) if word else None
    match = re.search(rf"(?:#\s*define\s+{word}\s+|constexpr\s+int\s+{word}\s*=\s*)(\d+)", code)
    return int(match[1]) if match else None
