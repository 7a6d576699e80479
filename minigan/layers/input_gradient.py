"""The gradient of a chain with respect to its input, and the parameter gradient of that gradient along a direction.

    v = sum_n dy_n/dx = J_1^T ... J_L^T 1        d<u, v>/dtheta = d/dtheta sum_n (J_L ... J_1 u)_n,   u constant

`Chain.forward` and `Chain.pushforward` compute both.  Here the two passes share what they have in common: the tangent
pass gets y of each layer from the forward pass, and the gradient of <u, v> with respect to the tangent at layer l,
which is J_(l+1)^T ... J_L^T 1, from the pullback that gave v.  Where layers are piecewise linear, a forward pass, a
pullback to x, a tangent pass and the parameter gradients remain: as many products as in a double backward.
"""

from collections.abc import Callable
from typing import Any

from minigan._checks import layer_gradient, layer_output, layer_tangent
from minigan.layers.base import Context, PairPullback, Pullback
from minigan.layers.chain import Chain
from minigan.ops.protocol import Array


def input_gradient(
    chain: Chain, p: Any, x: Array, ctx: Context, again: Context
) -> tuple[Array, Array, Callable[[Array, Any], None]]:
    """Return y, v and the function that adds the parameter gradient of <u, v>.

    Parameters
    ----------
    chain : Chain
        The layers.
    p : views
        Their parameters.
    x : array (N, ...)
        The input.
    ctx, again : Context
        The contexts of the forward pass and of the tangent pass, with the same keys.

    Returns
    -------
    y : array (N, ...)
        The output.
    v : array (N, ...)
        The gradient of the sum of y with respect to x.
    add : callable
        ``add(u, g)`` adds d<u, v>/dp to the views g, for a constant u of the shape of x.

    """
    layers, kind, dtype, n = chain.layers, ctx.ops.xp.ndarray, x.dtype, len(x)
    inputs: list[Array] = []
    outputs: list[Array] = []
    pullbacks: list[Pullback] = []
    for i, layer in enumerate(layers):
        inputs.append(x)
        try:
            result = layer.forward(p[i], x, ctx.part(i, layer.n_keys))
        except ValueError as error:
            raise chain.placed(i, error) from None
        x, pullback = layer_output(chain.place, i, result, n, kind, dtype)
        outputs.append(x)
        pullbacks.append(pullback)

    dy = ctx.ops.xp.ones_like(x)
    cotangents: list[Array] = []  # of the layers' outputs, the last one first
    for i in range(len(layers) - 1, -1, -1):
        cotangents.append(dy)
        dy = layer_gradient(chain.place, i, pullbacks[i](dy), inputs[i].shape, kind, dtype)
    cotangents.reverse()

    def add(u: Array, g: Any) -> None:
        x_dot, pairs = u, list[PairPullback]()
        for i, layer in enumerate(layers):
            part = again.part(i, layer.n_keys)
            part.y = outputs[i]
            try:
                result = layer.pushforward(p[i], inputs[i], x_dot, part)
            except ValueError as error:
                raise chain.placed(i, error) from None
            except NotImplementedError as error:
                raise NotImplementedError(f"{chain.place(i)}: {error}") from None
            _, x_dot, pair = layer_tangent(chain.place, i, result, n, kind, dtype)
            pairs.append(pair)
        first = next((i for i, layer in enumerate(layers) if layer.n_parameters), len(layers))
        dx: Array | None = None  # d<u, v>/dy of a layer: zero where all layers above are piecewise linear
        for i in range(len(layers) - 1, first - 1, -1):
            flat = dx is None and vars(type(layers[i])).get("piecewise_linear", False)
            needed = i > first and not flat
            dx, _ = pairs[i](dx, cotangents[i], g[i], need_dx=needed)
            if dx is not None:
                dx = layer_gradient(chain.place, i, dx, inputs[i].shape, kind, dtype)

    return x, dy, add
