"""The backend seam: one set of functions, chosen by name.

``reference`` (the definition of correct, every dtype), ``cpu``, ``cuda``.
"""

import importlib
from typing import cast

from minigan._names import unknown
from minigan.ops.protocol import Array, Ops

__all__ = ["BACKENDS", "Array", "BackendUnavailable", "Ops", "get_ops"]

BACKENDS = ("reference", "cpu", "cuda")


class BackendUnavailable(RuntimeError):
    """A backend that exists but cannot run here."""


def get_ops(ops: str | Ops) -> Ops:
    """Return the backend called `ops` ("reference", "cpu" or "cuda"); a backend is returned as it is.

    Raises ValueError for an unknown name and BackendUnavailable for one that cannot run here.

    >>> get_ops("reference").name
    'reference'
    """
    if not isinstance(ops, str):
        return ops
    if ops not in BACKENDS:
        raise ValueError(unknown("ops", ops, BACKENDS))
    if ops == "cuda":
        raise BackendUnavailable(_why_no_cuda())
    return cast(Ops, importlib.import_module(f"minigan.ops.{ops}"))


def _why_no_cuda() -> str:
    return (
        "ops='cuda' is not available: this version of minigan has no CUDA kernels yet; "
        "accepted here: ops='cpu' (fast) or ops='reference' (every dtype)"
    )
