"""The figures of `ring8` and `grid25`: samples over a map of D during training, with the modes that they reach."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.data.toy_plane import GaussianMixture2D
from minigan.gan import GAN
from minigan.losses import needs_real
from minigan.network import Network
from minigan.ops import reference
from minigan.ops.protocol import Array
from minigan.training.experiment import Callback, Run
from minigan.training.files import write_arrays

SHOWN = 500
"""The numbers of samples and of examples that a frame shows."""
POINTS = 48
"""The points of D's map on each axis."""
COMPANIONS = 4
"""The number of packs in which D judges a point, if it sees several examples at a time."""
MARGIN = 1.4
"""The half width of the axes, in units of the data's largest coordinate."""
CHANGING_FIELDS = ("iterations", "samples", "d", "modes", "high_quality")
"""The arrays with an entry for each frame; the others are constant in a run."""


class MixtureFigures(Callback):
    """Write frames.npz, from which animations are drawn, samples.gif, samples.png and losses.png.

    A frame has samples of G, D on a grid of points, and the number of modes.  D's map shows `objective.probability`.  A
    relativistic cost leaves a constant in the logits undetermined: the map then subtracts the mean of the logits of
    real examples and of samples.  A D that sees packs judges each point together with samples of G.

    Parameters
    ----------
    gan : GAN
        The game.
    data : GaussianMixture2D
        The data.
    z : array (N, latent)
        The noise of the samples, the same in all frames; N >= 500, of which 500 are shown and all are measured.
    count : int
        The number of frames, without the first one.
    measure : callable
        ``measure(x, data)`` returns "modes" and "high_quality" of samples x.
    rng : numpy.random.Generator
        The stream of the examples that are shown.

    Attributes
    ----------
    G : Network
        The generator of the samples; `minigan.recipes.generators.average_generator` replaces it by its average.

    """

    def __init__(
        self,
        gan: GAN,
        data: GaussianMixture2D,
        z: Array,
        *,
        count: int,
        measure: Callable[[Array, GaussianMixture2D], dict[str, float]],
        rng: np.random.Generator,
    ) -> None:
        self.G, self.gan, self.data, self.z, self.count, self.measure = gan.G, gan, data, z, count, measure
        self.examples = data.sample(SHOWN, rng).astype(z.dtype)
        self.half_width = MARGIN * float(np.abs(data.centres).max())
        axis = np.linspace(-self.half_width, self.half_width, POINTS)
        self.points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2).astype(z.dtype)
        self.frames: list[dict[str, Any]] = []

    def state(self) -> dict[str, Any]:
        """Return the changing fields of all frames, as one array per field."""
        return {name: np.array([frame[name] for frame in self.frames]) for name in CHANGING_FIELDS}

    def restore(self, run: Run, state: dict[str, Any]) -> None:
        """Restore the frames."""
        rows = zip(*(state[name] for name in CHANGING_FIELDS), strict=True)
        self.frames = [dict(zip(CHANGING_FIELDS, row, strict=True)) for row in rows]

    def on_start(self, run: Run) -> None:
        """Record the first frame."""
        self.every = max(1, run.iterations // self.count)
        if not run.resumed:
            self.frames = [self._frame(run)]

    def on_iteration(self, run: Run) -> None:
        """Record a frame if it is due."""
        if run.iteration % self.every == 0 or run.is_last_iteration:
            self.frames.append(self._frame(run))

    def on_end(self, run: Run) -> None:
        """Write the frames and the figures."""
        from minigan import plots

        if run.folder is None:
            return
        if self.frames[-1]["iterations"] != run.iteration:
            self.frames.append(self._frame(run))
        constant = {
            "examples": self.examples, "half_width": np.array(self.half_width), "of": np.array(len(self.data.centres))
        }  # fmt: skip
        write_arrays(run.folder / plots.FRAMES_FILE, {**self.state(), **constant})
        recording = plots.read_recording(run.folder)
        last = int(recording.iterations[-1])
        plots.save(plots.mixture_frame([recording], last), run.folder / "samples.png")
        plots.mixture_animation([run.folder], run.folder / "samples.gif", frames=self.count + 1)
        if run.history:
            plots.save(plots.loss_curves(run.history), run.folder / "losses.png")

    def _frame(self, run: Run) -> dict[str, Any]:
        x = self.G(self.z)
        values = {"iterations": run.iteration, "samples": x[:SHOWN], "d": self._map(self.gan.D, x)}
        values |= self.measure(x, self.data)
        return {name: values[name] for name in CHANGING_FIELDS}

    def _map(self, D: Network, x: Array) -> Array:
        """Return 255 D at the points, (POINTS, POINTS) of uint8: rows from the lowest to the highest x_2."""
        m, n = self.gan.pack, len(self.points)
        with np.errstate(all="ignore"):  # after a divergence
            if m == 1:
                s = D(self.points)
            else:
                others = x[: COMPANIONS * (m - 1)].reshape(COMPANIONS, 1, 2 * (m - 1))
                packs = [np.hstack([self.points, np.broadcast_to(pack, (n, 2 * (m - 1)))]) for pack in others]
                s = np.mean([D(pack) for pack in packs], axis=0)
            if needs_real(self.gan.objective):
                pairs = (y[: SHOWN // m * m].reshape(-1, 2 * m) for y in (self.examples, x))
                s = s - np.mean([D(pair).mean() for pair in pairs])
            probability = self.gan.objective.probability(s.astype(float), ops=reference)
        return np.rint(255 * np.clip(np.nan_to_num(probability), 0, 1)).astype(np.uint8).reshape(POINTS, POINTS)
