"""What `benchmarks.cpu.breakdown` observes: functions of the CPU backend, their work, and the layers that call them.

To observe another function, add a line to `OBSERVED`: its class, its name, and a function of its arguments that returns
its work.  Layers need no line.  A layer in which no observed operation runs, such as a whole network in one compiled
call, has the work of its dense members.

Operations are those of the algorithm that runs (Winograd's if the cost model chooses it).  Bytes count each array that
an operation must read or write once.
"""

import importlib
import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.cpu.observe import Count, Observer, Work, patch
from minigan.layers.base import Layer
from minigan.layers.chain import Chain, Fused
from minigan.network import Network
from minigan.ops.cpu import CPU
from minigan.ops.cpu.conv.plan import choose_plan, taps
from minigan.ops.cpu.mlp import MLP
from minigan.ops.cpu.norm_act import NormActivation
from minigan.ops.cpu.vector import Flat
from minigan.ops.geometry import Geometry
from minigan.training import Experiment

CONVOLUTIONS = "convolutions"
PRODUCTS = "dense products"
NETWORKS = "dense networks in one call"
PASSES = "batch norm, activations, dropout"
LOSSES = "losses"
VECTORS = "parameter vector"
BATCHES = "batches and noise"


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape as a text.

    >>> shape_text((32, 28, 28, 1))
    '32x28x28x1'
    """
    return "x".join(map(str, shape))


# --- work -----------------------------------------------------------------------------------------


def convolution(name: str) -> Count:
    """Return a function for the work of a correlation or its adjoint, called `name`."""

    def count(cpu: CPU, x: Any, W: Any, geometry: Geometry, b: Any = None) -> Work:
        return _convolution(name, cpu, x, geometry, *W.shape[2:])

    return count


def weight_gradient(cpu: CPU, x: Any, y: Any, geometry: Geometry) -> Work:
    """Return the work of a weight gradient of a convolution."""
    return _convolution("weight gradient", cpu, x, geometry, x.shape[3], y.shape[3])


def _convolution(name: str, cpu: CPU, images: Any, geometry: Geometry, C: int, O: int) -> Work:
    n, (h, w) = len(images), geometry.small
    plan = choose_plan(geometry, n, C, O, cpu.accuracy, compiled=cpu.compiled)
    if plan is None or taps(geometry) != plan.r:
        operations, how = 2.0 * n * h * w * math.prod(geometry.kernel) * C * O, "direct"
    else:
        tiles = n * math.prod(-(-size // plan.m) for size in geometry.small)
        operations, how = 2.0 * plan.n**2 * tiles * C * math.prod(geometry.stride) * O, f"F({plan.m}, {plan.r})"
    arrays = n * (math.prod(geometry.large) * C + h * w * O) + math.prod(geometry.kernel) * C * O
    large, small, kernel = shape_text((n, *geometry.large, C)), shape_text((n, h, w, O)), shape_text(geometry.kernel)
    text = f"{name} {kernel}: {large} and {small}, {how}"
    return Work(CONVOLUTIONS, text, operations, float(images.itemsize * arrays))


def affine(_: CPU, x: Any, W: Any, b: Any = None) -> Work:
    """Return the work of x W + b; W may be the transpose of a weight matrix, as in dy W^T."""
    transposed = min(W.shape) > 1 and W.flags.f_contiguous
    name = "dy W^T" if transposed else "x W" if b is None else "x W + b"
    y = x.shape[0] * W.shape[1]
    text = f"{name}: {shape_text(x.shape)} times {shape_text(W.shape)}"
    return Work(PRODUCTS, text, 2.0 * x.size * W.shape[1], float(x.itemsize * (x.size + W.size + y)))


def add_product(_: CPU, x: Any, y: Any, out: Any, *, overwrite: bool = False) -> Work:
    """Return the work of out + x^T y, or with `overwrite` of x^T y."""
    text = f"{'' if overwrite else 'dW + '}x^T dy: {shape_text(x.shape)} and {shape_text(y.shape)}"
    arrays = x.size + y.size + (1 if overwrite else 2) * out.size
    return Work(PRODUCTS, text, 2.0 * x.size * y.shape[1], float(x.itemsize * arrays))


def passes(group: str, name: str, arrays: int) -> Count:
    """Return a function for the work of an operation on so many arrays of its first argument's size."""

    def count(_: Any, x: Any, *__: Any, **___: Any) -> Work:
        return Work(group, f"{name}: {shape_text(x.shape)}", 0.0, float(arrays * x.nbytes))

    return count


def static_passes(group: str, name: str, arrays: int) -> Count:
    """Return `passes` for a static method."""
    count = passes(group, name, arrays)
    return lambda *arguments, **named: count(None, *arguments, **named)


def zeros(_: Flat, size: int, dtype: Any) -> Work:
    """Return the work of a vector of zeros."""
    import numpy as np

    return Work(VECTORS, f"zero_vector: {size}", 0.0, float(size * np.dtype(dtype).itemsize))


def mlp_forward(mlp: MLP, theta: Any, x: Any) -> Work:
    """Return the work of a small dense network forward."""
    shapes, weights, n_out = _mlp(mlp)
    arrays = x.size + theta.size + len(x) * n_out
    return Work(NETWORKS, f"{len(x)}x{shapes} forward", 2.0 * len(x) * weights, float(x.itemsize * arrays))


def mlp_backward(mlp: MLP, theta: Any, x: Any, dy: Any, g: Any, *, need_dx: bool, overwrite: bool = False) -> Work:
    """Return the work of a small dense network backward: its activations once more, dW if there is a g, and dx."""
    shapes, weights, _ = _mlp(mlp)
    gradients = "dx and dW" if need_dx and g is not None else "dx" if need_dx else "dW"
    products = 2 + (g is not None)  # dx of all layers but perhaps the first
    arrays = x.size * (1 + need_dx) + dy.size + theta.size * (1 if g is None else 2 if overwrite else 3)
    return Work(
        NETWORKS, f"{len(x)}x{shapes} backward, {gradients}", 2.0 * products * len(x) * weights,
        float(x.itemsize * arrays),
    )  # fmt: skip


def _mlp(mlp: MLP) -> tuple[str, int, int]:
    sizes = [(int(n_in), int(n_out)) for n_in, n_out, *_ in mlp._plan[0]]
    shapes = "-".join(map(str, [sizes[0][0], *(n_out for _, n_out in sizes)]))
    return shapes, sum(n_in * n_out for n_in, n_out in sizes), sizes[-1][1]


OBSERVED: tuple[tuple[type, str, Count], ...] = (
    (CPU, "correlate", convolution("correlation")),
    (CPU, "correlate_adjoint", convolution("adjoint")),
    (CPU, "correlate_weights", weight_gradient),
    (CPU, "affine", affine),
    (CPU, "add_product", add_product),
    (MLP, "forward", mlp_forward),
    (MLP, "backward", mlp_backward),
    (CPU, "mean_softplus", passes(LOSSES, "mean_softplus", 2)),
    *((CPU, name, static_passes(PASSES, name, n)) for name, n in
      (("relu", 2), ("relu_backward", 3), ("sigmoid", 2), ("softplus", 2), ("softplus_sigmoid", 3))),
    *((NormActivation, name, passes(PASSES, name, n)) for name, n in
      (("normalise", 1), ("moments", 1), ("apply", 2), ("sums", 2), ("backward", 3), ("sum_rows", 1), ("dropout", 2))),
    *((Flat, name, passes(VECTORS, name, n)) for name, n in
      (("adam", 7), ("rmsprop", 5), ("momentum", 5), ("copy", 2), ("finite", 1))),
    (Flat, "zero_vector", zeros),
)  # fmt: skip


# --- layers and batches ---------------------------------------------------------------------------


def layer_work(layer: Layer, x: Any, y: Any) -> tuple[Work, Callable[..., Work]]:
    """Return the work of a layer forward, and a function for that of its pullback.

    Parameters
    ----------
    layer
        A stage of a network: a layer, or several as one (`Fused`).
    x, y
        Its input and output.

    """
    members = layer.members if isinstance(layer, Fused) else (layer,)
    parameters = [p.shape for member in members for p in member.parameters().values()]
    matrices = sum(math.prod(shape) for shape in parameters if len(shape) == 2)
    vector = sum(map(math.prod, parameters))
    name = f"{_names(members)}: {shape_text(x.shape)} to {shape_text(y.shape)}"
    group = NETWORKS if matrices else PASSES
    product = 2.0 * len(x) * matrices
    n_x, n_y, itemsize = x.size, y.size, x.itemsize
    first = len(x) * next((2.0 * math.prod(shape) for shape in parameters if len(shape) == 2), 0.0)

    def backward(_dy: Any, g: Any = None, *, need_dx: bool = True, overwrite: bool = False) -> Work:
        trained = g is not None and vector > 0
        gradients = "dx and dW" if need_dx and trained else "dx" if need_dx else "dW"
        operations = product * (1 + (g is not None)) - (0.0 if need_dx else first)
        arrays = n_x * (1 + need_dx) + n_y + vector * (1 if g is None else 2 if overwrite else 3)
        return Work(group, f"{name} backward, {gradients}", operations, float(itemsize * arrays))

    return Work(group, f"{name} forward", product, float(itemsize * (n_x + n_y + vector))), backward


def _names(members: tuple[Layer, ...]) -> str:
    """Return the types of layers, with how often each follows itself.

    >>> from minigan.layers import Dense, ReLU
    >>> _names((Dense(1, 2), ReLU(), Dense(2, 1)))
    'Dense, ReLU, Dense'
    """
    return ", ".join(type(member).__name__ for member in members)


def stages(net: Network) -> Iterator[Layer]:
    """Yield the layers that a network runs: those that contain no others."""
    waiting = [net._run]
    while waiting:
        layer = waiting.pop()
        within = list(layer.sublayers().values())
        if within:
            waiting += within
        else:
            yield layer


def observe(experiment: Experiment) -> Observer:
    """Observe the operations of `OBSERVED`, the stages of both players, and the batches that the recipe draws.

    The classes stay changed for the rest of the process.

    Parameters
    ----------
    experiment
        What is going to run.

    Returns
    -------
    Observer
        Holds the rows of all calls from now on.

    """
    observer = Observer()
    for owner, name, count in OBSERVED:
        patch(owner, name, lambda function, count=count: observer.operation(function, count))
    gan: Any = experiment.game
    for kind in {type(layer) for net in (gan.G, gan.D) for layer in stages(net)}:
        assert not issubclass(kind, Chain)  # noqa: S101
        patch(kind, "forward", lambda function: observer.layer(function, layer_work))
    _observe_batches(observer, experiment.name)
    return observer


def _observe_batches(observer: Observer, recipe: str) -> None:
    """Observe the functions `real` and `noise` that a recipe gives to its schedule."""
    module = importlib.import_module(f"minigan.recipes.{recipe.replace('-', '_')}")

    def observed(name: str, draw: Callable[..., Any]) -> Callable[..., Any]:
        def work(*_: Any) -> Work:
            return Work(BATCHES, name, 0.0, 0.0)

        return observer.operation(lambda *arguments: draw(*arguments), work)

    for name, function in inspect.getmembers(module, inspect.isfunction):
        if list(inspect.signature(function).parameters)[:3] != ["gan", "real", "noise"]:
            continue

        def schedule(gan: Any, real: Any, noise: Any, *, of: Any = function, **named: Any) -> Any:
            return of(gan, observed("real examples", real), observed("noise", noise), **named)

        setattr(module, name, schedule)
