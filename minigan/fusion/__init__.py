"""The peephole: neighbouring layers that a backend runs as one.

Layers are defined one at a time; a fused stage computes what its members would, in fewer passes over memory.  It is an
implementation detail of ``Network.forward``: descriptions, parameters and state are the members'.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigan.fusion.bias import biased
from minigan.fusion.rows import run_of_rows
from minigan.fusion.small import small_chain
from minigan.layers.base import Fused as Fused
from minigan.layers.base import Layer
from minigan.ops import Ops

Rule = Callable[[Sequence[Layer], Ops], tuple[Fused, int] | None]
"""(layers, ops) -> the fused layer, and how many of the layers it takes from the front; or None."""


RULES: tuple[Rule, ...] = (small_chain, biased, run_of_rows)
"""The first that fits is taken."""


def fused(layers: Sequence[Layer], ops: Ops, dtype: np.dtype[Any]) -> list[tuple[Layer, int, int]]:
    """Cut the layers into stages (layer, first, last + 1)."""
    stages: list[tuple[Layer, int, int]] = []
    at = 0
    usable = RULES if ops.fused and dtype in (np.float32, np.float64) else ()
    while at < len(layers):
        found = next(filter(None, (rule(layers[at:], ops) for rule in usable)), None)
        layer, n = found or (layers[at], 1)
        stages.append((layer, at, at + n))
        at += n
    return stages
