"""A sweep of the recipe `gaussian` on a GPU: one kernel trains all seeds, one block each (`minigan.ops.cuda.gan1d`).

Seed s starts from the weights of ``minigan train gaussian --seed s``; its data and noise are drawn on the device, by
Philox with the key s: the same distributions, other samples.  The generator's mean and standard deviation are those of
N(b, a^2), exactly, where a single run draws 100,000 samples.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.data.toy import Gaussian
from minigan.gan import GAN
from minigan.losses import NonSaturating
from minigan.ops.cuda.device.base import Device
from minigan.ops.cuda.gan1d import MAX_HIDDEN, Ensemble
from minigan.optimizers import SGD
from minigan.recipes import RunOptions, get_recipe
from minigan.recipes.gaussian import Config, distances

ITERATIONS_PER_CALL = 500
"""Iterations per launch; Ctrl-C takes effect between two launches."""


def batching_obstacle(config: Config, dtype: str) -> str:
    """Return the reason why these hyper-parameters cannot be trained in one kernel; "" where they can.

    >>> batching_obstacle(Config(), "float32"), batching_obstacle(Config(patience=3), "float32")
    ('', 'patience=3 stops each run at its own time')
    """
    most = MAX_HIDDEN[np.dtype(dtype)]
    if config.patience:
        return f"patience={config.patience} stops each run at its own time"
    if config.hidden > most:
        return f"hidden={config.hidden} in {dtype}: the kernel takes at most {most}"
    return ""


def gaussian_ensemble(
    config: Config,
    seeds: Sequence[int],
    *,
    device: Device,
    dtype: str = "float32",
    lr: NDArray[np.floating] | None = None,
) -> Ensemble:
    """Return one GAN per seed with the recipe's initial weights; `lr` (E,) replaces the recipe's learning rate.

    gans = gaussian_ensemble(Config(), range(10_000), device=get_ops("cuda").device)
    gans.train(1000)
    a, b = gans.generators()
    """
    recipe = get_recipe("gaussian")
    nets = (recipe.networks(config, RunOptions(seed=int(seed), dtype=dtype, ops="reference")) for seed in seeds)
    theta = np.stack([np.concatenate([D.theta, G.theta]) for G, D in nets])
    return Ensemble(config, theta, device=device, seeds=[int(seed) for seed in seeds], lr=lr)


def train_ensemble(
    config: Config, seeds: int, *, device: Device, dtype: str, finished: Callable[[dict[str, Any]], None]
) -> None:
    """Train the seeds 0 ... seeds-1 and call `finished(summary)` for each, as for `minigan.runs.sweep`."""
    start, start_cpu = time.perf_counter(), time.process_time()
    gans = gaussian_ensemble(config, range(seeds), device=device, dtype=dtype)
    for done in range(0, config.iterations, ITERATIONS_PER_CALL):
        gans.train(min(ITERATIONS_PER_CALL, config.iterations - done))
        metrics = gans.metrics()  # synchronises with the device
    spent = {
        "seconds": round((time.perf_counter() - start) / seeds, 6),
        "cpu_seconds": round((time.process_time() - start_cpu) / seeds, 6),
    }
    theta = gans.theta
    host_gan = _host_gan(config, dtype)
    for seed in range(seeds):
        row = {name: float(values[seed]) for name, values in metrics.items()}
        finished({"recipe": "gaussian", "seed": seed, **_ended(config, theta[seed], row, host_gan), **spent})


def _host_gan(config: Config, dtype: str) -> GAN:
    """Return a GAN on the host, whose parameters are set to those of each trained GAN for evaluation."""
    G, D = get_recipe("gaussian").networks(config, RunOptions(dtype=dtype, ops="reference"))
    return GAN(G, D, SGD(G, lr=0.0), SGD(D, lr=0.0), NonSaturating(d_scale=0.5))


def _ended(config: Config, theta: NDArray[np.floating], metrics: dict[str, float], host_gan: GAN) -> dict[str, Any]:
    """Return the entries of a summary that depend on the trained parameters."""
    shared = {"iterations": config.iterations, "parameters": {"G": 2, "D": len(theta) - 2}}
    if not (np.isfinite(theta).all() and all(map(math.isfinite, metrics.values()))):
        return {"status": "diverged", "error": "parameters or losses are not finite", "metrics": {}, **shared}
    host_gan.D.theta, host_gan.G.theta = theta[:-2], theta[-2:]
    data, (a, b) = Gaussian(config.mu, config.sigma), map(float, theta[-2:])
    found = distances(host_gan, data)
    return {
        "status": "completed",
        **shared,
        "losses": {name: metrics[name] for name in ("d_loss", "g_loss")},
        "metrics": {**metrics, **found},
        "generator": {"mean": b, "std": abs(a), "a": a, "b": b},
        "target": {"mean": data.mu, "std": data.sigma},
        **found,
        "value_optimal": -math.log(4) + 2 * found["jsd"],
        "minus_log_4": -math.log(4),
    }
