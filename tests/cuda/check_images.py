"""Check the batches that are gathered from bytes."""

import numpy as np

from minigan.ops.cuda.data import Images

SHAPES = ((3, 5, 3), (4, 4, 1), (28, 28, 1), (1, 1, 1), (9, 31, 3), (16, 27, 3))
"""Shapes of an image: numbers of pixels that are and are not multiples of four, below and above a block's threads."""


def data_set(shape, count=7):
    return np.random.default_rng(len(shape)).integers(256, size=(count, *shape), dtype=np.uint8)


def expected_batch(images, index, scale, shift, repeat):
    return np.repeat(images[index], repeat, axis=-1) * float(scale) + shift


def batches(device, dtype="float64"):
    for shape in SHAPES:
        images = data_set(shape)
        for repeat in (1, 3) if shape[-1] == 1 else (1,):
            of = Images(device, images, scale=1 / 127.5, shift=-1.0, repeat=repeat, dtype=dtype)
            rng = np.random.default_rng(0)
            index = rng.integers(len(images), size=5)
            found = device.host(of.batch(index))
            assert found.dtype == dtype
            gate = 4 * np.finfo(dtype).eps
            assert abs(found - expected_batch(images, index, 1 / 127.5, -1.0, repeat)).max() <= gate
            consecutive(device, of, images, repeat, gate)
            outside(device, of)


def consecutive(device, of, images, repeat, gate):
    """Images in order from a position on, and from the start again after the last."""
    order = np.array([3, 1, 6, 0, 2])
    position = device.array(np.array([4], np.uint64))
    found = device.host(of.consecutive(device.array(order), 3, position))
    assert abs(found - expected_batch(images, order[[4, 0, 1]], 1 / 127.5, -1.0, repeat)).max() <= gate


def outside(device, of):
    """An index of the device that is out of range gives an image of NaN, and does not change the others."""
    found = device.host(of.batch(device.array(np.array([0, len(of), -1, 2**40, 1]))))
    assert [bool(np.isnan(image).all()) for image in found] == [False, True, True, True, False]
    assert not np.isnan(found[[0, 4]]).any()
