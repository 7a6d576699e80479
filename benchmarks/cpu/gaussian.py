"""A complete `gaussian` run (1000 iterations of 10 + 10 updates on 1000 + 1000 samples) compared with eager PyTorch.

    python -m benchmarks gaussian

First a check: from the same weights and data, in float64, both libraries compute the same parameters.  Then they are
timed alternately, each in its own process.  PyTorch runs with its default number of threads and with one, and with its
default and its fused Adam; a ratio is given for each.
"""

import argparse
import json
import sys
import time
from typing import Any

import numpy as np

from benchmarks.core import instructions, measure
from benchmarks.core.checks import require_agreement
from minigan.recipes import Recipe, RunOptions, get_recipe
from minigan.training import Experiment

IMPLEMENTATIONS = ("minigan", "torch-default", "torch-1-thread", "torch-fused-1-thread")


def experiment(iterations: int, *, seed: int = 0, dtype: str = "float32") -> tuple[Recipe, Experiment]:
    """Return the recipe "gaussian" and its experiment, whose weights PyTorch's game copies."""
    recipe = get_recipe("gaussian")
    return recipe, recipe.build(recipe.configure({"iterations": str(iterations)}), RunOptions(seed=seed, dtype=dtype))


class Torch:
    """The same game in PyTorch: the same layers, losses, Adam, batches and order of updates.

    Parameters
    ----------
    twin
        The experiment whose weights are copied and whose random streams are used.
    config
        The recipe's hyper-parameters.
    fused
        Whether to use PyTorch's fused Adam.

    """

    def __init__(self, twin: Experiment, config: Any, *, fused: bool = False) -> None:
        import torch

        self.torch, self.config, self.streams = torch, config, twin.streams
        self.dtype = getattr(torch, str(twin.gan.G.dtype))
        nn = torch.nn
        self.G = nn.Linear(1, 1, dtype=self.dtype)
        self.D = nn.Sequential(
            nn.Linear(1, config.hidden, dtype=self.dtype), nn.ReLU(), nn.Linear(config.hidden, 1, dtype=self.dtype)
        )
        for net, modules in ((twin.gan.G, [self.G]), (twin.gan.D, [self.D[0], self.D[2]])):
            p = list(net.parameters().values())
            for k, module in enumerate(modules):
                module.weight.data = torch.tensor(p[2 * k].T.copy())
                module.bias.data = torch.tensor(p[2 * k + 1].copy())
        adam = {"lr": config.lr, "betas": (config.beta1, config.beta2), "eps": config.eps, "fused": fused or None}
        self.opt_G = torch.optim.Adam(self.G.parameters(), **adam)
        self.opt_D = torch.optim.Adam(self.D.parameters(), **adam)
        self.loss = nn.BCEWithLogitsLoss()

    def play(self) -> None:
        """Run one iteration."""
        torch, config, n = self.torch, self.config, self.config.batch_size
        dtype = "float64" if self.dtype == torch.float64 else "float32"
        z = torch.from_numpy(self.streams["noise"].standard_normal((n, 1)).astype(dtype))
        x = torch.from_numpy(
            (config.mu + config.sigma * self.streams["data"].standard_normal(n)).astype(dtype)[:, None]
        )
        with torch.no_grad():
            fake = self.G(z)
        batch = torch.cat([x, fake])
        labels = torch.cat([torch.ones(n, 1, dtype=self.dtype), torch.zeros(n, 1, dtype=self.dtype)])
        real_labels = torch.ones(n, 1, dtype=self.dtype)
        for _ in range(config.d_updates):
            self.opt_D.zero_grad()
            self.loss(self.D(batch), labels).backward()
            self.opt_D.step()
        for p in self.D.parameters():
            p.requires_grad_(False)
        for _ in range(config.g_updates):
            self.opt_G.zero_grad()
            self.loss(self.D(self.G(z)), real_labels).backward()
            self.opt_G.step()
        for p in self.D.parameters():
            p.requires_grad_(True)

    def theta(self) -> np.ndarray:
        """Return G's and D's parameters in the order of minigan's theta."""
        parameters = [*self.G.parameters(), *self.D.parameters()]
        return np.concatenate([p.detach().numpy().T.ravel() for p in parameters])


def check(iterations: int = 20) -> float:
    """Return the largest parameter difference after some iterations in float64.

    Parameters
    ----------
    iterations
        The number of iterations of each library.

    Returns
    -------
    float
        The absolute difference.

    Raises
    ------
    SystemExit
        If it exceeds `benchmarks.core.implementations.ABSOLUTE_TOLERANCE`.

    """
    _, minigan_run = experiment(iterations, dtype="float64")
    recipe, twin = experiment(iterations, dtype="float64")
    torch_run = Torch(twin, recipe.configure({"iterations": str(iterations)}))
    for _ in range(iterations):
        minigan_run.play()
        torch_run.play()
    theta = np.concatenate([minigan_run.gan.G.theta, minigan_run.gan.D.theta])
    difference = float(np.abs(theta - torch_run.theta()).max())
    return require_agreement(f"gaussian: minigan and PyTorch after {iterations} iterations", difference)


def time_implementation(name: str, iterations: int, seed: int) -> dict[str, Any]:
    """Time one implementation's iterations, without imports.

    Parameters
    ----------
    name
        One of `IMPLEMENTATIONS`.
    iterations
        The number of iterations that are timed, after three to warm up.
    seed
        The seed of the experiment.

    Returns
    -------
    dict
        "seconds", of all timed iterations together; "mean" and "std" of the generator's distribution after them.

    """
    recipe, minigan_run = experiment(iterations, seed=seed)
    if name == "minigan":
        play = minigan_run.play
    else:
        import torch

        if "1-thread" in name:
            torch.set_num_threads(1)
        game = Torch(minigan_run, recipe.configure({"iterations": str(iterations)}), fused="fused" in name)
        play = game.play
    for _ in range(3):  # warm up
        play()
    start = time.perf_counter()
    for _ in range(iterations):
        play()
    seconds = time.perf_counter() - start
    a, b = minigan_run.gan.G.theta if name == "minigan" else game.theta()[:2]
    return {"seconds": seconds, "mean": float(b), "std": abs(float(a)), "instructions": instructions.observed()}


def run(options: measure.Options, *, iterations: int = 1000) -> dict[str, Any]:
    """Check both libraries, time them, and return the result.

    Parameters
    ----------
    options
        The options of the command line.
    iterations
        The iterations of a run; 5 in a quick run.

    """
    if not measure.installed("torch"):
        raise measure.Unavailable("PyTorch is not installed, and this benchmark is the comparison with it")
    iterations, rounds = 5 if options.quick else iterations, options.rounds_or(3)
    checked_iterations = 2 if options.quick else 20
    difference = check(checked_iterations)
    runs = measure.alternate(
        "benchmarks.cpu.gaussian",
        IMPLEMENTATIONS,
        rounds=rounds,
        arguments=["--iterations", str(iterations)],
        env=measure.MALLOC_ENVIRONMENT if options.malloc else None,
    )
    times = {name: measure.spread([run["seconds"] for run in results]) for name, results in runs.items()}
    others = [name for name in IMPLEMENTATIONS if name != "minigan"]

    def ratio(name: str) -> float:
        return measure.ratio([r["seconds"] for r in runs[name]], [r["seconds"] for r in runs["minigan"]])

    return {
        "benchmark": "gaussian",
        "iterations": iterations,
        "updates_each": 10 * iterations,
        "rounds": rounds,
        "check": {"iterations": checked_iterations, "dtype": "float64", "greatest_difference": difference},
        "seconds": times,
        "generators": {name: {k: round(rs[0][k], 4) for k in ("mean", "std")} for name, rs in runs.items()},
        "ratio": {name: ratio(name) for name in others},
        "fastest_torch": min(others, key=lambda name: times[name]["median"]),
    }


def main() -> None:
    """Run one implementation and print its result as JSON."""
    parser = argparse.ArgumentParser(description="One implementation of `python -m benchmarks gaussian`.")
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--implementation", choices=IMPLEMENTATIONS, required=True)
    args = parser.parse_args()
    json.dump(time_implementation(args.implementation, args.iterations, 0), sys.stdout)


if __name__ == "__main__":
    main()
