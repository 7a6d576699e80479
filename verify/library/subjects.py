"""The subjects of the claims about the library: every layer, every objective, both steps of Algorithm 1.

`LAYERS` has an entry for each layer of `minigan.layers`, `OBJECTIVES` one for each objective (a test compares the
lists).  One line here gives a new layer its claims.  All axes differ in size, so that swapped axes are detected.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb

import minigan as mg
from minigan.gan import DBatching, DMode, combined, discriminator_gradient, eval_mode, separate, train_mode
from minigan.layers.base import Context, Layer, Parameter, Pullback, Shape, Views
from minigan.losses import DIVERGENCES, Objective, generator_cost, needs_real
from minigan.network import Network
from verify.arithmetic.dual import Array, balls
from verify.library.differentiable import Differentiable, layout

LAYERS: dict[str, dict[str, tuple[Layer, Shape]]] = {  # class -> name -> (layer, shape of x without N)
    "AvgPool2D": {"3x2": (mg.AvgPool2D((3, 2), stride=(2, 1)), (5, 4, 2))},
    "BatchNorm": {
        "rows": (mg.BatchNorm(3), (3,)),
        "images": (mg.BatchNorm(3), (2, 2, 3)),
        "keras": (mg.BatchNorm.keras(3, momentum=0.8), (2, 3)),
    },
    "Chain": {
        "dense, tanh, chain": (
            mg.Chain([mg.Dense(3, 4), mg.Tanh(), mg.Chain([mg.Dense(4, 2), mg.Dropout(0.5)])]), (3,)
        ),
    },
    "ConcatEmbedding": {
        "rows": (mg.ConcatEmbedding(4, 3), (2,)),
        "images": (mg.ConcatEmbedding(3, 2), (2, 3, 1)),
        "one feature": (mg.ConcatEmbedding(9, 1), (1,)),
    },
    "Conv2D": {
        "k3 s2 same": (mg.Conv2D(2, 3, 3, stride=2, padding="same"), (4, 5, 2)),
        "k2x3, dilated, sides": (
            mg.Conv2D(2, 1, (2, 3), stride=(1, 2), dilation=(2, 1), padding=((0, 1), (2, 0)), bias=False), (4, 3, 2)
        ),
    },
    "ConvTranspose2D": {
        "k3 s2 same": (mg.ConvTranspose2D(2, 3, 3, stride=2, padding="same"), (2, 3, 2)),
        "k4 s2 p1": (mg.ConvTranspose2D(2, 1, 4, stride=2, padding=1, output_padding=(1, 0), bias=False), (2, 3, 2)),
    },
    "Dense": {
        "3-5": (mg.Dense(3, 5), (3,)),
        "1-4": (mg.Dense(1, 4), (1,)),
        "no bias": (mg.Dense(3, 2, bias=False), (3,)),
    },
    "Dropout": {"rate 0.3": (mg.Dropout(0.3), (7,)), "rate 0.5": (mg.Dropout(0.5), (2, 3))},
    "Embedding": {"4-3": (mg.Embedding(4, 3), (2,)), "9-1": (mg.Embedding(9, 1), (1,))},
    "Flatten": {"2x3": (mg.Flatten(), (2, 3))},
    "GroupNorm": {
        "images": (mg.GroupNorm(2, 4), (2, 2, 4)),
        "rows": (mg.GroupNorm(2, 6), (6,)),
    },
    "InstanceNorm2D": {"2x3": (mg.InstanceNorm2D(2), (2, 3, 2))},
    "LayerNorm": {"rows": (mg.LayerNorm(5), (5,)), "images": (mg.LayerNorm((3, 2)), (2, 3, 2))},
    "LeakyReLU": {"slope 0.2": (mg.LeakyReLU(0.2), (2, 5))},
    "MaxPool2D": {"2x2": (mg.MaxPool2D(2, stride=(1, 2)), (3, 5, 2))},
    "Maxout": {"3-4, 5 pieces": (mg.Maxout(3, 4, pieces=5), (3,))},
    "MinibatchStdDev": {
        "batch": (mg.MinibatchStdDev(), (3,)),
        # with eps near 0, the feature of two examples would be |x_1 - x_2| / 2, whose Hessian is 0 but for rounding
        "groups of 2": (mg.MinibatchStdDev(group_size=2, eps=0.1), (1, 3, 2)),
    },
    "PixelNorm": {"2x4": (mg.PixelNorm(), (2, 4))},
    "PixelShuffle": {"2x3": (mg.PixelShuffle((2, 3)), (1, 2, 12))},
    "PixelUnshuffle": {"2x3": (mg.PixelUnshuffle((2, 3)), (2, 3, 2))},
    "Projection": {
        "5, 4 classes": (mg.Projection(5, 4), (5,)),
        "no bias": (mg.Projection(3, 2, bias=False), (3,)),
    },
    "ReLU": {"5": (mg.ReLU(), (5,))},
    "ReflectionPad2D": {"1, 2, 0, 1": (mg.ReflectionPad2D(((1, 2), (0, 1))), (3, 2, 2))},
    "Reshape": {"6 to 3x2": (mg.Reshape((3, 2)), (6,))},
    "Residual": {
        "nested": (mg.Residual([mg.Residual([mg.Dense(3, 3), mg.Tanh()]), mg.BatchNorm(3), mg.Dense(3, 3)]), (3,)),
        "shortcut": (
            mg.Residual([mg.Conv2D(2, 3, 3, stride=2, padding="same")], [mg.AvgPool2D(2), mg.Conv2D(2, 3, 1)]),
            (4, 2, 2),
        ),
    },
    "Sigmoid": {"5": (mg.Sigmoid(), (5,))},
    "Softmax": {"2x5": (mg.Softmax(), (2, 5))},
    "Softplus": {"5": (mg.Softplus(), (5,))},
    "SpectralNorm": {
        "dense": (mg.SpectralNorm(mg.Dense(3, 4)), (3,)),
        "conv": (mg.SpectralNorm(mg.Conv2D(2, 3, (2, 1), bias=False)), (2, 3, 2)),
        "conv transpose": (mg.SpectralNorm(mg.ConvTranspose2D(2, 1, (2, 3))), (1, 2, 2)),
    },
    "Tanh": {"5": (mg.Tanh(), (5,))},
    "UpSample2D": {"2x3": (mg.UpSample2D((2, 3)), (2, 2, 2))},
    "ZeroPad2D": {"0, 1, 2, 0": (mg.ZeroPad2D(((0, 1), (2, 0))), (2, 3, 2))},
}  # fmt: skip

EQUATIONS = {
    "AvgPool2D": "y_npqc = mean_ij x_n,(sp+i),(sq+j),c",
    "BatchNorm": "y = gamma x_hat + beta,  x_hat = (x - mu) / sqrt(var + eps)",
    "Chain": "y = f_L(... f_2(f_1(x)))",
    "ConcatEmbedding": "y_n = (x_n, E[k_n]);  dE[c] = sum of dy_n over k_n = c, in the last features",
    "Conv2D": "y = W * x + b",
    "ConvTranspose2D": "y = W^T * x + b, the input gradient of a Conv2D",
    "Dense": "y = x W + b",
    "Dropout": "y = mask x,  mask = 1/(1 - rate) with probability 1 - rate, else 0; the identity at inference",
    "Embedding": "y_n = E[k_n];  dE[c] = sum of dy_n over k_n = c, dx = 0",
    "Flatten": "y = x as (N, -1)",
    "GroupNorm": "y = gamma x_hat + beta,  x_hat = (x - mu) / sqrt(var + eps): mu and var of the pixels and channels "
                 "of a group in one example",
    "InstanceNorm2D": "y = gamma x_hat + beta,  x_hat = (x - mu) / sqrt(var + eps): mu and var of the pixels of a "
                      "channel in one example",
    "LayerNorm": "y = gamma x_hat + beta,  x_hat = (x - mu) / sqrt(var + eps): mu and var of the last axes",
    "LeakyReLU": "y = x where x > 0, else slope x;  dx = dy or slope dy.  `slope` is any finite number",
    "MaxPool2D": "y_npqc = max_ij x_n,(sp+i),(sq+j),c",
    "Maxout": "y_no = max_p a_nop,  a = x W + b",
    "MinibatchStdDev": "y = (x, t),  t = mean_j sqrt(mean_n (x_nj - mu_j)^2 + eps) of a group of examples",
    "PixelNorm": "y = x / sqrt(mean_c x_c^2 + eps)",
    "PixelShuffle": "y_n,(fp+i),(gq+j),c = x_npq,(c f g + i g + j)",
    "PixelUnshuffle": "y_npq,(c f g + i g + j) = x_n,(fp+i),(gq+j),c",
    "Projection": "s_n = <w + E[k_n], x_n> + b",
    "ReLU": "y = max(x, 0);  dx = 0 where x <= 0 (at x = 0 the derivative is taken as 0), whatever dy is there; "
            "else dy",
    "ReflectionPad2D": "y = x with reflections of its pixels around it",
    "Reshape": "y = x as (N, *shape)",
    "Residual": "y = f(x) + h(x)",
    "Sigmoid": "y = 1 / (1 + e^-x);  dx = dy y (1 - y)",
    "Softmax": "y_k = e^x_k / sum_j e^x_j along the last axis;  dx = y (dy - sum_k dy_k y_k)",
    "Softplus": "y = log(1 + e^x);  dx = dy / (1 + e^-x)",
    "SpectralNorm": "y = f(x; W / sigma),  sigma = |W^T u|, for constant u",
    "Tanh": "y = tanh x;  dx = dy (1 - y^2)",
    "UpSample2D": "y_npqc = x_n,floor(p / f),floor(q / f),c: nearest neighbour",
    "ZeroPad2D": "y = x with zeros around it",
}  # fmt: skip
"""The equation of each layer, for the statements of its claims.

They are written here and not taken from the layers' docstrings: a certificate is accepted only with the statement of
its claim, which must not change when a docstring is reworded.
"""

OBJECTIVES: dict[str, tuple[Objective, ...]] = {  # name in minigan.losses.OBJECTIVES -> conventions
    "minimax": (mg.Minimax(), mg.Minimax(d_scale=0.5)),
    "non-saturating": (mg.NonSaturating(), mg.NonSaturating(d_scale=0.5, mean_over_all=True)),
    "softmax": (mg.SoftmaxTwoClass(), mg.SoftmaxTwoClass(d_scale=1.0, mean_over_all=True)),
    "least-squares": (mg.LeastSquares(), mg.LeastSquares(a=-1, b=1, c=0, d_scale=0.5, mean_over_all=True)),
    "hinge": (mg.Hinge(), mg.Hinge(d_scale=0.5, g_scale=0.25, mean_over_all=True)),
    "wasserstein": (mg.Wasserstein(), mg.Wasserstein(d_scale=0.5, g_scale=0.25, mean_over_all=True)),
    "relativistic": (mg.RelativisticPairing(), mg.RelativisticPairing(d_scale=0.5, g_scale=0.25)),
    "relativistic-average": (mg.RelativisticAverage(), mg.RelativisticAverage(d_scale=0.5, g_scale=0.25)),
    **{
        f"f-gan-{name}": (mg.FGAN(name), mg.FGAN(name, non_saturating=True, d_scale=0.5, mean_over_all=True))
        for name in DIVERGENCES
    },
}
SMOOTHED: tuple[Objective, ...] = (
    mg.Minimax(real_label=0.75),
    mg.NonSaturating(real_label=0.875, d_scale=0.5, mean_over_all=True),
    mg.SoftmaxTwoClass(real_label=0.75),
)
"""One-sided label smoothing."""


def network(layers: Layer | Sequence[Layer], rng: np.random.Generator, *, ops: str = "cpu") -> Network:
    """Return a float64 network whose parameters and running statistics differ from their initial values."""
    chain = [layers] if isinstance(layers, Layer) else list(layers)
    net = Network(chain, rng=rng, dtype="float64", ops=ops)
    net.theta = net.theta + 0.5 * rng.standard_normal(net.theta.shape)
    for name, value in net.state.items():
        low, high = (-0.5, 0.5) if name.endswith("mean") else (0.5, 1.5)
        value[...] = rng.uniform(low, high, value.shape)
    return net


def like(net: Network, t: Array, theta: Array | None = None) -> Network:
    """Return the network in the dtype of t (balls for objects), with the parameters `theta` if they are given."""
    twin = net.astype(object, arb) if t.dtype.kind == "O" else net.astype(t.dtype)
    if theta is not None:
        twin.theta = theta
    return twin


def constant(x: Array, t: Array) -> Array:
    """Return float64 data converted exactly to the dtype of t (balls for objects)."""
    return balls(x) if t.dtype.kind == "O" else x.astype(t.dtype)


def of_layer(
    layer: Layer | Sequence[Layer], shape: Shape, rng: np.random.Generator, *, train: bool, n: int = 4, ops: str = "cpu"
) -> Differentiable:
    """Return L(x, theta) = <dy, f(x; theta)> with a random dy, as a function of x and theta.

    With dy = 1 everywhere, L would be constant behind batch norm and softmax.  Dropout draws the same mask each time.
    A layer that reads labels gets random ones, which are constants.
    """
    net = network(layer, rng, ops=ops)
    x = rng.standard_normal((n, *shape))
    seed = int(rng.integers(2**32))
    labels = rng.integers(net.n_classes, size=n) if net.n_classes else None
    point, tensors = layout(x=x, **net.parameters())

    def forward(t: Array) -> tuple[Network, Array, Pullback]:
        twin = like(net, t, t[x.size :])
        mask = np.random.default_rng(seed)
        at = t[: x.size].reshape(x.shape)
        batch = at if labels is None else (at, labels)
        return twin, *twin.forward(batch, train=train, rng=mask, update_state=False)

    dy = rng.standard_normal(forward(point)[1].shape)

    def value(t: Array) -> Any:
        return (constant(dy, t) * forward(t)[1]).sum()

    def gradient(t: Array) -> Array:
        twin, _, backward = forward(t)
        g = twin.zeros_like_theta()
        dx = backward(constant(dy, t), g)
        return np.concatenate([dx.ravel(), g])

    return Differentiable(point, tensors, value, gradient, float(np.linalg.norm(dy)))


def outputs_of(objective: Objective) -> int:
    """Return how many outputs D has for an objective."""
    return 2 if isinstance(objective, mg.SoftmaxTwoClass) else 1


def of_cost(objective: Objective, player: str, rng: np.random.Generator) -> Differentiable:
    """Return J_D(s_real, s_fake) or J_G(s_fake) as a function of the logits, with batches of different sizes if it may.

    s_real is a constant in the J_G of a relativistic objective.
    """
    k = outputs_of(objective)
    n = 5 if isinstance(objective, mg.RelativisticPairing) else 3
    real, fake = 2 * rng.standard_normal((n, k)), 2 * rng.standard_normal((5, k))
    if player == "G":
        point, tensors = layout(s_fake=fake)

        def generator(t: Array) -> tuple[Any, Array]:
            return generator_cost(objective, t.reshape(fake.shape), constant(real, t))

        return Differentiable(point, tensors, lambda t: generator(t)[0], lambda t: generator(t)[1].ravel())
    point, tensors = layout(s_real=real, s_fake=fake)

    def discriminator(t: Array) -> tuple[Any, Array, Array]:
        return objective.discriminator(t[: real.size].reshape(real.shape), t[real.size :].reshape(fake.shape))

    def gradient(t: Array) -> Array:
        _, ds_real, ds_fake = discriminator(t)
        return np.concatenate([ds_real.ravel(), ds_fake.ravel()])

    return Differentiable(point, tensors, lambda t: discriminator(t)[0], gradient)


@dataclass(frozen=True)
class Game:
    """G, D, an objective and a batch, on which both steps of Algorithm 1 are differentiated."""

    G: Network
    D: Network
    objective: Objective
    x_real: Array
    z: Array
    seed: int  # of the dropout masks
    d_batching: DBatching = separate
    frozen_d_mode: DMode = train_mode

    def discriminator(self) -> Differentiable:
        """Return J_D as a function of theta_D for fixed real and fake examples, with the gradient of the D step."""
        x_fake = self.G(self.z)
        point, tensors = layout(**self.D.parameters())

        def batches(t: Array) -> tuple[Network, Array, Array, np.random.Generator]:
            D = like(self.D, t, t)
            return D, constant(self.x_real, t), constant(x_fake, t), np.random.default_rng(self.seed)

        def value(t: Array) -> Any:
            D, real, fake, rng = batches(t)
            s_real, s_fake, _ = self.d_batching(D, real, fake, rng=rng)
            return self.objective.discriminator(s_real, s_fake)[0]

        def gradient(t: Array) -> Array:
            D, real, fake, rng = batches(t)
            return discriminator_gradient(D, self.objective, real, fake, rng=rng, d_batching=self.d_batching)[0]

        return Differentiable(point, tensors, value, gradient)

    def generator(self) -> Differentiable:
        """Return J_G as a function of theta_G through the frozen D, with the gradient of the G step."""
        point, tensors = layout(**self.G.parameters())

        def value(t: Array) -> Any:
            D, rng, s_real = like(self.D, t), np.random.default_rng(self.seed), None
            if needs_real(self.objective):
                s_real = self.frozen_d_mode(D, constant(self.x_real, t), rng=rng)[0]
            x_fake, _ = like(self.G, t, t).forward(constant(self.z, t), train=True, rng=rng)
            s_fake = self.frozen_d_mode(D, x_fake, rng=rng)[0]
            return generator_cost(self.objective, s_fake, s_real)[0]

        def gradient(t: Array) -> Array:
            G, D, z = like(self.G, t, t), like(self.D, t), constant(self.z, t)
            rng, x_real = np.random.default_rng(self.seed), constant(self.x_real, t)
            return mg.gan.generator_gradient(
                G, D, self.objective, z, x_real=x_real, rng=rng, frozen_d_mode=self.frozen_d_mode
            )[0]

        return Differentiable(point, tensors, value, gradient)


Chain = list[Layer]


def _image_like(k: int) -> tuple[Chain, Chain]:
    G: Chain = [mg.Dense(3, 4), mg.BatchNorm(4), mg.ReLU(), mg.Dropout(0.3), mg.Dense(4, 6), mg.Reshape((3, 2)),
                mg.BatchNorm.keras(2), mg.LeakyReLU(0.2), mg.Flatten(), mg.Dense(6, 5), mg.Sigmoid()]  # fmt: skip
    D: Chain = [mg.Dense(5, 4), mg.LeakyReLU(0.2), mg.Dropout(0.3), mg.BatchNorm(4), mg.Tanh(), mg.Dense(4, k)]
    return G, D


def _maxout(k: int) -> tuple[Chain, Chain]:
    G: Chain = [mg.Dense(3, 5), mg.ReLU(), mg.Dense(5, 4), mg.Tanh()]
    D: Chain = [mg.Maxout(4, 3, pieces=3), mg.Dropout(0.5), mg.Maxout(3, 3, pieces=2), mg.Softplus(), mg.Dense(3, k)]
    return G, D


GAMES: dict[str, tuple[Callable[[int], tuple[Chain, Chain]], Objective, DBatching, DMode]] = {
    "batch-norm": (_image_like, mg.NonSaturating(d_scale=0.5), combined, train_mode),
    "maxout": (_maxout, mg.Minimax(), separate, eval_mode),
    "softmax": (_image_like, mg.SoftmaxTwoClass(), separate, eval_mode),
}
RELATIVE_GAMES: dict[str, tuple[Callable[[int], tuple[Chain, Chain]], Objective, DBatching, DMode]] = {
    "relativistic": (_maxout, mg.RelativisticPairing(), separate, train_mode),
    "relativistic-average": (_image_like, mg.RelativisticAverage(), combined, train_mode),
}
"""Games whose J_G compares fakes with real examples."""


def game(name: str, rng: np.random.Generator, *, fault: Callable[[Layer], Layer] = lambda layer: layer) -> Game:
    """Return a game of GAMES or RELATIVE_GAMES by name; `fault` may replace layers of D."""
    chains, objective, d_batching, frozen_d_mode = {**GAMES, **RELATIVE_GAMES}[name]
    G_layers, D_layers = chains(outputs_of(objective))
    G, D = network(G_layers, rng), network([fault(layer) for layer in D_layers], rng)
    n_real = 10 if isinstance(objective, mg.RelativisticPairing) else 12
    x_real = rng.standard_normal((n_real, D_layers[0].parameters()["W"].shape[0]))
    return Game(
        G, D, objective, x_real, rng.standard_normal((10, 3)), int(rng.integers(2**32)), d_batching, frozen_d_mode
    )


@dataclass(frozen=True)
class Faulty(Layer):
    """A layer with a wrong pullback, which multiplies dx by `factor`; everything else is right."""

    layer: Layer
    factor: float

    @property
    def n_keys(self) -> int:
        """The number of random keys of the layer."""
        return self.layer.n_keys

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters of the layer."""
        return self.layer.parameters()

    def state(self) -> dict[str, tuple[Shape, float]]:
        """Return the state of the layer."""
        return self.layer.state()

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return the layer's y and the wrong pullback."""
        y, right = self.layer.forward(p, x, ctx)

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Any:
            dx = right(dy, g, need_dx=need_dx)
            return dx * self.factor if need_dx else None

        return y, backward
