"""Memory between pages that nobody may touch: an index out of bounds ends the process there and then."""

import ctypes
import mmap

from minigan.ops.cuda.device.emulator.arrays import ndarray
from minigan.ops.cuda.device.source import KernelError

PAGE = mmap.PAGESIZE
CLOSE = 16
"""An array keeps its address modulo this, so that kernels take the same way as without a guard."""
POISON = 0xFF


class Guard:
    """Copies of the arrays of one launch; arrays that share memory share their copy.

    What is between an array's end and the page behind it, 15 bytes at most, and before it, is poisoned: NaN.
    """

    def __init__(self, arrays: list[ndarray]) -> None:
        spans = sorted({(array.address, array.address + array.nbytes) for array in arrays})
        self._regions: list[_Region] = []
        start = end = -1
        for low, high in spans:
            if low < end:
                end = max(end, high)
                continue
            if end > start:
                self._regions.append(_Region(start, end))
            start, end = low, high
        if end > start:
            self._regions.append(_Region(start, end))

    def address(self, array: ndarray) -> int:
        """Where the copy of an array begins."""
        for region in self._regions:
            if region.start <= array.address < region.end:
                return region.copy + array.address - region.start
        return array.address  # empty

    def give_back(self, where: str) -> None:
        """Copy what the kernel wrote into the arrays; KernelError where it wrote beside them."""
        for region in self._regions:
            region.give_back(where)


class _Region:
    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        n = end - start
        used = -(-(n + CLOSE - 1) // PAGE) * PAGE
        self._pages = mmap.mmap(-1, used + 2 * PAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._pages))
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        for page in (base, base + PAGE + used):
            if protect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        last = base + PAGE + used - n
        self.copy = last - (last - start) % CLOSE
        self._base, self._used = base, used
        ctypes.memset(base + PAGE, POISON, used)
        ctypes.memmove(self.copy, start, n)

    def give_back(self, where: str) -> None:
        first, n = self._base + PAGE, self.end - self.start
        around = ((first, self.copy - first), (self.copy + n, first + self._used - self.copy - n))
        for address, length in around:
            if ctypes.string_at(address, length).strip(bytes([POISON])):
                raise KernelError(f"{where}: wrote outside an array of {n} bytes")
        ctypes.memmove(self.start, self.copy, n)
