"""Random numbers of the device: NumPy's integers and uniform numbers, and normal numbers."""

import check_random
import numpy as np
import pytest
from emulated import NEEDS_HOST_COMPILER, ON_EACH_SCHEDULE, device
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from minigan.ops.cuda.device.graph import capture
from minigan.ops.cuda.random import Noise, Stream

pytestmark = NEEDS_HOST_COMPILER
ON_EACH_DTYPE = pytest.mark.parametrize("dtype", ["float32", "float64"])


@ON_EACH_SCHEDULE
@pytest.mark.parametrize("name", ["integers", "indices", "advancing"])
def test_integers_agree_with_numpy(name, schedule):
    getattr(check_random, name)(device(schedule))


@ON_EACH_SCHEDULE
@ON_EACH_DTYPE
@pytest.mark.parametrize("name", ["uniforms", "normals"])
def test_distributions_agree_with_numpy(name, dtype, schedule):
    getattr(check_random, name)(device(schedule), dtype)


@settings(max_examples=25)
@given(st.integers(0, 2**128 - 1), st.integers(0, 2**256 - 1), st.integers(0, 500))
def test_any_key_and_counter(key, counter, n):
    stream = Stream(device(), key, counter)
    np.testing.assert_array_equal(stream.integers(n).get(), np.random.Philox(key=key, counter=counter).random_raw(n))
    assert stream.counter == (counter + -(-n // 4)) % 2**256


def test_normal_numbers_have_the_normal_distribution():
    """Moments, the Kolmogorov-Smirnov distance and pairs of 4e4 numbers of a fixed stream, far from the bounds."""
    z = Stream(device(guard=False), 2026, 1).normal((20_000, 2), "float64").get()
    assert stats.kstest(z.reshape(-1), "norm").pvalue > 1e-2
    for moment, right, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):  # spread: the variance of z^moment
        assert abs((z**moment).mean() - right) < 3.5 * np.sqrt(spread / z.size)
    assert stats.pearsonr(z[:, 0], z[:, 1]).pvalue > 1e-2
    assert stats.pearsonr(z[:, 0] ** 2, z[:, 1] ** 2).pvalue > 1e-2
    assert np.isfinite(z).all()


def test_float32_rounds_the_numbers_of_float64():
    """Both dtypes give the same noise."""
    wide, narrow = (Stream(device(), 3, 8).normal(1000, dtype).get() for dtype in ("float64", "float32"))
    np.testing.assert_array_equal(narrow, wide.astype("float32"))


@ON_EACH_DTYPE
def test_replays_continue_the_stream(dtype):
    """N replays draw the same numbers as N runs, and both streams end with the same counter."""
    d = device()
    stream, still = (Stream(d, 17, 2**64 - 2) for _ in range(2))
    z, u = d.xp.zeros((3, 7), dtype=dtype), d.xp.zeros(11, dtype=dtype)

    def step():
        stream.normal((3, 7), dtype, out=z)
        stream.uniform(11, dtype, out=u)
        stream.advance()

    np.testing.assert_array_equal(stream.normal(5).get(), still.normal(5).get())
    stream.advance()
    play = step
    for _ in range(4):
        play()
        np.testing.assert_array_equal(z.get(), still.normal((3, 7), dtype).get())
        np.testing.assert_array_equal(u.get(), still.uniform(11, dtype).get())
        assert stream.counter == still.counter
        if play == step:  # after the capture
            play = capture(d, step).replay


def test_indices_are_equally_likely():
    counts = np.bincount(Stream(device(guard=False), 1).indices(21_000, 7).get(), minlength=7)
    assert len(counts) == 7
    assert stats.chisquare(counts).pvalue > 1e-2


@pytest.mark.parametrize("bound", [None, 2.0])
def test_noise_agrees_with_and_without_a_graph(bound):
    """Noise draws the same batches when it is called and when a graph is replayed."""
    d = device()
    called, replayed = (Noise(Stream(d, 6), (5, 3), dtype="float64", bound=bound) for _ in range(2))
    seen = [called().get() for _ in range(4)]
    np.testing.assert_array_equal(replayed().get(), seen[0])
    graph = capture(d, replayed)
    for z in seen[1:]:
        np.testing.assert_array_equal(graph.replay().get(), z)
    assert np.unique(seen).size == 60
    if bound:
        assert -bound <= np.min(seen) < -0.5 < 0.5 < np.max(seen) <= bound


def test_restore_returns_to_a_state():
    d = device()
    stream = Stream(d, 8, 2**256 - 2)
    stream.integers(9)
    state = stream.state()
    assert state == {"key": 8, "counter": 1}
    first = stream.integers(5).get()
    stream.advance()
    stream.integers(1)
    stream.restore(state)
    np.testing.assert_array_equal(stream.integers(5).get(), first)
    other = Stream(d, 8, 2**256 - 2)
    other.restore(state)
    np.testing.assert_array_equal(other.integers(5).get(), first)
    for wrong in ({"key": 9, "counter": 1}, {"key": 8, "counter": 2**256 - 3}):
        with pytest.raises(ValueError, match="the state is of another stream; expected key 8"):
            stream.restore(wrong)


def test_wrong_arguments_are_refused():
    for key, counter, message in (
        (-1, 0, r"key must be an int in 0 ... 2\^128 - 1, got -1"),
        (2**128, 0, "key must be an int"),
        (0, 2**256, r"counter must be an int in 0 ... 2\^256 - 1"),
        (0.5, 0, "key must be an int"),
    ):
        with pytest.raises(ValueError, match=message):
            Stream(device(), key, counter)
    stream = Stream(device(), 0)
    with pytest.raises(TypeError, match="dtype int64 given; expected float32 or float64"):
        stream.uniform(3, "int64")
    with pytest.raises(ValueError, match=r"out has shape \(3,\) and dtype float64; expected \(3,\), float32"):
        stream.normal(3, out=device().xp.zeros(3))
    with pytest.raises(ValueError, match=r"count must be in 1 ... 2\^63 - 1, got 0"):
        stream.indices(3, 0)
    assert stream.normal((0, 3)).shape == (0, 3)
    assert stream.counter == 0
