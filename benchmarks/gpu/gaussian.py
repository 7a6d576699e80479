"""The Gaussian game on the GPU: step by step, as a graph, in one kernel, and ten thousand at once.

First the single kernel is compared with the library's steps in float64 on the reference backend, with the same draws of
numpy.random.Philox.  An iteration is the recipe's: 1000 + 1000 samples, ten updates of D and ten of G.
"""

from typing import Any

import numpy as np

from benchmarks.cases.games import CASES
from benchmarks.core.measure import digits, log
from benchmarks.gpu.bench import Bench, spread, why_skipped
from benchmarks.gpu.device_data import make_step
from benchmarks.gpu.steps import time_iterations, torch_iteration
from minigan.gan import same_batch
from minigan.ops.cuda.gan1d import Ensemble
from minigan.recipes import RunOptions, get_recipe

TOLERANCE = 1e-10
ENSEMBLE_SIZES = (1, 132, 1000, 10_000)


def run(bench: Bench) -> dict[str, Any]:
    """Check, then time one GAN with every method, then ensembles."""
    worst = check(bench, 2 if bench.quick else 5)
    log(f"check: the one kernel and the library's steps agree to {worst:.1e} in float64")
    settings = CASES["gaussian"].small if bench.quick else {}
    seconds: dict[str, Any] = {}
    absent: dict[str, str] = {}
    for name, graphs, resident in (
        ("minigan, graph", True, True),
        ("minigan, graph, host draws", True, False),
        ("minigan, step by step", False, True),
    ):
        play = make_step("gaussian", bench.options(graphs=graphs), settings=settings, small=False, resident=resident)[1]
        play()  # the first iteration records the operations
        play()  # the second captures the graph, if graphs are used
        seconds[name] = time_iterations(bench, name, play)
    seconds["minigan, one kernel"] = _one_kernel(bench, settings)
    if bench.torch_device:
        for name in ("torch", "torch-graph"):
            try:
                play = torch_iteration(bench, "gaussian", None if bench.quick else settings, "fp32", name)
                seconds[name] = time_iterations(bench, name, play)
            except Exception as error:
                absent[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160]}"
    for name, row in seconds.items():
        log(f"  {name}: {1e6 * row['median']:.4g} us")
    eager = seconds.get("torch")
    return {
        "check": {"greatest_difference": worst, "gate": TOLERANCE, "dtype": "float64"},
        "seconds": seconds,
        "absent": absent,
        "ratio": {} if eager is None else {
            name: digits(eager["median"] / row["median"]) for name, row in seconds.items() if name != "torch"
        },
        "ensembles": ensembles(bench, settings),
    }  # fmt: skip


def check(bench: Bench, iterations: int) -> float:
    """Return the largest parameter difference of two GANs; SystemExit above TOLERANCE."""
    recipe = get_recipe("gaussian")
    config, seeds = recipe.configure({"batch_size": 100}), (3, 2**40)
    theta = initial(config, seeds, "float64")
    found = Ensemble(config, theta, device=bench.ops().device, seeds=seeds)
    found.train(iterations)
    worst = 0.0
    for seed, start, end in zip(seeds, theta, found.theta, strict=True):
        gan = recipe.build(config, RunOptions(dtype="float64", ops="reference")).gan
        gan.D.theta, gan.G.theta = np.split(start, [3 * config.hidden + 1])
        for t in range(iterations):
            x, z = (normals(seed, t, kind, config.batch_size)[:, None] for kind in (0, 1))
            same_batch(
                gan, lambda x=x: config.mu + config.sigma * x, lambda z=z: z,
                d_updates=config.d_updates, g_updates=config.g_updates,
            )  # fmt: skip
        difference = np.abs(np.concatenate([gan.D.theta, gan.G.theta]) - end).max()
        worst = float(np.maximum(worst, difference))  # np.maximum propagates NaN
    if not worst <= TOLERANCE:
        raise SystemExit(
            f"the one kernel and the library's steps differ by {worst:.3g}; expected at most {TOLERANCE:g}. "
            "Not timed: they compute different results."
        )
    return worst


def initial(config: Any, seeds: Any, dtype: str) -> Any:
    """Return theta (E, 3 H + 3) of the recipe's networks for each seed."""
    recipe = get_recipe("gaussian")
    nets = [recipe.networks(config, RunOptions(seed=int(seed), dtype=dtype, ops="reference")) for seed in seeds]
    return np.stack([np.concatenate([D.theta, G.theta]) for G, D in nets])


def normals(seed: int, iteration: int, kind: int, n: int) -> Any:
    """Return the kernel's draws from NumPy's Philox, in float64."""
    eights = -(-n // 8)
    words = np.random.Philox(key=np.array([seed, 0], np.uint64), counter=[0, iteration, kind, 0]).random_raw(4 * eights)
    u = ((words >> np.uint64(32)).astype(float) + 0.5) / 2**32
    angle = np.pi * words.astype(np.uint32).view(np.int32) / 2**31
    pairs = np.sqrt(-2 * np.log(u)) * np.array([np.cos(angle), np.sin(angle)])
    return pairs.T.reshape(eights, 8).T.ravel()[:n]


def _one_kernel(bench: Bench, settings: dict[str, Any]) -> dict[str, Any]:
    """Time an iteration of one GAN; many iterations run in one launch."""
    config, iterations = get_recipe("gaussian").configure(settings), bench.pick(200, 2)
    one = Ensemble(config, initial(config, [0], "float32"), device=bench.ops().device, seeds=[0])
    seconds = bench.clock.device(lambda: one.train(iterations), repeats=bench.pick(9, 2), warm=1)
    return spread([s / iterations for s in seconds])


def ensembles(bench: Bench, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return GAN-iterations per second by number of GANs; for the largest ensemble also what it learned."""
    config, device = get_recipe("gaussian").configure(settings), bench.ops().device
    found = []
    for E in ENSEMBLE_SIZES if not bench.quick else (1, 3):
        if why_skipped(bench, f"{E} GANs", 5 if not bench.quick else 0):
            break
        weights = initial(config, range(min(E, 100)), "float32")
        theta = weights[np.arange(E) % len(weights)]
        iterations = bench.pick(20, 1)
        gans = Ensemble(config, theta, device=device, seeds=np.arange(E))

        def train(gans: Any = gans, iterations: int = iterations) -> None:
            gans.train(iterations)

        times = bench.clock.device(train, repeats=bench.pick(5, 2), warm=1)
        row = {"gans": E, "iterations": iterations, "seconds": spread(times)}
        row["per_second"] = digits(E * iterations / row["seconds"]["median"])
        log(f"  {E} GANs: {row['per_second']:.4g} GAN-iterations a second")
        found.append(row)
    if found and not bench.quick and found[-1]["gans"] == ENSEMBLE_SIZES[-1]:
        found[-1]["whole_run"] = _whole(bench, config)
    return found


def _whole(bench: Bench, config: Any) -> dict[str, Any]:
    """Train the largest ensemble for the recipe's iterations and summarise its generators."""
    E = ENSEMBLE_SIZES[-1]
    weights = initial(config, range(100), "float32")
    gans = Ensemble(config, weights[np.arange(E) % 100], device=bench.ops().device, seeds=np.arange(E))
    seconds = bench.clock.wall(lambda: gans.train(config.iterations), repeats=1, inner=1, warm=0)[0]
    a, b = gans.generators()
    finite = np.isfinite(a) & np.isfinite(b)
    return {
        "seconds": digits(seconds),
        "iterations": config.iterations,
        "finite": int(finite.sum()),
        "mean": {"median": digits(float(np.median(b[finite]))), "std": digits(float(b[finite].std()))},
        "std": {"median": digits(float(np.median(np.abs(a[finite])))), "std": digits(float(np.abs(a[finite]).std()))},
    }
