"""Rules and kernels that users add to the backends.

register_rule(rule, ops="cpu")                # consecutive layers that the backend runs as one
register_kernel("swish", reference=f, cpu=g)  # one function with several implementations
y = ctx.ops.kernel("swish")(x)                # in a layer: the implementation of the network's backend
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
    """Add a fusion rule to a backend, for networks that are built later; it is tried before the existing rules.

    Parameters
    ----------
    rule : callable
        ``rule(layers, ops)`` is called with the remaining layers of a chain and the backend, for float32 and float64
        networks only.  It returns the `minigan.layers.Fused` layer that replaces the first n layers, and n; or None.
    ops : {"cpu", "cuda"}
        The name of the backend; "reference" does not fuse layers.

    Returns
    -------
    callable
        `rule` itself.

    Raises
    ------
    ValueError
        If the backend has no rules, or the rule is registered already.
    TypeError
        If `rule` is not callable.

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
    """Remove a rule that `register_rule` added.

    Networks that were built with the rule do not change.

    Parameters
    ----------
    rule : callable
        The rule.
    ops : {"cpu", "cuda"}
        The name of the backend.

    Raises
    ------
    ValueError
        If the rule is not registered for this backend.

    """
    if rule not in _rules.get(ops, ()):
        raise ValueError(f"rule {rule!r} is not registered for ops={ops!r}")
    _rules[ops].remove(rule)


def registered_rules(ops: str) -> tuple[Rule, ...]:
    """Return the rules that `register_rule` added to a backend, the newest first."""
    return tuple(_rules[ops])


def register_kernel(
    name: str,
    *,
    reference: Callable[..., Any],
    cpu: Callable[..., Any] | None = None,
    cuda: Callable[..., Any] | None = None,
) -> None:
    """Register a function with an implementation for each backend.

    Parameters
    ----------
    name : str
        The name for ``ops.kernel(name)``, with a prefix of your package: "mypackage.swish".
    reference : callable
        The definition, ``reference(*arrays)``, written with NumPy functions.  It is used by every backend that has no
        implementation, and tests can compare the implementations with it.
    cpu : callable, optional
        The implementation for ``ops="cpu"``, ``cpu(ops, *arrays)``; for example compiled by numba, and run on the
        backend's threads by ``ops.parallel_for``.  By default `reference`.
    cuda : callable, optional
        The implementation for ``ops="cuda"``, ``cuda(ops, *arrays)``, with arrays of the device.  It calls
        ``ops.device.launch`` to launch a kernel from a .cu file in one of the device's folders
        (``GPU(folders=[...])``).  By default `reference`, which then must support CuPy arrays.

    Raises
    ------
    ValueError
        If there is a kernel of that name.
    TypeError
        If an implementation is not callable.

    """
    if name in _kernels:
        raise ValueError(f"a kernel {name!r} is registered already; expected a new name")
    given = {"reference": reference, "cpu": cpu, "cuda": cuda}
    for backend, function in given.items():
        if not callable(function) and (function is not None or backend == "reference"):
            raise TypeError(f"{backend} must be callable, got {function!r}")
    _kernels[name] = {backend: function for backend, function in given.items() if function is not None}


def unregister_kernel(name: str) -> None:
    """Remove the kernel of that name; raise ValueError if there is none."""
    if _kernels.pop(name, None) is None:
        raise ValueError(unknown("kernel", name, _kernels))


def registered_kernel(name: str, ops: Any = None) -> Callable[..., Any]:
    """Return a kernel as a function of its arrays.

    Parameters
    ----------
    name : str
        The name of the kernel.
    ops : Ops, optional
        The backend; without it, the definition is returned.

    Returns
    -------
    callable
        The backend's implementation; the definition if the backend has none.

    Raises
    ------
    ValueError
        If there is no kernel of that name.

    """
    if name not in _kernels:
        raise ValueError(unknown("kernel", name, _kernels))
    implementation = None if ops is None else _kernels[name].get(ops.name)
    return _kernels[name]["reference"] if implementation is None else functools.partial(implementation, ops)
