"""The figures of the one-dimensional GAN: S1's animation frame and Figure 1 of the 2014 paper."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from minigan.data.toy import Gaussian
from minigan.metrics import optimal_discriminator

Floats = NDArray[np.float64]
XS = np.arange(-8, 11, 0.1)
IN_FRAME = XS < 7.95  # the document draws D on arange(-8, 8, .1)
BINS = [k / 2 for k in range(-32, 49)]  # the same for both histograms, so that their heights compare


@dataclass(frozen=True)
class Snapshot:
    """The game at one moment: G(z) = a z + b with z ~ N(0, 1), the data, samples of both, D on XS."""

    iteration: int
    of: int
    a: float
    b: float
    data: Gaussian
    fake: Floats
    real: Floats
    d: Floats

    @property
    def generator(self) -> Gaussian | None:
        """p_g = N(b, a^2); None where a = 0 (a point mass has no density)."""
        return Gaussian(self.b, abs(self.a)) if self.a != 0 else None

    @property
    def d_star(self) -> Floats | None:
        """D* = p_data / (p_data + p_g) on XS."""
        return None if self.generator is None else optimal_discriminator(self.data, self.generator, XS)


def training_frame(moment: Snapshot) -> Figure:
    """Histograms of 1000 fake and 1000 real samples, D(x), and beside it the analytic D*(x)."""
    figure = Figure(figsize=(5, 3), layout="constrained")
    counts = figure.subplots()
    counts.hist(moment.fake, bins=BINS, alpha=0.3, label="Fake $p_g$")
    counts.hist(moment.real, bins=BINS, alpha=0.3, label="Real $p_d$")
    counts.set_ylim(0, 280)
    counts.set_xlim(-9, 9)
    counts.set_ylabel("samples a bin")
    counts.set_xlabel("x")
    probability = counts.twinx()
    probability.plot(XS[IN_FRAME], moment.d[IN_FRAME], color="tab:green", label="D(x)")
    if moment.d_star is not None:
        probability.plot(
            XS[IN_FRAME], moment.d_star[IN_FRAME], color="black", linestyle="--", linewidth=1, label="D*(x)"
        )
    probability.set_ylim(0, 280 / 250)  # the document draws 250 D(x) on the axis of the counts
    probability.set_yticks([0, 0.5, 1])
    probability.set_ylabel("probability of real")
    handles = [*counts.get_legend_handles_labels()[0], *probability.get_legend_handles_labels()[0]]
    probability.legend(handles=handles, loc="lower left", fontsize="small", framealpha=0.5)
    figure.suptitle(f"Iteration: [{moment.iteration} / {moment.of}]", fontsize="medium")
    return figure


def figure_1(moments: Sequence[Snapshot]) -> Figure:
    """Figure 1 of Goodfellow et al. 2014 for N(0, 1) -> the data, a panel for each moment.

    Dotted: the data density.  Solid: the generator density.  Dashed: D; thin: D*.  Below, the map
    x = G(z) as arrows from equally likely z to x.
    """
    figure = Figure(figsize=(3.1 * len(moments), 3.4), layout="constrained")
    panels = figure.subplots(2, len(moments), height_ratios=[3, 1], squeeze=False)
    x = np.linspace(-5, 11, 400)
    peaks = [float(p.pdf(p.mu)) for m in moments for p in (m.data, m.generator) if p is not None]
    highest = min(1.1 * max(peaks), 1.0)
    quantiles = np.linspace(-1.75, 1.75, 11)
    for column, moment in enumerate(moments):
        top, bottom = panels[:, column]
        top.plot(x, moment.data.pdf(x), "k:", label="$p_{data}$")
        if moment.generator is not None:
            top.plot(x, moment.generator.pdf(x), color="tab:green", label="$p_g$")
        top.set_ylim(0, highest)
        top.set_xlim(-5, 11)
        top.set_title(f"iteration {moment.iteration}", fontsize="medium")
        right = top.twinx()
        right.plot(XS, moment.d, color="tab:blue", linestyle="--", label="D")
        if moment.d_star is not None:
            right.plot(XS, moment.d_star, color="tab:blue", linewidth=0.7, label="D*")
        right.set_ylim(0, 1.05)
        right.set_yticks([0, 0.5, 1])
        if column:
            top.set_yticklabels([])
        else:
            top.set_ylabel("density")
        if column == len(moments) - 1:
            right.set_ylabel("probability of real")
            handles = [*top.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
            right.legend(handles=handles, loc="upper right", fontsize="x-small")
        else:
            right.set_yticklabels([])
        for z in quantiles:
            bottom.annotate(
                "", xy=(moment.a * z + moment.b, 1), xytext=(z, 0), arrowprops={"arrowstyle": "->", "lw": 0.6}
            )
        bottom.set_xlim(-5, 11)
        bottom.set_ylim(-0.05, 1.05)
        bottom.set_yticks([0, 1], ["z", "x"])
        for side in ("left", "right"):
            bottom.spines[side].set_visible(False)
    return figure
