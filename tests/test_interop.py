"""Export and import of weights: layouts checked on NCHW arrays, round trips, mismatches that change nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.interop import from_keras, from_torch, to_keras, to_torch
from minigan.layers.base import Layer
from tests.cases import image_chains, network


def draw_net(layers, seed=0):
    return network(list(layers), seed=seed)


def numbers_of(net):
    return np.concatenate([net.theta, *[v.ravel() for v in net.state.values()]])


@given(image_chains(), st.integers(0, 2**32 - 1))
def test_round_trips(case, seed):
    layers, input_shape = case
    net = draw_net(layers, seed)
    for there, back in (
        (to_torch(net, input_shape=input_shape), lambda n, w: from_torch(n, w, input_shape=input_shape)),
        (to_keras(net), from_keras),
    ):
        other = draw_net(layers, seed + 1)
        back(other, there)
        np.testing.assert_array_equal(numbers_of(other), numbers_of(net))


@given(image_chains(), st.integers(0, 2**32 - 1))
def test_input_shape_says_nothing_new_after_a_layer_that_names_the_channels(case, seed):
    """If the chain does not need input_shape, passing it does not change the result."""
    layers, input_shape = case
    net = draw_net(layers, seed)
    try:
        without = to_torch(net)
    except ValueError as error:
        assert "input_shape=(H, W, C)" in str(error)  # noqa: PT017  (the other outcome is tested below)
        return
    told = to_torch(net, input_shape=input_shape)
    assert without.keys() == told.keys()
    for key in without:
        np.testing.assert_array_equal(without[key], told[key])


CONV_GAN = [
    mg.Dense(5, 24), mg.BatchNorm(24), mg.ReLU(), mg.Reshape((2, 4, 3)),
    mg.ConvTranspose2D(3, 2, (3, 4), stride=2, padding=1, output_padding=(1, 0), bias=False), mg.BatchNorm(2),
    mg.Conv2D(2, 4, (2, 3)), mg.Flatten(), mg.Dense(72, 2),
]  # fmt: skip


def test_keys_and_shapes_of_a_state_dict():
    state = to_torch(draw_net(CONV_GAN))
    assert {key: value.shape for key, value in state.items()} == {
        "0.weight": (24, 5), "0.bias": (24,),
        "1.weight": (24,), "1.bias": (24,), "1.running_mean": (24,), "1.running_var": (24,),
        "1.num_batches_tracked": (),
        "4.weight": (3, 2, 3, 4),
        "5.weight": (2,), "5.bias": (2,), "5.running_mean": (2,), "5.running_var": (2,), "5.num_batches_tracked": (),
        "6.weight": (4, 2, 2, 3), "6.bias": (4,),
        "8.weight": (2, 72), "8.bias": (2,),
    }  # fmt: skip
    for value in state.values():
        assert value.flags.c_contiguous
        assert value.flags.writeable


def test_keras_order_and_shapes():
    net = draw_net(CONV_GAN)
    assert [w.shape for w in to_keras(net)] == [
        (5, 24), (24,), (24,), (24,), (24,), (24,), (3, 4, 2, 3), (2,), (2,), (2,), (2,), (2, 3, 2, 4), (4,), (72, 2),
        (2,),
    ]  # fmt: skip
    names = ["1.gamma", "1.beta", "1.running_mean", "1.running_var"]
    for array, name in zip(to_keras(net)[2:6], names, strict=True):
        np.testing.assert_array_equal(array, {**net.parameters(), **net.state}[name])


def test_what_is_returned_are_copies():
    net = draw_net([mg.Dense(2, 2), mg.BatchNorm(2)])
    before = numbers_of(net)
    for array in (*to_torch(net).values(), *to_keras(net)):
        array += 1
    np.testing.assert_array_equal(numbers_of(net), before)


class TestOrder:
    """The features of a flat vector, checked by arithmetic on (N, C, H, W) arrays."""

    X = np.random.default_rng(0).standard_normal((6, 2, 3, 4))  # (N, H, W, C)
    PLANES = X.transpose(0, 3, 1, 2)

    def test_dense_after_flatten(self):
        net = draw_net([mg.Flatten(), mg.Dense(24, 5)])
        state = to_torch(net, input_shape=(2, 3, 4))
        y = self.PLANES.reshape(6, -1) @ state["1.weight"].T + state["1.bias"]
        np.testing.assert_allclose(y, net(self.X), rtol=1e-13, atol=1e-13)

    def test_dense_before_reshape_with_batch_norm_between(self):
        net = draw_net([mg.Dense(5, 24), mg.BatchNorm(24), mg.Reshape((2, 3, 4))])
        state = to_torch(net)
        x = np.random.default_rng(1).standard_normal((6, 5))
        y = x @ state["0.weight"].T + state["0.bias"]
        y = (y - state["1.running_mean"]) / np.sqrt(state["1.running_var"] + 1e-5) * state["1.weight"] + state["1.bias"]
        np.testing.assert_allclose(
            y.reshape(6, 4, 2, 3), net(x).transpose(0, 3, 1, 2), rtol=1e-12, atol=1e-12
        )  # fmt: skip

    def test_batch_norm_after_flatten(self):
        net = draw_net([mg.Flatten(), mg.BatchNorm(24), mg.Dense(24, 1)])
        state = to_torch(net, input_shape=(2, 3, 4))
        np.testing.assert_array_equal(
            state["1.weight"].reshape(4, 2, 3), net.parameters()["1.gamma"].reshape(2, 3, 4).transpose(2, 0, 1)
        )

    def test_other_dense_layers_keep_their_order(self):
        net = draw_net([mg.Dense(4, 6), mg.ReLU(), mg.Flatten(), mg.Dense(6, 2)])
        for input_shape in (None, (4,)):
            np.testing.assert_array_equal(to_torch(net, input_shape=input_shape)["3.weight"].T, net.parameters()["3.W"])

    def test_flatten_and_reshape_back_is_nothing(self):
        net = draw_net([mg.Conv2D(1, 4, 1), mg.Flatten(), mg.Reshape((2, 3, 4)), mg.Conv2D(4, 1, 1)])
        assert to_torch(net)["3.weight"].shape == (1, 4, 1, 1)

    def test_input_shape_is_asked_for_where_it_is_needed(self):
        for first in (mg.MaxPool2D(), mg.BatchNorm(2)):  # the second could also belong to a vector
            net = draw_net([first, mg.Flatten(), mg.Dense(12, 1)])
            for call in (lambda net=net: to_torch(net), lambda net=net: from_torch(net, {})):
                with pytest.raises(ValueError, match=r"layer 1: .* what Flatten reads .* input_shape=\(H, W, C\)"):
                    call()
        net = draw_net([mg.MaxPool2D(), mg.Flatten(), mg.Dense(12, 1)])
        assert to_torch(net, input_shape=(4, 6, 2))["2.weight"].shape == (1, 12)

    def test_a_flat_input_that_becomes_an_image(self):
        """In PyTorch it has the order (C, H, W), and so does its batch norm."""
        net = draw_net([mg.BatchNorm(24), mg.Reshape((2, 3, 4))])
        with pytest.raises(ValueError, match=r"layer 1: .* what Reshape reads .* or \(I,\)"):
            to_torch(net)
        np.testing.assert_array_equal(
            to_torch(net, input_shape=(24,))["0.bias"].reshape(4, 2, 3),
            net.parameters()["0.beta"].reshape(2, 3, 4).transpose(2, 0, 1),
        )
        assert to_torch(draw_net([mg.Reshape((2, 3, 4)), mg.Conv2D(4, 1, 1)])).keys() == {"1.weight", "1.bias"}

    @pytest.mark.parametrize(
        ("layers", "input_shape", "message"),
        [
            ([mg.Flatten(), mg.Dense(24, 1)], (2, 3, 5), r"layer 1.*: input shape \(30,\); expected \(24,\)"),
            ([mg.Conv2D(1, 4, 1), mg.Flatten(), mg.Dense(10, 1)], None, "layer 2: 10 features are not a multiple of"),
            (
                [mg.Conv2D(1, 4, 1), mg.Flatten(), mg.Reshape((4, 3, 2))], None,
                "layer 2: images of 4 channels become images of 2 with no Dense between them",
            ),
            (
                [mg.Reshape((4, 3, 2))], (2, 3, 4),
                "layer 0: images of 4 channels become images of 2 with no Dense between them",
            ),
        ],
    )  # fmt: skip
    def test_chains_that_do_not_fit(self, layers, input_shape, message):
        with pytest.raises(ValueError, match=message):
            to_torch(draw_net(layers), input_shape=input_shape)


class Strange(Layer):
    pass


@pytest.mark.parametrize("export", [to_torch, to_keras])
def test_layers_that_the_frameworks_have_not(export):
    net = draw_net([mg.Maxout(2, 2, pieces=2), mg.ReLU(), Strange()])
    with pytest.raises(
        ValueError, match=r"has no layer for layer 0 \(Maxout\), layer 2 \(Strange\); expected AvgPool2D"
    ):
        export(net)


class Unreadable:
    """Like a tensor that requires a gradient, which NumPy cannot read."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad")


class TestMismatches:
    def check_unchanged(self, call, parts):
        net = draw_net(CONV_GAN)
        before, version = numbers_of(net), net.version
        with pytest.raises(ValueError, match="do(es)? not fit the network") as caught:
            call(net)
        for part in parts:
            assert part in str(caught.value)
        np.testing.assert_array_equal(numbers_of(net), before)
        assert net.version == version

    def test_state_dict(self):
        state = to_torch(draw_net(CONV_GAN, seed=5))
        del state["0.bias"], state["1.num_batches_tracked"]
        state |= {
            "9.weight": np.zeros(2), "4.weight": np.zeros((2, 3, 3, 4)), "6.bias": np.zeros(4, dtype=complex),
            "5.running_var": np.array(["a", "b"]), "8.bias": Unreadable(),
        }  # fmt: skip
        self.check_unchanged(
            lambda net: from_torch(net, state),
            [
                "unexpected '9.weight'", "missing '0.bias'", "'4.weight' has shape (2, 3, 3, 4), expected (3, 2, 3, 4)",
                "'6.bias' is complex128, expected numbers that float64 can hold", "'5.running_var' is <U1",
                "'8.bias' is not an array: Can't call numpy()",
            ],
        )  # fmt: skip

    def test_weights(self):
        weights = to_keras(draw_net(CONV_GAN, seed=5))
        weights[6] = weights[6].transpose(0, 1, 3, 2)
        self.check_unchanged(
            lambda net: from_keras(net, weights[:-1]),
            [
                "14 arrays, expected 15: layer 0 kernel, layer 0 bias, layer 1 gamma, layer 1 beta, "
                "layer 1 moving_mean, layer 1 moving_variance, layer 4 kernel",
                "weights[6] (layer 4 kernel) has shape (3, 4, 3, 2), expected (3, 4, 2, 3)",
            ],
        )
        self.check_unchanged(lambda net: from_keras(net, [*weights, weights[0]]), ["16 arrays, expected 15"])


def test_loading_makes_older_pullbacks_stale_and_casts():
    net = mg.Network([mg.Dense(2, 2)], rng=np.random.default_rng(0), dtype="float32")
    y, backward = net.forward(np.ones((1, 2), dtype="float32"), train=True)
    W = np.array([[1, 2], [3, 4]])
    from_torch(net, {"0.weight": W.astype("float64"), "0.bias": np.zeros(2, dtype="float16")})
    np.testing.assert_array_equal(net.parameters()["0.W"], W.T)
    assert net.theta.dtype == np.float32
    with pytest.raises(mg.StaleBackwardError):
        backward(y)
    from_keras(net, [W.tolist(), np.zeros(2)])
    np.testing.assert_array_equal(net.parameters()["0.W"], W)
