"""Batches that are gathered from bytes on the device."""

import check_images
import numpy as np
import pytest
from emulated import NEEDS_HOST_COMPILER, ON_EACH_SCHEDULE, device
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.ops.cuda.data import Images, RandomBatches
from minigan.ops.cuda.device.graph import capture
from minigan.ops.cuda.random import Stream

pytestmark = NEEDS_HOST_COMPILER


@ON_EACH_SCHEDULE
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batches(dtype, schedule):
    check_images.batches(device(schedule), dtype)


@settings(max_examples=25)
@given(
    pixels=st.integers(1, 600),
    count=st.integers(1, 9),
    n=st.integers(0, 6),
    repeat=st.sampled_from([1, 3]),
    start=st.integers(0, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_size_and_any_alignment(pixels, count, n, repeat, start, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(256, size=count * pixels + 3, dtype=np.uint8)
    index = rng.integers(count, size=n)
    memory = device().array(images)[start : start + count * pixels].reshape(count, pixels, 1)
    of = Images(device(), memory, scale=0.5, shift=3, repeat=repeat, dtype="float64")
    found = of.batch(index).get()
    assert found.shape == (n, pixels, repeat)
    np.testing.assert_array_equal(found, check_images.expected_batch(memory.get(), index, 0.5, 3, repeat))


def test_each_replay_gathers_the_next_batch():
    """The position of a stream, or any other number on the device, is where in the order a batch starts."""
    d, images = device(), check_images.data_set((2, 3, 1))
    of, order = Images(d, images), np.array([6, 5, 4, 3, 2, 1, 0])
    on_device, out, stream = d.array(order), d.xp.zeros((4, 2, 3, 1), dtype="float32"), Stream(d, 0)

    def step():
        of.consecutive(on_device, 4, stream.position, out=out)
        stream.integers(16)  # four blocks
        stream.advance()

    play = step
    for i in range(4):
        play()
        expected = check_images.expected_batch(images, order[np.arange(4 * i, 4 * i + 4) % 7], 1 / 127.5, -1, 1)
        np.testing.assert_allclose(out.get(), expected, atol=1e-6)
        if play == step:  # after the capture
            play = capture(d, step).replay


def test_random_batches_agree_with_and_without_a_graph():
    """Batches have the images of the stream's indices; each replay of a graph gathers the next one."""
    d, images = device(), check_images.data_set((2, 3, 1), count=50)
    of = Images(d, images, scale=1, shift=0, dtype="float64")
    drawn, replayed, still = RandomBatches(of, 6, Stream(d, 4)), RandomBatches(of, 6, Stream(d, 4)), Stream(d, 4)
    play = replayed
    for _ in range(4):
        expected = images[still.indices(6, 50).get()]
        np.testing.assert_array_equal(drawn().get(), expected)
        np.testing.assert_array_equal(play().get(), expected)
        if play == replayed:  # after the capture
            play = capture(d, replayed).replay


def test_arguments_that_do_not_fit_are_refused():
    d, images = device(), check_images.data_set((2, 2, 3))
    of = Images(d, images)
    assert (len(of), of.shape) == (7, (2, 2, 3))
    for index in ([0, 7], [-1]):
        with pytest.raises(IndexError, match=rf"no image {index[-1]}; expected an index in 0 ... 6"):
            of.batch(np.array(index))
    with pytest.raises(ValueError, match=r"repeat is 3 for images of shape \(7, 2, 2, 3\); expected 1, or 3"):
        Images(d, images, repeat=3)
    with pytest.raises(ValueError, match=r"images are float64 of shape \(7, 2, 2, 3\); expected uint8"):
        Images(d, images / 255)
    with pytest.raises(TypeError, match="dtype float16 given; expected float32 or float64"):
        Images(d, images, dtype="float16")
    with pytest.raises(ValueError, match=r"out has shape \(1, 2, 2, 3\)"):
        of.batch(np.array([0, 1]), out=d.xp.zeros((1, 2, 2, 3), dtype="float32"))
    with pytest.raises(ValueError, match="order is empty"):
        of.consecutive(d.xp.zeros(0, dtype="int64"), 2)
