"""The figure of a trained discriminator: D and D* over the densities, and where V(D) is below V(D*)."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from flint import arb
from numpy.typing import NDArray
from scipy.optimize import brentq

from minigan._matplotlib import Figure, FigureCanvasSVG
from minigan.plots import palette, save
from minigan.training.files import PathLike, atomic_write
from verify.densities import Density
from verify.trained.pair import Optimality

Floats = NDArray[np.float64]
TAIL_MASS = 1e-5  # of each density beyond each end of the figure


def figure(found: Optimality, *, points: int = 600) -> Figure:
    """Plot D and D* over the densities, and below them the integrand (p + q) KL(D* || D) of V(D*) - V(D).

    Parameters
    ----------
    found : Optimality
        A certified pair.
    points : int
        The number of points of each curve; by default 600, about the width of the figure in pixels.

    Returns
    -------
    Figure
        A figure of matplotlib.

    """
    x = _window(found, points)
    p, q = found.p.pdf(x), found.q.pdf(x)
    s = np.array([float(found.D.logit(arb(v), Fraction(v))) for v in x.tolist()])
    best = found.p.logpdf(x) - found.q.logpdf(x)
    lacking = p * (_softplus(-s) - _softplus(-best)) + q * (_softplus(s) - _softplus(best))
    picture = Figure(figsize=(7, 5.2), layout="constrained")
    top, bottom = picture.subplots(2, 1, sharex=True, height_ratios=[3, 1.4])
    top.fill_between(x, p, alpha=palette.SAMPLES_ALPHA, color=palette.DATA, label="$p_{data}$", linewidth=0)
    top.fill_between(x, q, alpha=palette.SAMPLES_ALPHA, color=palette.GENERATOR, label="$p_g$", linewidth=0)
    top.set_ylabel("density")
    top.set_ylim(bottom=0)
    right = top.twinx()
    right.plot(x, np.exp(-_softplus(-best)), color=palette.D_STAR, linestyle="--", linewidth=1, label="$D^*$")
    right.plot(x, np.exp(-_softplus(-s)), color=palette.D, label="D")
    inside = [float(e) for e in found.D.edges if x[0] <= e <= x[-1]]
    right.plot(inside, [0.0] * len(inside), "|", color=palette.D, markersize=9, label="breakpoints" if inside else None)
    right.set_ylim(0, 1.03)  # the same zero as the axis of the densities
    right.set_ylabel("probability of real")
    handles = [*top.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    picture.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize="small", frameon=False)
    bottom.fill_between(x, np.maximum(lacking, 0), color=palette.GAP, alpha=0.7, linewidth=0)
    bottom.set_ylabel("$(p + q)\\,\\mathrm{KL}(D^* \\| D)$")
    bottom.set_xlabel("x")
    bottom.set_ylim(bottom=0)
    bottom.set_title(f"area: V(D*) - V(D) = {found.suboptimality.str(8, radius=False)} nats", fontsize="small")
    top.set_title(
        f"JSD {found.jsd.str(8, radius=False)}    C(G) {found.c.str(8, radius=False)}    "
        f"V(D) {found.value.str(8, radius=False)}    (nats, all digits certified)",
        fontsize="small",
    )
    return picture


def write(found: Optimality, folder: PathLike, stem: str = "optimality") -> list[Path]:
    """Write the figure as PNG and as SVG.

    Parameters
    ----------
    found : Optimality
        A certified pair.
    folder : str or Path
        An existing folder.
    stem : str
        The files' name without its suffix; by default "optimality".

    Returns
    -------
    list of Path
        The two files.

    """
    picture = figure(found)
    written = [save(picture, Path(folder) / f"{stem}.png")]
    FigureCanvasSVG(picture)
    svg = Path(folder) / f"{stem}.svg"
    written.append(atomic_write(svg, lambda stream: picture.savefig(stream, format="svg", metadata={"Date": None})))
    return written


def _softplus(s: Floats) -> Floats:
    return np.maximum(s, 0) + np.log1p(np.exp(-np.abs(s)))


def _window(found: Optimality, points: int) -> Floats:
    """Return equidistant points between the outer quantiles of both densities."""
    ends = [_quantile(density, u) for density in (found.p, found.q) for u in (TAIL_MASS, 1 - TAIL_MASS)]
    return np.linspace(min(ends), max(ends), points)


def _quantile(density: Density, u: float) -> float:
    """Return x with P(X <= x) = u."""
    low, high = -1.0, 1.0
    while density.cdf(low) > u:
        low *= 2
    while density.cdf(high) < u:
        high *= 2
    return float(brentq(lambda x: float(density.cdf(x)) - u, low, high))
