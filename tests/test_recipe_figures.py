"""The figures of the recipes: sample sheets, animations, nearest neighbours, figure 1 of the 2014 paper."""

from types import SimpleNamespace

import numpy as np
from PIL import Image

from minigan import plots
from minigan.plots.images import LINE_PIXELS
from minigan.recipes import get_recipe
from minigan.recipes.figures import Samples, thinned
from minigan.training import train


class TestGaussian:
    def test_its_figures(self, tmp_path):
        recipe = get_recipe("gaussian")
        train(recipe.build(recipe.configure({"iterations": "12", "frames": "4"})), folder=tmp_path)
        assert {p.name for p in tmp_path.glob("*.[pg][ni][gf]")} == {
            "gaussian.png", "gaussian.gif", "figure_1.png", "losses.png"
        }  # fmt: skip
        with Image.open(tmp_path / "gaussian.gif") as gif:
            assert gif.n_frames == 5  # iterations 0, 3, 6, 9, 12

    def test_figure_1_shows_four_moments(self, tmp_path, monkeypatch):
        shown = []
        draw = plots.figure_1
        monkeypatch.setattr(plots, "figure_1", lambda moments: shown.extend(moments) or draw(moments))
        recipe = get_recipe("gaussian")
        train(recipe.build(recipe.configure({"iterations": "12", "frames": "12"})), folder=tmp_path)
        assert [moment.iteration for moment in shown] == [0, 3, 6, 12]


class TestSamples:
    def run(self, images, folder, name, **settings):
        recipe = get_recipe(name)
        texts = {"batch_size": "20", **{key: str(value) for key, value in settings.items()}}
        experiment = recipe.build(recipe.configure(texts))
        train(experiment, folder=folder)
        return experiment.gan.G

    def test_mnist_dense_shows_one_by_four_and_forty_at_the_end(self, images, tmp_path):
        self.run(images, tmp_path, "mnist-dense", iterations=3, sample_every=2)
        grids = sorted(p.name for p in tmp_path.glob("samples_*.png"))
        assert grids == ["samples_000000.png", "samples_000002.png", "samples_000003.png"]
        sizes = {}
        for name in (*grids, "samples.png", "samples.gif"):
            with Image.open(tmp_path / name) as picture:
                sizes[name] = picture.size
        head = LINE_PIXELS + 4  # the line of the title
        one_by_four, four_by_ten = (2 * (4 * 30 - 2), 2 * 28 + head), (2 * (10 * 30 - 2), 2 * (4 * 30 - 2) + head)
        assert set(map(sizes.get, grids)) == {one_by_four}
        assert (sizes["samples.gif"], sizes["samples.png"]) == (one_by_four, four_by_ten)
        with Image.open(tmp_path / "samples.gif") as gif:
            assert gif.n_frames == 3
        assert not (tmp_path / "neighbours.png").exists()

    def test_mnist_maxout_shows_the_nearest_training_image_of_each_rows_last_sample(self, images, tmp_path):
        self.run(images, tmp_path, "mnist-maxout", iterations=1)
        with Image.open(tmp_path / "neighbours.png") as picture:
            sheet = np.asarray(picture)[3 * LINE_PIXELS + 4 :]  # below the label of the neighbours
        with Image.open(tmp_path / "samples.png") as picture:
            np.testing.assert_array_equal(sheet[:, : picture.width], np.asarray(picture)[LINE_PIXELS + 4 :])
        training = images.images[..., 0].astype(float)
        for row in range(4):
            top = 60 * row
            sample, neighbour = (sheet[top : top + 56 : 2, left::2][:, :28].astype(float) for left in (540, 612))
            distances = np.square(training - sample).sum(axis=(1, 2))
            np.testing.assert_array_equal(neighbour, training[distances.argmin()])

    def test_the_animation_is_made_of_the_pictures_in_the_folder_in_their_colours(self, tmp_path):
        """Pictures are not kept in memory: a long run would need a gigabyte."""
        rng = np.random.default_rng(0)
        x = rng.random((6, 16, 16, 3))
        x = np.round(x * 5) / 5  # 216 colours at most
        samples = Samples(lambda z: x, np.zeros((6, 1)), np.asarray, every=1, rows=2, columns=3, sheet=(2, 3))
        run = SimpleNamespace(folder=tmp_path, iteration=0, history=[], resumed=[])
        samples.on_start(run)
        run.iteration = 1
        samples.on_iteration(run)
        with Image.open(tmp_path / "samples_000001.png") as picture:
            shown = picture.copy()
        assert len(shown.getcolors(1000)) > 150
        other = plots.image_grid(1 - x, rows=2, columns=3, title="iteration 0")
        plots.save_picture(other, tmp_path / "samples_000000.png")
        samples.on_end(run)
        with Image.open(tmp_path / "samples.gif") as gif:
            assert gif.n_frames == 2
            first = np.asarray(gif.convert("RGB"), dtype=int)
            gif.seek(1)
            last = np.asarray(gif.convert("RGB"), dtype=int)
        want = np.asarray(shown, dtype=int)
        assert np.abs(last - want).mean() < 1  # about 10 with 64 colours
        assert np.abs(first - last).mean() > 50

    def test_the_animation_is_thinned_not_cut(self):
        frames = thinned(range(1000), 60)
        assert (len(frames), frames[0], frames[-1]) == (60, 0, 999)
        assert set(np.diff(frames)) == {16, 17}
        assert thinned(range(60), 60) == list(range(60))
