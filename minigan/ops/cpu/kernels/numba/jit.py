"""How the compiled bodies are compiled.  Only modules that are imported where numba is there import this one.

Compiled once for each dtype, kept on disk beside the module (or in NUMBA_CACHE_DIR); without the interpreter's lock, so
that the pool's threads run them at the same time.  Of the "fast" rules of arithmetic only contraction is allowed (a
multiplication and an addition may round once): infinities and NaN stay what they are, and sums keep their order.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numba
from numba.core import event
from numba.core.caching import FunctionCache

from minigan.ops.compiling import announce


class _Cache(FunctionCache):  # type: ignore[misc, unused-ignore]
    """numba's cache of one function, that no file ends a run: what cannot be read is compiled and written again."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the machine code that is kept, or None, and then numba compiles."""
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call, unused-ignore]
        except Exception:  # a truncated file makes the unpickler raise almost anything
            try:
                self.flush()  # type: ignore[no-untyped-call, unused-ignore]
            except OSError as error:
                _warn(f"its files cannot be read, nor written again ({error})")
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the machine code, if that is possible."""
        try:
            super().save_overload(sig, data)  # type: ignore[no-untyped-call, unused-ignore]
        except OSError as error:  # no room, or no permission any more
            _warn(str(error))


def compiled(fastmath: set[str]) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function, for each dtype when it is first called with it.

    The machine code is kept on disk if there is a folder for it; otherwise a RuntimeWarning says once that there is
    none, and each process compiles anew.

    Parameters
    ----------
    fastmath
        LLVM's names of the rules of arithmetic that the compiler may break.

    Returns
    -------
    Callable
        The decorator: it takes a function and returns numba's dispatcher.

    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher: Any = numba.njit(nogil=True, error_model="numpy", fastmath=fastmath)(function)
        try:
            dispatcher._cache = _Cache(function)  # type: ignore[no-untyped-call, unused-ignore]
        except (RuntimeError, OSError) as error:  # "no locator available": neither the package's folder nor a home
            _warn(str(error))
        return dispatcher

    return decorate


_warned: list[str] = []


def _warn(reason: str) -> None:
    if not _warned:
        _warned.append(reason)
        warnings.warn(
            f"compiled kernels cannot be kept on disk, so every process compiles them anew, in seconds: {reason}. "
            "NUMBA_CACHE_DIR to a folder that can be written, or use get_ops('cpu', compiled=False)",
            RuntimeWarning,
            stacklevel=2,
        )


kernel = compiled({"contract"})
inlined = numba.njit(nogil=True, inline="always", error_model="numpy", fastmath={"contract"})


class _Compilations(event.Listener):  # type: ignore[misc, unused-ignore]
    """Tells `minigan.ops.compiling` of our kernels; what comes from the disk is no compilation."""

    def on_start(self, event: event.Event) -> None:
        function = event.data["dispatcher"].py_func
        if function.__module__.startswith("minigan."):
            announce(function.__name__)

    def on_end(self, event: event.Event) -> None:
        pass


event.register("numba:compile", _Compilations())  # type: ignore[no-untyped-call, unused-ignore]
