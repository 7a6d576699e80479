"""What the image recipes share: the data, the sample grids, the animation, the sheets at the end."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.data import load, unit_interval
from minigan.network import Network
from minigan.recipes.base import Setting
from minigan.training.callbacks import Callback
from minigan.training.experiment import Run

Array = NDArray[Any]
SIDE = 28
PIXELS = SIDE * SIDE


def training_pixels(data: str, setting: Setting, dtype: Any, *, stop: int | None = None) -> Array:
    """Return the training images (the first `stop` of them) as x / 255, (N, 784)."""
    return unit_interval(load(data, "train", data_dir=setting.data_dir).images[:stop], str(dtype))


class Samples(Callback):
    """Sample grids of fixed noise: samples_NNNNNN.png every `every` iterations, then samples.png, samples.gif."""

    def __init__(
        self,
        G: Network,
        z: Array,
        to_images: Callable[[Array], Array],
        *,
        every: int,
        rows: int,
        columns: int,
    ) -> None:
        self.G, self.z, self.to_images = G, z, to_images
        self.every, self.rows, self.columns = every, rows, columns
        self.frames: list[Any] = []

    def on_start(self, run: Run) -> None:
        """Draw the untrained generator."""
        self._draw(run)

    def on_iteration(self, run: Run) -> None:
        """Draw when it is time."""
        if run.iteration % self.every == 0:
            self._draw(run)

    def on_end(self, run: Run) -> None:
        """Draw the last grid, the animation and the loss curves."""
        from minigan import plots

        if run.folder is None:
            return
        last = self._draw(run, "samples.png")
        plots.save_gif([*self.frames[-60:], last], run.folder / "samples.gif", milliseconds=200)
        if run.history:
            plots.save(plots.loss_curves(run.history), run.folder / "losses.png")

    def _draw(self, run: Run, name: str | None = None) -> Any:
        from minigan.plots.images import image_grid
        from minigan.training.files import write_whole

        picture = image_grid(self.to_images(self.G(self.z)), rows=self.rows, columns=self.columns)
        if run.folder is not None:
            path = run.folder / (name or f"samples_{run.iteration:06d}.png")
            write_whole(path, lambda stream: picture.save(stream, format="PNG"))
        if name is None:
            self.frames.append(picture)
        return picture


def flat_to_images(x: Array) -> NDArray[np.floating]:
    """(N, 784) in [0, 1] -> (N, 28, 28, 1)."""
    return np.asarray(x, dtype=float).reshape(-1, SIDE, SIDE, 1)
