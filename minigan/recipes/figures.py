"""The figures of the image recipes: grids of samples during training, and the tutorials' figures at the end."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigan._batch import Batch, take
from minigan.gan import GAN
from minigan.metrics import nearest
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.training.experiment import Callback, Run
from minigan.training.files import RunError

Prepare = Callable[[Array], Array]
MAX_FRAMES = 60
"""The most frames of an animation."""
SHEET = (4, 10)
"""The default rows and columns of the sheet of samples at the end of a run."""


class Samples(Callback):
    """Write grids of samples during training, and a sheet, an animation and loss curves at its end.

    The files are samples_NNNNNN.png (a grid after iteration NNNNNN), samples.gif (at most 60 of these grids, evenly
    spaced), samples.png (the sheet), losses.png and, with `examples`, neighbours.png (samples and their nearest
    training examples).

    Parameters
    ----------
    G : Network
        The generator.
    z : array, shape (N, ...), or tuple
        The noise, the same for all pictures; N >= the pictures of a grid and of the sheet.  For a conditional G, a
        tuple of noise and classes (N,).
    to_images : callable
        ``to_images(G(z))`` returns images (N, H, W, C) in [0, 1].
    every : int
        Iterations between two grids.
    rows, columns : int
        The size of a grid.
    sheet : (int, int)
        The rows and columns of the sheet; (4, 10) by default.
    examples : array, optional
        The training data; without them there is no neighbours.png.
    prepare : callable
        ``prepare(examples)`` converts training data to the range and shape of G(z).

    """

    def __init__(
        self,
        G: Network,
        z: Batch,
        to_images: Callable[[Array], Array],
        *,
        every: int,
        rows: int,
        columns: int,
        sheet: tuple[int, int] = SHEET,
        examples: Array | None = None,
        prepare: Prepare = np.asarray,
    ) -> None:
        self.G, self.z, self.to_images, self.examples, self.prepare = G, z, to_images, examples, prepare
        self.every, self.rows, self.columns, self.sheet = every, rows, columns, sheet
        self.drawn: list[int] = []  # the iterations with a picture in the run folder

    def state(self) -> dict[str, Any]:
        """Return the iterations with a picture."""
        return {"drawn": self.drawn}

    def restore(self, run: Run, state: dict[str, Any]) -> None:
        """Check the grids of the run folder, and remove those that are not part of the restored state.

        A grid whose file is missing is left out of the animation.

        Raises
        ------
        RunError
            If a grid is damaged.

        """
        from minigan import plots

        if run.folder is None:
            return
        for path in run.folder.glob("samples_*.png"):
            number = path.stem.removeprefix("samples_")
            if number.isascii() and number.isdecimal() and int(number) not in state["drawn"]:
                path.unlink()
        for iteration in state["drawn"]:
            path = self._path(run.folder, iteration)
            if path.exists():
                try:
                    plots.read_picture(path)
                except RunError as error:
                    raise RunError(f"{error}; without the file the animation leaves it out") from None
                self.drawn.append(iteration)

    def on_start(self, run: Run) -> None:
        """Draw the untrained generator."""
        if not run.resumed:
            self._draw(run)

    def on_iteration(self, run: Run) -> None:
        """Draw a grid if it is due."""
        if run.iteration % self.every == 0:
            self._draw(run)

    def on_end(self, run: Run) -> None:
        """Draw all samples, their nearest neighbours, the animation and the loss curves."""
        from minigan import plots

        if run.folder is None:
            return
        if run.iteration % self.every:
            self._draw(run)
        rows, columns = self.sheet
        x = self.G(self.z)
        images, title = self.to_images(x), f"samples of G after {run.iteration} iterations"
        picture = plots.image_grid(images, rows=rows, columns=columns, title=title)
        plots.save_picture(picture, run.folder / "samples.png")
        if self.examples is not None:
            index, _ = nearest(x[columns - 1 : rows * columns : columns], self.examples, prepare=self.prepare)
            found = self.to_images(self.prepare(self.examples[index]))
            picture = plots.neighbour_grid(images, found, rows=rows, columns=columns, title=title, label=plots.NEAREST)
            plots.save_picture(picture, run.folder / "neighbours.png")
        self._animate(run.folder)
        if run.history:
            plots.save(plots.loss_curves(run.history), run.folder / "losses.png")

    def _draw(self, run: Run) -> None:
        from minigan.plots import image_grid, save_picture

        if run.folder is None:
            return
        x = self.G(take(self.z, slice(0, self.rows * self.columns)))
        title = f"iteration {run.iteration}"
        picture = image_grid(self.to_images(x), rows=self.rows, columns=self.columns, title=title)
        save_picture(picture, self._path(run.folder, run.iteration))
        self.drawn.append(run.iteration)

    def _animate(self, folder: Path) -> None:
        from minigan import plots

        shown = thinned([path for n in self.drawn if (path := self._path(folder, n)).exists()], MAX_FRAMES)
        frames = [plots.read_picture(path) for path in shown]
        colours = 256 if frames[0].mode == "RGB" else 64  # 64 colours distort photographs
        plots.save_gif(frames, folder / "samples.gif", milliseconds=200, colours=colours)

    def _path(self, folder: Path, iteration: int) -> Path:
        return folder / f"samples_{iteration:06d}.png"


def thinned(frames: Sequence[Any], limit: int) -> list[Any]:
    """Return at most `limit` of the frames, evenly spaced, including the first and the last.

    >>> thinned(range(9), 5)
    [0, 2, 4, 6, 8]
    """
    if len(frames) <= limit:
        return list(frames)
    return [frames[round(k * (len(frames) - 1) / (limit - 1))] for k in range(limit)]


class Interpolation(Callback):
    """Write interpolation.png: G along straight lines between pairs of z (Radford et al. 2016, Figure 4).

    Parameters
    ----------
    G : Network
        The generator.
    z : array, shape (2 R, ...)
        The ends: row r of the picture goes from z_2r to z_2r+1.
    to_images : callable
        ``to_images(G(z))`` returns images (N, H, W, C) in [0, 1].
    columns : int
        The number of images in a row; 9 by default.

    """

    def __init__(self, G: Network, z: Array, to_images: Prepare, *, columns: int = 9) -> None:
        self.G, self.to_images, self.columns = G, to_images, columns
        share = np.linspace(0, 1, columns).reshape(-1, *[1] * (z.ndim - 1))
        lines = [(1 - share) * start + share * end for start, end in zip(z[::2], z[1::2], strict=True)]
        self.z = np.concatenate(lines).astype(z.dtype)

    def on_end(self, run: Run) -> None:
        """Write the figure."""
        from minigan import plots

        if run.folder is not None:
            images = self.to_images(self.G(self.z))
            title = "G along a straight line between two z in each row"
            picture = plots.image_grid(images, rows=len(images) // self.columns, columns=self.columns, title=title)
            plots.save_picture(picture, run.folder / "interpolation.png")


class Judgements(Callback):
    """Write judgements.png: histograms of D(x) of real examples and of samples of G, both in inference mode.

    Parameters
    ----------
    gan : GAN
        The game.
    x_real : array, shape (N, ...)
        Real examples, in the form that D reads.
    z : array, shape (M, ...)
        The noise of the samples.

    """

    def __init__(self, gan: GAN, x_real: Array, z: Array) -> None:
        self.gan, self.x_real, self.z = gan, x_real, z

    def on_end(self, run: Run) -> None:
        """Write the figure."""
        from minigan import plots

        if run.folder is not None:
            real, fake = (self._probability(x) for x in (self.x_real, self.gan.G(self.z)))
            plots.save(plots.judgement_histograms(real, fake), run.folder / "judgements.png")

    def _probability(self, x: Array) -> Array:
        return np.asarray(self.gan.objective.probability(self.gan.D(x)), dtype=float)


class BeforeAndAfter(Callback):
    """Write before.png and after.png: a real image next to G(z) for one z, before and after training.

    Parameters
    ----------
    G : Network
        The generator.
    x_real : array, shape (N, ...)
        Real examples, in the form of G(z); the first one is shown.
    z : array, shape (M, ...)
        Noise, of which the first vector is used.
    to_images : callable
        ``to_images(G(z))`` returns images (N, H, W, C) in [0, 1].

    """

    def __init__(self, G: Network, x_real: Array, z: Array, to_images: Prepare) -> None:
        self.G, self.x_real, self.z, self.to_images = G, x_real[:1], z[:1], to_images

    def on_start(self, run: Run) -> None:
        """Draw the image of the untrained generator."""
        if not run.resumed:
            self._draw(run, "before.png")

    def on_end(self, run: Run) -> None:
        """Draw the image of the trained generator."""
        self._draw(run, "after.png")

    def _draw(self, run: Run, name: str) -> None:
        from minigan import plots

        if run.folder is not None:
            both = self.to_images(np.concatenate([self.x_real, self.G(self.z)]))
            title = f"real | G(z), iteration {run.iteration}"
            plots.save_picture(plots.image_grid(both, rows=1, columns=2, enlarge=4, title=title), run.folder / name)


def image_figures(
    gan: GAN,
    noise: Callable[[int], Array],
    images: Array,
    prepare: Prepare,
    to_images: Prepare,
    *,
    every: int,
    rows: int,
    columns: int,
    sheet: tuple[int, int] = SHEET,
    histogram_examples: int = 500,
) -> list[Callback]:
    """Return the figures of a convolutional recipe: samples with neighbours, an interpolation, histograms of D(x).

    Parameters
    ----------
    gan : GAN
        The game.
    noise : callable
        ``noise(n)`` draws n noise vectors.
    images : array of uint8, shape (N, H, W, C)
        The training images.
    prepare : callable
        ``prepare(images)`` converts training images to the range and shape of G(z).
    to_images : callable
        ``to_images(G(z))`` returns images (N, H, W, C) in [0, 1].
    every, rows, columns, sheet
        As for `Samples`.
    histogram_examples : int
        The number of real examples and of samples in the histograms; 500 by default.

    Returns
    -------
    list of Callback
        The figures.

    """
    shown = noise(sheet[0] * sheet[1])
    return [
        Samples(
            gan.G, shown, to_images, every=every, rows=rows, columns=columns, sheet=sheet,
            examples=images, prepare=prepare,
        ),
        Interpolation(gan.G, noise(8), to_images),
        Judgements(gan, prepare(images[:histogram_examples]), noise(histogram_examples)),
    ]  # fmt: skip
