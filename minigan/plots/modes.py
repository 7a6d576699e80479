"""The modes that a generator finds and its reverse KL divergence, over the iterations of a run."""

from collections.abc import Sequence

from minigan._matplotlib import Figure, MaxNLocator
from minigan.plots import palette
from minigan.training.experiment import Metrics


def mode_curves(history: Sequence[Metrics], *, modes: int = 1000) -> Figure:
    """Draw the number of modes and, below it, the reverse KL divergence, where they were measured.

    Parameters
    ----------
    history : sequence of dict
        The metrics of iterations 1, 2, ..., some of which have "modes" and "reverse_kl".
    modes : int
        The number of modes of the data, which a dotted line shows; 1000, as of stacked digits, by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    """
    figure = Figure(figsize=(6.5, 4.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    measured = [(t, metrics) for t, metrics in enumerate(history, start=1) if "modes" in metrics]
    iterations = [t for t, _ in measured]
    for axes, name, label, colour in (
        (above, "modes", "modes", palette.GENERATOR),
        (below, "reverse_kl", "reverse KL (nats)", palette.D),
    ):
        axes.plot(iterations, [metrics[name] for _, metrics in measured], color=colour, marker=".", linewidth=1.2)
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    above.axhline(modes, color=palette.REFERENCE, linestyle=":", linewidth=1)
    above.set_ylim(0, 1.05 * modes)
    below.set_yscale("log")
    below.set_xlabel("iteration")
    below.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure
