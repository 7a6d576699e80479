"""PyTorch as an oracle: layers, losses, optimizers and whole GAN steps, in float64.

An optional group (`make test-torch`): skipped where PyTorch is not installed.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.gan import tracking_judge

torch = pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")
pytestmark = pytest.mark.torch

RTOL = 1e-12
nn = torch.nn


def tensor(a, grad=False):
    return torch.tensor(np.asarray(a), dtype=torch.float64, requires_grad=grad)


def close(got, want, rtol=RTOL):
    want = want.detach().numpy() if isinstance(want, torch.Tensor) else want
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * max(1.0, np.abs(want).max()))


def twin(layers):
    """A torch module with the same parameters as a network of `layers`, and the network."""
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
    # Batch norm of few, close rows amplifies rounding by 1 / sqrt(var + eps), at most 316.
    for got, want in ((y, y_torch), (dx, x_torch.grad), (g, gradient_of(module))):
        close(got, want, rtol=316 * RTOL)
    close(net.state["1.running_mean"], module[1].running_mean)
    close(net.state["1.running_var"], module[1].running_var)
    module.eval()
    close(net(x), module(tensor(x)), rtol=316 * RTOL)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1), st.sampled_from([1.0, 100.0, 1e4]))
def test_objectives(n, m, seed, scale):
    rng = np.random.default_rng(seed)
    real, fake = scale * rng.standard_normal((n, 1)), scale * rng.standard_normal((m, 1))
    s_real, s_fake = tensor(real, grad=True), tensor(fake, grad=True)
    bce = nn.functional.binary_cross_entropy_with_logits
    loss = bce(s_real, torch.ones_like(s_real)) + bce(s_fake, torch.zeros_like(s_fake))
    loss.backward()
    value, ds_real, ds_fake = mg.NonSaturating().discriminator(real, fake)
    for got, want in ((value, loss), (ds_real, s_real.grad), (ds_fake, s_fake.grad)):
        close(got, want)
    s_fake = tensor(fake, grad=True)
    loss = bce(s_fake, torch.ones_like(s_fake))
    loss.backward()
    value, ds = mg.NonSaturating().generator(fake)
    close(value, loss)
    close(ds, s_fake.grad)
    two = rng.standard_normal((n, 2))
    s = tensor(two, grad=True)
    loss = nn.functional.cross_entropy(s, torch.ones(n, dtype=torch.int64))
    loss.backward()
    value, ds = mg.SoftmaxTwoClass().generator(two)
    close(value, loss)
    close(ds, s.grad)


OPTIMIZERS = {
    "adam": (lambda net: mg.Adam(net, lr=2e-4, beta1=0.5), lambda p: torch.optim.Adam(p, lr=2e-4, betas=(0.5, 0.999))),
    "sgd": (lambda net: mg.SGD(net, lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
    "rmsprop": (lambda net: mg.RMSProp(net, lr=0.01, rho=0.99), lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.99)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_over_fifty_steps(name):
    ours, theirs = OPTIMIZERS[name]
    net = mg.Network([mg.Dense(3, 4)], rng=np.random.default_rng(0), dtype="float64")
    theta = torch.nn.Parameter(tensor(net.theta))
    a, b = ours(net), theirs([theta])
    for g in np.random.default_rng(1).standard_normal((50, 16)):
        a.step(g)
        theta.grad = tensor(g)
        b.step()
    close(net.theta, theta)


def test_momentum_is_pytorchs_at_a_constant_rate():
    """u = -lr v: PyTorch's v <- momentum v + g, theta <- theta - lr v, and its Nesterov."""
    for nesterov in (False, True):
        net = mg.Network([mg.Dense(3, 4)], rng=np.random.default_rng(0), dtype="float64")
        theta = torch.nn.Parameter(tensor(net.theta))
        a = mg.SGD(net, lr=0.1, momentum=0.9, nesterov=nesterov)
        b = torch.optim.SGD([theta], lr=0.1, momentum=0.9, nesterov=nesterov)
        for g in np.random.default_rng(1).standard_normal((50, 16)):
            a.step(g)
            theta.grad = tensor(g)
            b.step()
        close(net.theta, theta)


def test_ten_whole_gan_steps():
    """Losses and all parameters of Algorithm 1 (D on fresh fakes, G through D in training mode) beside PyTorch."""
    G, g_torch = twin([mg.Dense(3, 8), mg.BatchNorm(8), mg.ReLU(), mg.Dense(8, 4), mg.Tanh()])
    D, d_torch = twin([mg.Dense(4, 8), mg.BatchNorm(8), mg.LeakyReLU(0.2), mg.Dense(8, 1)])
    gan = mg.GAN(
        G, D, mg.Adam(G, lr=2e-4, beta1=0.5), mg.Adam(D, lr=2e-4, beta1=0.5), mg.NonSaturating(), judge=tracking_judge
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
        close(seen_d.value, loss_d, rtol=1e-10)
        close(seen_g.value, loss_g, rtol=1e-10)
    for net, module in ((G, g_torch), (D, d_torch)):
        close(net.theta, theta_of(module), rtol=1e-10)
        close(net.state["1.running_mean"], module[1].running_mean, rtol=1e-10)
        close(net.state["1.running_var"], module[1].running_var, rtol=1e-10)
