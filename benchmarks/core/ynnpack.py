"""The instructions of YNNPACK, which computes JAX's matrix products, and how a process without AVX-512 is imitated.

XLA's flag limits the code that XLA generates.  YNNPACK's kernels choose by the processor, and no variable limits them.
The bits of what the processor has are in a static variable of one of its functions, whose address is in jaxlib's table
of symbols.  `limit_to_avx2` clears the bits from AVX-512 on before the first product.  If jaxlib has no such symbols,
nothing changes, and `report` says so.
"""

import ctypes
import functools
import mmap
import struct
import sys
from pathlib import Path

import numpy as np

FUNCTION = b"_ZN3ynn24get_supported_arch_flagsEv"
VARIABLE = b"_ZZN3ynn24get_supported_arch_flagsEvE5flags"
AVX512_BIT = 1 << 10
"""The bit of AVX-512F in YNNPACK's flags; those of SSE2 to AVX2 are below, those of AVX-512's extensions above it."""
SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
SYMBOL = np.dtype([("name", "<u4"), ("info", "u1"), ("other", "u1"), ("index", "<u2"), ("at", "<u8"), ("size", "<u8")])
SYMTAB = 2
"""The type of an ELF section with symbols."""


def limit_to_avx2() -> None:
    """Make YNNPACK choose among the kernels for AVX2, in this process, before its first product."""
    flags = _flags()
    if flags is not None:
        flags.value &= AVX512_BIT - 1


def report() -> str:
    """Return the instructions that YNNPACK chooses kernels for."""
    flags = _flags()
    if flags is None:
        return "chosen by the processor (jaxlib has no symbols)"
    return "AVX-512" if flags.value & AVX512_BIT else "at most AVX2"


@functools.cache
def _flags() -> ctypes.c_uint64 | None:
    """Return the variable of YNNPACK's flags, with its value; None if it is not found."""
    if not sys.platform.startswith("linux"):
        return None
    import jaxlib

    library = Path(jaxlib.__file__).parent / "libjax_common.so"
    maps = Path("/proc/self/maps").read_text().splitlines()
    bases = [int(line.partition("-")[0], 16) for line in maps if line.endswith(f" {library.resolve()}")]
    if not bases:
        return None
    found = symbols(library, (FUNCTION, VARIABLE))
    if len(found) != 2:
        return None
    ctypes.CFUNCTYPE(ctypes.c_uint64)(min(bases) + found[FUNCTION])()  # sets the variable
    return ctypes.c_uint64.from_address(min(bases) + found[VARIABLE])


def symbols(library: Path, names: tuple[bytes, ...]) -> dict[bytes, int]:
    """Return the addresses of symbols in a shared library of 64 bits, relative to where it is loaded.

    Parameters
    ----------
    library
        An ELF file.
    names
        The mangled names.

    Returns
    -------
    dict
        The address of each name that is in the table of symbols.

    """
    found = {}
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        (start,) = struct.unpack_from("<Q", memory, 0x28)
        size, number = struct.unpack_from("<HH", memory, 0x3A)
        sections = [SECTION_HEADER.unpack_from(memory, start + i * size) for i in range(number)]
        for _, kind, _, _, at, length, link, *_ in sections:
            if kind != SYMTAB:
                continue
            table = np.frombuffer(memory[at : at + length], SYMBOL)
            text, text_length = sections[link][4:6]
            for name in names:
                where = memory.find(b"\0" + name + b"\0", text, text + text_length)
                rows = table[table["name"] == where + 1 - text] if where >= 0 else table[:0]
                if len(rows):
                    found[name] = int(rows["at"][0])
    return found
