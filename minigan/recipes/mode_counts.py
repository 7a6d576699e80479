"""`ModeCount`: how many modes of stacked digits G makes, during training and at its end, by a classifier of digits."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from minigan.data import Images
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.recipes.labels import generate
from minigan.training.experiment import Callback, Run

if TYPE_CHECKING:  # importing it takes time, and most commands do not need it
    from minigan.classifier import Classifier
    from minigan.metrics import ModeReport

MODES = 1000
PUBLISHED_SAMPLES = 26_000  # the number of samples in PacGAN (Lin et al. 2018, section 4.2)


class ModeCount(Callback):
    """Add the metrics "modes" and "reverse_kl" every few iterations, and write modes.png at the end of a run.

    The protocol is that of PacGAN (`minigan.classifier.stacked_modes`); the counts during training have fewer samples,
    of the same noise each time, so that the KL divergence is overestimated by about 999 / (2 n).

    Parameters
    ----------
    G : Network
        The generator of stacks (N, 28, 28, 3); `minigan.recipes.generators.average_generator` replaces it by its
        average.
    z : array, shape (n, I)
        The noise of the counts during training.
    to_images : callable
        ``to_images(G(z))`` returns images (N, 28, 28, 3) in [0, 1].
    every : int
        The number of iterations between two counts; 0 for none.
    images : callable
        ``images()`` returns the training and the test images of the digits, for a classifier that is not yet in the
        cache folder.
    final : bool
        Whether `measure` will be called at the end of the run.

    """

    def __init__(
        self,
        G: Network,
        z: Array,
        to_images: Callable[[Array], NDArray[Any]],
        *,
        every: int,
        images: Callable[[], tuple[Images, Images]],
        final: bool = True,
    ) -> None:
        self.G, self.z, self.to_images, self.images, self.final = G, z, to_images, images, final
        self.trained = G
        self.every = every if len(z) else 0
        self._classifier: Classifier | None = None

    def on_start(self, run: Run) -> None:
        """Read the classifier from the cache folder, or train it, which is reported on standard error."""
        if self.every or self.final:
            self.classifier()

    def on_iteration(self, run: Run) -> None:
        """Count, if it is due."""
        if self.every and (run.iteration % self.every == 0 or run.is_last_iteration):
            report = self._report(self.z)
            run.metrics |= {"modes": report.modes.value, "reverse_kl": report.reverse_kl.value}

    def on_end(self, run: Run) -> None:
        """Draw the counts over the iterations."""
        from minigan import plots

        if run.folder is not None and any("modes" in metrics for metrics in run.history):
            plots.save(plots.mode_curves(run.history), run.folder / "modes.png")

    def classifier(self) -> "Classifier":
        """Return the classifier; raise RunError if its file is damaged or cannot be written."""
        from minigan.classifier import classifier_of

        if self._classifier is None:
            self._classifier = classifier_of(*self.images(), log=lambda message: print(message, file=sys.stderr))
        return self._classifier

    def measure(self, z: Array) -> dict[str, Any]:
        """Return the modes and the reverse KL of G(z), with intervals, for summary.json.

        Parameters
        ----------
        z : array, shape (n, I)
            The noise; `PUBLISHED_SAMPLES` vectors in the published protocol.

        Returns
        -------
        dict
            "modes", "modes_of", "reverse_kl", "intervals" and "samples", as `minigan.metrics.ModeReport` names them,
            and "weights", the file of the weights that made the samples; empty if n is 0.

        """
        if len(z) == 0:
            return {}
        found = self._report(z).as_dict()
        intervals = {name: found["intervals"][name] for name in ("modes", "reverse_kl")}
        return {
            **{name: found[name] for name in ("modes", "modes_of", "reverse_kl", "samples")},
            "intervals": intervals,
            "weights": "generator.npz" if self.G is self.trained else "generator-ema.npz",
        }

    def _report(self, z: Array) -> "ModeReport":
        from minigan.classifier import stacked_modes

        return stacked_modes(self.classifier(), self.to_images(generate(self.G, z, None)))
