"""``python -m benchmarks.gpu.algorithms``: time each correlation of DCGAN-64 with every algorithm and with the plan's.

This measures what `minigan.ops.cuda.conv.plan` estimates; the constants there should be fitted to this table.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.core import measure
from benchmarks.gpu import bench as tools
from minigan.ops import BackendUnavailable, reference
from minigan.ops.cuda.conv.im2col import PatchCorrelations
from minigan.ops.cuda.conv.plan import Plan, choose_plan, parts_of
from minigan.ops.cuda.conv.tiles import TileCorrelations
from minigan.ops.geometry import Geometry

METHODS = {"correlate": "correlate", "adjoint": "correlate_adjoint", "weights": "correlate_weights"}
"""The backend's method by kind, as kinds are called in the results."""
TOLERANCES = {"fp32": 1e-5, "tf32": 4e-3, "bf16": 3e-2}
"""The largest allowed relative errors against float64; operands have 24, 11 or 8 bits of precision."""
SECONDS_LEFT_TO_START = 10.0
"""Seconds that must remain before a layer is measured; most of them go to the check."""
Layer = tuple[int, int, int, int]
"""N, H = W, C, O of a convolution with 4 x 4 taps and stride 2."""


def layers(bench: tools.Bench) -> list[Layer]:
    """Return the convolutions of DCGAN-64's discriminator, or two small ones for a quick run.

    The generator's are the same in reverse.
    """
    N, width = bench.pick(128, 2), bench.pick(64, 4)
    return [(N, 64 >> i, 3 if i == 0 else width << (i - 1), width << i) for i in range(bench.pick(4, 2))]


def geometry_of(size: int) -> Geometry:
    """Return the geometry of 4 x 4 taps, stride 2 and padding 1 on images of size x size."""
    return Geometry((size, size), (size // 2, size // 2), (4, 4), (2, 2), (1, 1), ((1, 1), (1, 1)))


def run(bench: tools.Bench) -> list[dict[str, Any]]:
    """Check each algorithm, then time it.

    Parameters
    ----------
    bench
        The device, its clock and the options of the run.

    Returns
    -------
    list of dict
        For each precision, layer and kind: "times", the `spread` of the seconds by tile (0: patches); "plan", the tile
        that the plan chooses; "best", the fastest tile; "slower", the plan's time over the fastest.  Rows for which no
        time was left are missing; those whose check failed are in ``bench.failed``.

    """
    rows = []
    for layer in layers(bench):
        for kind in METHODS:
            if not bench.quick and bench.seconds_left < SECONDS_LEFT_TO_START:
                return rows
            operands = _operands(layer, kind)
            exact = _exact(layer, kind, operands)
            for precision in tools.PRECISIONS:
                with bench.recording_failures(f"ways, {kind} of {layer} in {precision}"):
                    rows.append(_row(bench, precision, layer, kind, operands, exact))
    return sorted(rows, key=lambda row: tools.PRECISIONS.index(row["precision"]))


def _operands(layer: Layer, kind: str) -> list[Any]:
    """Return the two operands, float32."""
    N, size, C, O = layer
    rng = np.random.default_rng(0)
    shapes = {"x": (N, size, size, C), "y": (N, *geometry_of(size).small, O), "W": (4, 4, C, O)}
    names = {"correlate": "xW", "adjoint": "yW", "weights": "xy"}[kind]
    return [rng.standard_normal(shapes[name], dtype=np.float32) for name in names]


def _row(
    bench: tools.Bench, precision: str, layer: Layer, kind: str, operands: list[Any], exact: tuple[Any, Any]
) -> dict[str, Any]:
    N, size, C, O = layer
    device, geometry = bench.ops(precision).device, geometry_of(size)
    arrays = [device.array(a) for a in operands]
    options = {"precision": precision, "double": False, "processors": device.processors}
    plan = choose_plan(kind, geometry, N, C, O, **options)
    times = {}
    for tile in (0, 64, 128):
        pixels = N * geometry.small[0] * geometry.small[1]
        parts = parts_of(tile, 16 * C, O, pixels, device.processors) if tile and kind == "weights" else 1
        job = _job(device, precision, kind, geometry, arrays, Plan(tile, parts))
        _check(device, job, kind, exact, precision)
        times[tile] = tools.spread(bench.clock.device(job, repeats=bench.pick(15, 2)))
    best = min(times, key=lambda tile: times[tile]["median"])
    slower = times[plan.tile]["median"] / times[best]["median"]
    row = {"precision": precision, "layer": layer, "kind": kind, "times": times}
    return row | {"plan": plan.tile, "best": best, "slower": measure.digits(slower)}


def _job(
    device: Any, precision: str, kind: str, geometry: Geometry, arrays: list[Any], plan: Plan
) -> Callable[[], Any]:
    """Return a function that computes the correlation `kind` by patches, or by tiles if the plan has a tile."""
    bias = [None] if kind != "weights" else []
    if not plan.tile:
        algorithm: Any = PatchCorrelations(device, precision)
        tiling: list[Any] = []
    else:
        algorithm = TileCorrelations(device, precision)
        tiling = [plan.tile] if kind != "weights" else [plan.tile, plan.parts]
    method = getattr(algorithm, METHODS[kind])
    return lambda: method(*arrays, geometry, *bias, *tiling)


def _exact(layer: Layer, kind: str, operands: list[Any]) -> tuple[Any, Any]:
    """Return the float64 result, for two images or for some channels of the weight gradient, and its index."""
    N, size, C, O = layer
    geometry = geometry_of(size)
    if kind == "weights":
        some_C, some_O = (slice(None, None, max(1, n // 4)) for n in (C, O))
        x, y = operands[0][..., some_C].astype(np.float64), operands[1][..., some_O].astype(np.float64)
        return reference.correlate_weights(x, y, geometry), (slice(None), slice(None), some_C, some_O)
    ends = [0, N - 1]
    function = reference.correlate if kind == "correlate" else reference.correlate_adjoint
    return function(operands[0][ends].astype(np.float64), operands[1].astype(np.float64), geometry), ends


def _check(device: Any, job: Callable[[], Any], kind: str, exact: tuple[Any, Any], precision: str) -> None:
    """Compare the result with the entries in `exact`; raise ArithmeticError above the precision's tolerance."""
    expected, index = exact
    found = device.host(job())[index]
    error = float(np.abs(found - expected).max() / np.abs(expected).max())
    if not error < TOLERANCES[precision]:
        raise ArithmeticError(
            f"{kind} in {precision} has a relative error of {error:.2g}; expected less than {TOLERANCES[precision]:g}. "
            "Not timed: the result is wrong."
        )


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows of `run` as Markdown: milliseconds by algorithm, the plan's choice, its time over the best."""
    lines = [
        "| precision | N, H, C, O | | patches | tiles 64 | tiles 128 | plan | plan / best |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        times = " | ".join(f"{1e3 * row['times'][tile]['median']:.3g}" for tile in (0, 64, 128))
        sizes = ", ".join(map(str, row["layer"]))
        plan = f"tiles {row['plan']}" if row["plan"] else "patches"
        lines.append(f"| {row['precision']} | {sizes} | {row['kind']} | {times} | {plan} | {row['slower']:.2f} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None, make: Callable[..., tools.Bench] = tools.on_this_machine) -> int:
    """Print the table; return 2 if there is no GPU."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.algorithms", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run on small settings: the numbers mean nothing")
    args = parser.parse_args(argv)
    try:
        bench = make(quick=args.quick, seconds=600.0)
    except BackendUnavailable as why:
        measure.log(f"python -m benchmarks.gpu.algorithms: nothing was measured: {why}")
        return 2
    print(table(run(bench)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
