"""The decorators that compile kernels.  Only modules that need numba import this one.

A kernel is compiled once for each dtype and stored on disk beside its module (or in NUMBA_CACHE_DIR).  It runs without
the interpreter's lock, so that the pool's threads run in parallel.  Of LLVM's fast-math flags only `contract` is set (a
multiplication and an addition may be rounded once): infinities and NaN are treated as IEEE 754 says, and sums keep
their order.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numba
from numba.core import event
from numba.core.caching import FunctionCache

from minigan.ops.compiling import announce


class _Cache(FunctionCache):  # type: ignore[misc, unused-ignore]
    """numba's cache of one function, in which a damaged file does not end the run: it is compiled and written again."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the stored machine code, or None, which makes numba compile."""
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call, unused-ignore]
        except Exception:  # for a truncated file the unpickler may raise almost anything
            try:
                self.flush()  # type: ignore[no-untyped-call, unused-ignore]
            except OSError as error:
                _warn(f"the stored files can be neither read nor replaced ({error})")
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store the machine code, if possible."""
        try:
            super().save_overload(sig, data)  # type: ignore[no-untyped-call, unused-ignore]
        except OSError as error:  # no space or no permission
            _warn(str(error))


def jit(fastmath: set[str]) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function for each dtype with which it is called.

    The machine code is stored on disk.  If no folder can be written, there is one RuntimeWarning, and every process
    compiles again.

    Parameters
    ----------
    fastmath
        Which of LLVM's fast-math flags to set, by name.

    Returns
    -------
    Callable
        The decorator, which takes a function and returns numba's dispatcher.

    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher: Any = numba.njit(nogil=True, error_model="numpy", fastmath=fastmath)(function)
        try:
            dispatcher._cache = _Cache(function)  # type: ignore[no-untyped-call, unused-ignore]
        except (
            RuntimeError,
            OSError,
        ) as error:  # "no locator available": neither the package's folder nor the home can be written
            _warn(str(error))
        return dispatcher

    return decorate


_warned: list[str] = []


def _warn(reason: str) -> None:
    if not _warned:
        _warned.append(reason)
        warnings.warn(
            f"compiled kernels cannot be stored on disk, so every process compiles them again, for seconds: {reason}; "
            "expected NUMBA_CACHE_DIR to name a folder that can be written, or get_ops('cpu', compiled=False)",
            RuntimeWarning,
            stacklevel=2,
        )


kernel = jit({"contract"})
"""The decorator of kernels."""
inlined = numba.njit(nogil=True, inline="always", error_model="numpy", fastmath={"contract"})
"""The decorator of functions that are inlined into the kernels that call them."""


inner = numba.njit(
    nogil=True, error_model="numpy", fastmath={"contract"}, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
"""The decorator of functions that only kernels call: they compile faster, and are stored on disk within the kernels."""


class _CompilationListener(event.Listener):  # type: ignore[misc, unused-ignore]
    """Reports to `minigan.ops.compiling` when one of minigan's kernels is compiled, not when it is read from disk."""

    def on_start(self, event: event.Event) -> None:
        function = event.data["dispatcher"].py_func
        if function.__module__.startswith("minigan."):
            announce(function.__name__)

    def on_end(self, event: event.Event) -> None:
        pass


event.register("numba:compile", _CompilationListener())  # type: ignore[no-untyped-call, unused-ignore]
