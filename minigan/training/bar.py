"""The layout of the progress bar: the longest line that fits the width of the terminal."""

from collections.abc import Sequence
from typing import Any

Metrics = dict[str, float]

GAN_METRICS = ("d_loss", "g_loss", "d_real", "d_fake", "accuracy")
"""The metrics of `minigan.GAN`, which have short labels."""

MIN_CELLS = 4
"""The minimum width of the bar itself, in characters."""

FORMATS = (
    "{l_bar}{bar}{r_bar}",  # the default of tqdm: counts, elapsed and remaining time, rate
    "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]",
    "{l_bar}{bar}| {remaining}{postfix}",
)
"""The formats of a line, the longest first."""


def postfixes(metrics: Metrics) -> list[str]:
    """Return texts with the metrics, to show after the bar, the longest first.

    >>> postfixes({"cycle_loss": 0.25, "distance": 1e-7})
    ['cycle_loss 0.25, distance 1e-07', 'cycle_loss 0.25', '']
    >>> postfixes({"d_loss": 0.693147, "g_loss": 0.7, "d_real": 0.5, "d_fake": 0.5, "accuracy": 0.5})[1]
    'D 0.69 G 0.70 D(x) 0.50 D(G(z)) 0.50 acc 50%'
    """
    m = metrics
    if any(name not in m for name in GAN_METRICS):
        parts = [f"{name} {value:.3g}" for name, value in m.items()]
        return [", ".join(parts[:count]) for count in range(len(parts), -1, -1)]
    losses = f"D {m['d_loss']:.2f} G {m['g_loss']:.2f}"
    return [
        f"D loss {m['d_loss']:.3f} G loss {m['g_loss']:.3f} D(x) {m['d_real']:.3f} "
        f"D(G(z)) {m['d_fake']:.3f} acc {m['accuracy']:.1%}",
        f"{losses} D(x) {m['d_real']:.2f} D(G(z)) {m['d_fake']:.2f} acc {m['accuracy']:.0%}",
        losses,
        "",
    ]


def draw(bar: Any, iteration: int, texts: Sequence[str]) -> None:
    """Draw a tqdm bar with the first of `texts` that fits, in the first format that leaves `MIN_CELLS` for the bar.

    A text takes precedence over a format: the counts and the rate are left out before a metric is.

    Parameters
    ----------
    bar : tqdm.tqdm
        The bar.
    iteration : int
        The number of completed iterations.
    texts : sequence of str
        The texts to choose from, the longest first; the last one is used if none fits.

    """
    bar.n = iteration  # bar.update may draw the bar at once, in the previous layout
    shape = bar.format_dict
    layouts = [(text, line) for text in texts for line in FORMATS]
    fitting = (
        (text, line)
        for text, line in layouts
        if shape["ncols"] is None or _cells_left(bar, shape, line, text) >= MIN_CELLS
    )
    text, bar.bar_format = next(fitting, layouts[-1])
    bar.set_postfix_str(text)


def _cells_left(bar: Any, shape: dict[str, Any], line: str, text: str) -> int:
    """Return how many characters of the terminal's width a format leaves for the bar itself."""
    without_bar = {**shape, "ncols": None, "bar_format": line.replace("{bar}", ""), "postfix": text}
    return int(shape["ncols"]) - len(bar.format_meter(**without_bar))
