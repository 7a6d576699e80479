"""Optimizer updates on the device agree with the reference."""

import check_flat
import numpy as np
import pytest
from emulated import NEEDS_HOST_COMPILER, ON_EACH_SCHEDULE, device
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.ops.cpu import CPU
from minigan.ops.cuda.vector import Flat

pytestmark = NEEDS_HOST_COMPILER


@ON_EACH_SCHEDULE
@pytest.mark.parametrize(
    "name", ["adam", "scalars_on_device", "rmsprop", "momentum", "decay", "clipped_norm", "finite", "copy"]
)
def test_the_kernels(name, schedule):
    getattr(check_flat, name)(device(schedule))


@pytest.mark.parametrize("name", check_flat.STEP)
@pytest.mark.parametrize("dtype", check_flat.GATES)
@settings(max_examples=10)
@given(size=st.integers(0, 5000), offset=st.integers(0, 3), steps=st.integers(1, 3))
def test_updates(name, dtype, size, offset, steps):
    check_flat.update(device(), name, size, dtype, offset=offset, steps=steps)


@pytest.mark.parametrize("name", check_flat.STEP)
@pytest.mark.parametrize("dtype", check_flat.GATES)
def test_results_agree_with_the_cpu_to_rounding(name, dtype):
    """They differ at most by the order of operations within an expression."""
    host = check_flat.vectors(name, 1000, dtype)
    given = [device().array(v) for v in host]
    method, counter = ("momentum" if name == "nesterov" else name), ((3,) if name == "adam" else ())
    getattr(Flat(device()), method)(*given, *counter, **check_flat.STEP[name])
    getattr(CPU(threads=1, compiled=False).flat, method)(*host, *counter, **check_flat.STEP[name])
    for found, expected in zip(given, host, strict=True):
        np.testing.assert_allclose(device().host(found), expected, rtol=0, atol=4 * np.finfo(dtype).eps)


def test_other_dtypes_are_refused():
    x = device().xp.zeros(3, dtype="complex128")
    with pytest.raises(TypeError, match="rmsprop: dtype complex128 given; expected float32 or float64"):
        Flat(device()).rmsprop(x, x, x, lr=0.1, rho=0.9, eps=1e-8)


def test_a_gradient_of_another_dtype_is_cast():
    host = check_flat.vectors("rmsprop", 100, "float64")
    theta, g, v = (device().array(vector) for vector in host)
    Flat(device()).rmsprop(theta, g.astype("float32"), v, **check_flat.STEP["rmsprop"])
    from minigan.ops import reference

    reference.rmsprop(host[0], host[1].astype("float32").astype(float), host[2], **check_flat.STEP["rmsprop"])
    np.testing.assert_allclose(device().host(theta), host[0], rtol=1e-13)
