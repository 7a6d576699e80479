"""Figures are drawn from the numbers they show."""

import numpy as np
import pytest
from PIL import Image

from minigan import plots
from minigan.data import Gaussian
from minigan.plots.gaussian import ARROW_Z, Axis
from minigan.plots.write import rasterise


def moment(iteration=3, a=1.5, b=2.0):
    rng = np.random.default_rng(0)
    z = rng.standard_normal(1000)
    return plots.Snapshot(
        iteration, 10, a, b, Gaussian(4, 2), a * z + b, 4 + 2 * rng.standard_normal(1000), np.full(190, 0.3)
    )


def curves(figure):
    return {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}


def test_the_frame_shows_both_histograms_d_and_d_star():
    figure = plots.training_frame(moment())
    bars = sum(patch.get_height() for patch in figure.axes[0].patches)
    assert bars == 2000  # every sample of both kinds
    drawn = curves(figure)
    np.testing.assert_array_equal(drawn["D(x)"].get_ydata(), 0.3)
    xs = np.arange(-80, 110) / 10
    np.testing.assert_allclose(drawn["D(x)"].get_xdata(), xs, atol=1e-12)
    p, q = Gaussian(4, 2).pdf(xs), Gaussian(2, 1.5).pdf(xs)
    np.testing.assert_allclose(drawn["D*(x)"].get_ydata(), p / (p + q), rtol=1e-9)
    assert figure.axes[0].get_xlim() == pytest.approx((-8, 10.9))  # D is drawn over the whole axis
    assert figure.get_suptitle() == "Iteration: [3 / 10]"


@pytest.mark.parametrize(("mu", "sigma"), [(40, 2), (-20, 1), (0, 30)])
def test_the_figures_show_other_data_whole(mu, sigma):
    data, rng = Gaussian(mu, sigma), np.random.default_rng(0)
    fake, real = rng.standard_normal(1000), data.sample(1000, rng)
    axis = Axis.of(data)
    assert axis.xs.min() <= min(-3, mu - 3 * sigma)
    assert axis.xs.max() >= max(3, mu + 3 * sigma)
    one = plots.Snapshot(3, 10, 1.0, 0.0, data, fake, real, np.full(190, 0.3))
    frame = plots.training_frame(one)
    assert sum(patch.get_height() for patch in frame.axes[0].patches) == 2000
    low, high = frame.axes[0].get_xlim()
    assert low < min(0, mu) <= max(0, mu) < high
    assert plots.figure_1([one]).axes[0].get_xlim()[1] > mu


def test_the_arrows_of_figure_1_start_at_equally_likely_z():
    from scipy.stats import norm

    np.testing.assert_allclose(norm.cdf(ARROW_Z), (2 * np.arange(11) + 1) / 22, rtol=1e-12)


def test_a_point_mass_has_no_density_to_draw():
    assert "D*(x)" not in curves(plots.training_frame(moment(a=0.0)))
    assert plots.figure_1([moment(a=0.0)]).axes


def test_figure_1_has_a_panel_and_arrows_for_each_moment():
    figure = plots.figure_1([moment(k, a=1.0 + k, b=k) for k in range(4)])
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [f"iteration {k}" for k in range(4)]
    arrows = [t for axes in figure.axes for t in axes.texts]
    assert len(arrows) == 44
    z_to_x = {(round(t.xyann[0], 6), round(t.xy[0], 6)) for t in arrows[11:22]}
    assert all(x == pytest.approx(2 * z + 1, abs=1e-5) for z, x in z_to_x)


def test_loss_curves():
    history = [{"d_loss": k, "g_loss": 2 * k, "d_real": 0.1, "d_fake": 0.2, "accuracy": 0.3} for k in range(5)]
    drawn = curves(plots.loss_curves(history))
    np.testing.assert_array_equal(drawn["G loss"].get_ydata(), [0, 2, 4, 6, 8])
    np.testing.assert_array_equal(drawn["G loss"].get_xdata(), [1, 2, 3, 4, 5])


@pytest.mark.parametrize("n", [1, 6, 20])
def test_iterations_are_whole_numbers_on_the_axes(n):
    history = [dict.fromkeys(("d_loss", "g_loss", "d_real", "d_fake", "accuracy", "modes", "reverse_kl"), 0.5)] * n
    for figure in (plots.loss_curves(history), plots.mode_curves(history)):
        low, high = figure.axes[-1].get_xlim()
        ticks = [tick for tick in figure.axes[-1].get_xticks() if low <= tick <= high]
        assert ticks
        assert all(tick == int(tick) for tick in ticks)


def test_losses_have_no_unit_because_not_all_objectives_are_in_nats():
    history = [{"d_loss": -3.0, "g_loss": 5.0, "d_real": 0.1, "d_fake": 0.2, "accuracy": 0.3}]
    assert plots.loss_curves(history).axes[0].get_ylabel() == "loss"


def test_the_nearest_neighbours_stand_apart_at_the_right():
    samples, nearest = np.zeros((6, 4, 5, 1)), np.full((2, 4, 5, 1), 0.4)
    sheet = np.asarray(plots.neighbour_grid(samples, nearest, rows=2, columns=3, margin=16))
    grid = np.asarray(plots.image_grid(samples, rows=2, columns=3))
    np.testing.assert_array_equal(sheet[:, : grid.shape[1]], grid)
    assert (sheet[:, grid.shape[1] : grid.shape[1] + 16] == 255).all()
    np.testing.assert_array_equal(
        sheet[:, grid.shape[1] + 16 :], np.asarray(plots.image_grid(nearest, rows=2, columns=1))
    )


class TestImageGrid:
    def test_pixels_are_where_they_belong(self):
        images = np.zeros((4, 2, 3, 1))
        images[1] = 1.0  # second in the first row
        images[2, 0, 0] = 0.5
        sheet = np.asarray(plots.image_grid(images, rows=2, columns=2, gap=1, enlarge=1))
        assert sheet.shape == (5, 7)
        assert (sheet[0:2, 4:7] == 255).all()
        assert sheet[3, 0] == 128
        assert (sheet[2] == 255).all()

    def test_colour_and_enlargement(self):
        sheet = plots.image_grid(np.zeros((2, 4, 4, 3)), rows=1, columns=2, gap=0, enlarge=3)
        assert (sheet.mode, sheet.size) == ("RGB", (24, 12))

    @pytest.mark.parametrize("shape", [(4, 2, 3), (4, 2, 3, 2), (3, 2, 3, 1)])
    def test_errors(self, shape):
        with pytest.raises(ValueError, match="images has"):
            plots.image_grid(np.zeros(shape), rows=2, columns=2)


def test_png_and_gif_are_written_whole(tmp_path):
    plots.save(plots.training_frame(moment()), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (1024, 640)
    frames = [rasterise(plots.training_frame(moment(k, b=float(k)))) for k in range(3)]
    with Image.open(plots.save_gif(frames, tmp_path / "a.gif")) as gif:
        assert (gif.n_frames, gif.size) == (3, (704, 440))
    with pytest.raises(ValueError, match="frames is empty"):
        plots.save_gif([], tmp_path / "b.gif")
    assert {p.name for p in tmp_path.iterdir()} == {"a.png", "a.gif"}
