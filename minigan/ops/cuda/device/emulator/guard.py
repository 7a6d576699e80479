"""Copies of arrays between inaccessible pages: an index out of bounds ends the process with SIGSEGV."""

import ctypes
import mmap

from minigan.ops.cuda.device.emulator.arrays import ndarray
from minigan.ops.cuda.device.source import KernelError

PAGE_BYTES = mmap.PAGESIZE
ALIGNMENT_BYTES = 16
"""A copy has its array's address modulo this, so that kernels load packs exactly when they do without a guard."""
POISON_BYTE = 0xFF


class Guard:
    """Copies of the arrays of one launch; arrays that share memory share a copy.

    A copy ends at most 15 bytes before an inaccessible page.  These bytes, and those before the copy, are poisoned: as
    floating-point numbers they are NaN.

    Parameters
    ----------
    arrays : list of ndarray
        The arrays of the emulated device that the kernel gets.

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
        """Return the address of an array's copy, or of the array itself if it is empty."""
        for region in self._regions:
            if region.start <= array.address < region.end:
                return region.copy + array.address - region.start
        return array.address

    def write_back(self, where: str) -> None:
        """Copy the copies to their arrays.

        Parameters
        ----------
        where : str
            The kernel, for the error.

        Raises
        ------
        KernelError
            If the kernel wrote outside an array.

        """
        for region in self._regions:
            region.write_back(where)


class _Region:
    """The copy of the memory from `start` to `end`."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        n = end - start
        used = -(-(n + ALIGNMENT_BYTES - 1) // PAGE_BYTES) * PAGE_BYTES
        self._pages = mmap.mmap(-1, used + 2 * PAGE_BYTES)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._pages))
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        for page in (base, base + PAGE_BYTES + used):
            if protect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE_BYTES), 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        last = base + PAGE_BYTES + used - n
        self.copy = last - (last - start) % ALIGNMENT_BYTES
        self._base, self._used = base, used
        ctypes.memset(base + PAGE_BYTES, POISON_BYTE, used)
        ctypes.memmove(self.copy, start, n)

    def write_back(self, where: str) -> None:
        first, n = self._base + PAGE_BYTES, self.end - self.start
        poisoned = ((first, self.copy - first), (self.copy + n, first + self._used - self.copy - n))
        for address, length in poisoned:
            if ctypes.string_at(address, length).strip(bytes([POISON_BYTE])):
                raise KernelError(f"{where}: wrote outside an array of {n} bytes")
        ctypes.memmove(self.start, self.copy, n)
