"""Objectives whose J_D is a mean over real examples plus a mean over fakes, and the means that they are made of."""

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, fields
from fractions import Fraction
from numbers import Rational
from typing import Any

from minigan._arguments import scalar, set_numbers
from minigan.layers.base import ShapeError
from minigan.losses.protocol import Value
from minigan.ops import ops_of
from minigan.ops.protocol import Array, Ops
from minigan.ops.reference import zeros


@dataclass(frozen=True)
class Separable(ABC):
    """J_D = d_scale (mean a(s_real) + mean b(s_fake)),   J_G = g_scale mean c(s_fake).    s_real (N, 1), s_fake (M, 1)

    A subclass defines a, b and c by `_real`, `_fake` and `_generated`: each returns weight mean cost(s) and its
    gradient, weight cost'(s) / N.
    """

    _: KW_ONLY
    d_scale: float = 1.0
    g_scale: float = 1.0
    mean_over_all: bool = False

    def __post_init__(self) -> None:
        set_numbers(self, d_scale="(0, inf)", g_scale="(0, inf)")

    def discriminator(self, s_real: Array, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array, Array]:
        """Return J_D, ds_real = d_scale a'(s_real) / N, ds_fake = d_scale b'(s_fake) / M."""
        n_real, n_fake = size(s_real), size(s_fake)
        ops = ops_of(s_real) if ops is None else ops
        f_real = f_fake = factor(self.d_scale, s_real)
        if self.mean_over_all:
            total = _exact(n_real + n_fake, s_real)
            f_real, f_fake = (2 * f_real * n / total for n in (n_real, n_fake))
        cost_real, ds_real = self._real(s_real, f_real, ops)
        cost_fake, ds_fake = self._fake(s_fake, f_fake, ops)
        return cost_real + cost_fake, ds_real, ds_fake

    def one_side(self, s: Array, *, real: bool, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return d_scale mean a(s) for real s or d_scale mean b(s) for fake s, and its gradient."""
        size(s)
        ops = ops_of(s) if ops is None else ops
        return (self._real if real else self._fake)(s, factor(self.d_scale, s), ops)

    def generator(self, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return J_G and ds_fake = g_scale c'(s_fake) / M."""
        size(s_fake)
        ops = ops_of(s_fake) if ops is None else ops
        return self._generated(s_fake, factor(self.g_scale, s_fake), ops)

    def probability(self, s: Array, *, ops: Ops | None = None) -> Array:
        """Return D = sigma(s)."""
        return (ops_of(s) if ops is None else ops).sigmoid(s).reshape(-1)

    @abstractmethod
    def _real(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        """Return the weighted mean of a(s), D's cost of real examples, and its gradient."""

    @abstractmethod
    def _fake(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        """Return the weighted mean of b(s), D's cost of fakes, and its gradient."""

    @abstractmethod
    def _generated(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        """Return the weighted mean of c(s), G's cost, and its gradient."""


def described(objective: Any) -> str:
    """Return the repr of an objective, without `real_label` if that is 1: earlier certificates name checks by it."""
    shown = [f for f in fields(objective) if (f.name, getattr(objective, f.name)) != ("real_label", 1)]
    return f"{type(objective).__name__}({', '.join(f'{f.name}={getattr(objective, f.name)!r}' for f in shown)})"


def size(s: Array) -> int:
    """Return N; raise ShapeError unless s has one logit for each example."""
    if s.size == 0 or s.size != len(s):
        raise ShapeError(f"logits have shape {s.shape}; expected (N,) or (N, 1) with N >= 1")
    return len(s)


def factor(value: Any, s: Array) -> Any:
    """Return `value` for use with s: as a float, or exactly (1.0 as the int 1) for object arrays."""
    value = scalar(value, s.dtype)
    return int(value) if s.dtype.kind == "O" and isinstance(value, float) and value.is_integer() else value


def _exact(n: int, s: Array) -> Any:
    """Return n, for an array of fractions as a Fraction, so that a quotient by it is one too."""
    return Fraction(n) if s.dtype.kind == "O" and isinstance(s.reshape(-1)[0], Rational) else n


def filled(value: Any, s: Array) -> Array:
    """Return an array like s with `value` everywhere, in object arrays as a number of their type."""
    return zeros(s.shape, s) + value


def mean_of(cost: Array, derivative: Array, weight: Any) -> tuple[Value, Array]:
    """Return weight mean cost and weight derivative / N, its gradient.    cost, derivative (N,) or (N, 1)"""
    n = len(cost)
    return weight * (cost.sum() / n), weight * derivative / n


def mean_logit(s: Array, weight: Any) -> tuple[Value, Array]:
    """Return weight mean s and weight / N, its gradient.    s (N,) or (N, 1)"""
    return mean_of(s, filled(1, s), weight)
