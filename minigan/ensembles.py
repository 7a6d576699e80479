"""A sweep of the recipe `gaussian` on a GPU: one kernel trains all seeds, each in one block (`minigan.ops.cuda.gan1d`).

Seed s starts from the weights of ``minigan train gaussian --seed s``.  Its data and noise are drawn on the device by
Philox with the key s: they have the same distributions as in a single run, but other values.  The generator's mean and
standard deviation are the exact ones of N(b, a^2), whereas a single run estimates them from 100,000 samples.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minigan._arguments import size
from minigan._deprecated import renamed, renamed_arguments
from minigan.data.toy import Gaussian
from minigan.gan import GAN
from minigan.losses import NonSaturating
from minigan.ops.cuda.device.base import Device
from minigan.ops.cuda.gan1d import MAX_HIDDEN, Ensemble
from minigan.optimizers import SGD
from minigan.recipes import RunOptions, get_recipe
from minigan.recipes.gaussian import Config, distances

ITERATIONS_PER_SYNC = 500
"""Iterations between two synchronisations of the host with the device, the most that run on after Ctrl-C."""


def ensemble_obstacle(config: Config, dtype: str) -> str:
    """Return the reason why one kernel cannot train all seeds with these hyper-parameters.

    Parameters
    ----------
    config : Config
        The hyper-parameters of the recipe.
    dtype : str
        The dtype of the networks; the kernel computes in "float32" or "float64".

    Returns
    -------
    str
        The reason; empty if one kernel can train all seeds.

    Examples
    --------
    >>> ensemble_obstacle(Config(), "float32"), ensemble_obstacle(Config(patience=3), "float32")
    ('', 'patience=3 stops the runs at different iterations')

    """
    limit = MAX_HIDDEN.get(np.dtype(dtype))
    if limit is None:
        return f"dtype={dtype}: the kernel computes in float32 or float64"
    if config.objective != "non-saturating" or config.clip:
        return f"objective={config.objective}, clip={config.clip:g}: the kernel trains non-saturating without clipping"
    if config.r1 or config.r2:
        return f"r1={config.r1:g}, r2={config.r2:g}: the kernel has no gradient penalties"
    if config.patience:
        return f"patience={config.patience} stops the runs at different iterations"
    if config.ema:
        return f"ema={config.ema}: the kernel keeps no average of G"
    if config.hidden > limit:
        return f"hidden={config.hidden} in {dtype}: the kernel takes at most {limit}"
    return ""


def gaussian_ensemble(
    config: Config,
    seeds: Sequence[int],
    *,
    device: Device,
    dtype: str = "float32",
    lr: NDArray[np.floating] | None = None,
) -> Ensemble:
    """Return one GAN for each seed, with the recipe's initial weights.

        gans = gaussian_ensemble(Config(), range(10_000), device=get_ops("cuda").device)
        gans.train(1000)
        a, b = gans.generators()

    Parameters
    ----------
    config : Config
        The hyper-parameters of the recipe.
    seeds : sequence of int
        The seeds of the E GANs, at least one.
    device : Device
        The device that trains them, ``get_ops("cuda").device``.
    dtype : {"float32", "float64"}
        The dtype of parameters and samples; float32 by default, which is faster.
    lr : array (E,), optional
        A learning rate > 0 for each GAN; by default ``config.lr`` for all.

    Returns
    -------
    Ensemble
        The GANs.

    Raises
    ------
    ValueError
        If `seeds` is empty, `lr` does not fit, or the networks or the batch are too large for the kernel.
    TypeError
        If the dtype is neither float32 nor float64.

    """
    if not len(seeds):
        raise ValueError(f"seeds must contain at least one seed, got {list(seeds)}")
    recipe = get_recipe("gaussian")
    nets = (recipe.networks(config, RunOptions(seed=int(seed), dtype=dtype, ops="reference")) for seed in seeds)
    theta = np.stack([np.concatenate([D.theta, G.theta]) for G, D in nets])
    return Ensemble(config, theta, device=device, seeds=[int(seed) for seed in seeds], lr=lr)


@renamed_arguments(finished="on_seed_end")
def train_ensemble(
    config: Config, seeds: int, *, device: Device, dtype: str, on_seed_end: Callable[[dict[str, Any]], None]
) -> None:
    """Train the seeds 0 ... seeds-1, for `minigan.runs.sweep`.

    Parameters
    ----------
    config : Config
        The hyper-parameters of the recipe.
    seeds : int
        The number of seeds, at least 1.
    device : Device
        The device that trains them.
    dtype : {"float32", "float64"}
        The dtype of parameters and samples.
    on_seed_end : callable
        ``on_seed_end(summary)`` is called for each seed after all seeds have been trained.  The summary has the keys
        of `train`'s: "recipe", "seed", "status" ("completed" or "diverged"), "iterations", "parameters", "metrics",
        "seconds" and "cpu_seconds" (those of the ensemble divided by the number of seeds), and for a completed seed
        also "losses", "generator", "target", "jsd", "value", "value_optimal" and "minus_log_4".

    Raises
    ------
    ValueError
        If `seeds` is not an int >= 1, or the networks or the batch are too large for the kernel.
    TypeError
        If the dtype is neither float32 nor float64.

    """
    seeds = size("seeds", seeds)
    start, start_cpu = time.perf_counter(), time.process_time()
    gans = gaussian_ensemble(config, range(seeds), device=device, dtype=dtype)
    for done in range(0, config.iterations, ITERATIONS_PER_SYNC):
        gans.train(min(ITERATIONS_PER_SYNC, config.iterations - done))
        metrics = gans.metrics()  # synchronises with the device
    seconds_per_seed = {
        "seconds": round((time.perf_counter() - start) / seeds, 6),
        "cpu_seconds": round((time.process_time() - start_cpu) / seeds, 6),
    }
    theta = gans.theta
    host_gan = _host_gan(config, dtype)
    for seed in range(seeds):
        seed_metrics = {name: float(values[seed]) for name, values in metrics.items()}
        results = _result_entries(config, theta[seed], seed_metrics, host_gan)
        on_seed_end({"recipe": "gaussian", "seed": seed, **results, **seconds_per_seed})


def _host_gan(config: Config, dtype: str) -> GAN:
    """Return a GAN on the host, to which the parameters of each trained GAN are copied for evaluation."""
    G, D = get_recipe("gaussian").networks(config, RunOptions(dtype=dtype, ops="reference"))
    return GAN(G, D, SGD(G, lr=0.0), SGD(D, lr=0.0), NonSaturating(d_scale=0.5))


def _result_entries(
    config: Config, theta: NDArray[np.floating], metrics: dict[str, float], host_gan: GAN
) -> dict[str, Any]:
    """Return the entries of a summary that depend on the trained parameters."""
    shared = {"iterations": config.iterations, "parameters": {"G": 2, "D": len(theta) - 2}}
    if not (np.isfinite(theta).all() and all(map(math.isfinite, metrics.values()))):
        return {"status": "diverged", "error": "parameters or losses are not finite", "metrics": {}, **shared}
    host_gan.D.theta, host_gan.G.theta = theta[:-2], theta[-2:]
    data, (a, b) = Gaussian(config.mu, config.sigma), map(float, theta[-2:])
    distances_to_data = distances(host_gan, data)
    return {
        "status": "completed",
        **shared,
        "losses": {name: metrics[name] for name in ("d_loss", "g_loss")},
        "metrics": {**metrics, **distances_to_data},
        "generator": {"mean": b, "std": abs(a), "a": a, "b": b},
        "target": {"mean": data.mu, "std": data.sigma},
        **distances_to_data,
        "value_optimal": -math.log(4) + 2 * distances_to_data["jsd"],
        "minus_log_4": -math.log(4),
    }


_RENAMED = {"batching_obstacle": "ensemble_obstacle"}
"""Old name -> new name.  The old names work for one more release."""

if not TYPE_CHECKING:  # so that type checkers know every name

    def __getattr__(name):
        return renamed("minigan.ensembles", _RENAMED, globals(), name)
