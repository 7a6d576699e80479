"""Fuse neighbouring layers on the CUDA backend: a linear layer's bias with the activation after it, and sequences of
dropout, activation and batch norm (`minigan.fusion.norm_act`).

    y = f(W x + b)        dx = W^T (f'(y) dy)        db = sum f'(y) dy        W x a product or a convolution

The layer computes the product, without its bias.  The pullback keeps only y: every f here has a derivative that can
be computed from y.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from minigan.fusion.norm_act import fuse_norm_act
from minigan.layers.activation import LeakyReLU, ReLU, Sigmoid, Tanh
from minigan.layers.base import Context, Layer, Pullback, Views
from minigan.layers.chain import Fused
from minigan.layers.conv import Conv2D, ConvTranspose2D
from minigan.layers.dense import Dense
from minigan.layers.dropout import Dropout
from minigan.layers.norm import BatchNorm
from minigan.ops.protocol import Array, Ops, Rule

LINEAR = (Dense, Conv2D, ConvTranspose2D)
ACTIVATIONS: dict[type[Layer], str] = {
    ReLU: "relu", LeakyReLU: "leaky_relu", Tanh: "tanh", Sigmoid: "sigmoid"
}  # fmt: skip
"""Activations that can be fused, and their names in `bias_act.ACTIVATIONS`."""


@dataclass(frozen=True)
class Biased(Fused):
    """A layer of LINEAR with a bias, fused with an activation.

    Parameters
    ----------
    linear : Layer
        The layer, whose parameters are W and b.
    activation : Layer
        The activation, one of ACTIVATIONS.

    """

    linear: Layer
    activation: Layer

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return y and the pullback."""
        ops: Any = ctx.ops
        activation = ACTIVATIONS[type(self.activation)], float(getattr(self.activation, "slope", 0.0))
        product, linear_backward = self.linear.forward({"W": p["W"]}, x, ctx)
        y = ops.bias_act.forward(product, p["b"], *activation)
        del product

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if g is None and not need_dx:
                return None
            dv, db = ops.bias_act.backward(dy, y, *activation, need_db=g is not None)
            if g is None:
                return linear_backward(dv)
            g_b = g["b"]
            g_b += db  # dL/db = sum f'(y) dy
            return linear_backward(dv, {"W": g["W"]}, need_dx=need_dx)

        return y, backward


def biased(layers: Sequence[Layer], _ops: Ops) -> tuple[Biased, int] | None:
    """Fuse a linear layer and its activation, unless `fuse_norm_act` fuses the activation with the layers after it."""
    if len(layers) < 2 or type(layers[0]) not in LINEAR:
        return None
    linear, f = layers[:2]
    has_kernel = type(f) in ACTIVATIONS and getattr(f, "slope", 0.0) >= 0
    in_norm_act = type(f) in (ReLU, LeakyReLU) and len(layers) > 2 and type(layers[2]) in (Dropout, BatchNorm)
    if not getattr(linear, "bias", False) or not has_kernel or in_norm_act:
        return None
    return Biased((linear, f), linear, f), 2


RULES: tuple[Rule, ...] = (biased, fuse_norm_act)
"""The rules, in the order in which they are tried."""
