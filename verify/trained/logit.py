"""A network of one input as a `Discriminator`, with its logit split exactly where its slope jumps.

The weights are floats, hence rational.  As long as the layers are piecewise affine (Dense, ReLU, LeakyReLU, Maxout),
each unit is slope x + offset on a piece, with rational slope and offset, and a ReLU splits the piece at the root
-offset / slope, which is rational too.  So there are finitely many breakpoints, and they are exact.  The layers after
that must be analytic (Dense, Tanh, Sigmoid, Softplus); they are evaluated on complex balls.

    ReLU D with H hidden units:    s(x) = sum_h v_h max(w_h x + b_h, 0) + c,    at most H breakpoints -b_h / w_h

A certificate is about this function of real numbers, without the rounding of an evaluation in floats.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from flint import arb, fmpq

import minigan as mg
from minigan.layers.base import Layer
from minigan.network import Network
from verify.analysis.game_value import Discriminator
from verify.arithmetic.balls import ball
from verify.densities.functions import softplus, tanh
from verify.densities.tails import Growth, Tail

Line = tuple[Fraction, Fraction]  # slope, offset
Units = tuple[Line, ...]

IDENTITY = (mg.Dropout, mg.Flatten)  # at inference, on x (N, F)
KINKED = (mg.ReLU, mg.LeakyReLU, mg.Maxout)
ANALYTIC = (mg.Dense, mg.Tanh, mg.Sigmoid, mg.Softplus)
EXPECTED = "Dense, ReLU, LeakyReLU, Maxout, Dropout, Flatten and then Dense, Tanh, Sigmoid, Softplus"


class NotCertifiable(ValueError):
    """The logit of a network cannot be split exactly."""


@dataclass(frozen=True)
class Piece:
    """An interval on which each unit is slope x + offset.

    Attributes
    ----------
    low, high
        The ends; None is infinite.
    units
        Slope and offset of each unit.

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
        How statements name it; by default "D".

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
    pieces, analytic_from = split(D)
    tail = [_analytic(layers[i], weights[i], i) for i in range(analytic_from, len(layers))]
    edges = tuple(piece.high for piece in pieces if piece.high is not None)
    lines = [[(_constant(slope), _constant(offset)) for slope, offset in piece.units] for piece in pieces]

    def logit(x: Any, at: Fraction, analytic: bool = False) -> Any:
        h = [slope * x + offset for slope, offset in lines[bisect_right(edges, at)]]
        for step in tail:
            h = step(h, analytic)
        return h[0]

    const, linear = _bound(layers, weights)

    def bound(tail: Tail) -> Growth:
        if tail.edge is None:
            return Growth(const, linear=linear)
        return Growth((const + linear * (abs(ball(tail.edge)) + tail.width)).upper())

    return Discriminator(name, logit, bound, edges)


def split(D: Network) -> tuple[list[Piece], int]:
    """Return the pieces on which the layers up to the last one with kinks are affine, and how many layers these are."""
    weights = _weights(D)
    kinks = [i for i, layer in enumerate(D.layers) if isinstance(layer, KINKED)]
    layers = D.layers[: kinks[-1] + 1 if kinks else 0]
    pieces = [Piece(None, None, ((Fraction(1), Fraction(0)),))]
    for i, layer in enumerate(layers):
        pieces = [part for piece in pieces for part in _apply(layer, weights[i], piece, i)]
    return pieces, len(layers)


def _require_one_logit(D: Network) -> None:
    try:
        y = D(np.zeros((1, 1), dtype=D.dtype))
    except ValueError as error:
        raise NotCertifiable(f"D does not read one number an example ({error}); expected x of shape (N, 1)") from None
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
    """Return x W + b for units that are lines."""
    W = weights["W"]
    b = weights.get("b", [Fraction(0)] * len(W[0]))
    return tuple(
        (
            sum((line[0] * row[o] for line, row in zip(units, W, strict=True)), Fraction(0)),
            sum((line[1] * row[o] for line, row in zip(units, W, strict=True)), b[o]),
        )
        for o in range(len(b))
    )


def _at(line: Line, x: Fraction) -> Fraction:
    return line[0] * x + line[1]


def _highest(lines: Units, x: Fraction) -> Line:
    return max(lines, key=lambda line: _at(line, x))


def _root(a: Line, b: Line) -> list[Fraction]:
    """Return where two lines cross; an empty list if they are parallel."""
    return [(b[1] - a[1]) / (a[0] - b[0])] if a[0] != b[0] else []


def _apply(layer: Layer, weights: Weights, piece: Piece, i: int) -> list[Piece]:
    """Return the pieces on which a piecewise affine layer, applied to the units of a piece, is affine."""
    units = piece.units
    if isinstance(layer, IDENTITY):
        return [piece]
    if isinstance(layer, mg.Dense):
        return [Piece(piece.low, piece.high, _affine(weights, units))]
    if isinstance(layer, mg.Maxout):
        lines = _affine(weights, units)
        P = layer.pieces
        groups = [lines[k : k + P] for k in range(0, len(lines), P)]
        parts = piece.split([r for group in groups for a, b in combinations(group, 2) for r in _root(a, b)])
        return [Piece(part.low, part.high, tuple(_highest(group, part.inside()) for group in groups)) for part in parts]
    if isinstance(layer, mg.ReLU | mg.LeakyReLU):
        slope = Fraction(layer.slope) if isinstance(layer, mg.LeakyReLU) else Fraction(0)
        parts = piece.split([r for line in units for r in _root(line, (Fraction(0), Fraction(0)))])
        return [
            Piece(part.low, part.high, tuple(
                line if _at(line, part.inside()) > 0 else (slope * line[0], slope * line[1]) for line in units
            ))
            for part in parts
        ]  # fmt: skip
    raise NotCertifiable(f"layer {i} of D is {layer}, before a layer with kinks; expected {EXPECTED}")


Step = Callable[[list[Any], bool], list[Any]]


def _analytic(layer: Layer, weights: Weights, i: int) -> Step:
    """Return an analytic layer as a function of a list of balls, complex balls or Taylor series."""
    if isinstance(layer, IDENTITY):
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
    raise NotCertifiable(f"layer {i} of D is {layer}; expected {EXPECTED}")


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
    log2_above = Fraction(7, 10)
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
            h = [(x[0] + log2_above, x[1]) for x in h]  # log(1 + e^u) <= |u| + log 2
        elif isinstance(layer, mg.LeakyReLU):
            factor = max(Fraction(1), abs(Fraction(layer.slope)))
            h = [(factor * x[0], factor * x[1]) for x in h]
    return ball(h[0][0]).upper(), ball(h[0][1]).upper()
