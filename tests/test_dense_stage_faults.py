"""Faults that were planted in the compiled dense passes and that the tests of `test_dense_stage` did not detect."""

from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_dense_stage import TOLERANCE, pair, results

from minigan.layers import BatchNorm, Dense, Maxout, ReLU

pytestmark = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")

OPTIONS = {"train": True, "sub_batches": 1, "overwrite": True}


def batch(n, n_in, n_out, dtype="float64"):
    rng = np.random.default_rng(1)
    return rng.standard_normal((n, n_in)).astype(dtype), rng.standard_normal((n, n_out)).astype(dtype)


def assert_agree(networks, x, dy, options=OPTIONS):
    """Assert that both networks compute the same numbers."""
    want, got = (results(net, x, dy, **options) for net in networks)
    for name, expected in want.items():
        if expected.size:
            scale = 1 + np.abs(expected).max()
            tolerance = TOLERANCE[str(expected.dtype)]
            np.testing.assert_allclose(got[name] / scale, expected / scale, rtol=0, atol=tolerance, err_msg=name)


@given(st.integers(2, 6), st.integers(64, 100), st.integers(1, 40))
def test_of_equal_pieces_the_first_wins(pieces, units, n):
    """Each unit's pieces are equal, so the gradient belongs to the first."""
    networks = pair([Maxout(5, units, pieces=pieces), Dense(units, 3)], "float64")
    rng = np.random.default_rng(2)
    W, b = rng.integers(-4, 5, (5, units, 1)), rng.integers(-4, 5, (units, 1))  # so that x W + b is exact
    for net in networks:
        p = net.parameters()
        p["0.W"][:], p["0.b"][:] = W.repeat(pieces, axis=2).reshape(5, -1), b.repeat(pieces, axis=1).ravel()
        net.mark_modified()
    x, dy = batch(n, 5, 3)
    assert_agree(networks, np.rint(8 * x), dy)


@pytest.mark.parametrize("sub_batches", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_running_statistics_change_only_if_they_are_to_be_updated(sub_batches, dtype):
    net = pair([Dense(5, 70), ReLU(), BatchNorm(70), Dense(70, 64), BatchNorm(64)], dtype)[1]
    x, _ = batch(12, 5, 64, dtype)
    for options in ({"train": True, "update_state": False}, {"train": False, "update_state": True}):
        before = net.state_vector.copy()
        net.forward(x, sub_batches=sub_batches, **options)
        np.testing.assert_array_equal(net.state_vector, before)
    net.forward(x, sub_batches=sub_batches, train=True)
    assert (net.state_vector != before).all()


@pytest.mark.parametrize("sub_batches", [1, 2])
@pytest.mark.parametrize("momentum", [0.3, 0.5, 0.7, 0.95, 1.0])
def test_the_running_statistics_follow_the_batch_at_any_momentum(momentum, sub_batches):
    networks = pair([Dense(5, 70), BatchNorm(70, momentum=momentum)], "float64")
    assert_agree(networks, *batch(12, 5, 70), OPTIONS | {"sub_batches": sub_batches})


@pytest.mark.parametrize("eps", [1e-12, 0.5])
def test_eps_is_the_layers(eps):
    networks = pair([Dense(5, 70), BatchNorm(70, eps=eps), ReLU()], "float64")
    for train in (True, False):
        assert_agree(networks, *batch(40, 5, 70), OPTIONS | {"train": train})
