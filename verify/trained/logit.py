"""A network of one input as a `Discriminator`, with its logit split exactly where its slope jumps.

The weights are floats, hence rational.  Up to and including the last layer with kinks (ReLU, LeakyReLU, Maxout), all
layers must be piecewise affine: on each piece, every unit is slope x + offset.  All later layers must be analytic
(Dense, Tanh, Sigmoid, Softplus); they are evaluated on complex balls.  Slopes and offsets are rational, and a ReLU
splits a piece at the root -offset / slope, which is rational too.  So there are finitely many breakpoints, and they are
exact.

    ReLU D with H hidden units:    s(x) = sum_h v_h max(w_h x + b_h, 0) + c,    at most H breakpoints -b_h / w_h

A certificate is about this function of real numbers, without the rounding of an evaluation in floats.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
from flint import arb, fmpq

import minigan as mg
from minigan.layers.base import Layer
from minigan.network import Network
from verify.analysis.game_value import Discriminator
from verify.arithmetic.balls import ball
from verify.densities.functions import softplus, tanh
from verify.densities.tails import Growth, Tail

IDENTITY_LAYERS = (mg.Dropout, mg.Flatten)  # at inference, on x (N, F)
LAYERS_WITH_KINKS = (mg.ReLU, mg.LeakyReLU, mg.Maxout)
EXPECTED_LAYERS = (
    "Dense, ReLU, LeakyReLU, Maxout, Dropout, Flatten, and after the last layer with kinks Dense, Tanh, Sigmoid, "
    "Softplus, Dropout, Flatten"
)
LOG_2_UPPER_BOUND = Fraction(7, 10)  # log 2 = 0.693...


class NotCertifiable(ValueError):
    """The logit of a network cannot be split exactly."""


class Affine(NamedTuple):
    """The function x -> slope x + offset with rational coefficients."""

    slope: Fraction
    offset: Fraction

    def value(self, x: Fraction) -> Fraction:
        """Return slope x + offset."""
        return self.slope * x + self.offset


Units = tuple[Affine, ...]


@dataclass(frozen=True)
class Piece:
    """An interval on which each unit is slope x + offset.

    Attributes
    ----------
    low, high
        The ends; None is infinite.
    units
        Each unit as a function of x on the piece.

    """

    low: Fraction | None
    high: Fraction | None
    units: Units

    def inside(self) -> Fraction:
        """Return a rational point inside the piece."""
        if self.low is None:
            return Fraction(0) if self.high is None else self.high - 1
        return self.low + 1 if self.high is None else (self.low + self.high) / 2

    def split(self, roots: Sequence[Fraction]) -> list["Piece"]:
        """Split the piece at the roots that lie inside."""
        cuts = sorted({r for r in roots if self._holds(r)})
        bounds = [self.low, *cuts, self.high]
        return [Piece(a, b, self.units) for a, b in pairwise(bounds)]

    def _holds(self, x: Fraction) -> bool:
        return (self.low is None or self.low < x) and (self.high is None or x < self.high)


def discriminator(D: Network, name: str = "D") -> Discriminator:
    """Return D = sigma(s) with the network's logit s at inference.

    Parameters
    ----------
    D : Network
        A network of one input and one output: Dense, ReLU, LeakyReLU, Maxout, Dropout, Flatten, and after the last
        layer with kinks Dense, Tanh, Sigmoid, Softplus, Dropout, Flatten.
    name : str
        The name of D in messages and statements; by default "D".

    Returns
    -------
    Discriminator
        Its `edges` are the breakpoints of s.

    Raises
    ------
    NotCertifiable
        If a layer is of another class, D does not map (N, 1) to (N, 1), or its parameters are not finite floats.

    Examples
    --------
    >>> layers = [mg.Dense(1, 2), mg.ReLU(), mg.Dense(2, 1)]
    >>> net = mg.Network(layers, rng=np.random.default_rng(0), dtype="float64")
    >>> net.theta = np.array([1.0, -2.0, 1.0, 3.0, 1.0, 1.0, 0.5])  # max(x + 1, 0) + max(3 - 2x, 0) + 1/2
    >>> D = discriminator(net)
    >>> [str(edge) for edge in D.edges], D.logit(arb(2), Fraction(2))
    (['-1', '3/2'], 3.50000000000000)

    """
    layers, weights = list(D.layers), _weights(D)
    _require_one_logit(D)
    pieces, n_layers = affine_pieces(D)
    analytic_layers = [_analytic(layers[i], weights[i], i) for i in range(n_layers, len(layers))]
    edges = tuple(piece.high for piece in pieces if piece.high is not None)
    lines = [[(_constant(slope), _constant(offset)) for slope, offset in piece.units] for piece in pieces]

    def logit(x: Any, at: Fraction, analytic: bool = False) -> Any:
        h = [slope * x + offset for slope, offset in lines[bisect_right(edges, at)]]
        for layer in analytic_layers:
            h = layer(h, analytic)
        return h[0]

    const, linear = _bound(layers, weights)

    def bound(tail: Tail) -> Growth:
        if tail.edge is None:
            return Growth(const, linear=linear)
        return Growth((const + linear * (abs(ball(tail.edge)) + tail.width)).upper())

    return Discriminator(name, logit, bound, edges)


def affine_pieces(D: Network) -> tuple[list[Piece], int]:
    """Return the pieces of the line on which the layers up to the last one with kinks are affine.

    Parameters
    ----------
    D : Network
        A network of one input whose layers up to the last one with kinks are Dense, ReLU, LeakyReLU, Maxout, Dropout,
        Flatten, with parameters in float32 or float64.

    Returns
    -------
    pieces : list of Piece
        The pieces from left to right, with the units of the last of these layers.
    n_layers : int
        The number of leading layers that are affine on each piece; 0 if no layer has kinks.

    Raises
    ------
    NotCertifiable
        If one of these layers is of another class, or the parameters are not finite floats.

    """
    weights = _weights(D)
    kinks = [i for i, layer in enumerate(D.layers) if isinstance(layer, LAYERS_WITH_KINKS)]
    layers = D.layers[: kinks[-1] + 1 if kinks else 0]
    pieces = [Piece(None, None, (Affine(Fraction(1), Fraction(0)),))]
    for i, layer in enumerate(layers):
        pieces = [part for piece in pieces for part in _apply(layer, weights[i], piece, i)]
    return pieces, len(layers)


def _require_one_logit(D: Network) -> None:
    try:
        y = D(np.zeros((1, 1), dtype=D.dtype))
    except ValueError as error:
        raise NotCertifiable(f"D does not accept x of shape (N, 1): {error}") from None
    if y.shape != (1, 1):
        raise NotCertifiable(f"D returns {y.shape} for one example; expected one logit, (1, 1)")


Weights = dict[str, list[Any]]


def _weights(D: Network) -> list[Weights]:
    """Return the parameters of each layer as nested lists of Fractions."""
    if D.theta.dtype.kind != "f":
        raise NotCertifiable(f"D has parameters of dtype {D.theta.dtype}; expected float32, float64")
    if not np.isfinite(D.theta).all():
        raise NotCertifiable("D has parameters that are not finite; expected finite numbers")
    rational = D.astype(object, Fraction)
    named: list[Weights] = [{} for _ in D.layers]
    for key, view in rational.parameters().items():
        layer, _, name = key.partition(".")
        named[int(layer)][name] = view.tolist()
    return named


def _affine(weights: Weights, units: Units) -> Units:
    """Return x W + b for units x that are affine."""
    W = weights["W"]
    b = weights.get("b", [Fraction(0)] * len(W[0]))
    return tuple(
        Affine(
            sum((unit.slope * row[o] for unit, row in zip(units, W, strict=True)), Fraction(0)),
            sum((unit.offset * row[o] for unit, row in zip(units, W, strict=True)), b[o]),
        )
        for o in range(len(b))
    )


def _highest(units: Units, x: Fraction) -> Affine:
    return max(units, key=lambda unit: unit.value(x))


def _root(a: Affine, b: Affine) -> list[Fraction]:
    """Return where two lines cross; an empty list if they are parallel."""
    return [(b.offset - a.offset) / (a.slope - b.slope)] if a.slope != b.slope else []


def _apply(layer: Layer, weights: Weights, piece: Piece, i: int) -> list[Piece]:
    """Return the pieces on which a piecewise affine layer, applied to the units of a piece, is affine."""
    units = piece.units
    if isinstance(layer, IDENTITY_LAYERS):
        return [piece]
    if isinstance(layer, mg.Dense):
        return [Piece(piece.low, piece.high, _affine(weights, units))]
    if isinstance(layer, mg.Maxout):
        hidden = _affine(weights, units)
        P = layer.pieces
        groups = [hidden[k : k + P] for k in range(0, len(hidden), P)]
        parts = piece.split([r for group in groups for a, b in combinations(group, 2) for r in _root(a, b)])
        return [Piece(part.low, part.high, tuple(_highest(group, part.inside()) for group in groups)) for part in parts]
    if isinstance(layer, mg.ReLU | mg.LeakyReLU):
        slope = Fraction(layer.slope) if isinstance(layer, mg.LeakyReLU) else Fraction(0)
        parts = piece.split([r for unit in units for r in _root(unit, Affine(Fraction(0), Fraction(0)))])
        return [
            Piece(part.low, part.high, tuple(
                unit if unit.value(part.inside()) > 0 else Affine(slope * unit.slope, slope * unit.offset)
                for unit in units
            ))
            for part in parts
        ]  # fmt: skip
    raise NotCertifiable(f"layer {i} of D is {layer}, before a layer with kinks; expected {EXPECTED_LAYERS}")


AnalyticLayer = Callable[[list[Any], bool], list[Any]]


def _analytic(layer: Layer, weights: Weights, i: int) -> AnalyticLayer:
    """Return an analytic layer as a function of a list of balls, complex balls or Taylor series."""
    if isinstance(layer, IDENTITY_LAYERS):
        return lambda h, analytic: h
    if isinstance(layer, mg.Dense):
        W = [[_constant(w) for w in row] for row in weights["W"]]
        b = [_constant(w) for w in weights.get("b", [Fraction(0)] * layer.n_out)]
        return lambda h, analytic: [sum((x * row[o] for x, row in zip(h, W, strict=True)), b[o]) for o in range(len(b))]
    if isinstance(layer, mg.Tanh):
        return lambda h, analytic: [tanh(x) for x in h]
    if isinstance(layer, mg.Sigmoid):
        return lambda h, analytic: [(1 + tanh(x / 2)) / 2 for x in h]  # finite on wide balls too, as tanh is
    if isinstance(layer, mg.Softplus):
        return lambda h, analytic: [softplus(x, analytic) for x in h]
    raise NotCertifiable(f"layer {i} of D is {layer}; expected {EXPECTED_LAYERS}")


def _constant(x: Fraction) -> arb | fmpq:
    """Return a rational as a number that is exact at any precision: a ball of radius 0, or an fmpq.

    Weights are binary fractions, hence balls; the slope of a LeakyReLU may be 1/5, which is not.
    """
    if x.denominator & (x.denominator - 1):
        return fmpq(x.numerator, x.denominator)
    return arb((x.numerator, 1 - x.denominator.bit_length()))


def _bound(layers: Sequence[Layer], weights: Sequence[Weights]) -> tuple[arb, arb]:
    """Return const and linear with |s(x)| <= const + linear |x| for all x."""
    h = [(Fraction(0), Fraction(1))]
    for layer, w in zip(layers, weights, strict=True):
        if isinstance(layer, mg.Dense | mg.Maxout):
            W = w["W"]
            b = w.get("b", [Fraction(0)] * len(W[0]))
            h = [
                (
                    sum((abs(row[o]) * x[0] for x, row in zip(h, W, strict=True)), abs(b[o])),
                    sum((abs(row[o]) * x[1] for x, row in zip(h, W, strict=True)), Fraction(0)),
                )
                for o in range(len(b))
            ]
            if isinstance(layer, mg.Maxout):
                groups = [h[k : k + layer.pieces] for k in range(0, len(h), layer.pieces)]
                h = [(max(x[0] for x in group), max(x[1] for x in group)) for group in groups]
        elif isinstance(layer, mg.Tanh | mg.Sigmoid):
            h = [(Fraction(1), Fraction(0)) for _ in h]
        elif isinstance(layer, mg.Softplus):
            h = [(x[0] + LOG_2_UPPER_BOUND, x[1]) for x in h]  # log(1 + e^u) <= |u| + log 2
        elif isinstance(layer, mg.LeakyReLU):
            factor = max(Fraction(1), abs(Fraction(layer.slope)))
            h = [(factor * x[0], factor * x[1]) for x in h]
    return ball(h[0][0]).upper(), ball(h[0][1]).upper()
