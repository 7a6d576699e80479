"""PyTorch as an oracle for the image layers, in float64: y, dx, dW and db for hundreds of drawn shapes.

An optional group (`make test-torch`): skipped where PyTorch is not installed.
"""

import numpy as np
import pytest
from cases import ON_EACH_BACKEND, network
from hypothesis import given, settings
from hypothesis import strategies as st
from images import convolutions, explicit, pairs, pools, reach, resizings, transposes

import minigan as mg

torch = pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")
pytestmark = pytest.mark.torch

F = torch.nn.functional
RTOL = 1e-12
SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.tuples(pairs(0, 3), pairs(0, 3))
HUNDREDS = settings(max_examples=300)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Run PyTorch on one thread: the images are so small that several threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def image(x):
    """NHWC to an NCHW tensor that requires a gradient."""
    return torch.tensor(np.ascontiguousarray(x.transpose(0, 3, 1, 2)), requires_grad=True)


def weights(W):
    """(kh, kw, C, O) to Conv2d's (O, C, kh, kw); (kh, kw, O, C) to ConvTranspose2d's (C, O, kh, kw)."""
    return torch.tensor(np.ascontiguousarray(W.transpose(3, 2, 0, 1)), requires_grad=True)


def assert_close(got, want):
    """Compare to 1e-12 of the largest number."""
    want = want.detach().numpy()
    if want.ndim == 4:
        want = want.transpose(0, 2, 3, 1)
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= RTOL * np.abs(want).max()


def around(x, sides):
    (top, bottom), (left, right) = sides
    return F.pad(x, (left, right, top, bottom))


def assert_same_as_torch(layer, shape, theirs, ops, n, seed):
    """Compare y, dx, dW and db with those of `theirs(x, W, b)`."""
    rng, net = np.random.default_rng(seed), network(layer, ops=ops, seed=seed)
    x, p = rng.standard_normal((n, *shape)), net.parameters()
    X = image(x)
    W = weights(p["0.W"]) if "0.W" in p else None
    b = torch.tensor(p["0.b"], requires_grad=True) if "0.b" in p else None
    want = theirs(X, W, b)
    y, backward = net.forward(x, train=True)
    assert_close(y, want)
    dy, g = rng.standard_normal(y.shape), net.zeros_like_theta()
    dx, g = backward(dy, g), net.views(g)
    want.backward(image(dy).detach())
    assert_close(dx, X.grad)
    if W is not None:
        dW = g["0.W"].transpose(3, 2, 0, 1)
        assert np.abs(dW - W.grad.numpy()).max() <= RTOL * W.grad.abs().max()
    if b is not None:
        assert_close(g["0.b"], b.grad)


@HUNDREDS
@ON_EACH_BACKEND
@given(convolutions(paddings=st.one_of(SIDES, st.integers(0, 3)), channels=4), st.integers(1, 3), SEEDS)
def test_convolution(ops, layer_and_shape, n, seed):
    layer, shape = layer_and_shape

    def theirs(x, W, b):
        return F.conv2d(around(x, layer.padding), W, b, stride=layer.stride, dilation=layer.dilation)

    assert_same_as_torch(layer, shape, theirs, ops, n, seed)


@HUNDREDS
@ON_EACH_BACKEND
@given(transposes(paddings=st.one_of(SIDES, st.integers(0, 3)), channels=4), st.integers(1, 3), SEEDS)
def test_transposed_convolution(ops, layer_and_shape, n, seed):
    """Asymmetric padding is removed from PyTorch's result without padding."""
    layer, shape = layer_and_shape

    def theirs(x, W, b):
        y = F.conv_transpose2d(
            x, W, b, stride=layer.stride, dilation=layer.dilation, output_padding=layer.output_padding
        )  # fmt: skip
        (top, bottom), (left, right) = layer.padding
        return y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]

    assert_same_as_torch(layer, shape, theirs, ops, n, seed)


@st.composite
def symmetric(draw):
    """The same padding on both sides of each axis."""
    return tuple((n, n) for n in draw(pairs(0, 3)))


@ON_EACH_BACKEND
@given(transposes(paddings=symmetric()), st.integers(1, 3), SEEDS)
def test_transposed_convolution_with_pytorchs_own_padding(ops, layer_and_shape, n, seed):
    layer, shape = layer_and_shape

    def theirs(x, W, b):
        return F.conv_transpose2d(
            x, W, b, stride=layer.stride, padding=tuple(p for p, _ in layer.padding), dilation=layer.dilation,
            output_padding=layer.output_padding,
        )  # fmt: skip

    assert_same_as_torch(layer, shape, theirs, ops, n, seed)


@ON_EACH_BACKEND
@given(
    st.one_of(convolutions(paddings=st.sampled_from(["same", "valid"])), transposes(paddings=st.just("valid"))),
    st.integers(1, 3),
    SEEDS,
)
def test_words_by_padding_by_hand(ops, layer_and_shape, n, seed):
    """TensorFlow's "same" gives ceil(n / stride) outputs with the odd pixel after; "valid" has no padding."""
    layer, shape = layer_and_shape
    sides = []
    for axis in (0, 1):
        k, s, d, n_in = layer.kernel_size[axis], layer.stride[axis], layer.dilation[axis], shape[axis]
        total = max((-(-n_in // s) - 1) * s + reach(k, d) - n_in, 0) if layer.padding == "same" else 0
        sides.append((total // 2, -(-total // 2)))

    def theirs(x, W, b):
        if isinstance(layer, mg.Conv2D):
            return F.conv2d(around(x, sides), W, b, stride=layer.stride, dilation=layer.dilation)
        y = F.conv_transpose2d(x, W, stride=layer.stride, dilation=layer.dilation)
        spans = [reach(k, d) for k, d in zip(layer.kernel_size, layer.dilation, strict=True)]
        y = around(y, [(0, max(s - r, 0)) for s, r in zip(layer.stride, spans, strict=True)])  # gaps at the end
        return y if b is None else y + b[:, None, None]

    assert_same_as_torch(layer, shape, theirs, ops, n, seed)


@HUNDREDS
@ON_EACH_BACKEND
@given(pools(), st.integers(1, 3), SEEDS, st.booleans())
def test_pooling(ops, layer_and_shape, n, seed, ties):
    layer, shape = layer_and_shape
    pool = F.max_pool2d if isinstance(layer, mg.MaxPool2D) else F.avg_pool2d
    assert_same_as_torch(layer, shape, lambda x, W, b: pool(x, layer.pool_size, layer.stride), ops, n, seed)
    if ties:  # both choose the first of equal pixels
        rng, net = np.random.default_rng(seed), network(layer, ops=ops)
        x = rng.integers(0, 2, (n, *shape)).astype(float)
        X = image(x)
        want = pool(X, layer.pool_size, layer.stride)
        y, backward = net.forward(x, train=True)
        dy = rng.integers(1, 9, y.shape).astype(float)
        want.backward(image(dy).detach())
        assert_close(y, want)
        assert_close(backward(dy), X.grad)


@ON_EACH_BACKEND
@given(resizings(), st.integers(1, 3), SEEDS)
def test_padding_and_upsampling(ops, layer_and_shape, n, seed):
    layer, shape = layer_and_shape

    def theirs(x, W, b):
        if isinstance(layer, mg.ZeroPad2D):
            return around(x, explicit(layer.padding))
        return F.interpolate(x, scale_factor=tuple(map(float, layer.factor)), mode="nearest")

    assert_same_as_torch(layer, shape, theirs, ops, n, seed)


def test_a_dcgan_discriminator_and_generator():
    """Chains of layers: both networks for 16 x 16 images, compared with the same PyTorch modules."""
    rng, nn = np.random.default_rng(0), torch.nn
    D = [mg.Conv2D(3, 4, 4, stride=2, padding=1, bias=False), mg.LeakyReLU(0.2),
         mg.Conv2D(4, 8, 4, stride=2, padding=1), mg.LeakyReLU(0.2), mg.Conv2D(8, 1, 4)]  # fmt: skip
    G = [mg.ConvTranspose2D(5, 8, 4), mg.ReLU(), mg.ConvTranspose2D(8, 4, 4, stride=2, padding=1), mg.ReLU(),
         mg.ConvTranspose2D(4, 3, 4, stride=2, padding=1, bias=False), mg.Tanh()]  # fmt: skip
    d = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1, bias=False), nn.LeakyReLU(0.2), nn.Conv2d(4, 8, 4, 2, 1),
                      nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 4)).double()  # fmt: skip
    g = nn.Sequential(nn.ConvTranspose2d(5, 8, 4), nn.ReLU(), nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.ReLU(),
                      nn.ConvTranspose2d(4, 3, 4, 2, 1, bias=False), nn.Tanh()).double()  # fmt: skip
    ours = []
    for layers, module in ((G, g), (D, d)):
        net = mg.Network(layers, rng=rng, dtype="float64")
        for name, value in net.parameters().items():
            i, kind = name.split(".")
            theirs = module[int(i)].weight if kind == "W" else module[int(i)].bias
            theirs.data = weights(value).detach() if kind == "W" else torch.tensor(value)
        ours.append(net)
    z = rng.standard_normal((6, 1, 1, 5))
    x, back_G = ours[0].forward(z, train=True)
    s, back_D = ours[1].forward(x, train=True)
    assert (x.shape, s.shape) == ((6, 16, 16, 3), (6, 1, 1, 1))
    ds, dtheta_D, dtheta_G = rng.standard_normal(s.shape), ours[1].zeros_like_theta(), ours[0].zeros_like_theta()
    back_G(back_D(ds, dtheta_D), dtheta_G, need_dx=False)
    images = g(image(z))
    d(images).backward(image(ds).detach())
    assert_close(x, images)
    for net, module, dtheta in ((ours[0], g, dtheta_G), (ours[1], d, dtheta_D)):
        for name, value in net.views(dtheta).items():
            i, kind = name.split(".")
            if kind == "W":
                want = module[int(i)].weight.grad.numpy().transpose(2, 3, 1, 0)
                assert np.abs(value - want).max() <= RTOL * np.abs(want).max()
            else:
                assert_close(value, module[int(i)].bias.grad)
