"""The figures of the image recipes: grids of samples during training, and the documents' figures at the end."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigan.gan import GAN
from minigan.metrics import nearest
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.training.callbacks import Callback
from minigan.training.experiment import Run
from minigan.training.files import RunError

Prepare = Callable[[Array], Array]
MAX_FRAMES = 60  # the most frames of an animation


class Samples(Callback):
    """Sample grids of fixed noise z (N, ...): the first `rows` x `columns` every `every` iterations, all at the end.

    Files: samples_NNNNNN.png, samples.gif (these grids, evenly thinned to 60), samples.png (`sheet`: rows and columns),
    losses.png, and with `examples`, the training data as bytes, neighbours.png: the nearest of them beside the samples.
    `prepare` makes G's kind of images of them.
    """

    def __init__(
        self,
        G: Network,
        z: Array,
        to_images: Callable[[Array], Array],
        *,
        every: int,
        rows: int,
        columns: int,
        sheet: tuple[int, int] = (4, 10),
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
        """Check the pictures; those of later iterations, and of where the run was interrupted, are removed.

        The animation leaves out a picture whose file was removed.
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
        """Draw a grid, where the iteration is due."""
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
        shown = thinned([path for n in self.drawn if (path := self._path(run.folder, n)).exists()], MAX_FRAMES)
        frames = [plots.read_picture(path) for path in shown]
        colours = 256 if frames[0].mode == "RGB" else 64  # 64 colours distort photographs
        plots.save_gif(frames, run.folder / "samples.gif", milliseconds=200, colours=colours)
        if run.history:
            plots.save(plots.loss_curves(run.history), run.folder / "losses.png")

    def _draw(self, run: Run) -> None:
        from minigan.plots import image_grid, save_picture

        if run.folder is None:
            return
        x = self.G(self.z[: self.rows * self.columns])
        title = f"iteration {run.iteration}"
        picture = image_grid(self.to_images(x), rows=self.rows, columns=self.columns, title=title)
        save_picture(picture, self._path(run.folder, run.iteration))
        self.drawn.append(run.iteration)

    def _path(self, folder: Path, iteration: int) -> Path:
        return folder / f"samples_{iteration:06d}.png"


def thinned(frames: Sequence[Any], most: int) -> list[Any]:
    """Return at most `most` of the frames, evenly spaced, with the first and the last.

    >>> thinned(range(9), 5)
    [0, 2, 4, 6, 8]
    """
    if len(frames) <= most:
        return list(frames)
    return [frames[round(k * (len(frames) - 1) / (most - 1))] for k in range(most)]


class Interpolation(Callback):
    """interpolation.png: G along straight lines between pairs of z, one row per pair (Radford et al. 2016, Figure 4).

    z (2 R, ...): row r goes from z_2r to z_2r+1 in `columns` steps.
    """

    def __init__(self, G: Network, z: Array, to_images: Prepare, *, columns: int = 9) -> None:
        self.G, self.to_images, self.columns = G, to_images, columns
        share = np.linspace(0, 1, columns).reshape(-1, *[1] * (z.ndim - 1))
        lines = [(1 - share) * start + share * end for start, end in zip(z[::2], z[1::2], strict=True)]
        self.z = np.concatenate(lines).astype(z.dtype)

    def on_end(self, run: Run) -> None:
        """Draw."""
        from minigan import plots

        if run.folder is not None:
            images = self.to_images(self.G(self.z))
            title = "G along a straight line between two z in each row"
            picture = plots.image_grid(images, rows=len(images) // self.columns, columns=self.columns, title=title)
            plots.save_picture(picture, run.folder / "interpolation.png")


class Judgements(Callback):
    """judgements.png: histograms of D(x) over real examples and over samples of G, both at inference."""

    def __init__(self, gan: GAN, x_real: Array, z: Array) -> None:
        self.gan, self.x_real, self.z = gan, x_real, z

    def on_end(self, run: Run) -> None:
        """Draw."""
        from minigan import plots

        if run.folder is not None:
            real, fake = (self._judge(x) for x in (self.x_real, self.gan.G(self.z)))
            plots.save(plots.judgement_histograms(real, fake), run.folder / "judgements.png")

    def _judge(self, x: Array) -> Array:
        return np.asarray(self.gan.objective.probability(self.gan.D(x)), dtype=float)


class BeforeAndAfter(Callback):
    """before.png and after.png: a real image beside G(z) for one z, before and after training (S5)."""

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


def of_images(
    gan: GAN,
    drawn: Callable[[int], Array],
    images: Array,
    prepare: Prepare,
    to_images: Prepare,
    *,
    every: int,
    rows: int,
    columns: int,
    sheet: tuple[int, int] = (4, 10),
    judged: int = 500,
) -> list[Callback]:
    """Return the figures of a convolutional recipe: samples with their neighbours, interpolation, judgements.

    `drawn(n)` gives n noise vectors; `prepare` makes G's kind of images of the training images, which are bytes.
    """
    shown = drawn(sheet[0] * sheet[1])
    return [
        Samples(
            gan.G, shown, to_images, every=every, rows=rows, columns=columns, sheet=sheet,
            examples=images, prepare=prepare,
        ),
        Interpolation(gan.G, drawn(8), to_images),
        Judgements(gan, prepare(images[:judged]), drawn(judged)),
    ]  # fmt: skip
