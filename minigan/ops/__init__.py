"""The backend seam: one set of functions, chosen by name.

``reference`` (the definition of correct, every dtype), ``cpu``, ``cuda``.
"""

import functools
import importlib
from typing import Any, cast

from minigan._names import unknown
from minigan.ops.errors import BackendUnavailable
from minigan.ops.protocol import Array, Ops
from minigan.ops.registry import BACKENDS, register_kernel, register_rule, unregister_kernel, unregister_rule

__all__ = [
    "BACKENDS", "Array", "BackendUnavailable", "Ops", "get_ops", "ops_of", "register_kernel", "register_rule",
    "to_host", "unregister_kernel", "unregister_rule",
]  # fmt: skip

_BACKEND_OF = {"numpy": "reference", "cupy": "cuda"}  # package of the array -> backend
_EMULATED = "minigan.ops.cuda.device.emulator.arrays"


def get_ops(ops: str | Ops, **options: Any) -> Ops:
    """Return the backend called `ops` ("reference", "cpu" or "cuda"); a backend is returned as it is.

    `options` are the backend's own: ``get_ops("cpu", threads=1, accuracy="exact")`` (`minigan.ops.cpu.CPU`),
    ``get_ops("cuda", precision="tf32")`` (`minigan.ops.cuda.CUDA`).
    Raises ValueError for an unknown name and BackendUnavailable for one that cannot run here.

    >>> get_ops("reference").name
    'reference'
    """
    if not isinstance(ops, str):
        _require_no_options(options, "a backend")
        return ops
    if ops not in BACKENDS:
        raise ValueError(unknown("ops", ops, BACKENDS))
    if ops == "cpu":
        return _default_cpu() if not options else _cpu(**options)
    if ops == "cuda":
        return _cuda(**{"device": "gpu", "precision": "fp32", "graphs": True, **options})  # one for equal options
    _require_no_options(options, f"ops={ops!r}")
    return cast(Ops, importlib.import_module(f"minigan.ops.{ops}"))


def ops_of(array: Any) -> Ops:
    """Return the backend of an array that comes without a network: `reference` (every dtype) for NumPy's.

    A network's arrays go through ``net.ops``.

    >>> import numpy as np
    >>> ops_of(np.zeros(3)).name
    'reference'
    """
    for kind in type(array).__mro__:
        if kind.__module__ == _EMULATED:
            return get_ops("cuda", device="emulated")
        backend = _BACKEND_OF.get(kind.__module__.partition(".")[0])
        if backend:
            return get_ops(backend)
    raise TypeError(f"{type(array).__name__} given; expected an array of {' or '.join(_BACKEND_OF)}")


def to_host(array: Any) -> Any:
    """Return a device array's numbers in NumPy's array; all else, NumPy's arrays among it, as it is.

    >>> to_host(1.5)
    1.5
    """
    on_device = any(
        kind.__module__ == _EMULATED or kind.__module__.partition(".")[0] == "cupy" for kind in type(array).__mro__
    )
    return array.get() if on_device else array


def _cpu(**options: Any) -> Ops:
    from minigan.ops.cpu import CPU

    return CPU(**options)


@functools.cache
def _default_cpu() -> Ops:
    return _cpu()


@functools.cache
def _cuda(**options: Any) -> Ops:
    from minigan.ops.cuda import CUDA

    return CUDA(**options)


def _require_no_options(options: dict[str, Any], what: str) -> None:
    if options:
        raise TypeError(
            f"{what} takes no options, got {', '.join(options)}; expected those of ops='cpu' and ops='cuda'"
        )
