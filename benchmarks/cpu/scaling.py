"""The cost of an iteration by batch size, width, image size and number of threads.

    seconds = a size^exponent      fitted to the points by least squares of the logarithms

One process per axis and implementation runs all points; `benchmarks.core.checks` compares the games first.
"""

import argparse
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.core import implementations, instructions, measure
from benchmarks.core.checks import check

IMPLEMENTATIONS = ("minigan", "torch-channels-last")
AXES: dict[str, dict[str, Any]] = {
    "batch": {"case": "mnist-dcgan", "setting": "batch_size", "points": [8, 16, 32, 64], "what": "images per batch"},
    "width": {"case": "dcgan64", "setting": "width", "points": [8, 4, 2, 1], "what": "channels of the widest layer"},
    "image": {"case": None, "points": [16, 32, 64, 128], "what": "pixels per side"},
    "threads": {"case": "mnist-dcgan", "points": [1, 2], "what": "threads"},
}
CHECKED_CASES = ("mnist-dcgan", "dcgan64")
CHAIN_TOLERANCE = 1e-12
"""The largest relative difference in float64 at which the stacks of convolutions count as equal."""
MAX_CHANNELS = 1024
"""Channels of the widest layer of dcgan64 at width 1; at width w there are w times fewer."""


def run(options: measure.Options) -> dict[str, Any]:
    """Check the cases, time them at all sizes, and return the result."""
    rounds = options.rounds_or(2)
    checks = {case: check(case, 1 if options.quick else 2) for case in CHECKED_CASES}
    checks["image"] = {"greatest_difference": _check_chain()} if measure.installed("torch") else {}
    present = [name for name in IMPLEMENTATIONS if implementations.why_unavailable(name) is None]
    axes: dict[str, Any] = {}
    for axis, about in AXES.items():
        points = about["points"][:2] if options.quick else about["points"]
        if axis == "threads":
            points = [n for n in points if n <= max(1, options.threads)]
        found: dict[str, list[list[float]]] = {name: [] for name in present}
        for k in range(rounds):
            for name in present if k % 2 == 0 else reversed(present):
                arguments = ["--axis", axis, "--points", json.dumps(points), "--threads", str(options.threads)]
                arguments += ["--seconds", "0.05" if options.quick else "0.6", *(["--small"] if options.quick else [])]
                answer = measure.run("benchmarks.cpu.scaling", name, arguments, env=options.environment())
                found[name].append(answer["seconds_at"])
                measure.log(f"{axis} {points}: {name} " + ", ".join(f"{1e3 * s:.4g}" for s in found[name][-1]) + " ms")
        sizes = [MAX_CHANNELS // p for p in points] if axis == "width" else points
        axes[axis] = {
            "game": about["case"] or "a stack of four convolutions, forward and backward, batch 8",
            "what": about["what"],
            "sizes": sizes,
            "seconds": {
                name: [measure.spread([times[i] for times in rounds_]) for i in range(len(points))]
                for name, rounds_ in found.items()
            },
        }
        axes[axis]["exponent"] = {
            name: exponent(sizes, [row["median"] for row in rows]) for name, rows in axes[axis]["seconds"].items()
        }
    return {
        "benchmark": "scaling",
        "threads": options.threads,
        "rounds": rounds,
        "settings": "small" if options.quick else "full",
        "absent": {name: implementations.why_unavailable(name) for name in IMPLEMENTATIONS if name not in present},
        "check": checks,
        "axes": axes,
    }


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float | None:
    """Return b of seconds = a size^b, fitted by least squares of the logarithms.

    Parameters
    ----------
    sizes, seconds
        The points.

    Returns
    -------
    float or None
        b, with three decimals; None if there are fewer than two different sizes.

    Examples
    --------
    >>> exponent([1, 2, 4], [3.0, 12.0, 48.0])
    2.0

    """
    if len(set(sizes)) < 2:
        return None
    return round(float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0]), 3)


# --- one implementation ---------------------------------------------------------------------------


def _chain() -> Any:
    """Return the layers of the stack of convolutions."""
    import minigan as mg

    def down(c_in: int, c_out: int) -> list[Any]:
        return [mg.Conv2D(c_in, c_out, 4, stride=2, padding=1), mg.LeakyReLU(0.2)]

    return [*down(3, 32), *down(32, 64), *down(64, 128), mg.Conv2D(128, 128, 3, padding="same")]


def _net(dtype: str, threads: int) -> Any:
    import minigan as mg
    from minigan.ops import get_ops

    return mg.Network(_chain(), rng=np.random.default_rng(0), dtype=dtype, ops=get_ops("cpu", threads=threads))


def _image(name: str, size: int, threads: int) -> Callable[[], Any]:
    """Return a function that runs the stack of convolutions forward and backward on images of size x size."""
    net = _net("float32", threads)
    x = np.random.default_rng(1).standard_normal((8, size, size, 3)).astype("float32")
    if name == "minigan":

        def play() -> None:
            with net.ops.session():
                y, backward = net.forward(x, train=True)
                backward(np.ones_like(y), net.zeros_like_theta(), need_dx=False)

        return play
    import torch

    from benchmarks.other_libraries.torch.twin import modules

    torch.set_num_threads(threads)
    twin = modules(net, x.shape[1:], channels_last=True)
    t = torch.from_numpy(x).permute(0, 3, 1, 2)

    def play_torch() -> None:
        twin.zero_grad()
        y = twin(t)
        y.backward(torch.ones_like(y))

    return play_torch


def _check_chain() -> float:
    """Return the relative difference of y of the two stacks in float64; raise SystemExit above `CHAIN_TOLERANCE`."""
    import torch

    from benchmarks.other_libraries.torch.twin import modules

    net = _net("float64", 2)
    x = np.random.default_rng(1).standard_normal((2, 16, 16, 3))
    with torch.no_grad():
        y_torch = modules(net, x.shape[1:], channels_last=True)(torch.from_numpy(x).permute(0, 3, 1, 2))
    y = net(x)
    worst = float(np.abs(y - y_torch.permute(0, 2, 3, 1).numpy()).max() / np.abs(y).max())
    if not worst <= CHAIN_TOLERANCE:
        raise SystemExit(
            f"the stacks of convolutions differ by {worst:.3g}, relative to the largest output; expected at most "
            f"{CHAIN_TOLERANCE:g}. Not timed: the implementations compute different results."
        )
    return worst


def main(argv: Sequence[str] | None = None) -> None:
    """Print the seconds of an iteration at each point of an axis."""
    parser = argparse.ArgumentParser(description="One implementation of the benchmark of scaling.")
    parser.add_argument("--implementation", choices=IMPLEMENTATIONS, required=True)
    parser.add_argument("--axis", choices=AXES, required=True)
    parser.add_argument("--points", type=json.loads, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.6)
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args(argv)
    about, seconds = AXES[args.axis], []
    for point in args.points:
        threads = point if args.axis == "threads" else args.threads
        if about["case"] is None:
            play = _image(args.implementation, point, threads)
        else:
            settings = {about["setting"]: point} if "setting" in about else {}
            if args.small:  # a smoke run: an eighth of the width
                settings = {name: value * (8 if name == "width" else 1) for name, value in settings.items()}
            play = implementations.make_step(
                about["case"], args.implementation, threads=threads, small=args.small, settings=settings
            )
        seconds.append(implementations.timed(play, seconds=args.seconds, warmup=1)["seconds"])
    assert all(map(math.isfinite, seconds))  # noqa: S101
    print(json.dumps({"seconds_at": seconds, "instructions": instructions.observed()}))


if __name__ == "__main__":
    main()
