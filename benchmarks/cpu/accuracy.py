"""Rounding errors of the convolution algorithms, layer by layer: float32 against float64.

    python -m benchmarks.cpu.accuracy [--images 8]

For every layer of the convolutional recipes with more than 16 input and output channels: the correlation (forward pass
of a convolution, backward pass of a transposed one), its adjoint (the reverse) and the weight gradient, directly and by
each F(m, r) that supports the layer, on normal data.  The error is the root mean square of the difference over that of
the result; the largest difference over the largest entry is stored too.  Nothing is timed.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.core import measure
from minigan.layers import Conv2D, ConvTranspose2D
from minigan.ops import reference
from minigan.ops.cpu import CPU
from minigan.ops.cpu.conv import direct, winograd, winograd_weights
from minigan.ops.cpu.conv.flipped import flipped_geometry, flipped_weights
from minigan.ops.cpu.conv.plan import MAX_DIRECT_CHANNELS, ORDERS_BY_ACCURACY, Plan, choose_plan, taps
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array
from minigan.recipes import get_recipe

RECIPES = ("mnist-dcgan", "dcgan64", "mnist-softmax")
PASSES = ("correlation", "adjoint", "weight gradient")
RELATIVE_TOLERANCE = 1e-13
"""The largest difference of float64 from the reference, over the largest entry."""


def layers(recipe: str) -> Iterator[tuple[str, Geometry, int, int]]:
    """Yield name, geometry, C and O of the correlation in each layer of a recipe that may use Winograd's algorithms."""
    found = get_recipe(recipe)
    architecture = found.architecture(found.configure({}))
    for net, chain, shape in (
        ("G", architecture.G, architecture.noise_shape), ("D", architecture.D, architecture.data_shape),
    ):  # fmt: skip
        for layer in chain:
            out = layer.output_shape(shape)
            if isinstance(layer, (Conv2D, ConvTranspose2D)) and min(layer.c_in, layer.c_out) > MAX_DIRECT_CHANNELS:
                channels = (layer.c_in, layer.c_out) if isinstance(layer, Conv2D) else (layer.c_out, layer.c_in)
                name = f"{net}: {'x'.join(map(str, shape))} to {'x'.join(map(str, out))}"
                yield name, layer.geometry((shape[0], shape[1])), *channels
            shape = out


def all_passes(data: Sequence[Array], geometry: Geometry, plan: Plan | None) -> tuple[Array, ...]:
    """Compute the correlation, its adjoint and the weight gradient as the backend does.

    Parameters
    ----------
    data
        x (N, H, W, C), y (N, h, w, O) and W (kh, kw, C, O).
    geometry
        The geometry of the correlation.
    plan
        F(m, r), or None for direct sums.

    Returns
    -------
    tuple of Array
        y, dx and dW.

    """
    x, y, W = data
    cpu = CPU()
    if plan is None:
        return (
            direct.correlate(x, W, geometry, None, cpu),
            direct.correlate_adjoint(y, W, geometry, None, cpu),
            direct.correlate_weights(x, y, geometry, cpu),
        )
    flipped = flipped_geometry(geometry)
    back = (
        winograd.correlate_adjoint(y, W, geometry, None, plan, cpu)
        if flipped is None
        else winograd.correlate(y, flipped_weights(W), flipped, None, plan, cpu)
    )
    return (
        winograd.correlate(x, W, geometry, None, plan, cpu),
        back,
        winograd_weights.correlate_weights(x, y, geometry, plan, cpu),
    )


def errors(geometry: Geometry, C: int, O: int, images: int, seed: int = 0) -> dict[str, dict[str, dict[str, float]]]:
    """Return the errors of float32 by algorithm and pass.

    Parameters
    ----------
    geometry
        The geometry of the correlation.
    C, O
        The channels of the large and the small image.
    images
        The number of random images.
    seed
        The seed of the data.

    Returns
    -------
    dict
        For each algorithm ("direct", "F(2,3)", ...) and each of `PASSES`, the root mean square error over that of the
        result ("rms") and the largest error over the largest entry ("greatest").

    """
    rng = np.random.default_rng(seed)
    shapes = ((images, *geometry.large, C), (images, *geometry.small, O), (*geometry.kernel, C, O))
    singles = [rng.standard_normal(shape, dtype="float32") for shape in shapes]
    exact = all_passes([a.astype("float64") for a in singles], geometry, None)
    r = taps(geometry)
    plans: dict[str, Plan | None] = {"direct": None}
    winograd_plans = (Plan(*order) for order in ORDERS_BY_ACCURACY["fast"])
    plans |= {_algorithm(plan): plan for plan in winograd_plans if plan.r == r}
    found: dict[str, dict[str, dict[str, float]]] = {}
    for algorithm, plan in plans.items():
        found[algorithm] = {}
        for name, got, want in zip(PASSES, all_passes(singles, geometry, plan), exact, strict=True):
            error = got - want
            found[algorithm][name] = {
                "rms": _round(np.sqrt((error**2).mean() / (want**2).mean())),
                "greatest": _round(np.abs(error).max() / np.abs(want).max()),
            }
    return found


def check() -> float:
    """Return the relative difference of the direct sums in float64 from the reference backend.

    Raises
    ------
    SystemExit
        If it exceeds `RELATIVE_TOLERANCE`.

    """
    name, geometry, C, O = next(layers("mnist-softmax"))
    rng = np.random.default_rng(1)
    shapes = ((2, *geometry.large, C), (2, *geometry.small, O), (*geometry.kernel, C, O))
    x, y, W = (rng.standard_normal(shape) for shape in shapes)
    want = (
        reference.correlate(x, W, geometry),
        reference.correlate_adjoint(y, W, geometry),
        reference.correlate_weights(x, y, geometry),
    )
    pairs = zip(all_passes((x, y, W), geometry, None), want, strict=True)
    difference = float(np.max([np.abs(a - b).max() / np.abs(b).max() for a, b in pairs]))
    if not difference <= RELATIVE_TOLERANCE:
        raise SystemExit(
            f"{name}: float64 differs from the reference by {difference:.3g}: nothing to compare float32 with"
        )
    return difference


def section(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md, a table of the rms errors, from the stored result."""
    lines = [
        "## Rounding errors of the convolutions",
        "",
        f"`python -m benchmarks.cpu.accuracy --images {result['images']}`: float32 against float64 on normal data, the "
        "root of the mean square error over that of the result: correlation / adjoint / weight gradient, in 1e-7. "
        '*Italic*: what the cost model chooses with `accuracy="balanced"` at a batch of 32; **bold**: with "fast". '
        f"Check: float64 agrees with the reference to {result['check']['greatest_difference']:.1e}.",
        "",
        "| layer | kernel | direct | m = 2 | m = 3 | m = 4 |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["layers"]:
        cells = []
        for m in (None, 2, 3, 4):
            algorithm = "direct" if m is None else f"F({m},{row['r']})"
            if algorithm not in row["errors"]:
                cells.append("")
                continue
            text = " / ".join(f"{row['errors'][algorithm][name]['rms'] / 1e-7:.1f}" for name in PASSES)
            text = f"*{text}*" if algorithm == row["balanced"] else text
            cells.append(f"**{text}**" if algorithm == row["fast"] else text)
        lines.append(f"| `{row['recipe']}` {row['layer']} | {row['kernel']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _round(number: float) -> float:
    return float(f"{number:.2e}")


def _algorithm(plan: Plan | None) -> str:
    return "direct" if plan is None else f"F({plan.m},{plan.r})"


def main() -> None:
    """Check, measure, write benchmarks/results/accuracy.json, print the table."""
    parser = argparse.ArgumentParser(description="Rounding errors of the convolutions, layer by layer.")
    parser.add_argument("--images", type=int, default=8)
    args = parser.parse_args()
    difference = check()
    rows = []
    for recipe in RECIPES:
        for name, geometry, C, O in layers(recipe):
            (kh, kw), (s, _) = geometry.kernel, geometry.stride
            rows.append(
                {
                    "recipe": recipe,
                    "layer": name,
                    "kernel": f"{kh}x{kw} s{s}",
                    "r": taps(geometry),
                    **{
                        accuracy: _algorithm(choose_plan(geometry, 32, C, O, accuracy, compiled=True))
                        for accuracy in ("balanced", "fast")
                    },
                    "errors": errors(geometry, C, O, args.images),
                }
            )
            print(recipe, name, file=sys.stderr)
    result = {
        "benchmark": "accuracy",
        "images": args.images,
        "check": {"dtype": "float64", "greatest_difference": difference},
        "layers": rows,
    }
    path = measure.write("accuracy", result)
    print(section(result))
    print(path)


if __name__ == "__main__":
    main()
