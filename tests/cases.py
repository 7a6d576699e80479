"""One list of layers and backends for all tests."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import strategies as st
from images import small_images
from on_host import OnHost

import minigan as mg
from minigan.ops import get_ops, to_host
from minigan.ops.cuda.device.source import KernelError


def emulated():
    """Return the emulated CUDA backend, or skip where there is no C++ compiler to build its kernels."""
    try:
        return {"cuda-emulated": OnHost()}
    except KernelError:
        return {}


ENGINES = {
    "compiled": get_ops("cpu", threads=2),
    "numpy": get_ops("cpu", threads=2, compiled=False),
}
"""The CPU backend as a user gets it (compiled, where numba is installed), and with NumPy's kernels.

The shapes of most tests never start a second thread; `test_thread_bits.py` has those that do.
"""
BACKENDS = {"reference": "reference", **ENGINES, **emulated()}
ON_EACH_BACKEND = pytest.mark.parametrize("ops", BACKENDS.values(), ids=BACKENDS)
CROSS_ENTROPIES = (
    mg.Minimax(),
    mg.Minimax(d_scale=0.5),
    mg.NonSaturating(),
    mg.NonSaturating(d_scale=0.5, mean_over_all=True),
    mg.SoftmaxTwoClass(),
    mg.SoftmaxTwoClass(d_scale=1.0, mean_over_all=True),
)
SMOOTHED = (mg.NonSaturating(real_label=0.9), mg.SoftmaxTwoClass(d_scale=1.0, mean_over_all=True, real_label=0.75))
EXPONENTIAL = (
    *(mg.FGAN(name) for name in ("kl", "reverse-kl", "neyman", "hellinger")),
    mg.FGAN("hellinger", non_saturating=True, d_scale=0.5, g_scale=0.25, mean_over_all=True),
)
"""Costs that overflow for large logits."""
RELATIVISTIC = (mg.RelativisticPairing(), mg.RelativisticAverage(), mg.RelativisticAverage(d_scale=0.5, g_scale=0.25))
OBJECTIVES = (
    *CROSS_ENTROPIES,
    *SMOOTHED,
    mg.LeastSquares(),
    mg.LeastSquares(a=-1, b=1.5, c=0.25, d_scale=0.5, g_scale=0.25, mean_over_all=True),
    mg.Hinge(),
    mg.Hinge(d_scale=0.5, g_scale=0.25, mean_over_all=True),
    mg.Wasserstein(),
    *RELATIVISTIC,
    *EXPONENTIAL,
    *(mg.FGAN(name) for name in ("pearson", "js", "gan")),
    mg.FGAN("js", non_saturating=True),
)


@dataclass(frozen=True)
class Labelled(mg.Layer):
    """A layer that reads labels, with the classes 0, 1, ..., 0, 1, ... as labels of every batch."""

    layer: mg.Layer

    per_example = True  # no batch here is split unequally: `whole_gan` has batches of different sizes

    def parameters(self):
        return self.layer.parameters()

    def output_shape(self, shape):
        return self.layer.output_shape(shape)

    def forward(self, p, x, ctx):
        return self.layer.forward(p, x, self.with_labels(x, ctx))

    def pushforward(self, p, x, x_dot, ctx):
        return self.layer.pushforward(p, x, x_dot, self.with_labels(x, ctx))

    def with_labels(self, x, ctx):
        return replace(ctx, labels=ctx.ops.xp.arange(len(x)) % self.layer.n_classes)


# name -> (layer, input shape without N).  Sizes differ on every axis, so that swapped axes are detected.
LAYERS = {
    "dense": (mg.Dense(3, 5), (3,)),
    "dense 1-O": (mg.Dense(1, 4), (1,)),
    "dense I-1": (mg.Dense(4, 1), (4,)),
    "dense no bias": (mg.Dense(3, 2, bias=False), (3,)),
    "maxout": (mg.Maxout(3, 4, pieces=5), (3,)),
    "batch norm": (mg.BatchNorm(3), (3,)),
    "batch norm 4-D": (mg.BatchNorm(3), (2, 4, 3)),
    "batch norm keras": (mg.BatchNorm.keras(3, momentum=0.8), (2, 3)),
    "dropout": (mg.Dropout(0.3), (7,)),
    "relu": (mg.ReLU(), (5,)),
    "leaky relu": (mg.LeakyReLU(0.2), (2, 5)),
    "tanh": (mg.Tanh(), (5,)),
    "sigmoid": (mg.Sigmoid(), (5,)),
    "softplus": (mg.Softplus(), (5,)),
    "softmax": (mg.Softmax(), (2, 5)),
    "flatten": (mg.Flatten(), (2, 3)),
    "reshape": (mg.Reshape((3, 2)), (6,)),
    "conv": (mg.Conv2D(2, 3, (3, 2)), (4, 3, 2)),
    "conv same": (mg.Conv2D(2, 3, (3, 4), stride=(2, 3), padding="same"), (4, 5, 2)),
    "conv sides": (
        mg.Conv2D(2, 1, (2, 3), stride=(1, 2), padding=((0, 2), (3, 1)), dilation=(3, 2), bias=False),
        (3, 4, 2),
    ),
    "conv 1x1": (mg.Conv2D(3, 2, 1), (2, 3, 3)),
    "conv transpose": (mg.ConvTranspose2D(2, 3, (3, 2)), (2, 3, 2)),
    "conv transpose same": (mg.ConvTranspose2D(2, 3, (3, 4), stride=(2, 3), padding="same"), (2, 3, 2)),
    "conv transpose sides": (
        mg.ConvTranspose2D(2, 1, (3, 4), stride=(2, 3), padding=((1, 0), (2, 1)), output_padding=(1, 2), bias=False),
        (2, 3, 2),
    ),
    "conv transpose dilated": (mg.ConvTranspose2D(1, 2, (1, 2), dilation=(2, 3), output_padding=(1, 2)), (2, 3, 1)),
    "zero pad": (mg.ZeroPad2D(((0, 1), (2, 1))), (2, 3, 2)),
    "upsample": (mg.UpSample2D((2, 3)), (2, 3, 2)),
    "max pool": (mg.MaxPool2D((2, 3), stride=(1, 2)), (4, 6, 2)),
    "average pool": (mg.AvgPool2D((3, 2), stride=(2, 1)), (6, 3, 2)),
    "chain": (mg.Chain([mg.Dense(3, 5), mg.Tanh(), mg.Chain([mg.Dense(5, 2), mg.Dropout(0.3)])]), (3,)),
    "residual": (mg.Residual([mg.Dense(3, 4), mg.LeakyReLU(0.2), mg.Dense(4, 3)]), (3,)),
    "residual shortcut": (
        mg.Residual(
            [mg.Conv2D(2, 3, 3, stride=2, padding="same"), mg.Dropout(0.3)], [mg.AvgPool2D(2), mg.Conv2D(2, 3, 1)]
        ),
        (4, 6, 2),
    ),
    "residual nested": (
        mg.Residual([mg.Residual([mg.Dense(3, 3), mg.Tanh()]), mg.BatchNorm(3), mg.Tanh(), mg.Dense(3, 3)]),
        (3,),
    ),
    "layer norm": (mg.LayerNorm(5), (5,)),
    "layer norm of maps": (mg.LayerNorm((4, 3)), (2, 4, 3)),
    "group norm": (mg.GroupNorm(2, 6), (3, 2, 6)),
    "group norm of rows": (mg.GroupNorm(2, 8), (8,)),
    "instance norm": (mg.InstanceNorm2D(3), (2, 4, 3)),
    "pixel norm": (mg.PixelNorm(), (2, 5)),
    "spectral dense": (mg.SpectralNorm(mg.Dense(3, 5)), (3,)),
    "spectral conv": (mg.SpectralNorm(mg.Conv2D(2, 3, (3, 2), stride=(2, 1), bias=False)), (4, 3, 2)),
    "spectral conv transpose": (mg.SpectralNorm(mg.ConvTranspose2D(2, 3, (3, 2)), iterations=2), (2, 3, 2)),
    "minibatch stddev": (mg.MinibatchStdDev(), (5,)),
    "minibatch stddev of groups": (mg.MinibatchStdDev(group_size=2), (2, 3, 2)),
    "reflection pad": (mg.ReflectionPad2D(((1, 2), (0, 3))), (3, 4, 2)),
    "pixel shuffle": (mg.PixelShuffle((2, 3)), (4, 3, 12)),
    "pixel unshuffle": (mg.PixelUnshuffle((2, 3)), (4, 3, 2)),
    "embedding": (mg.Residual([mg.Dense(2, 5)], [Labelled(mg.Embedding(3, 5))]), (2,)),
    "embedding concatenated": (Labelled(mg.ConcatEmbedding(3, 4)), (2,)),
    "embedding concatenated to images": (Labelled(mg.ConcatEmbedding(4, 3)), (2, 5, 1)),
    "projection": (Labelled(mg.Projection(5, 3)), (5,)),
    "projection no bias": (Labelled(mg.Projection(2, 5, bias=False)), (2,)),
}


PUSHED = [
    (name, train)
    for name, (layer, _) in LAYERS.items()
    for train in (True, False)
    if not layer.mixes_examples(train=train)
]
"""The layers and modes (True in training) that have a pushforward."""


# the image layers (H, W, C)
IMAGES = {name: entry for name, entry in LAYERS.items() if type(entry[0]).__module__.endswith((".conv", ".pool"))}


# name -> (layers between two Dense ones, their output width) for whole steps: (6,) -> (width,).
# `whole_gan` adds a Flatten before D and a Tanh and a Reshape after G.  Without the Tanh, a batch norm in D would
# remove every shift of G's outputs, and the gradient of G's last biases would be zero.
BODIES = {
    "dense": ([mg.Dense(6, 5)], 5),
    "dense no bias": ([mg.Dense(6, 5, bias=False)], 5),
    "maxout": ([mg.Maxout(6, 4, pieces=3)], 4),
    "batch norm": ([mg.BatchNorm(6)], 6),
    "batch norm keras": ([mg.BatchNorm.keras(6, momentum=0.8)], 6),
    "batch norm of maps": ([mg.Reshape((3, 2)), mg.BatchNorm(2), mg.Flatten()], 6),
    "dropout": ([mg.Dropout(0.3)], 6),
    "relu": ([mg.ReLU()], 6),
    "leaky relu": ([mg.LeakyReLU(0.2)], 6),
    "tanh": ([mg.Tanh()], 6),
    "sigmoid": ([mg.Sigmoid()], 6),
    "softplus": ([mg.Softplus()], 6),
    "softmax": ([mg.Softmax()], 6),
    "softmax of rows": ([mg.Reshape((2, 3)), mg.Softmax(), mg.Flatten()], 6),
    "conv": (
        [mg.Reshape((2, 3, 1)), mg.Conv2D(1, 2, 2, stride=(1, 2), padding=((0, 1), (1, 0))), mg.Flatten()], 8
    ),
    "conv transpose": (
        [mg.Reshape((1, 2, 3)), mg.ConvTranspose2D(3, 1, (2, 3), stride=2, padding="same"), mg.Flatten()], 8
    ),
    "zero pad": ([mg.Reshape((2, 3, 1)), mg.ZeroPad2D(((0, 1), (1, 0))), mg.Flatten()], 12),
    "upsample": ([mg.Reshape((2, 3, 1)), mg.UpSample2D((1, 2)), mg.Flatten()], 12),
    "max pool": ([mg.Reshape((2, 3, 1)), mg.MaxPool2D((1, 2), stride=1), mg.Flatten()], 4),
    "average pool": ([mg.Reshape((2, 3, 1)), mg.AvgPool2D(2, stride=1), mg.Flatten()], 2),
    "chain": ([mg.Chain([mg.Dense(6, 5), mg.Tanh()])], 5),
    "residual": ([mg.Residual([mg.BatchNorm(6), mg.LeakyReLU(0.2), mg.Dense(6, 6)])], 6),
    "residual shortcut": ([mg.Residual([mg.Dense(6, 5), mg.Dropout(0.3)], [mg.Dense(6, 5, bias=False)])], 5),
    "layer norm": ([mg.LayerNorm(6)], 6),
    "group norm": ([mg.GroupNorm(2, 6)], 6),
    "instance norm": ([mg.Dense(6, 8), mg.Reshape((2, 2, 2)), mg.InstanceNorm2D(2), mg.Flatten()], 8),
    "pixel norm": ([mg.PixelNorm()], 6),
    "spectral norm": ([mg.SpectralNorm(mg.Dense(6, 5))], 5),
    "minibatch stddev": ([mg.MinibatchStdDev()], 7),
    "reflection pad": ([mg.Reshape((2, 3, 1)), mg.ReflectionPad2D(((0, 1), (2, 0))), mg.Flatten()], 15),
    "pixel shuffle": ([mg.Reshape((1, 1, 6)), mg.PixelShuffle((1, 3)), mg.Flatten()], 6),
    "pixel unshuffle": ([mg.Reshape((2, 3, 1)), mg.PixelUnshuffle((2, 1)), mg.Flatten()], 6),
    "embedding": ([mg.Residual([mg.Dense(6, 6)], [Labelled(mg.Embedding(3, 6))])], 6),
    "embedding concatenated": ([Labelled(mg.ConcatEmbedding(3, 2))], 8),
    "projection": ([Labelled(mg.Projection(6, 3))], 1),
}  # fmt: skip
PENALISED = [
    body for body, (inner, _) in BODIES.items() if not any(layer.mixes_examples(train=True) for layer in inner)
]
"""The bodies of a discriminator that can have a gradient penalty in training."""
N_REAL, N_FAKE = 9, 8  # unequal, so that a mean over the wrong batch is detected


def whole_gan(body, *, outputs, ops="reference", seed=0):
    """G, D around one of BODIES, and x_real (9, 2, 2), x_fake (8, 2, 2), z (8, 3)."""
    inner, width = BODIES[body]
    inner_G, inner_D = ([replace(layer) for layer in inner] for _ in "GD")  # G and D share no layer object
    G = network([mg.Dense(3, 6), *inner_G, mg.Dense(width, 4), mg.Tanh(), mg.Reshape((2, 2))], ops=ops, seed=seed)
    D = network([mg.Flatten(), mg.Dense(4, 6), *inner_D, mg.Dense(width, outputs)], ops=ops, seed=seed + 1)
    rng = np.random.default_rng(seed + 2)
    return G, D, *(rng.standard_normal(shape) for shape in ((N_REAL, 2, 2), (N_FAKE, 2, 2), (N_FAKE, 3)))


@st.composite
def chains(draw, n_in, n_out):
    """A network's layers (n_in,) -> (n_out,) of hypothesis-drawn kinds and widths.

    Every choice is well conditioned, as the tight tolerances require: the input of batch norm is an affine map of the
    data.  Other layers could make its inputs nearly equal, and subtracting their mean would then lose digits.
    """
    width = draw(st.integers(5, 9))
    eps = draw(st.sampled_from([1e-5, 1e-3, 0.1]))
    seconds = [[], [mg.BatchNorm(width, eps=eps)], [mg.BatchNorm.keras(width)], [mg.Reshape((width, 1)), mg.Flatten()]]
    chain = [mg.Dense(n_in, width), *draw(st.sampled_from(seconds))]
    for _ in range(draw(st.integers(1, 2))):
        wider = draw(st.integers(5, 9))
        bias, pieces, rate = draw(st.booleans()), draw(st.integers(2, 4)), draw(st.sampled_from([0.2, 0.5]))
        activations = [mg.LeakyReLU(0.2), mg.Tanh(), mg.ReLU(), mg.Sigmoid(), mg.Softplus(), mg.Softmax()]
        choices = [
            [mg.Maxout(width, wider, pieces=pieces)],
            [mg.Tanh(), mg.Dropout(rate), mg.Dense(width, wider)],
            *([f, mg.Dense(width, wider, bias=bias)] for f in activations),
        ]
        chain += draw(st.sampled_from(choices))
        width = wider
    return [*chain, mg.LeakyReLU(0.5), mg.Dense(width, n_out)]


@st.composite
def layers(draw):
    """A layer with hypothesis-drawn sizes, its input shape, and x and dy that suit the tight tolerances.

    x has 1 to 4 examples, and more if the layer subtracts sums from dy (batch norm, softmax), so that dx is not zero.
    Values are large only if the derivative keeps its digits there: 1 - y of a saturated y has none.
    """
    size = st.integers(1, 6)
    lead = tuple(draw(st.lists(size, max_size=2)))
    n, m, examples = draw(size), draw(size), draw(st.integers(1, 4))
    eps = draw(st.sampled_from([1e-5, 1e-3, 0.1]))
    plain = [
        (mg.Dense(n, m, bias=draw(st.booleans())), (n,)),
        (mg.Maxout(n, m, pieces=draw(size)), (n,)),
        (mg.Dropout(draw(st.sampled_from([0.0, 0.2, 0.5, 0.9]))), (*lead, n)),
        (mg.ReLU(), (*lead, n)),
        (mg.LeakyReLU(draw(st.sampled_from([0.0, 0.01, 0.2]))), (*lead, n)),
        (mg.Softplus(), (*lead, n)),
        (mg.Flatten(), (*lead, n)),
        (mg.Reshape((m, n)), (n * m,)),
        draw(small_images()),
    ]
    norms = [(mg.BatchNorm(n, eps=eps), (*lead, n)), (mg.BatchNorm.keras(n), (*lead, n))]
    of_examples = [
        (mg.LayerNorm((n, m + 8), eps=eps), (*lead, n, m + 8)),
        (mg.GroupNorm(m, 8 * m, eps=eps), (*lead, 8 * m)),
        (mg.InstanceNorm2D(n, eps=eps), (3, m + 2, n)),
        (mg.PixelNorm(), (*lead, n + 4)),
        (mg.MinibatchStdDev(group_size=draw(st.sampled_from([None, 4]))), (*lead, n)),
    ]
    plain += [
        (mg.SpectralNorm(mg.Dense(n, m, bias=draw(st.booleans()))), (n,)),
        (mg.ReflectionPad2D(((n - 1, 0), (1, m))), (n, m + 1, 2)),
        (mg.PixelShuffle((n, m)), (2, 3, n * m)),
        (mg.PixelUnshuffle((n, m)), (2 * n, m, 3)),
    ]
    saturating = [(mg.Tanh(), (*lead, n)), (mg.Sigmoid(), (*lead, n)), (mg.Softmax(), (*lead, n + 2))]
    layer, shape = draw(st.sampled_from(plain + norms + of_examples + saturating))
    if isinstance(layer, (mg.BatchNorm, mg.Softmax)):
        examples += 8
    if isinstance(layer, mg.MinibatchStdDev):
        examples *= 4
    scale = draw(st.sampled_from([0.1, 1.0] if (layer, shape) in saturating else [0.1, 1.0, 30.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return layer, scale * rng.uniform(-1, 1, (examples, *shape)), rng


LAYOUTS = ("C", "F", "strided", "reversed", "inside", "axes", "read-only")


def laid_out(a, layout):
    """The same numbers as `a` in another memory layout."""
    if layout == "F":
        return np.asfortranarray(a)
    if layout == "strided":
        return np.repeat(a, 2, axis=-1)[..., ::2]
    if layout == "reversed":
        return a[::-1, ..., ::-1].copy()[::-1, ..., ::-1]
    if layout == "inside":  # every second entry of a larger array
        return np.pad(a, 1)[tuple(slice(1, -1) for _ in a.shape)]
    if layout == "axes":  # the axes rotated in memory
        return np.moveaxis(np.moveaxis(a, -1, 0).copy(), 0, -1)
    a = a.copy()
    a.flags.writeable = layout != "read-only"
    return a


def network(layer, *, dtype="float64", ops="reference", seed=0, spread=0.5):
    """A network of one layer whose parameters and statistics are all `spread` away from their initial values."""
    chain = layer if isinstance(layer, list) else [layer]
    rng = np.random.default_rng(seed)
    net = mg.Network(chain, rng=rng, dtype="float64", ops=ops)
    net.theta = to_host(net.theta) + spread * rng.standard_normal(net.theta.shape)
    ranges = {name: (-0.5, 0.5) if name.endswith("mean") else (0.5, 1.5) for name in net.state}
    net.load_state({name: rng.uniform(*ranges[name], value.shape) for name, value in net.state.items()})
    return net if dtype == "float64" else net.astype(dtype)


def forward(net, x, *, train=True, seed=1):
    """A forward pass whose dropout masks depend only on `seed`; running statistics do not change."""
    return net.forward(x, train=train, rng=np.random.default_rng(seed), update_state=False)


def everything(net, x, dy):
    """y, dx and dL/dtheta."""
    y, backward = net.forward(x, train=True)
    g = net.zeros_like_theta()
    return y, backward(dy, g), g


def dense_gan(*, hidden=5, noise=3, data=4, outputs=1, dtype="float64", ops="reference", seed=0):
    """G and D with batch norm, dropout and smooth and kinked activations."""
    G = [
        mg.Dense(noise, hidden),
        mg.BatchNorm(hidden),
        mg.LeakyReLU(0.2),
        mg.Dropout(0.2),
        mg.Dense(hidden, data),
        mg.Tanh(),
    ]
    D = [
        mg.Dense(data, hidden),
        mg.BatchNorm(hidden),
        mg.ReLU(),
        mg.Dropout(0.3),
        mg.Maxout(hidden, hidden, pieces=3),
        mg.Softplus(),
        mg.Dense(hidden, outputs),
    ]
    return network(G, dtype=dtype, ops=ops, seed=seed), network(D, dtype=dtype, ops=ops, seed=seed + 1)


def outputs_of(objective):
    """The number of D's outputs that an objective needs."""
    return 2 if isinstance(objective, mg.SoftmaxTwoClass) else 1


def fitting(objective, *batches):
    """The batches, cut to one size if the objective pairs their examples."""
    n = min(map(len, batches)) if isinstance(objective, mg.RelativisticPairing) else None
    return [batch[:n] for batch in batches]


# --- a game for the update schedules --------------------------------------------------------------

X_REAL, X_FAKE = np.random.default_rng(8).standard_normal((2, 6, 4))
Z = np.random.default_rng(9).standard_normal((6, 3))


def mask(seed=7):
    """The same dropout masks in every call."""
    return np.random.default_rng(seed)


def gan(objective=None, *, optimizer=mg.Adam, seed=0, **kwargs):
    """A GAN of `dense_gan`."""
    objective = objective or mg.NonSaturating()
    G, D = dense_gan(outputs=outputs_of(objective), seed=seed)
    return mg.GAN(G, D, optimizer(G, lr=0.01), optimizer(D, lr=0.01), objective, **({"rng": mask()} | kwargs))


def snapshot(net):
    """Every bit of a network's parameters and running statistics."""
    return net.theta.tobytes() + b"".join(v.tobytes() for v in net.state.values())


@st.composite
def image_chains(draw):
    """A chain of layers that PyTorch and Keras have too, images and vectors in turn, and its input shape."""
    size = st.integers(1, 4)
    shape = tuple(draw(st.lists(size, min_size=3, max_size=3) | st.lists(size, min_size=1, max_size=1)))
    input_shape, chain = shape, []
    free = len(shape) == 1  # a flattened image is reshaped to an image only after a Dense
    for _ in range(draw(st.integers(1, 8))):
        n, m, bias, stride = shape[-1], draw(size), draw(st.booleans()), draw(st.integers(1, 2))
        choices = [mg.LeakyReLU(0.2), mg.BatchNorm(n), mg.Tanh(), mg.Flatten()]
        if len(shape) == 1:
            choices += [mg.Dense(n, math.prod(draw(size) for _ in range(3)), bias=bias)] * 3
            h, w = (draw(st.sampled_from([k for k in range(1, n + 1) if n % k == 0])) for _ in range(2))
            if free and n % (h * w) == 0:
                choices += [mg.Reshape((h, w, n // (h * w)))] * 3
        else:
            choices += [mg.Conv2D(n, m, 2, stride=stride, padding=1, bias=bias), mg.Flatten(), mg.Flatten()]
            if math.prod(shape) < 100:
                choices += [mg.ConvTranspose2D(n, m, (2, 3), stride=stride, bias=bias), mg.UpSample2D(), mg.ZeroPad2D()]
        layer = draw(st.sampled_from(choices))
        free = isinstance(layer, mg.Dense) or (free and not isinstance(layer, mg.Reshape))
        chain.append(layer)
        shape = layer.output_shape(shape)
    return chain, input_shape
