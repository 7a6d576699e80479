"""Train many small GANs at once, one per block: the `gaussian` recipe's game in one kernel (`gan1d.cu`).

    G: x = a z + b     D: s = w2 . relu(w1 x + b1) + b2     J_D with `factor`, J_G non-saturating, Adam

Samples are drawn on the device.  GAN e draws sample i of iteration t from Philox4x64-10 with the key (seeds[e], 0) and
the counter (1 + i mod Q, t, kind, 0), Q = ceil(n / 8); the integers are those of numpy.random.Philox, and four of them
give eight normal numbers.  So a GAN depends only on its own seed, not on how many others train with it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.ops.cuda.device.base import Device
from minigan.ops.cuda.vector import REALS
from minigan.ops.protocol import Array

MAX_HIDDEN = {np.dtype(np.float32): 31, np.dtype(np.float64): 10}
"""Most hidden units, by dtype: a thread keeps the gradients of all their parameters in registers."""
THREADS = 256
"""Most threads per block; small batches take fewer, at least a warp."""
MAX_SHARED_BYTES = 227 * 1024
"""Most bytes of shared memory per block on an H100 or H200."""
METRICS = ("d_loss", "g_loss", "d_real", "d_fake", "accuracy")
ITERATIONS_PER_LAUNCH = 1000
"""Iterations per launch; Ctrl-C takes effect between two launches."""


class Ensemble:
    """E GANs that play the same game, each with its own seed and initial parameters.

    `train` continues where the last call stopped: 500 iterations twice give the same bits as 1000.

    Parameters
    ----------
    config : minigan.recipes.gaussian.Config
        The game: its sizes and optimizer settings.
    theta : (E, 3 H + 3) float32 or float64 array
        The initial w1, b1, w2, b2 of D and a, b of G; training uses its dtype.
    device : Device
        Where to train.
    seeds : (E,) integers
        The seed of each GAN's samples, below 2^64.
    lr : (E,) array, optional
        A learning rate for each GAN; by default all use that of `config`.
    factor : float
        The factor of J_D; the default averages the losses on reals and fakes.

    Raises
    ------
    TypeError
        If `theta` is neither float32 nor float64.
    ValueError
        If a shape does not fit, a learning rate is not positive, or the kernel cannot hold that many hidden units or
        samples.

    """

    def __init__(
        self,
        config: Any,
        theta: NDArray[np.floating],
        *,
        device: Device,
        seeds: Sequence[int] | NDArray[Any],
        lr: NDArray[np.floating] | None = None,
        factor: float = 0.5,
    ) -> None:
        self.config, self.device, self.factor = config, device, factor
        E, H = len(theta), config.hidden
        if theta.dtype not in REALS:
            raise TypeError(f"theta is {theta.dtype}; expected float32 or float64")
        max_hidden = MAX_HIDDEN[theta.dtype]
        if max_hidden < H:
            raise ValueError(f"hidden={H} in {theta.dtype}; this kernel takes at most {max_hidden}")
        if theta.shape != (E, 3 * H + 3) or E == 0:
            raise ValueError(f"theta has shape {theta.shape}; expected (E, {3 * H + 3}) with E >= 1")
        if len(seeds) != E:
            raise ValueError(f"{len(seeds)} seeds for {E} GANs; expected one for each GAN")
        rates = np.full(E, config.lr) if lr is None else np.asarray(lr)
        if rates.shape != (E,) or not (np.isfinite(rates).all() and (rates > 0).all()):
            raise ValueError(f"lr must be {E} numbers > 0, got {lr!r}")
        self.dtype, self.iterations = theta.dtype, 0
        self.threads = min(THREADS, max(32, 1 << (config.batch_size - 1).bit_length()))
        self.shared_bytes = theta.itemsize * self._shared_numbers()
        if self.shared_bytes > MAX_SHARED_BYTES:
            raise ValueError(
                f"batch_size={config.batch_size} in {theta.dtype} needs {self.shared_bytes} bytes of shared memory per "
                f"block; expected at most {MAX_SHARED_BYTES}"
            )
        self._theta = device.array(np.ascontiguousarray(theta))
        self._m = device.array(np.zeros(theta.shape, theta.dtype))
        self._v = device.array(np.zeros(theta.shape, theta.dtype))
        self._powers = device.array(np.ones((E, 4)))
        self._metrics = device.array(np.full((E, len(METRICS)), np.nan, theta.dtype))
        self._seeds = device.array(np.array([int(seed) for seed in seeds], np.uint64))
        self._lr = device.array(rates.astype(theta.dtype))

    def _shared_numbers(self) -> int:
        """Count the numbers in shared memory: parameters and moments, a row of sums per warp, both kinds of samples."""
        H, warps = self.config.hidden, self.threads // 32
        slots = -(-(3 * H + 1) // 32) * 32
        return 3 * (3 * H + 3) + warps * slots + 2 * 8 * -(-self.config.batch_size // 8)

    def __len__(self) -> int:
        return int(self._theta.shape[0])

    def train(self, iterations: int, *, iterations_per_launch: int = ITERATIONS_PER_LAUNCH) -> None:
        """Train for more iterations; the kernels may still run when this returns.

        Parameters
        ----------
        iterations : int
            How many more, at least 1.
        iterations_per_launch : int
            Most iterations per launch, at least 1.  The results do not depend on it.  With the default, Ctrl-C takes
            effect soon and the launches cost little.

        Raises
        ------
        ValueError
            If one of them is less than 1.

        """
        if iterations < 1 or iterations_per_launch < 1:
            raise ValueError(
                f"iterations and iterations_per_launch must be >= 1, got {iterations!r} and {iterations_per_launch!r}"
            )
        end = self.iterations + iterations
        while self.iterations < end:
            n = min(iterations_per_launch, end - self.iterations)
            self._launch(n)
            self.iterations += n

    def _launch(self, iterations: int) -> None:
        c = self.config
        self.device.launch(
            "gan1d", "gan1d", len(self), self.threads,
            self._theta, self._m, self._v, self._powers, self._metrics, self._seeds, self._lr, c.batch_size,
            self.iterations, iterations, c.d_updates, c.g_updates, c.mu, c.sigma, self.factor, c.beta1, c.beta2, c.eps,
            shared=self.shared_bytes, REAL=REALS[self.dtype], HIDDEN=c.hidden, THREADS=self.threads,
        )  # fmt: skip

    # --- results ----------------------------------------------------------------------------------

    @property
    def theta(self) -> NDArray[np.floating]:
        """Parameters (E, 3 H + 3) on the host."""
        return self.device.host(self._theta)

    def parameters(self) -> dict[str, NDArray[np.floating]]:
        """Return the parameters under the names of the recipe's networks.

        Returns
        -------
        dict of str to array
            Each parameter on the host, with a first axis of length E.

        """
        theta, H = self.theta, self.config.hidden
        return {
            "D.0.W": theta[:, None, :H],
            "D.0.b": theta[:, H : 2 * H],
            "D.2.W": theta[:, 2 * H : 3 * H, None],
            "D.2.b": theta[:, 3 * H : 3 * H + 1],
            "G.0.W": theta[:, None, 3 * H + 1 : 3 * H + 2],
            "G.0.b": theta[:, 3 * H + 2 :],
        }

    def generators(self) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Return the generators' parameters: G(z) = a z + b, so that p_g is N(b, a^2).

        Returns
        -------
        a, b : (E,) arrays
            On the host.

        """
        theta = self.theta
        return theta[:, -2], theta[:, -1]

    def metrics(self) -> dict[str, NDArray[np.floating]]:
        """Return the metrics of the last updates of D and G; NaN before the first.

        Returns
        -------
        dict of str to (E,) array
            J_D, J_G, mean D(x), mean D(G(z)) and D's accuracy, under the names METRICS.

        """
        values = self.device.host(self._metrics)
        return {name: values[:, i] for i, name in enumerate(METRICS)}

    # --- checkpoints ------------------------------------------------------------------------------

    def state(self) -> dict[str, Array]:
        """Return the state of the training, for `restore`.

        Returns
        -------
        dict of str to array
            The number of iterations, the parameters, Adam's moments and powers of its betas, and the metrics, on the
            host.

        """
        host = self.device.host
        return {
            "iterations": np.array(self.iterations),
            "theta": host(self._theta),
            "m": host(self._m),
            "v": host(self._v),
            "powers": host(self._powers),
            "metrics": host(self._metrics),
        }

    def restore(self, state: dict[str, Array]) -> None:
        """Continue from a state returned by `state`.

        Parameters
        ----------
        state : dict of str to array
            The state of an ensemble of equal size and dtype.

        Raises
        ------
        ValueError
            If an array does not fit; nothing is changed then.

        """
        targets = {
            "theta": self._theta, "m": self._m, "v": self._v, "powers": self._powers, "metrics": self._metrics
        }  # fmt: skip
        for name, target in targets.items():
            given = state[name]
            if given.shape != target.shape or given.dtype != target.dtype:
                raise ValueError(
                    f"{name} is {given.dtype} {given.shape}; expected {target.dtype} {target.shape} for this ensemble"
                )
        for name, target in targets.items():
            target.set(np.ascontiguousarray(state[name]))
        self.iterations = int(state["iterations"])
