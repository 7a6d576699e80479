"""PyTorch as an oracle: layers, losses, optimizers and whole GAN steps, in float64.

An optional group (`make test-torch`): skipped where PyTorch is not installed.
"""

import math

import numpy as np
import pytest
from cases import (
    BODIES,
    CROSS_ENTROPIES,
    LAYERS,
    OBJECTIVES,
    ON_EACH_BACKEND,
    PENALISED,
    PUSHED,
    RELATIVISTIC,
    Labelled,
    fitting,
    forward,
    mask,
    network,
    outputs_of,
    whole_gan,
)
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.gan import discriminator_gradient, eval_mode, generator_gradient, train_mode, train_mode_tracking
from minigan.gan.penalties import R1, R2, WassersteinPenalty
from minigan.losses import generator_cost, needs_real
from minigan.ops import get_ops

torch = pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")
import torch_twin  # noqa: E402

pytestmark = pytest.mark.torch
torch.set_num_threads(1)  # tensors of a few numbers: threads would only wait for each other

RTOL = 1e-12
nn, functional = torch.nn, torch.nn.functional


def tensor(a, grad=False):
    return torch.tensor(np.asarray(a), dtype=torch.float64, requires_grad=grad)


def assert_close(got, want, rtol=RTOL):
    want = want.detach().numpy() if isinstance(want, torch.Tensor) else want
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * max(1.0, np.abs(want).max()))


def given_mask(rng, shape, rate):
    """The dropout mask for the key that the library draws from the stream."""
    return tensor(get_ops("reference").dropout(np.ones(tuple(shape)), rate, int(rng.integers(2**64, dtype=np.uint64))))


def batch_norm(layer, p, s, x, train):
    rows = x.reshape(-1, layer.channels)
    statistics = (None, None) if train else (tensor(s["running_mean"]), tensor(s["running_var"]))
    return functional.batch_norm(rows, *statistics, p["gamma"], p["beta"], training=bool(train), eps=layer.eps).reshape(
        x.shape
    )


UPDATE = "a training pass that updates the running statistics"


def spectral_norm(layer, p, s, x, train, rng):
    """PyTorch's weights for the same u, and for the v that its last pass with the same weights would have left.

    With train=UPDATE, PyTorch's power iterations change u in `s`.
    """
    inner = layer.inner
    kinds = {mg.Dense: nn.Linear, mg.Conv2D: nn.Conv2d, mg.ConvTranspose2D: nn.ConvTranspose2d}
    sizes = (1, 1) if isinstance(inner, mg.Dense) else (1, 1, 1)  # the module only says which axis counts the outputs
    module = torch.nn.utils.parametrizations.spectral_norm(
        kinds[type(inner)](*sizes, dtype=torch.float64), n_power_iterations=layer.iterations
    ).parametrizations.weight[0]
    axes = (1, 0) if isinstance(inner, mg.Dense) else (3, 2, 0, 1)
    W = p["W"].permute(axes)
    matrix = W.detach().movedim(1, 0).flatten(1) if isinstance(inner, mg.ConvTranspose2D) else W.detach().flatten(1)
    u = functional.normalize(tensor(s["u"]), dim=0)
    module._u, module._v = u, functional.normalize(matrix.T @ u, dim=0)
    module.train(train == UPDATE)
    W = module(W).permute(*np.argsort(axes).tolist())
    s["u"][...] = module._u.numpy()
    return run_layer(inner, {**p, "W": W}, {}, x, train, rng)


def shuffled(function, x, factor):
    """An NCHW function of PyTorch on NHWC images."""
    assert factor[0] == factor[1]
    return function(x.permute(0, 3, 1, 2), factor[0]).permute(0, 2, 3, 1)


def minibatch_stddev(layer, x):
    N = len(x)
    G = N if layer.group_size is None else min(layer.group_size, N)
    s = torch.sqrt(x.reshape(G, N // G, -1).var(0, unbiased=False) + layer.eps)
    t = s.mean(1).repeat(G).reshape(N, *(1,) * (x.ndim - 1))
    return torch.cat([x, t.expand(*x.shape[:-1], 1)], -1)


def pixel_shuffle(layer, x):
    """PyTorch's factor is one number; other factors by its unfold-free definition."""
    (f, g), (N, H, W, C) = layer.factor, x.shape
    if isinstance(layer, mg.PixelShuffle):
        if f == g:
            return shuffled(functional.pixel_shuffle, x, (f, g))
        return x.reshape(N, H, W, C // (f * g), f, g).permute(0, 1, 4, 2, 5, 3).reshape(N, H * f, W * g, -1)
    if f == g:
        return shuffled(functional.pixel_unshuffle, x, (f, g))
    return x.reshape(N, H // f, f, W // g, g, C).permute(0, 1, 3, 5, 2, 4).reshape(N, H // f, W // g, -1)


def channels_first(function, x):
    return function(x.movedim(-1, 1)).movedim(1, -1)


def labelled(layer, p, x):
    """A layer with torch's embedding of the labels that `Labelled` gives it."""
    v = functional.embedding(torch.arange(len(x)) % layer.n_classes, p["E"])
    if isinstance(layer, mg.Embedding):
        return v
    if isinstance(layer, mg.ConcatEmbedding):
        return torch.cat([x, v.reshape(len(x), *[1] * (x.ndim - 2), -1).expand(*x.shape[:-1], -1)], -1)
    return functional.linear(x, p["w"][None], p.get("b")) + (v * x).sum(1, keepdim=True)


LAYERS_IN_TORCH = {
    mg.LayerNorm: lambda layer, p, s, x, train, rng: functional.layer_norm(
        x, layer.shape, p["gamma"], p["beta"], layer.eps
    ),
    mg.GroupNorm: lambda layer, p, s, x, train, rng: channels_first(
        lambda x: functional.group_norm(x, layer.groups, p["gamma"], p["beta"], layer.eps), x
    ),
    mg.InstanceNorm2D: lambda layer, p, s, x, train, rng: channels_first(
        lambda x: functional.instance_norm(x, weight=p["gamma"], bias=p["beta"], eps=layer.eps), x
    ),
    mg.PixelNorm: lambda layer, p, s, x, train, rng: functional.rms_norm(x, x.shape[-1:], eps=layer.eps),
    mg.SpectralNorm: spectral_norm,
    mg.MinibatchStdDev: lambda layer, p, s, x, train, rng: minibatch_stddev(layer, x),
    mg.ReflectionPad2D: lambda layer, p, s, x, train, rng: channels_first(
        lambda x: functional.pad(x, (*layer.padding[1], *layer.padding[0]), mode="reflect"), x
    ),
    mg.PixelShuffle: lambda layer, p, s, x, train, rng: pixel_shuffle(layer, x),
    mg.PixelUnshuffle: lambda layer, p, s, x, train, rng: pixel_shuffle(layer, x),
    mg.Dense: lambda layer, p, s, x, train, rng: functional.linear(x, p["W"].T, p.get("b")),
    mg.Maxout: lambda layer, p, s, x, train, rng: (
        functional.linear(x, p["W"].T, p["b"]).unflatten(-1, (layer.n_out, layer.pieces)).amax(-1)
    ),
    mg.BatchNorm: lambda layer, p, s, x, train, rng: batch_norm(layer, p, s, x, train),
    mg.Dropout: lambda layer, p, s, x, train, rng: x * given_mask(rng, x.shape, layer.rate) if train else x,
    mg.ReLU: lambda layer, p, s, x, train, rng: functional.relu(x),
    mg.LeakyReLU: lambda layer, p, s, x, train, rng: functional.leaky_relu(x, layer.slope),
    mg.Tanh: lambda layer, p, s, x, train, rng: torch.tanh(x),
    mg.Sigmoid: lambda layer, p, s, x, train, rng: torch.sigmoid(x),
    mg.Softplus: lambda layer, p, s, x, train, rng: functional.softplus(x),
    mg.Softmax: lambda layer, p, s, x, train, rng: functional.softmax(x, -1),
    mg.Flatten: lambda layer, p, s, x, train, rng: x.flatten(1),
    mg.Reshape: lambda layer, p, s, x, train, rng: x.reshape(len(x), *layer.shape),
    mg.Conv2D: lambda layer, p, s, x, train, rng: torch_twin.conv(layer, p["W"], p.get("b"), x),
    mg.ConvTranspose2D: lambda layer, p, s, x, train, rng: torch_twin.conv_transpose(layer, p["W"], p.get("b"), x),
    mg.ZeroPad2D: lambda layer, p, s, x, train, rng: torch_twin.zero_pad(layer, x),
    mg.UpSample2D: lambda layer, p, s, x, train, rng: x.repeat_interleave(layer.factor[0], 1).repeat_interleave(
        layer.factor[1], 2
    ),
    mg.MaxPool2D: lambda layer, p, s, x, train, rng: torch_twin.pool(functional.max_pool2d, layer, x),
    mg.AvgPool2D: lambda layer, p, s, x, train, rng: torch_twin.pool(functional.avg_pool2d, layer, x),
    Labelled: lambda layer, p, s, x, train, rng: labelled(layer.layer, p, x),
}


def copied(state):
    return {name: value.copy() for name, value in state.items()}


def run(net, theta, x, *, train, rng=None, state=None):
    """Run `net` at theta, a torch vector, layer by layer in torch; with train=UPDATE `state` may change."""
    at, state = 0, copied(net.state) if state is None else state
    for i, layer in enumerate(net.layers):
        p = {}
        for name, q in layer.parameters().items():
            n = math.prod(q.shape)
            p[name], at = theta[at : at + n].reshape(q.shape), at + n
        s = {name: state[f"{i}.{name}"] for name in layer.state()}
        x = run_layer(layer, p, s, x, train, rng)
    return x


def run_layer(layer, p, s, x, train, rng):
    """Run a layer in torch; the layers of a chain or residual block one by one."""
    if isinstance(layer, mg.Chain):
        for name, inner in layer.sublayers().items():
            x = run_layer(inner, within(p, name), within(s, name), x, train, rng)
        return x
    if isinstance(layer, mg.Residual):
        branches = [
            run_layer(inner, within(p, name), within(s, name), x, train, rng)
            for name, inner in layer.sublayers().items()
        ]
        return branches[0] + (branches[1] if len(branches) == 2 else x)
    return LAYERS_IN_TORCH[type(layer)](layer, p, s, x, train, rng)


def within(named, name):
    """Return the entries "name.rest" as "rest"."""
    return {key.removeprefix(f"{name}."): value for key, value in named.items() if key.startswith(f"{name}.")}


@pytest.mark.parametrize("train", [True, False], ids=["train", "infer"])
@ON_EACH_BACKEND
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name, ops, train):
    """y, dx and the parameter gradients; dropout with the same mask."""
    layer, shape = LAYERS[name]
    net, rng = network(layer, ops=ops), np.random.default_rng(0)
    x = rng.standard_normal((6, *shape))
    y, backward = forward(net, x, train=train, seed=1)
    dy, g = rng.standard_normal(y.shape), net.zeros_like_theta()
    dx = backward(dy, g)
    theta, x_torch = tensor(net.theta, grad=True), tensor(x, grad=True)
    y_torch = run(net, theta, x_torch, train=train, rng=np.random.default_rng(1))
    y_torch.backward(tensor(dy))
    assert_close(y, y_torch)
    assert_close(dx, x_torch.grad)
    if g.size:
        assert_close(g, theta.grad)


@ON_EACH_BACKEND
@pytest.mark.parametrize(("name", "train"), PUSHED)
def test_every_pushforward_by_double_backward(name, train, ops):
    """The derivatives of <dy, y> + <x_dot, J^T dy_dot> by two backward passes, dropout with the same mask."""
    layer, shape = LAYERS[name]
    net, rng = network(layer, ops=ops), np.random.default_rng(0)
    x, x_dot = rng.standard_normal((2, 6, *shape))
    y, y_dot, backward = net.pushforward(x, x_dot, train=train, rng=np.random.default_rng(1))
    dy, dy_dot = rng.standard_normal((2, *y.shape))
    g = net.zeros_like_theta()
    found = backward(dy, dy_dot, g)
    theta, *inputs = (tensor(v, grad=True) for v in (net.theta, x, x_dot))
    out = run(net, theta, inputs[0], train=train, rng=np.random.default_rng(1))
    (gradient,) = torch.autograd.grad(out, inputs[0], tensor(dy_dot), create_graph=True)
    ((out * tensor(dy)).sum() + (inputs[1] * gradient).sum()).backward()
    assert_close((dy_dot * y_dot).sum(), (inputs[1] * gradient).sum())
    for got, want in zip((*found, g), (inputs[0].grad, inputs[1].grad, theta.grad), strict=True):
        if got.size:
            assert_close(got, want if want is not None else np.zeros_like(got))


def norm_of(v):
    return v.flatten(1).norm(dim=1)


@pytest.mark.parametrize("name", ["r1", "r2", "wasserstein"])
@pytest.mark.parametrize("body", PENALISED)
def test_penalties_by_double_backward(body, name):
    """P and dP/dtheta of every penalty, biases too."""
    _, D, x_real, x_fake, _ = whole_gan(body, outputs=1)
    x_real, g = x_real[: len(x_fake)], D.zeros_like_theta()
    penalty = {"r1": R1(2.0), "r2": R2(3.0), "wasserstein": WassersteinPenalty(10.0)}[name]
    P = penalty.add_gradient(D, x_real, x_fake, g, rng=mask())
    rng = mask()
    x = tensor(penalty.points(D, x_real, x_fake, rng=rng), grad=True)
    theta = tensor(D.theta, grad=True)
    (v,) = torch.autograd.grad(run(D, theta, x, train=True, rng=rng).sum(), x, create_graph=True)
    squares = (v * v).flatten(1).sum(1).mean()
    want = 10 * ((norm_of(v) - 1) ** 2).mean() if name == "wasserstein" else penalty.weight / 2 * squares
    want.backward()
    assert_close(P, want)
    assert_close(g, theta.grad)


LARGEST = {"kl": 30.0, "reverse-kl": 1.0, "neyman": 1.0, "hellinger": 1.0, "js": 1.0, "gan": 1.0}
"""The scale of logits up to which torch computes f*(g_f(s)) accurately in two steps, as the paper writes it."""
F_GAN = {  # g_f and f* of table 2 and 6 of Nowozin et al. 2016
    "kl": (lambda v: v, lambda t: torch.exp(t - 1)),
    "reverse-kl": (lambda v: -torch.exp(-v), lambda t: -1 - torch.log(-t)),
    "pearson": (lambda v: v, lambda t: t**2 / 4 + t),
    "neyman": (lambda v: 1 - torch.exp(-v), lambda t: 2 - 2 * torch.sqrt(1 - t)),
    "hellinger": (lambda v: 1 - torch.exp(-v), lambda t: t / (1 - t)),
    "js": (lambda v: math.log(2) - functional.softplus(-v), lambda t: -torch.log(2 - torch.exp(t))),
    "gan": (lambda v: -functional.softplus(-v), lambda t: -torch.log(1 - torch.exp(t))),
}


def softmax_entropy(s, label):
    """The cross-entropy of two classes with the probability `label` of class 1, for each example."""
    return functional.cross_entropy(s, torch.tensor([[1 - label, label]]).double().expand(len(s), 2), reduction="none")


def sigmoid_entropy(s, label):
    return functional.binary_cross_entropy_with_logits(s, torch.full_like(s, label), reduction="none")


def costs(objective):
    """D's cost of a real and of a fake example and G's cost of a fake, by torch from the papers' formulas."""
    match objective:
        case mg.FGAN():
            g, conjugate = F_GAN[objective.divergence]
            of_G = (lambda s: -g(s)) if objective.non_saturating else (lambda s: -conjugate(g(s)))
            return (lambda s: -g(s)), (lambda s: conjugate(g(s))), of_G
        case mg.LeastSquares():
            return tuple(
                lambda s, target=target: (s - target) ** 2 / 2 for target in (objective.b, objective.a, objective.c)
            )
        case mg.Hinge():
            return (lambda s: functional.relu(1 - s)), (lambda s: functional.relu(1 + s)), torch.neg
        case mg.Wasserstein():
            return torch.neg, (lambda s: s), torch.neg
        case mg.SoftmaxTwoClass():
            entropy = softmax_entropy
        case _:
            entropy = sigmoid_entropy
    of_G = (lambda s: -entropy(s, 0.0)) if isinstance(objective, mg.Minimax) else (lambda s: entropy(s, 1.0))
    return (lambda s: entropy(s, objective.real_label)), (lambda s: entropy(s, 0.0)), of_G


def relative_cost(objective, better, worse):
    """The cost of the answer that `better` is real."""
    if isinstance(objective, mg.RelativisticPairing):
        return sigmoid_entropy(better - worse, 1.0).mean()
    return sigmoid_entropy(better - worse.mean(), 1.0).mean() + sigmoid_entropy(worse - better.mean(), 0.0).mean()


def cost_of_D(objective, s_real, s_fake):
    if objective in RELATIVISTIC:
        return objective.d_scale * relative_cost(objective, s_real, s_fake)
    n, m = len(s_real), len(s_fake)
    shares = (2 * n / (n + m), 2 * m / (n + m)) if objective.mean_over_all else (1, 1)
    means = [cost(s).mean() for cost, s in zip(costs(objective), (s_real, s_fake), strict=False)]
    return objective.d_scale * sum(share * mean for share, mean in zip(shares, means, strict=True))


def cost_of_G(objective, s_fake, s_real):
    if objective in RELATIVISTIC:
        return objective.g_scale * relative_cost(objective, s_fake, s_real)
    return objective.g_scale * costs(objective)[2](s_fake).mean()


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1), st.sampled_from([1.0, 100.0, 1e4]))
def test_every_objective(objective, n, m, seed, scale):
    """Values and cotangents, from small logits to saturated ones."""
    rng, k = np.random.default_rng(seed), outputs_of(objective)
    scale = min(scale, LARGEST.get(getattr(objective, "divergence", ""), scale))
    real, fake = fitting(objective, scale * rng.standard_normal((n, k)), scale * rng.standard_normal((m, k)))
    s_real, s_fake = tensor(real, grad=True), tensor(fake, grad=True)
    loss = cost_of_D(objective, s_real, s_fake)
    loss.backward()
    value, ds_real, ds_fake = objective.discriminator(real, fake)
    for got, want in ((value, loss), (ds_real, s_real.grad), (ds_fake, s_fake.grad)):
        assert_close(got, want)
    s_fake = tensor(fake, grad=True)
    loss = cost_of_G(objective, s_fake, tensor(real))
    loss.backward()
    value, ds = generator_cost(objective, fake, real)
    assert_close(value, loss)
    assert_close(ds, s_fake.grad)


@pytest.mark.parametrize(
    ("body", "objective"),
    [(body, o) for body in BODIES for o in OBJECTIVES if o in CROSS_ENTROPIES or body in ("tanh", "dropout")]
    + [("batch norm", o) for o in RELATIVISTIC],
    ids=str,
)
def test_both_gradients_of_every_layer_and_objective(body, objective):
    """dJ_D / dtheta_D and dJ_G / dtheta_G by autograd, dropout with the same masks."""
    G, D, x_real, x_fake, z = whole_gan(body, outputs=outputs_of(objective))
    x_real, x_fake, z = fitting(objective, x_real, x_fake, z)
    for d_batching in (mg.separate, mg.combined):
        how = {"train": UPDATE, "state": copied(D.state)}
        g, outcome = discriminator_gradient(D, objective, x_real, x_fake, rng=mask(), d_batching=d_batching)
        theta, rng = tensor(D.theta, grad=True), mask()
        if d_batching is mg.combined:
            both = run(D, theta, tensor(np.concatenate([x_real, x_fake])), **how, rng=rng)
            logits = both[: len(x_real)], both[len(x_real) :]
        else:
            logits = [run(D, theta, tensor(x), **how, rng=rng) for x in (x_real, x_fake)]
        loss = cost_of_D(objective, *logits)
        loss.backward()
        assert_close(outcome.loss, loss)
        assert_close(g, theta.grad)
    for frozen_d_mode in (train_mode, eval_mode):
        how = {"train": UPDATE, "state": copied(G.state)}
        g, outcome = generator_gradient(G, D, objective, z, x_real=x_real, rng=mask(), frozen_d_mode=frozen_d_mode)
        theta, rng, train = tensor(G.theta, grad=True), mask(), frozen_d_mode is train_mode
        s_real = None
        if needs_real(objective):
            s_real = run(D, tensor(D.theta), tensor(x_real), train=train, rng=rng)
        x = run(G, theta, tensor(z), **how, rng=rng)
        loss = cost_of_G(objective, run(D, tensor(D.theta), x, train=train, rng=rng), s_real)
        loss.backward()
        assert_close(outcome.loss, loss)
        assert_close(g, theta.grad)


def twin(layers):
    """Return a torch module and a network of `layers` with the same parameters."""
    net = mg.Network(layers, rng=np.random.default_rng(0), dtype="float64")
    modules = []
    for i, layer in enumerate(layers):
        p = {k.split(".")[1]: v for k, v in net.parameters().items() if k.startswith(f"{i}.")}
        if isinstance(layer, mg.Dense):
            module = nn.Linear(layer.n_in, layer.n_out, bias=layer.bias, dtype=torch.float64)
            module.weight.data = tensor(p["W"].T.copy())
            if layer.bias:
                module.bias.data = tensor(p["b"])
        elif isinstance(layer, mg.BatchNorm):
            module = nn.BatchNorm1d(layer.channels, eps=layer.eps, momentum=layer.momentum, dtype=torch.float64)
        else:
            module = {
                mg.ReLU: nn.ReLU(), mg.Tanh: nn.Tanh(), mg.Sigmoid: nn.Sigmoid(), mg.Softplus: nn.Softplus(),
                mg.LeakyReLU: nn.LeakyReLU(getattr(layer, "slope", 0)), mg.Softmax: nn.Softmax(-1),
            }[type(layer)]  # fmt: skip
        modules.append(module)
    return net, nn.Sequential(*modules)


def theta_of(module):
    """The parameters of a torch module in the order and layout of theta."""
    return np.concatenate([p.detach().numpy().T.ravel() for p in module.parameters()])


def gradient_of(module):
    return np.concatenate([p.grad.numpy().T.ravel() for p in module.parameters()])


@given(
    st.integers(2, 9), st.integers(1, 7), st.integers(1, 7), st.integers(1, 5), st.integers(0, 2**32 - 1), st.booleans()
)
def test_networks(n, i, h, o, seed, bias):
    rng = np.random.default_rng(seed)
    layers = [mg.Dense(i, h, bias=bias), mg.BatchNorm(h), mg.LeakyReLU(0.2), mg.Dense(h, h), mg.Tanh(), mg.Dense(h, o),
              mg.Softplus(), mg.Sigmoid(), mg.Softmax()]  # fmt: skip
    net, module = twin(layers)
    x, dy = rng.standard_normal((n, i)), rng.standard_normal((n, o))
    y, backward = net.forward(x, train=True)
    g = net.zeros_like_theta()
    dx = backward(dy, g)
    x_torch = tensor(x, grad=True)
    y_torch = module(x_torch)
    y_torch.backward(tensor(dy))
    # Batch norm of a few similar rows amplifies rounding by 1 / sqrt(var + eps), at most 316.
    for got, want in ((y, y_torch), (dx, x_torch.grad), (g, gradient_of(module))):
        assert_close(got, want, rtol=316 * RTOL)
    assert_close(net.state["1.running_mean"], module[1].running_mean)
    assert_close(net.state["1.running_var"], module[1].running_var)
    module.eval()
    assert_close(net(x), module(tensor(x)), rtol=316 * RTOL)


def decay(base):
    return lambda t: base * 0.5 ** (t / 40)


# name -> (our optimizer, torch's, our rate); with momentum torch's recurrence differs when the rate changes:
# v <- momentum v + g, theta <- theta - lr v, so that u = -lr v at a constant rate only.
OPTIMIZERS = {
    "adam": (
        lambda net, lr: mg.Adam(net, lr=lr, beta1=0.5),
        lambda p: torch.optim.Adam(p, betas=(0.5, 0.999)),
        decay(2e-3),
    ),
    "adam of keras": (
        lambda net, lr: mg.Adam(net, lr=lr, eps=1e-7),
        lambda p: torch.optim.Adam(p, eps=1e-7),
        decay(0.01),
    ),
    "sgd": (lambda net, lr: mg.SGD(net, lr=lr), lambda p: torch.optim.SGD(p, lr=0.1), decay(0.1)),
    "momentum": (
        lambda net, lr: mg.SGD(net, lr=lr, momentum=0.9),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda t: 0.1,
    ),
    "nesterov": (
        lambda net, lr: mg.SGD(net, lr=lr, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        lambda t: 0.1,
    ),
    "rmsprop": (
        lambda net, lr: mg.RMSProp(net, lr=lr, rho=0.99, eps=1e-6),
        lambda p: torch.optim.RMSprop(p, alpha=0.99, eps=1e-6),
        decay(0.01),
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_over_120_steps(name):
    ours, theirs, lr = OPTIMIZERS[name]
    net = mg.Network([mg.Dense(3, 4)], rng=np.random.default_rng(0), dtype="float64")
    theta = torch.nn.Parameter(tensor(net.theta))
    a, b = ours(net, lr), theirs([theta])
    for t, g in enumerate(np.random.default_rng(1).standard_normal((120, 16)), start=1):
        a.step(g)
        theta.grad = tensor(g)
        b.param_groups[0]["lr"] = lr(t)
        b.step()
    assert_close(net.theta, theta)


def test_ten_whole_gan_steps():
    """Compare losses and parameters of Algorithm 1 (D on new fakes, G through D in training mode) with PyTorch."""
    G, g_torch = twin([mg.Dense(3, 8), mg.BatchNorm(8), mg.ReLU(), mg.Dense(8, 4), mg.Tanh()])
    D, d_torch = twin([mg.Dense(4, 8), mg.BatchNorm(8), mg.LeakyReLU(0.2), mg.Dense(8, 1)])
    gan = mg.GAN(
        G,
        D,
        mg.Adam(G, lr=2e-4, beta1=0.5),
        mg.Adam(D, lr=2e-4, beta1=0.5),
        mg.NonSaturating(),
        frozen_d_mode=train_mode_tracking,
    )
    opt_g, opt_d = (torch.optim.Adam(m.parameters(), lr=2e-4, betas=(0.5, 0.999)) for m in (g_torch, d_torch))
    bce, rng = nn.functional.binary_cross_entropy_with_logits, np.random.default_rng(5)
    for _ in range(10):
        x, z1, z2 = rng.standard_normal((16, 4)), rng.standard_normal((16, 3)), rng.standard_normal((16, 3))
        noise = iter([z1, z2])
        seen_d, seen_g = mg.alternating(gan, lambda x=x: x, lambda noise=noise: next(noise))
        opt_d.zero_grad()
        s_real, s_fake = d_torch(tensor(x)), None
        s_fake = d_torch(g_torch(tensor(z1)).detach())
        loss_d = bce(s_real, torch.ones_like(s_real)) + bce(s_fake, torch.zeros_like(s_fake))
        loss_d.backward()
        opt_d.step()
        opt_g.zero_grad()
        s_fake = d_torch(g_torch(tensor(z2)))
        loss_g = bce(s_fake, torch.ones_like(s_fake))
        loss_g.backward()
        opt_g.step()
        assert_close(seen_d.loss, loss_d, rtol=1e-10)
        assert_close(seen_g.loss, loss_g, rtol=1e-10)
    for net, module in ((G, g_torch), (D, d_torch)):
        assert_close(net.theta, theta_of(module), rtol=1e-10)
        assert_close(net.state["1.running_mean"], module[1].running_mean, rtol=1e-10)
        assert_close(net.state["1.running_var"], module[1].running_var, rtol=1e-10)
