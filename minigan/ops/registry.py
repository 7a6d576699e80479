"""Fused rules and kernels that users add to the backends.

register_rule(rule, ops="cpu")                    # neighbouring layers that the backend shall run as one
register_kernel("swish", reference=f, cpu=g)      # one function with several implementations
y = ctx.ops.kernel("swish")(x)                    # in a layer: that of the network's backend
"""

import functools
from collections.abc import Callable
from typing import Any

from minigan._names import unknown
from minigan.ops.protocol import Rule

BACKENDS = ("reference", "cpu", "cuda")

_rules: dict[str, list[Rule]] = {name: [] for name in BACKENDS}
_kernels: dict[str, dict[str, Callable[..., Any]]] = {}


def register_rule(rule: Rule, *, ops: str) -> Rule:
    """Add a fused rule to a backend, before those that it has; networks that are built from now on use it.

    Parameters
    ----------
    rule
        ``rule(layers, ops)`` is asked with the layers of a chain from some place on, and with the backend.  It returns
        the `minigan.layers.Fused` layer that computes what the first n of them would, and n; or None.  It is asked
        for float32 and float64 networks only.
    ops
        The backend's name: "cpu" or "cuda".  "reference" runs every layer as it is written.

    Returns
    -------
    callable
        The rule, for `unregister_rule`.

    Raises
    ------
    ValueError
        If the backend has no rules, or the rule is registered already.

    """
    if ops not in ("cpu", "cuda"):
        raise ValueError(unknown("ops", ops, ("cpu", "cuda")))
    if not callable(rule):
        raise TypeError(f"rule must be callable, rule(layers, ops), got {rule!r}")
    if rule in _rules[ops]:
        raise ValueError(f"rule {rule!r} is registered for ops={ops!r} already")
    _rules[ops].insert(0, rule)
    return rule


def unregister_rule(rule: Rule, *, ops: str) -> None:
    """Remove a rule that `register_rule` added; networks that were built with it keep it."""
    if rule not in _rules.get(ops, ()):
        raise ValueError(f"rule {rule!r} is not registered for ops={ops!r}")
    _rules[ops].remove(rule)


def registered_rules(ops: str) -> tuple[Rule, ...]:
    """Return the rules that were added to a backend, the newest first."""
    return tuple(_rules[ops])


def register_kernel(
    name: str,
    *,
    reference: Callable[..., Any],
    cpu: Callable[..., Any] | None = None,
    cuda: Callable[..., Any] | None = None,
) -> None:
    """Give a function one implementation for each backend.

    Parameters
    ----------
    name
        By what ``ops.kernel(name)`` finds it.  Choose one with a prefix of your package: "mypackage.swish".
    reference
        The definition, ``reference(*arrays)``, in NumPy's functions.  Every backend uses it unless it has its own
        implementation, and the tests of your kernel compare the others with it.
    cpu
        The implementation for ``ops="cpu"``, ``cpu(ops, *arrays)``: for instance compiled by numba, its parts run on
        the backend's threads by ``ops.parallel_for``.  Default: `reference`.
    cuda
        The implementation for ``ops="cuda"``, ``cuda(ops, *arrays)``, with arrays of the device: it launches a kernel
        by ``ops.device.launch``, whose .cu file lies in one of the folders that the device was made with
        (``GPU(folders=[...])``).  Default: `reference`, which then has to work on CuPy's arrays.

    Raises
    ------
    ValueError
        If the name is taken.

    """
    if name in _kernels:
        raise ValueError(f"a kernel {name!r} is registered already; expected a new name")
    given = {"reference": reference, "cpu": cpu, "cuda": cuda}
    for backend, function in given.items():
        if not callable(function) and (function is not None or backend == "reference"):
            raise TypeError(f"{backend} must be callable, got {function!r}")
    _kernels[name] = {backend: function for backend, function in given.items() if function is not None}


def unregister_kernel(name: str) -> None:
    """Remove a kernel."""
    if _kernels.pop(name, None) is None:
        raise ValueError(unknown("kernel", name, _kernels))


def registered_kernel(name: str, ops: Any = None) -> Callable[..., Any]:
    """Return a kernel's implementation for a backend, as a function of its arrays; the definition without `ops`."""
    if name not in _kernels:
        raise ValueError(unknown("kernel", name, _kernels))
    own = None if ops is None else _kernels[name].get(ops.name)
    return _kernels[name]["reference"] if own is None else functools.partial(own, ops)
