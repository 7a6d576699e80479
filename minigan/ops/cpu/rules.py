"""The CPU backend's rules for fusing neighbouring layers.

`SmallChain` computes small dense layers and their activations in one compiled call forward and one backward, and
`minigan.ops.cpu.dense_stage.DenseStage` larger ones, with batch norm and dropout, on several threads.
`minigan.ops.cpu.example_norm` has layer, group and instance norm.
`minigan.fusion.norm_act` fuses dropout, activations and batch norm.  With NumPy alone,
`minigan.ops.cpu.numpy_dense.NumpyDense` computes dense layers with what follows them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from minigan._cached import cached_property
from minigan.fusion.norm_act import fuse_norm_act
from minigan.layers.activation import LeakyReLU, ReLU, Sigmoid, Tanh
from minigan.layers.base import Context, Layer, Pullback, require_features
from minigan.layers.chain import Fused
from minigan.layers.dense import Dense
from minigan.ops.cpu.dense_stage import dense_stage
from minigan.ops.cpu.example_norm import example_norm
from minigan.ops.cpu.mlp import MAX_FEATURES, MLP
from minigan.ops.cpu.numpy_dense import numpy_dense
from minigan.ops.protocol import Array, Ops, Rule


@dataclass(frozen=True)
class SmallChain(Fused):
    """One or more small dense layers, each with its activation or none, as one stage.

    The parameters p and their gradient g are vectors (P,): the members' part of theta and of its gradient.
    """

    writes_gradient = True

    def parameter_views(self, vector: Array) -> Array:
        """Return the vector itself, because the kernels index it directly."""
        return vector

    @cached_property
    def _mlp(self) -> MLP:
        layers = []
        for layer, above in zip(self.members, (*self.members[1:], None), strict=True):
            if isinstance(layer, Dense):
                name = type(above).__name__ if isinstance(above, ACTIVATIONS) else ""
                layers.append((layer.n_in, layer.n_out, layer.bias, name, getattr(above, "slope", 0.0)))
        return MLP(layers)

    def forward(self, p: Array, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return y (N, O) and the pullback, for x (N, I) and the parameters p (P,)."""
        first = self.members[0]
        assert isinstance(first, Dense)  # noqa: S101  (ensured by `small_chain`)
        require_features(first, x, first.n_in)
        mlp = self._mlp

        def backward(
            dy: Array, g: Array | None = None, *, need_dx: bool = True, overwrite: bool = False
        ) -> Array | None:
            if g is None and not need_dx:
                return None
            return mlp.backward(p, x, dy, g, need_dx=need_dx, overwrite=overwrite)

        return mlp.forward(p, x), backward


ACTIVATIONS = (ReLU, LeakyReLU, Tanh, Sigmoid)


def small_chain(layers: Sequence[Layer], _ops: Ops) -> tuple[SmallChain, int] | None:
    """Fuse the longest run of small dense layers, with their activations, at the beginning of `layers`.

    Parameters
    ----------
    layers
        The layers of a chain from some place on.
    _ops
        The backend; the rule is the same for all options.

    Returns
    -------
    tuple of SmallChain and int, or None
        The fused layer and how many layers it replaces; None if the first layer is not a small dense layer.

    """
    n, width = 0, None
    for layer in layers:
        if type(layer) is Dense:
            fits = max(layer.n_in, layer.n_out) <= MAX_FEATURES and width in (None, layer.n_in)
            width = layer.n_out
        else:
            fits = type(layer) in ACTIVATIONS and n > 0 and type(layers[n - 1]) is Dense and _monotonic(layer)
        if not fits:
            break
        n += 1
    return (SmallChain(tuple(layers[:n])), n) if n else None


def _monotonic(layer: Layer) -> bool:
    """Return whether y has the sign of x, because the backward pass finds the activation's derivative from y."""
    return not isinstance(layer, LeakyReLU) or layer.slope >= 0


COMPILED_RULES: tuple[Rule, ...] = (small_chain, dense_stage, fuse_norm_act, example_norm)
NUMPY_RULES: tuple[Rule, ...] = (numpy_dense, fuse_norm_act)
"""The rules in the order in which they are tried, with numba's kernels and with NumPy's."""
