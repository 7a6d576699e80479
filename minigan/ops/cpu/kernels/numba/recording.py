"""Find out which kernels a computation needs, without compiling them.

While calls are recorded, a kernel does nothing and returns False.  The results of the computation are meaningless, but
the kernels and the types of their arguments depend on the sizes and dtypes of its arrays alone.
"""

from typing import Any

from numba.core import types
from numba.core.extending import typeof_impl


class Kernel:
    """A kernel whose calls are recorded.

    Parameters
    ----------
    dispatcher
        numba's dispatcher of the kernel.

    """

    def __init__(self, dispatcher: Any) -> None:
        self.dispatcher = dispatcher

    def __call__(self, *args: Any) -> bool:
        """Record the types of the arguments."""
        assert _calls is not None  # noqa: S101
        _calls[self.dispatcher, tuple(map(self.dispatcher.typeof_pyval, args))] = None
        return False


typeof_impl.register(Kernel)(lambda kernel, _: types.Dispatcher(kernel.dispatcher))

_calls: dict[tuple[Any, tuple[Any, ...]], None] | None = None


def record() -> dict[tuple[Any, tuple[Any, ...]], None]:
    """Record all calls of kernels from now on; call this before any kernel is imported.

    Returns
    -------
    dict
        A dictionary whose keys, (dispatcher, types of the arguments), are the calls so far, in their order.

    """
    global _calls
    if _calls is None:
        _calls = {}
    return _calls


def recorded(dispatcher: Any) -> Any:
    """Return the dispatcher, or, if calls are recorded, a `Kernel` in its place."""
    return dispatcher if _calls is None else Kernel(dispatcher)
