"""The figures of the recipe `gaussian`: a frame of its animation, and Figure 1 of the 2014 paper."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from minigan._deprecated import renamed_arguments
from minigan._matplotlib import Axes, Figure
from minigan.data.toy import Gaussian
from minigan.metrics import optimal_discriminator
from minigan.plots import palette

Floats = NDArray[np.float64]
ARROW_Z = ndtri((np.arange(11) + 0.5) / 11)  # equally likely z: the medians of eleven equal parts of N(0, 1)


@dataclass(frozen=True)
class Axis:
    """The interval of x that the figures show, and its unit, 1/19 of the interval.

    For N(0, 1) -> N(4, 2^2) the interval is (-8, 11), the unit is 1, and the bins have the width 0.5.  For other
    data the interval is wider.

    Parameters
    ----------
    low, high : float
        The ends.

    """

    low: float
    high: float

    @classmethod
    def of(cls, data: Gaussian) -> "Axis":
        """Return an axis that shows N(0, 1) and the data."""
        return cls(min(-8.0, data.mu - 4 * data.sigma), max(11.0, data.mu + 3.5 * data.sigma))

    @property
    def unit(self) -> float:
        """The unit of `xs` and `bins`, 1/19 of the interval."""
        return (self.high - self.low) / 19

    @property
    def xs(self) -> Floats:
        """The points x (190,) at which D is drawn."""
        return np.linspace(self.low, self.high, 190, endpoint=False)

    @property
    def bins(self) -> list[float]:
        """The edges of the bins, which are the same for both histograms, so that their heights can be compared."""
        return [self.low + self.unit / 2 * k for k in range(-16, 65)]


@dataclass(frozen=True)
class Snapshot:
    """The state of the game in one frame: G(z) = a z + b with z ~ N(0, 1), the data, samples of both, and D.

    Parameters
    ----------
    iteration, of : int
        The number of the iteration, and of all iterations.
    a, b : float
        The parameters of G.
    data : Gaussian
        The distribution of the data.
    fake, real : array (n,)
        Samples of G, and examples.
    d : array (190,)
        D(x) at ``axis.xs``.

    """

    iteration: int
    of: int
    a: float
    b: float
    data: Gaussian
    fake: Floats
    real: Floats
    d: Floats

    @property
    def axis(self) -> Axis:
        """The axis of the data."""
        return Axis.of(self.data)

    @property
    def generator(self) -> Gaussian | None:
        """p_g = N(b, a^2); None if a = 0, as a point mass has no density."""
        return Gaussian(self.b, abs(self.a)) if self.a != 0 else None

    @property
    def d_star(self) -> Floats | None:
        """D*(x) = p_data / (p_data + p_g) (190,) at ``axis.xs``; None if p_g has no density."""
        return None if self.generator is None else optimal_discriminator(self.data, self.generator, self.axis.xs)


@renamed_arguments(moment="frame")
def training_frame(frame: Snapshot) -> Figure:
    """Draw histograms of fake and real samples, D(x), and the analytic D*(x).

    Parameters
    ----------
    frame : Snapshot
        The state of the game.

    Returns
    -------
    matplotlib.figure.Figure
        The figure; the axis of the counts fits 1000 samples of each kind.

    """
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    counts = figure.subplots()
    axis, alpha = frame.axis, palette.SAMPLES_ALPHA
    counts.hist(frame.real, bins=axis.bins, alpha=alpha, color=palette.DATA, label="real, $p_{data}$")
    counts.hist(frame.fake, bins=axis.bins, alpha=alpha, color=palette.GENERATOR, label="fake, $p_g$")
    counts.set_ylim(0, 280)
    counts.set_xlim(axis.xs[0], axis.xs[-1])  # D covers the axis
    counts.set_ylabel("samples per bin")
    counts.set_xlabel("x")
    probability = counts.twinx()
    _discriminators(probability, frame)
    probability.set_ylim(0, 280 / 250)  # the document draws 250 D(x) on the axis of the counts
    probability.set_yticks([0, 0.5, 1])
    probability.set_ylabel("probability of real")
    _legend(figure, counts, probability)
    figure.suptitle(f"Iteration: [{frame.iteration} / {frame.of}]", fontsize="medium")
    return figure


def _discriminators(axes: Axes, frame: Snapshot) -> None:
    """Draw D and, if it exists, D*."""
    axes.plot(frame.axis.xs, frame.d, color=palette.D, label="D(x)")
    if frame.d_star is not None:
        axes.plot(frame.axis.xs, frame.d_star, color=palette.D_STAR, linestyle="--", linewidth=1, label="D*(x)")


def _legend(figure: Figure, *axes: Axes) -> None:
    """Add one legend for all curves, below the axes, where it covers none of them."""
    handles = [handle for one in axes for handle in one.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize="small", frameon=False)


@renamed_arguments(moments="frames")
def figure_1(frames: Sequence[Snapshot]) -> Figure:
    """Draw Figure 1 of Goodfellow et al. 2014 for N(0, 1) -> the data, with a panel for each frame.

    A panel shows the densities of the data and of the generator, D and, dashed, D*, and below them the map x = G(z) as
    arrows from equally likely z to x.

    Parameters
    ----------
    frames : sequence of Snapshot
        The states of the game, at least one.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    """
    figure = Figure(figsize=(3.4 * len(frames), 4), layout="constrained")
    panels = figure.subplots(2, len(frames), height_ratios=[3, 1], squeeze=False)
    axis = frames[0].axis
    limits = axis.low + 3 * axis.unit, axis.high
    x = np.linspace(*limits, 400)
    peaks = [float(p.pdf(p.mu)) for m in frames for p in (m.data, m.generator) if p is not None]
    highest = min(1.1 * max(peaks), 1.0)
    for column, frame in enumerate(frames):
        top, bottom = panels[:, column]
        top.plot(x, frame.data.pdf(x), color=palette.DATA, label="$p_{data}$")
        if frame.generator is not None:
            top.plot(x, frame.generator.pdf(x), color=palette.GENERATOR, label="$p_g$")
        top.set_ylim(0, highest)
        top.set_xlim(limits)
        top.set_title(f"iteration {frame.iteration}", fontsize="medium")
        right = top.twinx()
        _discriminators(right, frame)
        right.set_ylim(0, 1.05)
        right.set_yticks([0, 0.5, 1])
        if column:
            top.set_yticklabels([])
        else:
            top.set_ylabel("density")
        if column == len(frames) - 1:
            right.set_ylabel("probability of real")
            _legend(figure, top, right)
        else:
            right.set_yticklabels([])
        for z in ARROW_Z:
            bottom.annotate(
                "",
                xy=(frame.a * z + frame.b, 1),
                xytext=(z, 0),
                arrowprops={"arrowstyle": "->", "lw": 0.8, "color": palette.GENERATOR},
            )
        bottom.set_xlim(limits)
        bottom.set_ylim(-0.05, 1.05)
        bottom.set_yticks([0, 1], ["z", "x"])
        for side in ("left", "right"):
            bottom.spines[side].set_visible(False)
    return figure
