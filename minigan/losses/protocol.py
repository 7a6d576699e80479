"""The protocol of an objective, and what the steps ask of one."""

from typing import Any, Protocol, cast

from minigan.ops.protocol import Array, Ops

Value = Any  # a scalar of the logits' dtype


class Objective(Protocol):
    """The four methods of an objective.

    Logits s are arrays (N, 1), or (N, K) if D has K outputs.  Costs are scalars of their dtype; gradients have their
    shape and dtype.  `ops` is D's backend, with its array module ``ops.xp``; a custom objective need not use it.

    An objective whose J_G compares fakes with real examples has the class attribute ``needs_real = True`` and the
    method ``generator(s_fake, s_real, *, ops=None)`` (`RelativeObjective`).
    """

    def discriminator(self, s_real: Array, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array, Array]:
        """Return J_D, dJ_D/ds_real and dJ_D/ds_fake, for a step of D on real and fake examples."""

    def one_side(self, s: Array, *, real: bool, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return the part of J_D of the real, or of the fake, examples, and its gradient, for `split_batch`."""

    def generator(self, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return J_G and dJ_G/ds_fake, for the steps of G."""

    def probability(self, s: Array, *, ops: Ops | None = None) -> Array:
        """Return D(x) (N,), for the metrics D(x), D(G(z)) and accuracy; a value above 1/2 means real."""


class RelativeObjective(Protocol):
    """The method `generator` of an objective with ``needs_real = True``.

    It raises ValueError without `s_real`, which has a default so that the class is an `Objective` for type checkers.
    """

    def generator(self, s_fake: Array, s_real: Array | None = None, *, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return J_G and dJ_G/ds_fake.  J_G depends on s_real too, but G has no influence on s_real."""


METHODS = {  # and their signatures, for errors
    "discriminator": "(s_real, s_fake, *, ops=None)",
    "one_side": "(s, *, real, ops=None)",
    "generator": "(s_fake, *, ops=None)",
    "probability": "(s, *, ops=None)",
}


def require_objective(objective: object) -> None:
    """Raise TypeError, which names a missing method, unless `objective` has the methods of `Objective`."""
    if isinstance(objective, type):
        raise TypeError(f"objective is the class {objective.__name__}; expected an object, {objective.__name__}()")
    for name, arguments in METHODS.items():
        if not callable(getattr(objective, name, None)):
            raise TypeError(
                f"objective of type {type(objective).__name__} has no method {name}{arguments}; expected all of "
                f"{', '.join(METHODS)} (see minigan.losses.Objective)"
            )


def needs_real(objective: Objective) -> bool:
    """Return whether J_G compares the fakes with real examples: the class attribute `needs_real`, False by default."""
    return bool(getattr(objective, "needs_real", False))


def generator_cost(
    objective: Objective, s_fake: Array, s_real: Array | None, *, ops: Ops | None = None
) -> tuple[Value, Array]:
    """Return J_G and dJ_G/ds_fake of any objective.

    Parameters
    ----------
    objective : Objective
        The objective.
    s_fake : array (M, 1)
        D's logits of the fakes.
    s_real : array (N, 1) or None
        D's logits of real examples, which only an objective with ``needs_real = True`` uses.
    ops : Ops, optional
        D's backend.

    Returns
    -------
    value : scalar
        J_G.
    ds_fake : array (M, 1)
        dJ_G/ds_fake.

    Raises
    ------
    ValueError
        If the objective needs `s_real` and it is None.

    """
    if not needs_real(objective):
        return objective.generator(s_fake, ops=ops)
    return cast(RelativeObjective, objective).generator(s_fake, s_real, ops=ops)
