"""Figures of translations between two domains: both directions and both ways back, and the costs of four players."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from minigan._matplotlib import Figure
from minigan.plots import palette
from minigan.plots.curves import running_mean
from minigan.training.experiment import Metrics

Floats = NDArray[np.floating]

LABEL_COLOURS = (palette.GENERATOR, palette.DATA, palette.D, palette.GAP)
"""The colours of the labels of points."""
COSTS = {
    "d_loss": ("D_A and D_B", palette.D),
    "g_loss": ("G_AB and G_BA, adversarial", palette.GENERATOR),
    "cycle_loss": ("cycle", palette.GAP),
    "identity_loss": ("identity", palette.REFERENCE),
}


def point_translations(
    x: Floats, labels: tuple[NDArray[np.int64], NDArray[np.int64]], rows: Sequence[str], *, title: str = ""
) -> Figure:
    """Draw translations of points of the plane; each point has the colour of the label with which it began.

    Parameters
    ----------
    x : array (6, N, 2)
        Examples of A, their translations and these translated back, then the same of B.
    labels : (array of int (N,), array of int (N,))
        The labels of the examples of A and of B, in 0 ... 3.
    rows : sequence of str
        The titles of the six parts.
    title : str
        The title of the figure; by default there is none.

    Returns
    -------
    matplotlib.figure.Figure
        A row with three panels for each direction.  All panels of one domain have the same axes.

    """
    figure = Figure(figsize=(8, 5.4), layout="constrained")
    panels = figure.subplots(2, 3).ravel()
    colours = np.array(LABEL_COLOURS)
    for k, (axes, points) in enumerate(zip(panels, x, strict=True)):
        of_a = k in (0, 2, 4)  # whether the panel shows the domain A
        start = x[0 if of_a else 3]
        low, high = start.min(axis=0), start.max(axis=0)
        margin = 0.25 * (high - low).max()
        axes.scatter(*points.T, c=colours[labels[k // 3]], s=5, linewidths=0, alpha=palette.SAMPLES_ALPHA)
        axes.set_xlim(low[0] - margin, high[0] + margin)
        axes.set_ylim(low[1] - margin, high[1] + margin)
        axes.set_aspect("equal")
        axes.set_title(rows[k], fontsize="medium")
    if title:
        figure.suptitle(title, fontsize="medium")
    return figure


def cost_curves(history: Sequence[Metrics]) -> Figure:
    """Draw the costs of a CycleGAN over the iterations, in one panel each.

    Pale curves are the values of all iterations, solid ones their running mean over a hundredth of the run.

    Parameters
    ----------
    history : sequence of dict
        The metrics of iterations 1, 2, ..., with "d_loss", "g_loss", "cycle_loss" and "identity_loss".

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    """
    figure = Figure(figsize=(7.5, 5.5), layout="constrained")
    iterations = np.arange(1, len(history) + 1)
    window = max(1, len(history) // 100)
    for axes, (name, (label, colour)) in zip(figure.subplots(2, 2, sharex=True).ravel(), COSTS.items(), strict=True):
        values = np.array([metrics[name] for metrics in history])
        axes.plot(iterations, values, color=colour, linewidth=0.5, alpha=0.25)
        mean = running_mean(values, window)
        axes.plot(iterations[(window - 1) // 2 :][: len(mean)], mean, color=colour, linewidth=1.2)
        axes.set_title(label, fontsize="medium")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    return figure
