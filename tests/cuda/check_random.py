"""Check the random numbers: NumPy's Philox draws the same integers, its Generator the same uniform numbers."""

import numpy as np

from minigan.ops.cuda.random import Stream

SEEDS = (
    (0, 0),
    (5, 7),
    (2**64, 2**64 - 1),
    (2**128 - 1, 2**128 - 2),
    (123456789 << 60, 2**192 - 1),
    (3, 2**256 - 1),
)
"""(key, counter): they use each word of both, and every carry."""
SIZES = (1, 3, 4, 301, 2100)
GATE = 1e-14


def philox(key, counter):
    return np.random.Philox(key=key, counter=counter)


def integers(device):
    for key, counter in SEEDS:
        stream, used = Stream(device, key, counter), 0
        for n in SIZES:
            assert stream.counter == (counter + used) % 2**256
            expected = philox(key, stream.counter).random_raw(n)
            np.testing.assert_array_equal(device.host(stream.integers(n)), expected)
            used += -(-n // 4)


def indices(device):
    """An index is NumPy's integer times the count, without its lower 64 bits."""
    for count in (1, 7, 60_000, 2**62 + 1):
        stream = Stream(device, 5, 2**64 - 2)
        expected = [int(w) * count >> 64 for w in philox(5, 2**64 - 2).random_raw(2100)]
        assert device.host(stream.indices(2100, count)).tolist() == expected


def uniforms(device, dtype="float64"):
    stream = Stream(device, 11, 2**64 - 40)
    for n in SIZES:
        expected = np.random.Generator(philox(11, stream.counter)).random(n, dtype=dtype)
        np.testing.assert_array_equal(device.host(stream.uniform(n, dtype)), expected)


def box_muller(key, counter, n):
    """Return n normal numbers computed from NumPy's uniform ones in float64."""
    u, v = np.random.Generator(philox(key, counter)).random((-(-n // 2), 2)).T
    radius, angle = np.sqrt(-2 * np.log(1 - u)), 2 * np.pi * v
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:n]


def normals(device, dtype="float64"):
    stream = Stream(device, 2**64 + 9, 5)
    for n in SIZES:
        expected = box_muller(2**64 + 9, stream.counter, n)
        found = device.host(stream.normal(n, dtype))
        assert found.dtype == dtype
        assert abs(found - expected).max() <= max(GATE, 4 * np.finfo(dtype).eps)


def advancing(device):
    """`advance` moves the position on the device, and the draws continue."""
    stream, still = (Stream(device, 4, 2**64 - 3) for _ in range(2))
    for n in (5, 9, 1, 40):
        np.testing.assert_array_equal(device.host(stream.integers(n)), device.host(still.integers(n)))
        stream.advance()
        assert stream.counter == still.counter
    assert int(stream.position[0]) == 2 + 3 + 1 + 10
