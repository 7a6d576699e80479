"""Loss curves, and histograms of D(x)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from minigan._matplotlib import Figure, MaxNLocator
from minigan.plots import palette
from minigan.training.experiment import Metrics

Floats = NDArray[np.float64]


def running_mean(x: Floats, window: int) -> Floats:
    """Return the mean of each `window` consecutive numbers.

    Parameters
    ----------
    x : array (n,)
        The numbers.
    window : int
        In 1 ... n.

    Returns
    -------
    array (n - window + 1,)
        The means.

    Examples
    --------
    >>> running_mean(np.array([1.0, 2.0, 3.0, 6.0]), 2)
    array([1.5, 2.5, 4.5])

    """
    return np.convolve(x, np.full(window, 1 / window), mode="valid")


def loss_curves(history: Sequence[Metrics]) -> Figure:
    """Draw the losses of D and G and, below them, D(x), D(G(z)) and the accuracy, over the iterations.

    Pale curves are the values of all iterations, solid ones their running mean over a hundredth of the run.

    Parameters
    ----------
    history : sequence of dict
        The metrics of iterations 1, 2, ..., as `Run.history` has them.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    """
    figure = Figure(figsize=(7.5, 5.5), layout="constrained")
    losses, outputs = figure.subplots(2, 1, sharex=True)
    iterations = np.arange(1, len(history) + 1)
    window = max(1, len(history) // 100)
    for axes, names in (
        (losses, {"d_loss": ("D loss", palette.D), "g_loss": ("G loss", palette.GENERATOR)}),
        (
            outputs,
            {
                "d_real": ("D(x)", palette.DATA),
                "d_fake": ("D(G(z))", palette.GENERATOR),
                "accuracy": ("accuracy of D", palette.D),
            },
        ),
    ):
        for name, (label, colour) in names.items():
            values = np.array([m[name] for m in history])
            axes.plot(iterations, values, color=colour, linewidth=0.5, alpha=0.25)
            mean = running_mean(values, window)
            axes.plot(iterations[(window - 1) // 2 :][: len(mean)], mean, color=colour, linewidth=1.2, label=label)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
        axes.grid(alpha=0.3)
    losses.set_ylabel("loss")
    outputs.set_ylabel("probability, fraction")
    outputs.set_ylim(0, 1)
    outputs.set_xlabel("iteration")
    outputs.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def judgement_histograms(real: Floats, fake: Floats) -> Figure:
    """Draw histograms of D(x) for real examples and for samples of G.

    Parameters
    ----------
    real, fake : array (N,), (M,)
        D(x) of the real examples and of the samples, in [0, 1].

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    """
    figure = Figure(figsize=(6.5, 4), layout="constrained")
    axes = figure.subplots()
    bins = [k / 25 for k in range(26)]
    for values, label, colour in ((real, "real", palette.DATA), (fake, "fake", palette.GENERATOR)):
        weights = np.full(len(values), 1 / len(values))
        axes.hist(values, bins=bins, weights=weights, alpha=palette.SAMPLES_ALPHA, color=colour, label=label)
    axes.axvline(0.5, color=palette.REFERENCE, linestyle=":", linewidth=1)
    axes.set_title("D(x) of real examples and of samples of G", fontsize="medium")
    axes.set_xlim(0, 1)
    axes.set_xlabel("D(x)")
    axes.set_ylabel("fraction of examples")
    axes.legend(frameon=False)
    return figure
