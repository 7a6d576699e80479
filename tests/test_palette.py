"""A colour has the same meaning in all figures; figures have titles and labels; axes share their zero."""

import numpy as np
import pytest
from matplotlib.colors import same_color, to_hex
from PIL import Image

from minigan import plots
from minigan.data import Gaussian
from minigan.plots import palette
from minigan.plots.images import LINE_PIXELS, headed
from minigan.plots.write import rasterise

MEANING = {
    "$p_{data}$": palette.DATA, "real, $p_{data}$": palette.DATA, "real": palette.DATA,
    "$p_g$": palette.GENERATOR, "fake, $p_g$": palette.GENERATOR, "fake": palette.GENERATOR,
    "G loss": palette.GENERATOR, "D(G(z))": palette.GENERATOR,
    "D": palette.D, "D(x)": palette.D, "D loss": palette.D, "accuracy of D": palette.D, "breakpoints": palette.D,
    "D*(x)": palette.D_STAR, "$D^*$": palette.D_STAR,
}  # fmt: skip


def moment(iteration=3, a=1.5, b=2.0):
    rng = np.random.default_rng(0)
    z = rng.standard_normal(1000)
    return plots.Snapshot(
        iteration, 10, a, b, Gaussian(4, 2), a * z + b, 4 + 2 * rng.standard_normal(1000), np.full(190, 0.3)
    )


def losses():
    names = ("d_loss", "g_loss", "d_real", "d_fake", "accuracy")
    return plots.loss_curves([dict.fromkeys(names, k / 9) for k in range(9)])


FIGURES = {
    "frame": lambda: plots.training_frame(moment()),
    "figure_1": lambda: plots.figure_1([moment(k, b=float(k)) for k in range(3)]),
    "losses": losses,
    "judgements": lambda: plots.judgement_histograms(np.full(5, 0.9), np.full(7, 0.2)),
}


def drawn(figure):
    """Label and colour of each labelled element."""
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            one = handle[0] if hasattr(handle, "patches") else handle
            colour = one.get_color() if hasattr(one, "get_color") else one.get_facecolor()
            yield label, to_hex(np.ravel(colour)[:3] if not isinstance(colour, str) else colour)


def test_the_colours_differ():
    colours = [palette.DATA, palette.GENERATOR, palette.D, palette.D_STAR, palette.GAP, palette.REFERENCE]
    assert len({to_hex(colour) for colour in colours}) == len(colours)


@pytest.mark.parametrize("name", FIGURES)
def test_each_colour_has_its_meaning(name):
    found = list(drawn(FIGURES[name]()))
    assert found
    for label, colour in found:
        want = palette.DATA if (name, label) == ("losses", "D(x)") else MEANING[label]  # here over real examples
        assert same_color(colour, want), label


def test_the_figure_of_verify_has_the_same_colours(monkeypatch):
    pytest.importorskip("flint")
    from types import SimpleNamespace

    from verify.densities import Normal
    from verify.trained import plot

    number = SimpleNamespace(str=lambda *a, **k: "0.1")
    D = SimpleNamespace(logit=lambda ball, x: float(x) / 4, edges=[0])
    found = SimpleNamespace(
        p=Normal(4, 2), q=Normal(0, 1), D=D, suboptimality=number, jsd=number, c=number, value=number
    )
    figure = plot.figure(found, points=20)
    labels = dict(drawn(figure))
    assert {"$p_{data}$", "$p_g$", "$D^*$", "D"} <= set(labels)
    for label, colour in labels.items():
        assert same_color(colour, MEANING[label]), label
    top, right = (next(a for a in figure.axes if a.get_ylabel() == y) for y in ("density", "probability of real"))
    assert top.get_ylim()[0] == right.get_ylim()[0] == 0
    rasterise(figure)
    (legend,) = legends(figure)
    assert not any(legend.get_window_extent().overlaps(axes.bbox) for axes in figure.axes)


def legends(figure):
    return [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]


@pytest.mark.parametrize("name", ["frame", "figure_1"])
def test_the_legend_covers_no_curve_and_both_axes_begin_at_zero(name):
    figure = FIGURES[name]()
    rasterise(figure)
    (legend,) = legends(figure)
    box = legend.get_window_extent()
    assert not any(box.overlaps(axes.bbox) for axes in figure.axes)
    for axes in figure.axes:
        if axes.get_ylabel() in ("density", "samples per bin", "probability of real"):
            assert axes.get_ylim()[0] == 0


def test_d_is_drawn_from_end_to_end_of_the_axis():
    figure = plots.training_frame(moment())
    low, high = figure.axes[0].get_xlim()
    for line in figure.axes[1].get_lines():
        x = line.get_xdata()
        assert (x[0], x[-1]) == pytest.approx((low, high))


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_a_thousand_pixels_or_more(name, tmp_path):
    with Image.open(plots.save(FIGURES[name](), tmp_path / "a.png")) as picture:
        assert picture.width >= 1000
        assert picture.height >= 600


class TestHeads:
    def test_the_title_is_above_the_grid_which_is_as_it_was(self):
        images = np.random.default_rng(0).random((4, 28, 28, 1))
        bare = np.asarray(plots.image_grid(images, rows=2, columns=2))
        sheet = np.asarray(plots.image_grid(images, rows=2, columns=2, title="samples"))
        head = sheet[: LINE_PIXELS + 4]
        assert (head == 255).any()
        assert (head < 128).any()
        np.testing.assert_array_equal(sheet[LINE_PIXELS + 4 :], bare)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_the_label_is_above_the_neighbours(self, channels):
        samples, near = np.ones((6, 28, 28, channels)), np.ones((2, 28, 28, channels))
        bare = np.asarray(plots.neighbour_grid(samples, near, rows=2, columns=3))
        sheet = np.asarray(plots.neighbour_grid(samples, near, rows=2, columns=3, label=plots.NEAREST))
        height = 3 * LINE_PIXELS + 4
        np.testing.assert_array_equal(sheet[height:, : bare.shape[1]], bare)
        left = 2 * (3 * 30 - 2) + 16
        assert (sheet[:height, :left] == 255).all()
        for k in range(3):
            assert (sheet[k * LINE_PIXELS : (k + 1) * LINE_PIXELS, left:] < 128).any()

    def test_a_sheet_is_as_wide_as_its_title(self):
        narrow = Image.new("L", (4, 4), "black")
        wide = np.asarray(headed(narrow, [(0, "a title that is wider than the picture")]))
        assert wide.shape[1] > 100
        np.testing.assert_array_equal(wide[-4:, :4], 0)
        assert (wide[-4:, 4:] == 255).all()
