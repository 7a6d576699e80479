"""How the compiled bodies are compiled.  Only modules that are imported where numba is there import this one.

Compiled once for each dtype, kept on disk beside the module (or in NUMBA_CACHE_DIR); without the interpreter's lock, so
that the pool's threads run them at the same time.  Of the "fast" rules of arithmetic only contraction is allowed (a
multiplication and an addition may round once): infinities and NaN stay what they are, and sums keep their order.
"""

import numba
from numba.core import event

from minigan.ops.compiling import announce

kernel = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
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
