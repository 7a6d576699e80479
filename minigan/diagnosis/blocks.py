"""Blocks: the measurements of some successive iterations, summarised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

BLOCKS = 100  # in a run, so that a block is one per cent of it
SMOOTHED_ITERATIONS = 5  # over which D(G(z)) is averaged: the noise of small batches does not look like an oscillation
LOW, HIGH = 0.25, 0.75  # D(G(z)) below LOW: D rejects the fakes; above HIGH: they fool it


@dataclass(frozen=True)
class Block:
    """The measurements of successive iterations.

    Parameters
    ----------
    first, last : int
        The first and the last iteration.
    means : dict of float
        The means of the metrics of a GAN that every iteration has: "d_loss", "g_loss", "d_real", "d_fake", "accuracy".
    g_least, g_most : float
        The least and the greatest J_G; NaN without "g_loss".
    sides : str
        The extremes that D(G(z)) reached, in order and without repetition: "-" for low, "+" for high.
    modes : float, optional
        The last number of modes that was measured in the block (the metric "modes").
    spread : float, optional
        The spread of samples at the end of the block.

    """

    first: int
    last: int
    means: Mapping[str, float]
    g_least: float
    g_most: float
    sides: str
    modes: float | None = None
    spread: float | None = None


NAMES = ("d_loss", "g_loss", "d_real", "d_fake", "accuracy")


def block_length(iterations: int) -> int:
    """Return the number of iterations in a block of a run: a hundredth of it, rounded up.

    >>> block_length(1000), block_length(30)
    (10, 1)
    """
    return -(-iterations // BLOCKS)


def block_of(rows: Sequence[Mapping[str, float]], *, last: int, spread: float | None = None) -> Block:
    """Summarise the metrics of successive iterations, of which `last` is the number of the last one."""
    columns = {
        name: np.array([row[name] for row in rows], dtype=float)
        for name in NAMES
        if all(isinstance(row.get(name), (int, float)) for row in rows)
    }
    g = columns.get("g_loss", np.array([np.nan]))
    modes = [row["modes"] for row in rows if "modes" in row]
    return Block(
        first=last - len(rows) + 1,
        last=last,
        means={name: float(column.mean()) for name, column in columns.items()},
        g_least=float(g.min()),
        g_most=float(g.max()),
        sides=_sides(columns["d_fake"]) if "d_fake" in columns else "",
        modes=float(modes[-1]) if modes else None,
        spread=spread,
    )


def _sides(d_fake: np.ndarray) -> str:
    width = min(SMOOTHED_ITERATIONS, len(d_fake))
    smooth = np.convolve(d_fake, np.full(width, 1 / width), mode="valid")
    return without_repetition("".join("-" if d <= LOW else "+" for d in smooth if d <= LOW or d >= HIGH))


def without_repetition(sides: str) -> str:
    """Return the string without successive equal characters.

    >>> without_repetition("--+++-")
    '-+-'
    """
    return "".join(side for k, side in enumerate(sides) if k == 0 or sides[k - 1] != side)
