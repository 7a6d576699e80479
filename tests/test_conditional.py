"""Layers that read labels: Embedding, ConcatEmbedding, Projection; alone, in networks, and in both steps of a GAN."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from cases import BACKENDS, ENGINES, ON_EACH_BACKEND, network
from gradients import H, assert_direction, assert_tensor, complex_step
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.gan import discriminator_gradient, generator_gradient
from minigan.gan.labels import network_input
from minigan.interop import to_keras, to_torch
from minigan.layers import from_config
from minigan.layers.base import Context
from minigan.layers.embedding import add_rows
from minigan.ops import get_ops, to_host
from minigan.ops.cuda.capture.iterations import CaptureWarning

K = 4
LAYERS = {
    "embedding": (mg.Embedding(K, 3), (2,)),
    "embedding as a shortcut": (mg.Residual([mg.Dense(2, 3)], [mg.Embedding(K, 3)]), (2,)),
    "concatenated": (mg.ConcatEmbedding(K, 3), (2,)),
    "concatenated to images": (mg.ConcatEmbedding(K, 3), (2, 5, 1)),
    "projection": (mg.Projection(5, K), (5,)),
    "projection without bias": (mg.Projection(5, K, bias=False), (5,)),
    "chain": (mg.Chain([mg.ConcatEmbedding(K, 2), mg.Dense(5, 6), mg.Tanh(), mg.Projection(6, K)]), (3,)),
}
ON_EACH_LAYER = pytest.mark.parametrize("name", LAYERS)
ON_EACH_LINEAR_LAYER = pytest.mark.parametrize("name", [name for name in LAYERS if name != "chain"])


def setup(name, *, ops="reference", n=9, seed=0):
    layer, shape = LAYERS[name]
    rng = np.random.default_rng(seed)
    net, x, k = network(layer, ops=ops, seed=seed), rng.standard_normal((n, *shape)), rng.integers(K, size=n)
    return net, x, k, rng.standard_normal(net((x, k)).shape)


def gradients(net, x, k, dy):
    y, backward = net.forward((x, k), train=True)
    g = net.zeros_like_theta()
    return y, backward(dy, g), g


# --- the layers -----------------------------------------------------------------------------------


@ON_EACH_BACKEND
@ON_EACH_LAYER
def test_every_entry_by_complex_step(name, ops):
    net, x, k, dy = setup(name, ops=ops)
    twin = net.astype(complex)

    def loss(z, theta):
        twin.theta = theta
        return (dy * twin((z.astype(complex), k))).sum()

    _, dx, g = gradients(net, x, k, dy)
    assert_tensor(dx, complex_step(lambda z: loss(z, net.theta), x))
    want = net.views(complex_step(lambda theta: loss(x, theta), net.theta))
    for key, tensor in net.views(g).items():
        assert_tensor(tensor, want[key])


@ON_EACH_BACKEND
@given(data=st.data(), n=st.integers(1, 9), classes=st.integers(1, 6), size=st.integers(1, 6))
def test_direction_by_complex_step(ops, data, n, classes, size):
    images = (2, 3)[: data.draw(st.integers(0, 2))]
    layer = data.draw(
        st.sampled_from([mg.Embedding(classes, size), mg.ConcatEmbedding(classes, size), mg.Projection(size, classes)])
    )
    shape = (size,) if isinstance(layer, mg.Projection) else (*images, size)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    net, x, k = network(layer, ops=ops), rng.standard_normal((n, *shape)), rng.integers(classes, size=n)
    y, backward = net.forward((x, k), train=True)
    assert y.shape[1:] == layer.output_shape(shape)
    dy, v, w = (rng.standard_normal(s) for s in (y.shape, x.shape, net.theta.shape))
    g = net.zeros_like_theta()
    dx, twin = backward(dy, g), net.astype(complex)
    twin.theta = net.theta + 1j * H * w
    along = (dy * twin((x + 1j * H * v, k)).imag / H).sum()
    assert_direction(np.concatenate([dx.ravel(), g]), np.concatenate([v.ravel(), w]), along)


@ON_EACH_LAYER
def test_a_planted_error_is_seen(name, monkeypatch):
    """A sum over classes that is wrong by 1e-6 fails the check of every layer."""

    def wrong(dE, k, dy, xp):
        add_rows(dE, k, dy * (1 + 1e-6), xp)

    monkeypatch.setattr("minigan.layers.embedding.add_rows", wrong)
    with pytest.raises(AssertionError, match="relative error"):
        test_every_entry_by_complex_step(name, "reference")


@ON_EACH_BACKEND
@ON_EACH_LINEAR_LAYER
def test_exactly_on_whole_numbers(name, ops):
    """<A u, dy> = <u, A^T dy> in x and in the parameters, without rounding: each layer is linear in either."""
    net, x, k, dy = setup(name, ops=ops)
    rng = np.random.default_rng(3)
    x, u, dy = (rng.integers(-99, 100, s).astype(float) for s in (x.shape, x.shape, dy.shape))
    theta, v = (rng.integers(-99, 100, net.theta.shape).astype(float) for _ in range(2))
    net.theta = theta
    y, dx, g = gradients(net, x, k, dy)
    assert ((net((x + u, k)) - y) * dy).sum() == (u * dx).sum()
    net.theta = theta + v
    assert ((net((x, k)) - y) * dy).sum() == (v * g).sum()


@ON_EACH_LINEAR_LAYER
def test_on_fractions(name):
    net, x, k, dy = setup(name)
    exact = net.astype(object, Fraction)
    fractions = [np.array([Fraction(v) for v in a.ravel()], object).reshape(a.shape) for a in (x, dy)]
    y, dx, g = gradients(exact, fractions[0], k, fractions[1])
    assert {type(v) for a in (y, dx, g) for v in a.ravel()} == {Fraction}
    for got, want in zip((y, dx, g), gradients(net, x, k, dy), strict=True):
        np.testing.assert_allclose(got.astype(float), want, rtol=1e-13, atol=1e-13)


@ON_EACH_LAYER
def test_by_hand(name):
    """Against sums written out with loops over examples."""
    net, x, k, dy = setup(name)
    p, (y, dx, g) = net.parameters(), gradients(net, x, k, dy)
    d = net.views(g)
    if name == "embedding":
        np.testing.assert_array_equal(y, p["0.E"][k])
        np.testing.assert_array_equal(dx, 0)
        for c in range(K):
            np.testing.assert_allclose(d["0.E"][c], dy[k == c].sum(axis=0), rtol=1e-14, atol=1e-15)
    elif name.startswith("concatenated"):
        np.testing.assert_array_equal(y[..., : x.shape[-1]], x)
        np.testing.assert_array_equal(dx, dy[..., : x.shape[-1]])
        for n in range(len(x)):
            for pixel in y[n].reshape(-1, y.shape[-1]):
                np.testing.assert_array_equal(pixel[x.shape[-1] :], p["0.E"][k[n]])
        for c in range(K):
            rows = dy[k == c][..., x.shape[-1] :].reshape(-1, 3)
            np.testing.assert_allclose(d["0.E"][c], rows.sum(axis=0), rtol=1e-14, atol=1e-15)
    elif name.startswith("projection"):
        b = p["0.b"][0] if "0.b" in p else 0
        want = [[x[n] @ p["0.w"] + x[n] @ p["0.E"][k[n]] + b] for n in range(len(x))]
        np.testing.assert_allclose(y, want, rtol=1e-13)


@ON_EACH_BACKEND
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@ON_EACH_LAYER
def test_a_class_that_does_not_occur_has_gradient_zero(name, dtype, ops):
    """Exactly 0, also if the gradients of other classes are infinite or NaN."""
    net, x, _, dy = setup(name, ops=ops)
    net, x, dy = net.astype(dtype), x.astype(dtype), dy.astype(dtype)
    k = np.array([3, 0, 0, 3, 0, 3, 0, 0, 3], np.uint8)
    dy[0], dy[1] = np.inf, np.nan
    with np.errstate(invalid="ignore"):
        _, _, g = gradients(net, x, k, dy)
    E = next(view for key, view in net.views(g).items() if key.endswith("E"))
    np.testing.assert_array_equal(E[1:3], 0)
    assert not np.isfinite(E[0]).any()
    assert not np.isfinite(E[3]).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@ON_EACH_LAYER
def test_the_same_bits_for_any_number_of_threads(name, dtype):
    """Shapes that several threads would share."""
    layer, shape = LAYERS[name]
    rng = np.random.default_rng(0)
    x, k = rng.standard_normal((5000, *shape)).astype(dtype), rng.integers(K, size=5000)
    found = []
    for threads in (1, 2, 3):
        net = network(layer, ops=get_ops("cpu", threads=threads), dtype=dtype)
        dy = np.random.default_rng(1).standard_normal(net((x, k)).shape).astype(dtype)
        found.append([a.tobytes() for a in gradients(net, x, k, dy)])
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("ops", [*ENGINES.values()], ids=[*ENGINES])
def test_a_large_batch_is_summed_in_order(ops):
    net = network(mg.Embedding(3, 2), ops=ops, dtype="float32")
    k, dy = np.arange(30_000) % 2, np.ones((30_000, 2), "float32")
    g = gradients(net, np.zeros((30_000, 1), "float32"), k, dy)[2]
    np.testing.assert_array_equal(net.views(g)["0.E"], [[15000, 15000], [15000, 15000], [0, 0]])


@pytest.mark.parametrize("most", [1, 40, 1 << 24])
def test_the_sum_on_a_gpu_is_that_of_the_cpu(most, monkeypatch):
    """Also where the masked copies of dy are made for some classes at a time, and where dy is not finite."""
    if "cuda-emulated" not in BACKENDS:
        pytest.skip("no compiler for the emulator")
    monkeypatch.setattr("minigan.layers.embedding.MAX_MASKED_NUMBERS", most)
    xp, rng = get_ops("cuda", device="emulated").xp, np.random.default_rng(0)
    dy, k, dE = rng.integers(-9, 9, (7, 3)).astype(float), rng.integers(5, size=7), rng.integers(9, size=(5, 3)) * 1.0
    k[:3], dy[1], dy[2, 1] = [0, 1, 4], np.nan, np.inf
    there = xp.asarray(dE)
    add_rows(there, xp.asarray(k), xp.asarray(dy), xp)
    add_rows(dE, k, dy, np)
    np.testing.assert_array_equal(to_host(there), dE)
    assert np.isfinite(dE[[0, 2, 3]]).all()


def test_a_pullback_can_run_twice_and_freezes_without_g():
    for name in LAYERS:
        net, x, k, dy = setup(name)
        _, backward = net.forward((x, k), train=True)
        before, g = dy.copy(), net.zeros_like_theta()
        dx = backward(dy, g)
        once = g.copy()
        np.testing.assert_array_equal(backward(dy, g), dx)
        np.testing.assert_array_equal(g, 2 * once)
        np.testing.assert_array_equal(backward(dy), dx)
        np.testing.assert_array_equal(dy, before)
        assert backward(dy, g, need_dx=False) is None
        written = np.full_like(g, np.nan)
        backward(dy, written, overwrite=True)
        np.testing.assert_array_equal(written, once)


@ON_EACH_LAYER
def test_config_and_sub_batches(name):
    layer, _ = LAYERS[name]
    assert from_config(layer.to_config()) == layer
    assert layer.per_example
    assert layer.n_classes == K
    net, x, k, dy = setup(name, n=8)
    y, backward = net.forward((x, k), train=True, sub_batches=2)
    parts = [net.forward((x[s], k[s]), train=True) for s in (slice(0, 4), slice(4, 8))]
    np.testing.assert_array_equal(y, np.concatenate([part[0] for part in parts]))
    g, h = net.zeros_like_theta(), net.zeros_like_theta()
    dx = backward(dy, g)
    np.testing.assert_array_equal(
        dx, np.concatenate([back(dy[4 * i : 4 * i + 4], h) for i, (_, back) in enumerate(parts)])
    )
    np.testing.assert_allclose(g, h, rtol=1e-13, atol=1e-14)


def test_a_context_passes_the_labels_on():
    ctx = Context(get_ops("reference"), labels=np.arange(3))
    assert ctx.part(0, 0).labels is ctx.labels


# --- errors ---------------------------------------------------------------------------------------

X = np.zeros((3, 2))


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (np.array([0, 1, 4]), ValueError, r"labels must be in 0 \.\.\. 3, got 4"),
        (np.array([0, -1, 2]), ValueError, r"labels must be in 0 \.\.\. 3, got -1"),
        (np.array([0.0, 1.0, 2.0]), TypeError, "labels are float64; expected whole numbers"),
        (np.array([True, False, True]), TypeError, "labels are bool; expected whole numbers"),
        (np.array([0, 1]), mg.ShapeError, r"labels have shape \(2,\) for 3 examples; expected \(3,\)"),
        (np.eye(3, dtype=int), mg.ShapeError, r"labels have shape \(3, 3\); expected whole numbers \(N,\)"),
        ([0, 1, 2], TypeError, "labels must be a numpy array, got list"),
        (np.ma.masked_array([0, 1, 2]), TypeError, "labels is a masked array"),
    ],
)
@pytest.mark.parametrize("call", [lambda net, x: net(x), lambda net, x: net.forward(x, train=True)])
def test_labels_that_are_none(labels, error, message, call):
    net = mg.Network([mg.ConcatEmbedding(4, 2)], rng=np.random.default_rng(0))
    with pytest.raises(error, match=message):
        call(net, (X, labels))


def test_missing_and_superfluous_labels():
    net = mg.Network([mg.Dense(2, 2), mg.ConcatEmbedding(4, 2)], rng=np.random.default_rng(0))
    with pytest.raises(
        ValueError, match=r"layer 1 \(ConcatEmbedding\): reads labels, but the batch has none; expected"
    ):
        net(X)
    with pytest.raises(TypeError, match=r"x is a tuple of 3 arrays; expected \(x, labels\)"):
        net((X, np.arange(3), np.arange(3)))
    with pytest.raises(ValueError, match="the batch has 2 arrays of classes"):
        network_input(net, (X, np.arange(3), np.arange(3)))
    plain = mg.Network([mg.Dense(2, 2)], rng=np.random.default_rng(0))
    assert plain.n_classes == 0
    with pytest.raises(ValueError, match="x is a tuple of 2 arrays, but no layer of the network reads labels"):
        plain((X, np.arange(3)))
    with pytest.raises(mg.ShapeError, match=r"expected \(N, K\).*classes \(N,\) need a network with Embedding"):
        network_input(plain, (X, np.arange(3)))


def test_the_fewest_classes_of_the_layers_count():
    net = mg.Network([mg.ConcatEmbedding(7, 2), mg.Projection(4, 3)], rng=np.random.default_rng(0))
    assert net.n_classes == 3
    with pytest.raises(ValueError, match=r"labels must be in 0 \.\.\. 2, got 3"):
        net((X, np.array([0, 1, 3])))


@pytest.mark.parametrize("sizes", [(0, 2), (2, 0), (2.5, 2), (True, 2)])
def test_sizes(sizes):
    for kind in (mg.Embedding, mg.ConcatEmbedding, mg.Projection):
        with pytest.raises(ValueError, match="must be an int >= 1"):
            kind(*sizes)
    with pytest.raises(mg.ShapeError, match=r"expected \(5,\)"):
        mg.Projection(5, 2).output_shape((4,))
    with pytest.raises(mg.ShapeError, match=r"expected \(\.\.\., C\)"):
        mg.ConcatEmbedding(5, 2).output_shape(())


def test_labels_of_a_device_outside_the_range_give_nan():
    """They are not read back, so the losses are NaN and the run is diverged."""
    if "cuda-emulated" not in BACKENDS:
        pytest.skip("no compiler for the emulator")
    ops = get_ops("cuda", device="emulated")
    for layer in (mg.Embedding(4, 2), mg.ConcatEmbedding(4, 2), mg.Projection(2, 4)):
        net = network(layer, ops=ops, dtype="float32")
        y = to_host(net((ops.xp.asarray(X.astype("float32")), ops.xp.asarray(np.array([1, 4, -1])))))
        assert np.isfinite(y[0]).all()
        assert np.isnan(y[1:, -1]).all()


# --- both steps of a GAN --------------------------------------------------------------------------


def players(ops="reference", dtype="float64"):
    rng = np.random.default_rng(1)
    G = [mg.ConcatEmbedding(K, 2), mg.Dense(5, 70), mg.BatchNorm(70), mg.ReLU(), mg.Dense(70, 2), mg.Tanh()]
    D = [mg.Dense(2, 70), mg.LeakyReLU(0.2), mg.Dropout(0.3), mg.Dense(70, 5), mg.Tanh(), mg.Projection(5, K)]
    return [mg.Network(layers, rng=rng, dtype=dtype, ops=ops) for layers in (G, D)]


RNG = np.random.default_rng(4)
REAL, REAL_K = RNG.standard_normal((6, 2)), np.array([0, 1, 3, 3, 0, 1], np.uint8)
Z, Z_K = RNG.standard_normal((6, 3)), np.array([3, 1, 0, 0, 1, 1])


def derivative_along(net, cost, v):
    twin = net.astype(complex)
    twin.theta = net.theta + 1j * H * v
    return cost(twin).imag / H


@ON_EACH_BACKEND
@pytest.mark.parametrize("frozen_d_mode", [mg.train_mode, mg.train_mode_tracking, mg.eval_mode])
def test_the_generators_gradient_through_the_projection(ops, frozen_d_mode):
    (G, D), objective, v = players(ops), mg.NonSaturating(), np.random.default_rng(2)
    v = v.standard_normal(G.theta.size)

    def cost(G):
        rng = np.random.default_rng(5)
        x = G.forward((Z.astype(complex), Z_K), train=True, update_state=False, rng=rng)[0]
        return objective.generator(frozen_d_mode(D.astype(complex), (x, Z_K), rng=rng)[0])[0]

    derivative = derivative_along(G, cost, v)
    g, _ = generator_gradient(G, D, objective, (Z, Z_K), rng=np.random.default_rng(5), frozen_d_mode=frozen_d_mode)
    assert_direction(g, v, derivative)


@ON_EACH_BACKEND
@pytest.mark.parametrize("d_batching", [mg.separate, mg.combined])
@pytest.mark.parametrize("n_fake", [6, 4])
def test_the_discriminators_gradient(ops, d_batching, n_fake):
    (_, D), objective, v = players(ops), mg.NonSaturating(), np.random.default_rng(2)
    fake, v = (Z[:n_fake, :2], Z_K[:n_fake]), v.standard_normal(D.theta.size)

    def cost(D):
        real, made = ((x.astype(complex), k) for x, k in ((REAL, REAL_K), fake))
        s_real, s_fake, _ = d_batching(D, real, made, rng=np.random.default_rng(5))
        return objective.discriminator(s_real, s_fake)[0]

    g, _ = discriminator_gradient(
        D, objective, (REAL, REAL_K), fake, rng=np.random.default_rng(5), d_batching=d_batching
    )
    assert_direction(g, v, derivative_along(D, cost, v))


@pytest.mark.parametrize("d_batching", [mg.separate, mg.combined])
def test_one_batch_with_labels_and_one_without(d_batching):
    _, D = players()
    with pytest.raises(ValueError, match="labels"):
        discriminator_gradient(
            D, mg.NonSaturating(), (REAL, REAL_K), Z[:, :2], rng=np.random.default_rng(0), d_batching=d_batching
        )


def train(ops, schedule, *, graphs=None, **modes):
    (G, D), noise = players(ops), np.random.default_rng(9)

    def draw():
        return noise.standard_normal((6, 3)), noise.integers(K, size=6)

    gan = mg.GAN(
        G, D, mg.Adam(G, lr=1e-2), mg.Adam(D, lr=1e-2), mg.NonSaturating(), rng=np.random.default_rng(0),
        draws={"real": lambda: (REAL, REAL_K), "noise": draw}, schedule=schedule, **modes,
    )  # fmt: skip
    metrics = [gan.metrics(gan.play()) for _ in range(4)]
    return metrics, to_host(G.theta), to_host(D.theta)


SCHEDULES = [mg.alternating, mg.same_batch, mg.split_batch, mg.simultaneous]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.__name__)
def test_iterations_on_every_backend(schedule):
    """The backends agree, and CUDA captures the iteration: the graph reads the labels of its own iteration."""
    want = train("reference", schedule)
    for name, ops in [*ENGINES.items(), *([("cuda", get_ops("cuda", device="emulated"))] if len(BACKENDS) > 3 else [])]:
        with warnings.catch_warnings():
            warnings.simplefilter("error", CaptureWarning)
            metrics, *thetas = train(ops, schedule)
        for got, right in zip(metrics, want[0], strict=True):
            assert got == pytest.approx(right, rel=1e-9), name
        for got, right in zip(thetas, want[1:], strict=True):
            np.testing.assert_allclose(got, right, rtol=0, atol=1e-7)


def test_each_class_goes_to_its_place():
    """Two classes, at -2 and at 2: the label decides where G's samples lie."""
    rng, streams = np.random.default_rng(3), mg.training.random_streams(0)
    labels = rng.integers(0, 2, 2000)
    x = (4.0 * labels - 2 + 0.3 * rng.standard_normal(2000))[:, None].astype("float32")
    real = mg.data.RandomBatches((x, labels), 64, streams["data"])

    def noise():
        return streams["noise"].standard_normal((64, 1)).astype("float32"), streams["noise"].integers(0, 2, 64)

    G = mg.Network(
        [mg.ConcatEmbedding(2, 2), mg.Dense(3, 16), mg.LeakyReLU(0.2), mg.Dense(16, 1)], rng=streams["weights_G"]
    )
    D = mg.Network([mg.Dense(1, 16), mg.LeakyReLU(0.2), mg.Projection(16, 2)], rng=streams["weights_D"])
    gan = mg.GAN(
        G, D, *(mg.Adam(net, lr=5e-3, beta1=0.5) for net in (G, D)), mg.NonSaturating(),
        draws={"real": real, "noise": noise}, schedule=mg.alternating,
    )  # fmt: skip
    mg.training.train(mg.training.Experiment("classes", gan, gan.play, 1000, streams))
    z = rng.standard_normal((1000, 1)).astype("float32")
    for k, place in enumerate((-2, 2)):
        assert G((z, np.full(1000, k))).mean() == pytest.approx(place, abs=1)


@pytest.mark.parametrize("write", [to_torch, to_keras])
def test_other_frameworks_have_no_label_layers(write):
    """Their sequential models pass one array on; the error names the layers."""
    net = mg.Network([mg.ConcatEmbedding(4, 2), mg.Dense(4, 3), mg.Projection(3, 4)], rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"no layer for layer 0 \(ConcatEmbedding\), layer 2 \(Projection\); expected"):
        write(net)
