"""The decorators that compile kernels.  Only modules that need numba import this one.

A kernel is compiled once for each dtype and stored on disk beside its module (or in NUMBA_CACHE_DIR).  It runs without
the interpreter's lock, so that the pool's threads run in parallel.  Of LLVM's fast-math flags only `contract` is set (a
multiplication and an addition may be rounded once): infinities and NaN are treated as IEEE 754 says, and sums keep
their order.
"""

from collections.abc import Callable
from typing import Any

import numba
from numba.core import event, types

from minigan.ops.compiling import announce
from minigan.ops.cpu.kernels.numba.cache import Cache, warn
from minigan.ops.cpu.kernels.numba.recording import recorded


def jit(fastmath: set[str], **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function for each dtype with which it is called.

    The machine code is stored on disk.  If no folder can be written, there is one RuntimeWarning, and every process
    compiles again.

    Parameters
    ----------
    fastmath
        Which of LLVM's fast-math flags to set, by name.
    **options
        Further options of `numba.njit`.

    Returns
    -------
    Callable
        The decorator, which takes a function and returns numba's dispatcher.

    """

    def decorate(function: Callable[..., Any]) -> Any:
        njit: Any = numba.njit
        dispatcher = njit(nogil=True, error_model="numpy", fastmath=fastmath, **options)(function)
        dispatcher.get_call_template = _without_literals(dispatcher.get_call_template)
        try:
            dispatcher._cache = Cache(function)  # type: ignore[no-untyped-call, unused-ignore]
        except (
            RuntimeError,
            OSError,
        ) as error:  # "no locator available": neither the package's folder nor the home can be written
            warn(str(error))
        return recorded(dispatcher)

    return decorate


def _without_literals(get_call_template: Callable[..., Any]) -> Callable[..., Any]:
    """Let a kernel that calls another one with a constant use the code for any number of that type.

    numba's types of constants differ from value to value, so that it would compile the called kernel for each of them.
    """

    def replacement(args: Any, kws: Any) -> Any:
        return get_call_template([_plain(ty) for ty in args], {name: _plain(ty) for name, ty in kws.items()})

    return replacement


def _plain(ty: Any) -> Any:
    """Return the type of a number, or of a tuple of numbers, without their values."""
    if isinstance(ty, types.IntegerLiteral | types.BooleanLiteral):
        return types.unliteral(ty)  # type: ignore[no-untyped-call, unused-ignore]
    if type(ty) is types.Tuple:
        return types.Tuple(tuple(map(_plain, ty)))  # type: ignore[no-untyped-call, unused-ignore]
    return ty


kernel = jit({"contract"})
"""The decorator of kernels."""
kernel_by_address = jit({"contract"}, no_cpython_wrapper=True)
"""The decorator of kernels that are only called by address: they compile faster, because Python cannot call them."""
inlined = numba.njit(nogil=True, inline="always", error_model="numpy", fastmath={"contract"})
"""The decorator of functions that are inlined into the kernels that call them."""


def inner(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call: it compiles faster, and is stored on disk within those kernels."""
    njit: Any = numba.njit
    dispatcher = njit(
        nogil=True, error_model="numpy", fastmath={"contract"}, no_cpython_wrapper=True, no_cfunc_wrapper=True
    )(function)
    dispatcher.get_call_template = _without_literals(dispatcher.get_call_template)
    return dispatcher


class _CompilationListener(event.Listener):  # type: ignore[misc, unused-ignore]
    """Reports to `minigan.ops.compiling` when one of minigan's kernels is compiled, not when it is read from disk."""

    def on_start(self, event: event.Event) -> None:
        function = event.data["dispatcher"].py_func
        if function.__module__.startswith("minigan."):
            announce(function.__name__)

    def on_end(self, event: event.Event) -> None:
        pass


event.register("numba:compile", _CompilationListener())  # type: ignore[no-untyped-call, unused-ignore]
