"""Elementwise functions, the mean of softplus, and bias with activation on the device."""

import re

import check_elementwise
import numpy as np
import pytest
import scipy.special
from emulated import NEEDS_HOST_COMPILER, ON_EACH_SCHEDULE, device
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from minigan.ops import reference
from minigan.ops.cuda.bias_act import BiasActivation
from minigan.ops.cuda.elementwise import MAX_ONE_BLOCK_LOGITS, Elementwise
from minigan.ops.cuda.norm_act import NormActivation

pytestmark = NEEDS_HOST_COMPILER
ON_EACH_DTYPE = pytest.mark.parametrize("dtype", check_elementwise.GATES)


@ON_EACH_SCHEDULE
@ON_EACH_DTYPE
@pytest.mark.parametrize("name", ["forward", "backward", "both", "loss", "bias"])
def test_the_kernels(name, dtype, schedule):
    getattr(check_elementwise, name)(device(schedule), dtype)


@ON_EACH_DTYPE
@pytest.mark.parametrize("name", ["forward", "backward"])
def test_unaligned_arrays(name, dtype):
    getattr(check_elementwise, name)(device(), dtype, offset=1)


@settings(max_examples=30)
@given(arrays.arrays(np.float64, st.integers(1, 60), elements=st.floats(width=64)), st.sampled_from([1, -1]))
def test_special_numbers_agree_with_the_reference(x, sign):
    """Infinities, NaN, subnormal and huge numbers give what they give on the reference backend."""
    e = Elementwise(device())
    with np.errstate(all="ignore"):
        pairs = [
            (getattr(e, name)(device().array(x)).get(), right(x)) for name, right in check_elementwise.UNARY.items()
        ]
        value, ds = e.mean_softplus(device().array(x), sign, 0.5)
        right, right_ds = reference.mean_softplus(x, sign, 0.5)
    for found, expected in [*pairs, (float(value), right), (ds.get(), right_ds)]:
        np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-300)


@ON_EACH_DTYPE
def test_sigmoid_and_softplus_over_the_whole_range(dtype):
    """They agree with scipy in float64 to a few units in the last place."""
    x = np.concatenate([np.linspace(-110, 110, 4001), [0, 1e4, -1e4, 1e-30, -1e-30]]).astype(dtype)
    wide, eps, tiny = x.astype(float), float(np.finfo(dtype).eps), float(np.finfo(dtype).tiny)
    e, given = Elementwise(device()), device().array(x)
    for found, expected in ((e.sigmoid(given), scipy.special.expit(wide)), (e.softplus(given), np.logaddexp(0, wide))):
        np.testing.assert_allclose(found.get(), expected, rtol=4 * eps, atol=tiny)


@ON_EACH_DTYPE
def test_a_large_sum_is_as_precise_as_a_small_one(dtype):
    """The partial sums are float64, so that the mean of equal numbers is that number."""
    s = np.full((40 * MAX_ONE_BLOCK_LOGITS + 1, 1), 0.7, dtype)
    value, _ = Elementwise(device(guard=False)).mean_softplus(device(guard=False).array(s), 1, 1.0)
    assert abs(float(value) - np.logaddexp(0, float(s[0, 0]))) < 2 * np.finfo(dtype).eps


def test_shapes_and_layouts():
    e, x = Elementwise(device()), np.arange(24.0).reshape(2, 3, 4) - 10
    assert e.relu(device().array(x).reshape(4, 6).T).shape == (6, 4)
    np.testing.assert_array_equal(e.relu(device().array(x).reshape(4, 6).T).get(), np.maximum(x.reshape(4, 6).T, 0))
    assert e.sigmoid(device().array(np.array(0.0))).shape == ()
    assert e.sigmoid(device().xp.zeros((0, 3))).shape == (0, 3)


def test_arguments_that_do_not_fit_are_refused():
    xp, e = device().xp, Elementwise(device())
    with pytest.raises(ValueError, match=r"relu_backward: shapes \(2,\) and \(3,\); expected equal shapes"):
        e.relu_backward(xp.zeros(2), xp.zeros(3))
    with pytest.raises(TypeError, match="sigmoid: dtype int64 given; expected float32 or float64"):
        e.sigmoid(xp.zeros(2, dtype="int64"))
    with pytest.raises(ValueError, match=r"mean_softplus: s has shape \(0, 1\); expected at least one logit"):
        e.mean_softplus(xp.zeros((0, 1)), 1, 1.0)
    bias = BiasActivation(device(), NormActivation(device()))
    with pytest.raises(ValueError, match="unknown activation 'rulu'.*did you mean 'relu'"):
        bias.forward(xp.zeros((2, 3)), None, "rulu")
    with pytest.raises(ValueError, match="slope must be >= 0"):
        bias.forward(xp.zeros((2, 3)), None, "leaky_relu", -0.1)


@settings(max_examples=20)
@given(st.integers(1, 400), st.integers(1, 40), st.sampled_from(["float32", "float64"]))
def test_bias_of_any_shape(M, C, dtype):
    check_elementwise.bias(device(), dtype, shapes=((M, C),))


def test_bias_of_no_rows():
    dx, db = BiasActivation(device(), NormActivation(device())).backward(*device().xp.zeros((2, 0, 3)))
    assert dx.shape == (0, 3)
    assert db.tolist() == [0, 0, 0]


def test_bias_and_activation_refuse_arrays_that_do_not_fit():
    """The kernels read b[c] for each channel c, and read y in dy's dtype."""
    xp, bias = device().xp, BiasActivation(device(), NormActivation(device()))
    x, wide = xp.zeros((2, 3), dtype="float32"), xp.zeros((2, 3))
    for shape in ((2,), (4,), (1, 3), ()):
        with pytest.raises(ValueError, match=rf"^b has shape {re.escape(str(shape))}; expected \(3,\)$"):
            bias.forward(x, xp.zeros(shape, dtype="float32"))
        with pytest.raises(ValueError, match=r"^b has shape"):
            bias.forward(xp.zeros((0, 3)), xp.zeros(shape))
    with pytest.raises(TypeError, match="^b is float64 and x float32; expected equal dtypes$"):
        bias.forward(x, xp.zeros(3))
    with pytest.raises(TypeError, match="^y is float64 and dy float32; expected equal dtypes$"):
        bias.backward(x, wide)
    with pytest.raises(TypeError, match="^y is float32 and dy float64; expected equal dtypes$"):
        bias.backward(wide[:0], x[:0])
    with pytest.raises(TypeError, match="bias_activation: dtype int64 given; expected float32 or float64"):
        bias.forward(x.astype("int64"), None)
