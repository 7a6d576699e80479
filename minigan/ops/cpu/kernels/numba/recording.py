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
        self.compile(tuple(map(self.dispatcher.typeof_pyval, args)))
        return False

    def compile(self, signature: tuple[Any, ...]) -> None:
        """Record the types of the arguments."""
        assert _calls is not None  # noqa: S101
        _calls[self.dispatcher, signature] = None

    @property
    def overloads(self) -> Any:
        """What a caller reads to find the address of the code: the address 0 for all types of arguments."""
        return _NowhereCompiled()


class _NowhereCompiled:
    """A dictionary of compiled functions, a function, its description and its library in one."""

    llvm_cfunc_wrapper_name = ""

    def __getitem__(self, signature: tuple[Any, ...]) -> "_NowhereCompiled":
        return self

    @property
    def library(self) -> "_NowhereCompiled":
        return self

    @property
    def fndesc(self) -> "_NowhereCompiled":
        return self

    def get_pointer_to_function(self, name: str) -> int:
        return 0


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
