"""An update of D with a gradient penalty, compared with PyTorch's double backward.

    python -m benchmarks penalties

D is a dense network or the convolutions of `mnist-wgan-gp`, without dropout; its update is one step of Adam on real and
fake images that lie in memory.  PyTorch's R1 uses the forward pass of the real images for the cost and for the penalty.
First a check: in float64 both libraries reach the same parameters in a few updates, with the same random points.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.core import instructions, measure
from minigan import R1, Adam, NonSaturating, Wasserstein, WassersteinPenalty
from minigan.gan import GradientPenalty, discriminator_step
from minigan.layers import Conv2D, Dense, Flatten, Layer, LeakyReLU
from minigan.network import Network
from minigan.ops import Array, get_ops

IMPLEMENTATIONS = ("minigan", "torch", "torch-channels-last")
PENALTIES: dict[str, tuple[Any, GradientPenalty | None]] = {
    "none": (NonSaturating(), None),
    "R1": (NonSaturating(), R1(10.0)),
    "WassersteinPenalty": (Wasserstein(), WassersteinPenalty(10.0)),
}
"""The objective and the penalty of an update; "none" is what the penalties add to."""
LR, BETAS, EPS = 1e-4, (0.5, 0.9), 1e-8
CHECKED_UPDATES = 4
TOLERANCE = 1e-7
"""The largest difference of a parameter, relative to the largest movement in its tensor, after the checked updates.

Adam divides a gradient by its own size, so that it enlarges rounding errors of small gradients.
"""
UPDATES_PER_TURN = 5


@dataclass(frozen=True)
class Case:
    """A discriminator.

    Attributes
    ----------
    layers
        Its layers.
    shape
        The shape of an example.
    batch
        The number of real examples, and of fakes.

    """

    layers: Sequence[Layer]
    shape: tuple[int, ...]
    batch: int


def cases(*, quick: bool) -> dict[str, Case]:
    """Return the discriminators: a dense one, and the convolutions of Gulrajani et al. (2017)."""
    w, C, n = (16, 2, 4) if quick else (512, 64, 50)
    leaky, half = LeakyReLU(0.2), {"stride": 2, "padding": "same"}
    return {
        "dense": Case([Dense(784, w), leaky, Dense(w, w // 2), leaky, Dense(w // 2, 1)], (784,), 2 * n),
        "convolutions": Case(
            [
                Conv2D(1, C, 5, **half), leaky, Conv2D(C, 2 * C, 5, **half), leaky, Conv2D(2 * C, 4 * C, 5, **half),
                leaky, Flatten(), Dense(16 * 4 * C, 1),
            ],
            (28, 28, 1),
            n,
        ),
    }  # fmt: skip


def network(case: Case, dtype: str, threads: int = 1) -> Network:
    """Return D with initial parameters."""
    return Network(case.layers, rng=np.random.default_rng(0), dtype=dtype, ops=get_ops("cpu", threads=threads))


def batches(case: Case, dtype: str) -> tuple[Array, Array]:
    """Return real and fake images in [0, 1]."""
    rng = np.random.default_rng(1)
    return tuple(rng.random((case.batch, *case.shape)).astype(dtype) for _ in range(2))


def minigan_update(case: Case, penalty: str, D: Network) -> Callable[[], Any]:
    """Return a function that updates D once."""
    objective, term = PENALTIES[penalty]
    x, fake = batches(case, str(D.dtype))
    optimizer, rng = Adam(D, lr=LR, beta1=BETAS[0], beta2=BETAS[1], eps=EPS), np.random.default_rng(2)
    terms = () if term is None else (term,)
    return lambda: discriminator_step(D, optimizer, objective, x, fake, rng=rng, penalties=terms)


def torch_update(case: Case, penalty: str, D: Any, dtype: str, *, channels_last: bool) -> Callable[[], Any]:
    """Return a function that updates PyTorch's D once.

    Parameters
    ----------
    case, penalty
        The discriminator, and a key of PENALTIES.
    D
        The module.
    dtype
        The dtype of the images.
    channels_last
        Whether images lie in memory as NHWC.

    """
    import torch
    from torch.nn import functional as F

    term = PENALTIES[penalty][1]
    rng, axes = np.random.default_rng(2), tuple(range(1, len(case.shape) + 1))

    def tensor(a: Array) -> Any:
        t = torch.from_numpy(a)
        return t if t.ndim < 4 else t.permute(0, 3, 1, 2) if channels_last else t.permute(0, 3, 1, 2).contiguous()

    x, fake = map(tensor, batches(case, dtype))
    optimizer = torch.optim.Adam(D.parameters(), lr=LR, betas=BETAS, eps=EPS, fused=True)

    def r1_cost() -> Any:
        real = x.detach().requires_grad_(penalty == "R1")
        s = D(real)
        cost = F.softplus(-s).mean() + F.softplus(D(fake)).mean()
        if penalty == "none":
            return cost
        (v,) = torch.autograd.grad(s.sum(), real, create_graph=True)
        return cost + term.weight / 2 * v.square().sum(axes).mean()

    def wasserstein_cost() -> Any:
        cost = D(fake).mean() - D(x).mean()
        e = torch.from_numpy(rng.random((case.batch,) + (1,) * len(case.shape)).astype(dtype))
        between = (fake + e * (x - fake)).requires_grad_(True)
        (v,) = torch.autograd.grad(D(between).sum(), between, create_graph=True)
        return cost + term.weight * (v.square().sum(axes).sqrt() - 1).square().mean()

    cost_of = wasserstein_cost if penalty == "WassersteinPenalty" else r1_cost

    def update() -> None:
        optimizer.zero_grad()
        cost_of().backward()
        optimizer.step()

    return update


def check(*, quick: bool) -> float:
    """Return the largest relative difference of the parameters after some updates in float64.

    Raises
    ------
    SystemExit
        If it exceeds TOLERANCE.

    """
    from benchmarks.other_libraries.torch.twin import modules, state

    worst = 0.0
    for name, case in cases(quick=quick).items():
        for penalty in PENALTIES:
            D = network(case, "float64")
            twin = modules(D, case.shape, channels_last=True)
            start = {key: value.copy() for key, value in state(D, case.shape, True).items()}
            ours = minigan_update(case, penalty, D)
            theirs = torch_update(case, penalty, twin, "float64", channels_last=True)
            for _ in range(CHECKED_UPDATES):
                ours(), theirs()
            found = twin.state_dict()
            for key, value in state(D, case.shape, True).items():
                difference = np.abs(value - found[key].numpy()).max() / max(np.abs(value - start[key]).max(), 1e-300)
                if key == f"{len(case.layers) - 1}.bias" and penalty == "WassersteinPenalty":
                    continue  # its gradient is 0, or a rounding error, which Adam enlarges
                worst = max(worst, float(difference))
                if not difference <= TOLERANCE:
                    raise SystemExit(f"{name}, {penalty}: {key} differs from PyTorch's by {difference:.1e}: not timed")
    return worst


def run(options: measure.Options) -> dict[str, Any]:
    """Check the updates, time them in turns, and return the result."""
    if not measure.installed("torch"):
        raise measure.Unavailable("torch is not installed")
    rounds = options.rounds_or(5)
    worst = check(quick=options.quick)
    measure.log(f"check: parameters agree with PyTorch's to {worst:.1e} in float64")
    arguments = ["--threads", str(options.threads), *(["--quick"] if options.quick else [])]
    runs = measure.alternate(
        "benchmarks.cpu.penalties", IMPLEMENTATIONS, rounds=rounds, arguments=arguments, env=options.environment()
    )
    found: dict[str, Any] = {}
    for case in cases(quick=options.quick):
        for penalty in PENALTIES:
            key = f"{case}, {penalty}"
            times = {name: [one["updates"][key] for one in runs[name]] for name in IMPLEMENTATIONS}
            ratios = {name: measure.ratio(times[name], times["minigan"]) for name in IMPLEMENTATIONS[1:]}
            seconds = {name: measure.spread(values) for name, values in times.items()}
            found[key] = {"seconds": seconds, "ratio": ratios}
    return {
        "benchmark": "penalties",
        "threads": options.threads,
        "rounds": rounds,
        "settings": "small" if options.quick else "full",
        "check": {"greatest_difference": worst, "updates": CHECKED_UPDATES, "dtype": "float64", "gate": TOLERANCE},
        "updates": found,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Time all updates for one implementation; print JSON."""
    parser = argparse.ArgumentParser(description="One implementation of the benchmark of gradient penalties.")
    parser.add_argument("--implementation", choices=IMPLEMENTATIONS, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args(argv)
    found = {}
    for name, case in cases(quick=args.quick).items():
        for penalty in PENALTIES:
            D = network(case, "float32", args.threads)
            if args.implementation == "minigan":
                update = minigan_update(case, penalty, D)
            else:
                import torch

                from benchmarks.other_libraries.torch.twin import modules

                torch.set_num_threads(args.threads)
                last = args.implementation == "torch-channels-last"
                twin = modules(D, case.shape, channels_last=last)
                update = torch_update(case, penalty, twin, "float32", channels_last=last)
            update(), update()  # compile, allocate
            times = []
            end = time.perf_counter() + (0 if args.quick else 0.4)
            while len(times) < UPDATES_PER_TURN or time.perf_counter() < end:
                times.append(measure.seconds_of(update))
            found[f"{name}, {penalty}"] = float(np.median(times))
    print(json.dumps({"updates": found, "seconds": sum(found.values()), "instructions": instructions.observed()}))


if __name__ == "__main__":
    main()
