"""Wrong arguments of networks and optimizers that earlier versions accepted silently."""

import numpy as np
import pytest

import minigan as mg

LAYERS = [mg.Dense(3, 4), mg.BatchNorm(4), mg.Dropout(0.5), mg.Dense(4, 2)]
X = np.random.default_rng(1).standard_normal((5, 3))
RNG = np.random.default_rng(0)


def make(**kwargs):
    return mg.Network(LAYERS, rng=np.random.default_rng(0), **{"dtype": "float64", **kwargs})


def backward_of(net):
    y, backward = net.forward(X, train=True, rng=RNG)
    return backward, np.ones_like(y)


@pytest.mark.parametrize("name", ["train", "update_state"])
@pytest.mark.parametrize("value", ["no", 0, 1, None, "False", np.array([True])])
def test_flags_of_forward_are_true_or_false(name, value):
    with pytest.raises(TypeError, match=f"{name} must be True or False, got"):
        make().forward(X, **{"train": True, "rng": RNG, name: value})


@pytest.mark.parametrize("rng", [3, np.random.RandomState(0), "0"])
@pytest.mark.parametrize("train", [True, False])
def test_rng_is_a_generator(rng, train):
    with pytest.raises(TypeError, match=r"rng must be a numpy.random.Generator \(np.random.default_rng\(seed\)\)"):
        make().forward(X, train=train, rng=rng)


@pytest.mark.parametrize("sub_batches", [0, -1, 1.0, True, "2"])
def test_groups_is_a_whole_number(sub_batches):
    with pytest.raises(ValueError, match="sub_batches must be an int >= 1, got"):
        make().forward(X, train=True, rng=RNG, sub_batches=sub_batches)


def test_masked_arrays_and_matrices_are_refused_wherever_arrays_go_in():
    net = make()
    masked = lambda a: np.ma.masked_array(a, mask=np.zeros_like(a, bool))  # noqa: E731
    backward, dy = backward_of(net)
    g = net.zeros_like_theta()
    calls = {
        "x": [lambda: net(masked(X)), lambda: net.forward(masked(X), train=True, rng=RNG)],
        "dy": [lambda: backward(masked(dy), g)],
        "grads": [lambda: backward(dy, masked(g))],
        "vector": [lambda: net.views(masked(g))],
        "g": [lambda: mg.Adam(net).step(masked(g))],
    }
    for name, some in calls.items():
        for call in some:
            with pytest.raises(TypeError, match=f"{name} is a masked array, whose mask would be ignored"):
                call()
    with pytest.raises(TypeError, match="theta is a masked array"):
        net.theta = masked(g)
    with pytest.raises(TypeError, match=r"x is a matrix; expected a plain array, np.asarray\(x\)"):
        net(X.view(np.matrix))


def test_a_memory_map_is_an_array(tmp_path):
    X.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", dtype=X.dtype, mode="r", shape=X.shape)
    np.testing.assert_array_equal(make()(mapped), make()(X))


@pytest.mark.parametrize("ops", ["reference", "cpu"])
def test_gradients_are_added_to_a_vector_of_their_own(ops):
    net = make(ops=ops)
    backward, dy = backward_of(net)
    before = net.theta.copy()
    for grads in (net.theta, net.theta[:], net.theta[::-1]):
        with pytest.raises(ValueError, match="grads shares memory with theta; expected a separate array"):
            backward(dy, grads)
    with pytest.raises(TypeError, match="grads is float32; expected float64, the dtype of theta"):
        backward(dy, net.zeros_like_theta().astype("f4"))
    with pytest.raises(TypeError, match="grads is int64; expected float64"):
        backward(dy, net.zeros_like_theta().astype(int))
    read_only = net.zeros_like_theta()
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="grads is read-only"):
        backward(dy, read_only)
    np.testing.assert_array_equal(net.theta, before)
    pieces = np.zeros((net.theta.size, 2))
    whole = net.zeros_like_theta()
    backward(dy, pieces[:, 0])
    backward(dy, whole)
    np.testing.assert_array_equal(pieces[:, 0], whole)


def test_an_optimizer_takes_no_step_along_its_own_vectors():
    net = make()
    adam = mg.Adam(net)
    with pytest.raises(ValueError, match="g shares memory with theta"):
        adam.step(net.theta)
    with pytest.raises(ValueError, match=r"g shares memory with state\['m'\]"):
        adam.step(adam.state["m"])
    assert adam.t == 0


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        *((kind, "lr", value) for kind in (mg.SGD, mg.RMSProp, mg.Adam) for value in (-5, np.nan, np.inf, "1", None)),
        *((mg.Adam, name, value) for name in ("beta1", "beta2") for value in (1, -0.1, "0.9")),
        (mg.Adam, "eps", -1e-8),
        (mg.RMSProp, "rho", 1.0),
        (mg.RMSProp, "eps", np.nan),
        (mg.SGD, "momentum", 1),
        (mg.Adam, "t", -1),
        (mg.Adam, "t", 2.5),
    ],
)
def test_attributes_of_optimizers_are_checked_when_they_are_changed(kind, name, value):
    optimizer = kind(make(), lr=0.1)
    before = getattr(optimizer, name)
    with pytest.raises(ValueError, match=f"{name} must be"):
        setattr(optimizer, name, value)
    assert getattr(optimizer, name) == before


def test_changed_attributes_are_used():
    net = make()
    sgd = mg.SGD(net, lr=0.1)
    sgd.lr = np.float32(2)
    assert type(sgd.lr) is float
    before = net.theta.copy()
    sgd.step(np.ones_like(before))
    np.testing.assert_array_equal(net.theta, before - 2)
    sgd.lr = lambda t: -1.0
    with pytest.raises(ValueError, match=r"lr\(2\) must be in \[0, inf\)"):
        sgd.step(np.ones_like(before))
    with pytest.raises(TypeError, match="nesterov must be True or False, got 'no'"):
        sgd.nesterov = "no"


def test_an_optimizer_prints_in_one_line():
    text = repr(mg.Adam(make(), lr=0.01))
    assert text == "Adam(lr=0.01, beta1=0.9, beta2=0.999, eps=1e-08, t=0, parameters=34)"
    assert repr(mg.SGD(make(), lr=1)) == "SGD(lr=1.0, momentum=0.0, nesterov=False, t=0, parameters=34)"


@pytest.mark.parametrize("ops", ["reference", "cpu"])
@pytest.mark.parametrize("dtype", ["float16", ">f4", ">f8", "int32", None, "float31", "U3", "f4,f4"])
def test_dtypes_that_the_formulas_do_not_support_are_refused(dtype, ops):
    with pytest.raises(TypeError, match=r"dtype.*expected"):
        make(dtype=dtype, ops=ops)


@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble", "complex64", "complex128"])
def test_dtypes_that_are_supported_survive_a_zero_gradient(dtype):
    net = make(dtype=dtype)
    for optimizer in (mg.Adam(net), mg.RMSProp(net), mg.SGD(net, lr=0.1, momentum=0.5)):
        optimizer.step(net.zeros_like_theta())
        assert np.isfinite(net.theta).all()


BAD = {
    "-2": (-2.0, "'1.running_var' is a variance and goes down to -2; expected numbers >= 0"),
    "nan": (np.nan, "'1.running_var' holds NaN or infinity; expected finite numbers"),
    "inf": (np.inf, "'1.running_var' holds NaN or infinity"),
    "1e300": (1e300, "'1.running_var' overflows in float32; expected numbers up to 3.4e"),
}


@pytest.mark.parametrize("bad", BAD)
def test_running_statistics_that_make_nan_are_refused_and_nothing_is_changed(bad):
    from minigan.interop import from_keras, from_torch, to_keras, to_torch

    value, message = BAD[bad]
    net = make(dtype="float32")
    theta, state = net.theta.copy(), net.state_vector.copy()
    given = {name: array.astype("f8") for name, array in net.state.items()}
    given["1.running_var"][2] = value
    with pytest.raises(ValueError, match=message):
        net.load_state(given)
    with pytest.raises(ValueError, match="missing '1.running_mean'; " + message):
        net.load_state({"1.running_var": given["1.running_var"]})
    weights = [array.astype("f8") + 1 for array in to_keras(net)]
    weights[5][2] = value
    with pytest.raises(
        ValueError, match=message.replace("'1.running_var'", r"weights\[5\] \(layer 1 moving_variance\)")
    ):
        from_keras(net, weights)
    tensors = {name: np.array(array, "f8") + 1 for name, array in to_torch(net).items()}
    tensors["1.running_var"][2] = value
    with pytest.raises(ValueError, match=message):
        from_torch(net, tensors)
    np.testing.assert_array_equal(net.theta, theta)
    np.testing.assert_array_equal(net.state_vector, state)


def test_parameters_that_overflow_are_refused():
    net = make(dtype="float32")
    with pytest.raises(ValueError, match="'0.b' overflows in float32"):
        net.load_parameters({**net.parameters(), "0.b": np.full(4, -1e39)})
