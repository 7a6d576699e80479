"""An exponential moving average of a network's parameters, which is saved, resumed, sampled and evaluated."""

from typing import Any

from minigan._arguments import number
from minigan.network import Network
from minigan.training.experiment import Callback, Run
from minigan.training.files import write_arrays

SLOW_START = 9
"""Iteration t forgets at least 9 / (t + 9) of the average, as TensorFlow's ExponentialMovingAverage does with a count:
the initial parameters leave it after a few iterations, and early ones soon."""


class AveragedNetwork(Callback):
    """The exponential moving average of the parameters and running statistics of a network, after every iteration.

        average <- b average + (1 - b) theta,    b = min(decay, t / (t + 9)) in iteration t = 1, 2, ...

    Samples of an averaged generator are usually better, because the game makes theta move around its mean (Yazici et
    al., "The Unusual Effectiveness of Averaging in GAN Training", 2019, arXiv:1806.04498; Karras et al. 2018,
    arXiv:1710.10196, decay 0.999).  Training does not depend on the average.  It is computed on the network's backend,
    between the iterations, so that captured iterations on "cuda" do not change.  Checkpoints contain it.

    Parameters
    ----------
    net : Network
        The network, usually G.
    decay : float
        The largest b, in [0, 1); `half_life_decay` computes it from a number of examples.
    file : str
        The average is written to FILE.npz in the run folder when the run ends; "generator-ema" by default, from which
        `minigan.runs.sample` and `minigan evaluate` read.

    Attributes
    ----------
    network : Network
        A network with the averaged parameters and running statistics; the initial ones before the first iteration.

    Raises
    ------
    ValueError
        If `decay` is not in [0, 1).

    Examples
    --------
    >>> import numpy as np, minigan as mg
    >>> G = mg.Network([mg.Dense(1, 1)], rng=np.random.default_rng(0))
    >>> average = AveragedNetwork(G, decay=0.999)
    >>> bool((average.network.theta == G.theta).all())
    True

    """

    def __init__(self, net: Network, *, decay: float, file: str = "generator-ema") -> None:
        self.net, self.decay, self.file = net, float(number("decay", decay, "[0, 1)")), file
        self.network = net.astype(net.dtype)
        pairs = (self.network.theta, net.theta), (self.network.state_vector, net.state_vector)
        self._pairs = [(average, current) for average, current in pairs if current.size]
        self._differences = [average.copy() for average, _ in self._pairs]

    def state(self) -> dict[str, Any]:
        """Return the averaged parameters and running statistics."""
        return {"theta": self.network.theta, "state": self.network.state}

    def restore(self, run: Run, state: dict[str, Any]) -> None:
        """Restore the averaged parameters and running statistics."""
        self.network.theta = state["theta"]
        self.network.load_state(state["state"])

    def on_start(self, run: Run) -> None:
        """Begin with the parameters of the network, unless the run is resumed."""
        if not run.resumed:
            for average, current in self._pairs:
                self.net.ops.copy(average, current)

    def on_iteration(self, run: Run) -> None:
        """Move the average towards the parameters of the iteration."""
        xp, b = self.net.ops.xp, min(self.decay, run.iteration / (run.iteration + SLOW_START))
        with self.net.ops.session():
            for (average, current), difference in zip(self._pairs, self._differences, strict=True):
                xp.subtract(current, average, out=difference)
                difference *= 1 - b
                average += difference  # b average + (1 - b) theta
        self.network.mark_modified()

    def on_end(self, run: Run) -> None:
        """Write the average to the run folder."""
        if run.folder is not None:
            write_arrays(run.folder / f"{self.file}.npz", {**self.network.parameters(), **self.network.state})


def half_life_decay(examples: float, batch_size: int) -> float:
    """Return the decay per iteration for which an average halves an old value after so many examples.

        decay = 2^(-batch_size / examples)

    Parameters
    ----------
    examples : float
        The half-life, > 0, in examples of which a batch is drawn in each iteration.
    batch_size : int
        The number of examples in an iteration, at least 1.

    Returns
    -------
    float
        The decay, in [0, 1).

    Raises
    ------
    ValueError
        If `examples` is not > 0 or `batch_size` is less than 1.

    Examples
    --------
    >>> round(half_life_decay(10_000, 32), 5)
    0.99778

    """
    number("examples", examples, "(0, inf)")
    if batch_size < 1:
        raise ValueError(f"batch_size must be >= 1, got {batch_size!r}")
    return float(2.0 ** (-batch_size / examples))
