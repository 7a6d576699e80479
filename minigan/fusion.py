"""The peephole: neighbouring layers that a backend runs as one.

Layers are defined one at a time; a fused stage computes what its members would, in fewer passes over memory.  It is an
implementation detail of ``Network.forward``: descriptions, parameters and state are the members'.
"""

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.layers.base import Layer
from minigan.ops import Array, Ops


@dataclass(frozen=True)
class Fused(Layer):
    """Several layers as one: ``forward(p, x, ctx)`` returns their y and pullback.

    `views` says what p and g are, `join` what ``ctx.state`` is.
    """

    members: tuple[Layer, ...]

    def views(self, vector: Array) -> Any:
        """Return the members' part of a vector shaped like theta as `forward` and the pullback take it."""
        raise NotImplementedError(f"{type(self).__name__} does not define views")

    def join(self, states: Sequence[MutableMapping[str, Array]]) -> MutableMapping[str, Array]:
        """Return the running statistics of all members (at most one has any)."""
        return next((state for state in states if state), {})


Rule = Callable[[Sequence[Layer], Ops], tuple[Fused, int] | None]
"""(layers, ops) -> the fused layer, and how many of the layers it takes from the front; or None."""


def rules() -> tuple[Rule, ...]:
    """Return the rules; the first that fits is taken.  They build on this module, and so are imported late."""
    from minigan.fused_small import small_chain

    return (small_chain,)


def fused(layers: Sequence[Layer], ops: Ops, dtype: np.dtype[Any]) -> list[tuple[Layer, int, int]]:
    """Cut the layers into stages (layer, first, last + 1)."""
    stages: list[tuple[Layer, int, int]] = []
    at = 0
    usable = rules() if ops.fused and dtype in (np.float32, np.float64) else ()
    while at < len(layers):
        found = next(filter(None, (rule(layers[at:], ops) for rule in usable)), None)
        layer, n = found or (layers[at], 1)
        stages.append((layer, at, at + n))
        at += n
    return stages
