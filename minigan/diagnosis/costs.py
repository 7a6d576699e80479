"""How D's and G's costs depend on how certain D is, measured on any objective with equal logits for all examples."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.layers.base import ShapeError
from minigan.ops import ops_of

Floats = NDArray[np.float64]

LOGITS = np.linspace(-20.0, 20.0, 201)  # sigma(20) = 1 - 2e-9: certain in every sense
FLAT = 0.01  # J_D is bounded if it falls between the logits 10 and 20 by less than this fraction of its fall before


@dataclass(frozen=True)
class CostCurves:
    """The costs of an objective on the logits s of `LOGITS`.

    Parameters
    ----------
    probability : array (S,)
        D(x) for the logit s, increasing.
    d_cost : array (S,)
        J_D where real examples have the logit s and fakes -s.
    g_cost : array (S,)
        J_G where fakes have the logit s (and real examples -s, if the objective compares both).
    g_slope : array (S,)
        |dJ_G / ds|.
    compares : bool
        Whether both costs depend on differences between logits of real examples and of fakes (`needs_real`): a number
        added to all logits changes no cost, so that D(G(z)) alone says nothing.

    """

    probability: Floats
    d_cost: Floats
    g_cost: Floats
    g_slope: Floats
    compares: bool = False

    @property
    def d_is_bounded(self) -> bool:
        """Whether J_D approaches a minimum as D becomes certain: False for a critic (Wasserstein)."""
        at_0, at_10, at_20 = (self.d_cost[LOGITS.searchsorted(s)] for s in (0.0, 10.0, 20.0))
        return bool(at_0 > at_10 and at_10 - at_20 < FLAT * (at_0 - at_10))

    def d_excess(self, d_loss: float) -> float:
        """Return (J_D - minimum) / (J_D of an undecided D - minimum): 1 for an undecided D, 0 for a certain one."""
        least = float(self.d_cost.min())
        return (d_loss - least) / (float(np.interp(0.0, LOGITS, self.d_cost)) - least)

    def g_excess(self, g_loss: float) -> float:
        """Return (J_G - minimum) / (J_G where D is undecided - minimum): 0 if G has won."""
        least = float(self.g_cost.min())
        return (g_loss - least) / (float(np.interp(0.0, LOGITS, self.g_cost)) - least)

    def g_cost_at(self, probability: float) -> float:
        """Return J_G where D gives all fakes this probability."""
        return float(np.interp(probability, self.probability, self.g_cost))

    def slope_at(self, probability: float) -> float:
        """Return |dJ_G / ds| where D gives all fakes this probability, as a fraction of that at D(G(z)) = 1/2."""
        slope = np.interp([probability, 0.5], self.probability, self.g_slope)
        return float(slope[0] / slope[1]) if slope[1] > 0 else math.nan


def cost_curves(objective: Any) -> CostCurves | None:
    """Measure an objective.

    Parameters
    ----------
    objective : Objective
        The objective; with one logit for each example, or two (`minigan.SoftmaxTwoClass`).

    Returns
    -------
    CostCurves or None
        The costs; None if the objective cannot be measured in this way, so that rules on costs do not apply.

    """
    for logits in (_one_logit, _two_logits):
        try:
            return _measure(objective, logits)
        except ShapeError:
            continue
        except (TypeError, ValueError, AttributeError, ArithmeticError):  # an objective of the user's own
            return None
    return None


def _one_logit(s: float) -> Floats:
    return np.full((1, 1), s)


def _two_logits(s: float) -> Floats:
    return np.array([[-s / 2, s / 2]])


def _measure(objective: Any, logits: Callable[[float], Floats]) -> CostCurves | None:
    ops = ops_of(logits(0.0))
    compares = bool(getattr(objective, "needs_real", False))
    rows = []
    with np.errstate(all="ignore"):
        for s in LOGITS.tolist():
            here, there = logits(s), logits(-s)
            d_cost, *_ = objective.discriminator(here, there, ops=ops)
            given = (here, there) if compares else (here,)
            g_cost, ds = objective.generator(*given, ops=ops)
            rows.append((objective.probability(here, ops=ops)[0], d_cost, g_cost, np.abs(ds).max()))
    columns = np.array(rows, dtype=float).T
    if not np.isfinite(columns).all() or (np.diff(columns[0]) < 0).any():
        return None
    probability, d_cost, g_cost, g_slope = columns
    return CostCurves(probability, d_cost, g_cost, g_slope, compares)
