"""What `Recipe.build` adds to an experiment with a generator: a moving average, and the samples of the diagnosis."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.training.average import AveragedNetwork
from minigan.training.diagnosis import SAMPLES
from minigan.training.experiment import Experiment, random_streams

Prior = Callable[[Any, int, np.random.Generator], Array]
"""`Recipe.prior`: draws noise vectors."""


def average_generator(experiment: Experiment, G: Network, decay: float) -> None:
    """Add a moving average of G to an experiment, and draw its samples from it.

    Callbacks and figures with the attribute `G` read the average from now on.

    Parameters
    ----------
    experiment : Experiment
        The experiment that trains G; it is changed in place.
    G : Network
        The generator.
    decay : float
        The decay of the average in an iteration, in [0, 1).

    """
    average = AveragedNetwork(G, decay=decay)
    experiment.callbacks.insert(0, average)  # before the callbacks that draw samples
    for callback in (*experiment.callbacks, *experiment.figures):
        if vars(callback).get("G") is G:
            callback.G = average.network  # type: ignore[attr-defined]


def samples(prior: Prior | None, config: Any, G: Network, seed: int) -> Callable[[], Array]:
    """Return a function that computes G of fixed noise, from a stream of its own, and of all classes in turn."""
    assert prior is not None  # noqa: S101  (only recipes with other players than G and D have none)
    z = prior(config, SAMPLES, random_streams(seed, "diagnosis")["diagnosis"]).astype(G.dtype)
    classes = getattr(G, "n_classes", None)  # of networks that read labels
    given: Any = (z, np.arange(len(z)) % classes) if classes else z
    return lambda: G(given)
