"""What the image recipes share: the data, the sample grids, the animation, the sheets at the end."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.data import load, unit_interval
from minigan.metrics import nearest
from minigan.network import Network
from minigan.ops import Array
from minigan.recipes.base import Setting
from minigan.training.callbacks import Callback
from minigan.training.experiment import Run

SIDE = 28
PIXELS = SIDE * SIDE


def training_pixels(data: str, setting: Setting, dtype: Any, *, stop: int | None = None) -> Array:
    """Return the training images (the first `stop` of them) as x / 255, (N, 784)."""
    return unit_interval(load(data, "train", data_dir=setting.data_dir).images[:stop], str(dtype))


FRAMES = 60  # at most, of an animation


class Samples(Callback):
    """Sample grids of fixed noise z (N, ...): the first `rows` x `columns` every `every` iterations, all at the end.

    Files: samples_NNNNNN.png, samples.gif (these grids, evenly thinned to 60), samples.png (`sheet`: rows and columns),
    losses.png, and with `examples`, the training data, neighbours.png: the nearest of them beside the samples.
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
    ) -> None:
        self.G, self.z, self.to_images, self.examples = G, z, to_images, examples
        self.every, self.rows, self.columns, self.sheet = every, rows, columns, sheet
        self.frames: list[Any] = []

    def on_start(self, run: Run) -> None:
        """Draw the untrained generator."""
        self._draw(run)

    def on_iteration(self, run: Run) -> None:
        """Draw when it is time."""
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
        plots.save_picture(plots.image_grid(self.to_images(x), rows=rows, columns=columns), run.folder / "samples.png")
        if self.examples is not None:
            index, _ = nearest(x[columns - 1 : rows * columns : columns], self.examples)
            picture = plots.neighbour_grid(
                self.to_images(x), self.to_images(self.examples[index]), rows=rows, columns=columns
            )
            plots.save_picture(picture, run.folder / "neighbours.png")
        plots.save_gif(thinned(self.frames, FRAMES), run.folder / "samples.gif", milliseconds=200)
        if run.history:
            plots.save(plots.loss_curves(run.history), run.folder / "losses.png")

    def _draw(self, run: Run) -> None:
        from minigan.plots import image_grid, save_picture

        x = self.G(self.z[: self.rows * self.columns])
        picture = image_grid(self.to_images(x), rows=self.rows, columns=self.columns)
        self.frames.append(picture)
        if run.folder is not None:
            save_picture(picture, run.folder / f"samples_{run.iteration:06d}.png")


def thinned(frames: Sequence[Any], most: int) -> list[Any]:
    """Return at most `most` of the frames, evenly spaced, with the first and the last.

    >>> thinned(range(9), 5)
    [0, 2, 4, 6, 8]
    """
    if len(frames) <= most:
        return list(frames)
    return [frames[round(k * (len(frames) - 1) / (most - 1))] for k in range(most)]


def flat_to_images(x: Array) -> NDArray[np.floating]:
    """(N, 784) in [0, 1] -> (N, 28, 28, 1)."""
    return np.asarray(x, dtype=float).reshape(-1, SIDE, SIDE, 1)
