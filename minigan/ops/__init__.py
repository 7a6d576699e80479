"""The backends, which have the same functions and are chosen by name.

They are ``reference`` (which defines the correct results, for every dtype), ``cpu`` and ``cuda``.
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
    """Return a backend.

    Parameters
    ----------
    ops : {"reference", "cpu", "cuda"} or Ops
        The name of a backend; an object that is a backend is returned unchanged.
    **options
        Options of the backend: ``get_ops("cpu", threads=1, accuracy="exact")`` (`minigan.ops.cpu.CPU`) or
        ``get_ops("cuda", precision="tf32")`` (`minigan.ops.cuda.CUDA`).

    Returns
    -------
    Ops
        The backend.

    Raises
    ------
    ValueError
        If the name or the value of an option is unknown.
    TypeError
        If the backend does not have an option.
    BackendUnavailable
        If the backend cannot run here.

    Examples
    --------
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
        return _cuda(
            **{"device": "gpu", "precision": "fp32", "graphs": True, **options}
        )  # one object for equal options
    _require_no_options(options, f"ops={ops!r}")
    return cast(Ops, importlib.import_module(f"minigan.ops.{ops}"))


def ops_of(array: Any) -> Ops:
    """Return the backend of an array for which there is no network: `reference` for NumPy arrays, of every dtype.

    For the arrays of a network use ``net.ops``.

    Parameters
    ----------
    array : array
        A NumPy or CuPy array.

    Returns
    -------
    Ops
        The backend.

    Raises
    ------
    TypeError
        If `array` is neither.

    Examples
    --------
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
    """Copy an array of a device to a NumPy array.

    Parameters
    ----------
    array : Any
        An array of a device, or any other object.

    Returns
    -------
    Any
        A NumPy array; any object that is not an array of a device, such as a NumPy array, is returned unchanged.

    Examples
    --------
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
            f"{what} takes no options, got {', '.join(options)}; expected options with ops='cpu' or ops='cuda' only"
        )
