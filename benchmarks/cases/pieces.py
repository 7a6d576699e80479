"""The pieces of the recipes' networks that are timed one by one: each layer with its input, and its work.

The work of convolutions and dense layers is the number of operations of the direct sums (2 N h w kh kw C O forward,
twice as many backward: dx and dW), so an algorithm that needs fewer has a higher rate.  The work of the layers between
them (batch norm, activations, dropout) is in bytes, as if x were read and y written once, and twice as much backward.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import minigan as mg
from benchmarks.cases.games import CASES
from benchmarks.core.measure import digits
from minigan.ops import to_host
from minigan.recipes import get_recipe

MATRIX_LAYERS = (mg.Conv2D, mg.ConvTranspose2D, mg.Dense, mg.Maxout)
LAYERS_BETWEEN = (mg.BatchNorm, mg.ReLU, mg.LeakyReLU, mg.Dropout, mg.Tanh, mg.Sigmoid)


@dataclass(frozen=True)
class Piece:
    """A layer with a weight matrix, or a sequence of layers between two of those, and its input.

    Attributes
    ----------
    key
        Its name: the recipe, the network and the index of its first layer.
    layers
        One layer of `MATRIX_LAYERS`, or some of `LAYERS_BETWEEN`.
    shape
        The shape of x without N.
    batch
        N, the number of examples.
    work
        Floating-point operations or bytes of a forward pass.
    unit
        The unit of `work`: "flop" or "byte".

    """

    key: str
    layers: tuple[Any, ...]
    shape: tuple[int, ...]
    batch: int
    work: float
    unit: str


def pieces(*, quick: bool = False, settings: Mapping[str, Mapping[str, Any]] | None = None) -> list[Piece]:
    """Return the distinct pieces of all recipes, named after the first recipe that has them.

    Parameters
    ----------
    quick
        Whether to use the small settings.
    settings
        For each case, hyper-parameters that replace its own; other cases are skipped.  None: all cases, with
        the settings that `benchmarks.cpu.steps` times.

    Returns
    -------
    list of Piece
        In the order of the recipes and their layers.

    """
    found: dict[Any, Piece] = {}
    for name, case in CASES.items():
        if name != case.recipe or (settings is not None and name not in settings):  # not the variants of a recipe
            continue
        recipe = get_recipe(case.recipe)
        config = recipe.configure({**(case.small if quick else case.settings), **(settings or {}).get(name, {})})
        chains = recipe.architecture(config)
        for net, layers, at in (("G", chains.G, chains.noise_shape), ("D", chains.D, chains.data_shape)):
            for i, run, shape in _runs(layers, tuple(at)):
                identity = (tuple((type(layer), str(layer.to_config())) for layer in run), shape, config.batch_size)
                if identity not in found:
                    found[identity] = _piece(f"{case.recipe} {net} {i}", run, shape, config.batch_size)
    return list(found.values())


def _runs(layers: Sequence[Any], shape: tuple[int, ...]) -> list[tuple[int, tuple[Any, ...], tuple[int, ...]]]:
    """Cut a chain into pieces: (index of the first layer, layers, input shape)."""
    found: list[tuple[int, tuple[Any, ...], tuple[int, ...]]] = []
    run: list[Any] = []
    for i, layer in enumerate([*layers, None]):
        if isinstance(layer, LAYERS_BETWEEN):
            run.append(layer)
        elif run:
            found.append((i - len(run), tuple(run), shape))
            run = []
        if isinstance(layer, MATRIX_LAYERS):
            found.append((i, (layer,), shape))
        if layer is not None:
            shape = layer.output_shape(shape)
    return found


def _piece(key: str, layers: tuple[Any, ...], shape: tuple[int, ...], batch: int) -> Piece:
    """Return the piece with its work."""
    if not isinstance(layers[0], MATRIX_LAYERS):
        return Piece(key, layers, shape, batch, 2 * 4 * batch * math.prod(shape), "byte")
    layer = layers[0]
    weights = math.prod(layer.parameters()["W"].shape)
    pixels = 1
    if isinstance(layer, mg.Conv2D):
        pixels = math.prod(layer.output_shape(shape)[:2])
    elif isinstance(layer, mg.ConvTranspose2D):
        pixels = math.prod(shape[:2])
    return Piece(key, layers, shape, batch, 2.0 * batch * pixels * weights, "flop")


def output_shape(piece: Piece) -> tuple[int, ...]:
    """Return the shape of y without N."""
    shape = piece.shape
    for layer in piece.layers:
        shape = layer.output_shape(shape)
    return shape


def piece_row(piece: Piece, seconds: Mapping[str, Mapping[str, Any]], limit: float) -> dict[str, Any]:
    """Return the piece's part of a result: its times, rates and shares of the limit.

    Parameters
    ----------
    piece
        The piece.
    seconds
        The spreads of the times, by names that end in "forward" or "backward".
    limit
        The machine's rate in units of the piece's work a second.

    Returns
    -------
    dict
        The row, as JSON.

    """
    rate = {}
    for name, times in seconds.items():
        per_second = piece.work * (2 if name.endswith("backward") else 1) / times["median"]
        rate[name] = {"per_second": digits(per_second), "share": round(per_second / limit, 4)}
    return {
        "piece": piece.key,
        "layers": ", ".join(type(layer).__name__ for layer in piece.layers),
        "x": [piece.batch, *piece.shape],
        "y": [piece.batch, *output_shape(piece)],
        "unit": piece.unit,
        "work": piece.work,
        "seconds": seconds,
        "rate": rate,
    }


def network(piece: Piece, ops: Any, dtype: str = "float32") -> mg.Network:
    """Return the piece as a network with weights from a fixed seed, on the backend `ops` and in the dtype."""
    return mg.Network(piece.layers, rng=np.random.default_rng(0), dtype="float32", ops=ops).astype(dtype)


def random_arrays(piece: Piece) -> tuple[Any, Any, np.random.Generator]:
    """Return random x and dy of the piece's shapes in float32, and the random stream of its dropout masks."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((piece.batch, *piece.shape), dtype="float32")
    return x, rng.standard_normal((piece.batch, *output_shape(piece)), dtype="float32"), rng


def relative_error(
    piece: Piece, ops: Any, *, tolerance: float, what: str, compared: Sequence[str] = ("y", "dx", "dtheta")
) -> float:
    """Compare a piece in float32 at batch 2 with the reference backend in float64.

    Parameters
    ----------
    piece
        The layers and their input.
    ops
        The backend that is compared.
    tolerance
        The largest allowed error.
    what
        What is compared, for the message.
    compared
        Which of y, dL/dx and dL/dtheta: the first of them.

    Returns
    -------
    float
        The largest error, each relative to the largest entry of its array.

    Raises
    ------
    SystemExit
        If it exceeds `tolerance` or is NaN.

    """
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, *piece.shape)).astype("float32")
    dy = rng.standard_normal((2, *output_shape(piece))).astype("float32")
    expected = forward_backward(network(piece, "reference", "float64"), x.astype(float), dy.astype(float))
    net = network(piece, ops)
    found = forward_backward(net, net.ops.xp.asarray(x), net.ops.xp.asarray(dy))
    worst = 0.0
    for name, a, b in zip(compared, found, expected, strict=False):
        scale = max(np.abs(b).max(initial=0), 1e-30)
        error = float(np.abs(to_host(a) - b).max(initial=0) / scale) if b.size else 0.0
        if not error <= tolerance:
            raise SystemExit(
                f"{what}: {name} has a relative error of {error:.3g}; expected at most {tolerance:g}. "
                "Not timed: the result is wrong."
            )
        worst = max(worst, error)
    return worst


def forward_backward(net: mg.Network, x: Any, dy: Any) -> tuple[Any, Any, Any]:
    """Return y, dL/dx and dL/dtheta for dL/dy = `dy`, with the dropout masks of a fixed seed."""
    y, backward = net.forward(x, train=True, rng=np.random.default_rng(2))
    g = net.zeros_like_theta()
    return y, backward(dy, g), g
