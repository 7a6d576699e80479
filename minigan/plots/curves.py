"""Curves over the iterations."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from minigan.training.experiment import Metrics


def loss_curves(history: Sequence[Metrics]) -> Figure:
    """Return D's and G's losses, and below them D(x), D(G(z)) and the accuracy, over the iterations."""
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    losses, outputs = figure.subplots(2, 1, sharex=True)
    iterations = range(1, len(history) + 1)
    for axes, names in (
        (losses, {"d_loss": "D loss", "g_loss": "G loss"}),
        (outputs, {"d_real": "D(x)", "d_fake": "D(G(z))", "accuracy": "accuracy of D"}),
    ):
        for name, label in names.items():
            axes.plot(iterations, [m[name] for m in history], label=label, linewidth=0.8)
        axes.legend(loc="upper right")
        axes.grid(alpha=0.3)
    losses.set_ylabel("loss (nats)")
    outputs.set_ylim(0, 1)
    outputs.set_xlabel("iteration")
    return figure
