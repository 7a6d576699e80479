"""Many small GANs at once, a block of the GPU each: the `gaussian` recipe's game in one kernel (`gan1d.cu`).

    G: x = a z + b     D: s = w2 . relu(w1 x + b1) + b2     J_D with `factor`, J_G non-saturating, Adam

Draws are made on the device: GAN e of `seeds` (E,) takes sample i of iteration t from Philox4x64-10 with the key
(seeds[e], 0) and the counter (1 + i mod Q, t, kind, 0), Q = ceil(n / 8): the integers of numpy.random.Philox, eight
normals of each four words.  So a GAN depends on its seed alone, not on how many others train beside it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.ops.cuda.device.base import Device
from minigan.ops.protocol import Array

REALS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
HIDDEN = {np.dtype(np.float32): 31, np.dtype(np.float64): 10}
"""The most hidden units whose gradient a thread keeps in its registers."""
THREADS = 256
MOST_SHARED = 227 * 1024
"""Bytes that a block may have on an H100 or H200."""
METRICS = ("d_loss", "g_loss", "d_real", "d_fake", "accuracy")
AT_ONCE = 1000
"""Iterations in one launch: between two, Ctrl-C is heard."""


class Ensemble:
    """E GANs that play one game from seeds and initial parameters of their own.

    config    the game: the numbers of `minigan.recipes.gaussian.Config`
    theta     (E, 3 H + 3): w1, b1, w2, b2 (the theta of D), a, b (of G); its dtype is the one to train in
    seeds     (E,) of the draws, whole numbers below 2^64
    lr        (E,) learning rates in place of the game's one

    `train` goes on where the last call stopped: 500 iterations twice are 1000, bit for bit.
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
            raise TypeError(f"theta is {theta.dtype}; accepted: float32, float64")
        most = HIDDEN[theta.dtype]
        if most < H:
            raise ValueError(f"hidden={H} in {theta.dtype}; accepted by this kernel: at most {most}")
        if theta.shape != (E, 3 * H + 3) or E == 0:
            raise ValueError(f"theta has shape {theta.shape}; accepted: (E, {3 * H + 3}) with E >= 1")
        if len(seeds) != E:
            raise ValueError(f"{len(seeds)} seeds for {E} GANs; accepted: one each")
        rates = np.full(E, config.lr) if lr is None else np.asarray(lr)
        if rates.shape != (E,) or not (np.isfinite(rates).all() and (rates > 0).all()):
            raise ValueError(f"lr must be {E} numbers > 0, got {lr!r}")
        self.dtype, self.iterations = theta.dtype, 0
        self.threads = min(THREADS, max(32, 1 << (config.batch_size - 1).bit_length()))
        self.shared = theta.itemsize * self._numbers_shared()
        if self.shared > MOST_SHARED:
            raise ValueError(
                f"batch_size={config.batch_size} in {theta.dtype} needs {self.shared} bytes of shared memory a block; "
                f"accepted: at most {MOST_SHARED}"
            )
        self._theta = device.array(np.ascontiguousarray(theta))
        self._m = device.array(np.zeros(theta.shape, theta.dtype))
        self._v = device.array(np.zeros(theta.shape, theta.dtype))
        self._powers = device.array(np.ones((E, 4)))
        self._metrics = device.array(np.full((E, len(METRICS)), np.nan, theta.dtype))
        self._seeds = device.array(np.array([int(seed) for seed in seeds], np.uint64))
        self._lr = device.array(rates.astype(theta.dtype))

    def _numbers_shared(self) -> int:
        """Parameters and both moments, a row of sums a warp, the samples of both kinds."""
        H, warps = self.config.hidden, self.threads // 32
        slots = -(-(3 * H + 1) // 32) * 32
        return 3 * (3 * H + 3) + warps * slots + 2 * 8 * -(-self.config.batch_size // 8)

    def __len__(self) -> int:
        return int(self._theta.shape[0])

    def train(self, iterations: int, *, at_once: int = AT_ONCE) -> None:
        """Play so many more iterations; the kernels run on when this returns."""
        if iterations < 1 or at_once < 1:
            raise ValueError(f"iterations and at_once must be >= 1, got {iterations!r} and {at_once!r}")
        end = self.iterations + iterations
        while self.iterations < end:
            now = min(at_once, end - self.iterations)
            self._launch(now)
            self.iterations += now

    def _launch(self, iterations: int) -> None:
        c = self.config
        self.device.launch(
            "gan1d", "gan1d", len(self), self.threads,
            self._theta, self._m, self._v, self._powers, self._metrics, self._seeds, self._lr, c.batch_size,
            self.iterations, iterations, c.d_updates, c.g_updates, c.mu, c.sigma, self.factor, c.beta1, c.beta2, c.eps,
            shared=self.shared, REAL=REALS[self.dtype], HIDDEN=c.hidden, THREADS=self.threads,
        )  # fmt: skip

    # --- what was learned -------------------------------------------------------------------------

    @property
    def theta(self) -> NDArray[np.floating]:
        """Parameters (E, 3 H + 3) on the host."""
        return self.device.host(self._theta)

    def parameters(self) -> dict[str, NDArray[np.floating]]:
        """Return the parameters under the names of the recipe's networks, the first axis the GAN's."""
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
        """Return a (E,) and b (E,) of the generators a z + b: p_g is N(b, a^2)."""
        theta = self.theta
        return theta[:, -2], theta[:, -1]

    def metrics(self) -> dict[str, NDArray[np.floating]]:
        """Return J_D, J_G, mean D(x), mean D(G(z)) and D's accuracy (E,), as the last updates of both saw them."""
        found = self.device.host(self._metrics)
        return {name: found[:, i] for i, name in enumerate(METRICS)}

    # --- to go on another time --------------------------------------------------------------------

    def state(self) -> dict[str, Array]:
        """Return what changes while training, on the host."""
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
        """Go to where `state` was taken; ValueError names what does not fit, and nothing is changed."""
        targets = {
            "theta": self._theta, "m": self._m, "v": self._v, "powers": self._powers, "metrics": self._metrics
        }  # fmt: skip
        for name, target in targets.items():
            given = state[name]
            if given.shape != target.shape or given.dtype != target.dtype:
                raise ValueError(
                    f"{name} is {given.dtype} {given.shape}; accepted: {target.dtype} {target.shape}, of this ensemble"
                )
        for name, target in targets.items():
            target.set(np.ascontiguousarray(state[name]))
        self.iterations = int(state["iterations"])
