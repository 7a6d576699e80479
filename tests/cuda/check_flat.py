"""Check the kernels of the flat vector through the code that launches them."""

import numpy as np
from emulated import error_of

from minigan.ops import reference
from minigan.ops.cuda.vector import Flat

SIZES = (1, 5, 300, 40_003)
"""The largest has more packs than the grid has threads on the emulated device, so that a thread updates several."""
GATES = {"float32": 1e-6, "float64": 1e-13}
STEP = {
    "adam": {"lr": 0.01, "beta1": 0.5, "beta2": 0.99, "eps": 1e-8},
    "rmsprop": {"lr": 0.01, "rho": 0.9, "eps": 1e-8},
    "momentum": {"lr": 0.01, "momentum": 0.9, "nesterov": False},
    "nesterov": {"lr": 0.01, "momentum": 0.9, "nesterov": True},
}
DECAY = 0.125
STATES = {"adam": 2, "rmsprop": 1, "momentum": 1, "nesterov": 1}


def vectors(name, size, dtype, seed=0):
    """Return theta, g and the state: normal numbers, and positive ones for the state."""
    rng = np.random.default_rng(seed)
    theta, g = rng.standard_normal((2, size))
    state = rng.uniform(0.1, 1, (STATES[name], size))
    return [vector.astype(dtype) for vector in (theta, g, *state)]


def on_device(device, host, offset):
    """Return copies that start `offset` numbers into longer vectors."""
    return [device.array(np.concatenate([np.zeros(offset, v.dtype), v]))[offset:] for v in host]


def update(device, name, size, dtype, *, offset=0, steps=2, decay=0.0):
    """Several steps agree with the reference in float64."""
    host = vectors(name, size, dtype)
    exact = [v.astype(float) for v in host]
    given = on_device(device, host, offset)
    method = "momentum" if name == "nesterov" else name
    for t in range(1, steps + 1):
        counter = (t,) if name == "adam" else ()
        getattr(reference, method)(*exact, *counter, **STEP[name], decay=decay)
        getattr(Flat(device), method)(*given, *counter, **STEP[name], decay=decay)
    for found, expected in zip(given, exact, strict=True):
        assert error_of(device.host(found), expected) < GATES[dtype]


def adam(device):
    for dtype in GATES:
        for size in SIZES:
            update(device, "adam", size, dtype)
        for size in (301, 12_345):
            update(device, "adam", size, dtype, offset=1)


def rmsprop(device):
    update(device, "rmsprop", 12_345, "float64")


def momentum(device):
    update(device, "momentum", 12_345, "float64")
    update(device, "nesterov", 12_345, "float64")


def decay(device):
    for dtype in GATES:
        for name in STEP:
            update(device, name, 12_345, dtype, decay=DECAY)
    update(device, "adam", 301, "float32", offset=1, decay=DECAY)


class Row:
    """Give each update a row of scalars on the device, other ones than those that it is launched with."""

    def __init__(self, device, scalars):
        self._row = device.array(np.array(scalars, float))

    def next_row(self, theta, scalars):
        assert len(scalars) <= len(self._row)
        return self._row


def scalars_on_device(device):
    """Scalars on the device are used instead of those of the launch."""
    for dtype, gate in GATES.items():
        for name, scalars in (
            ("adam", (STEP["adam"]["lr"] / (1 - 0.5**7), 1 / np.sqrt(1 - 0.99**7), DECAY)),
            ("rmsprop", (STEP["rmsprop"]["lr"], DECAY)),
            ("momentum", (STEP["momentum"]["lr"], STEP["momentum"]["momentum"], DECAY)),
        ):
            host = vectors(name, 333, dtype)
            exact, found = [v.astype(float) for v in host], on_device(device, host, 0)
            flat, counter = Flat(device), (7,) if name == "adam" else ()
            getattr(reference, name)(*exact, *counter, **STEP[name], decay=DECAY)
            flat.update_scalars = Row(device, scalars)
            stale = {"momentum": 0.1} if name == "momentum" else {}
            getattr(flat, name)(*found, *(3,)[: len(counter)], **{**STEP[name], "lr": 0.5, **stale})
            for a, b in zip(found, exact, strict=True):
                assert error_of(device.host(a), b) < gate, name


def clipped_norm(device):
    """Gradients below and above the bound, whose squares overflow, and with NaN and infinities."""
    flat = Flat(device)
    for dtype, gate in GATES.items():
        for size in (0, *SIZES):
            g = np.random.default_rng(size).standard_normal(size).astype(dtype)
            norm = float(np.linalg.norm(g.astype(float)))
            for offset in (0, 1):
                (there,) = on_device(device, [g], offset)
                for factor in (1e-3, 0.5, 1.5):
                    found = device.host(flat.clip_norm(there, factor * norm or 1.0))
                    assert found.dtype == g.dtype
                    assert error_of(found, g * min(1, factor)) < gate
                np.testing.assert_array_equal(device.host(there), g)  # only read
        for value in (np.nan, np.inf, -np.inf):
            wrong = np.ones(301, dtype)
            wrong[7] = value
            for bound in (0.1, 1e30):
                found = device.host(flat.clip_norm(device.array(wrong), bound))
                assert np.isnan(found[7])
                np.testing.assert_array_equal(found, reference.clip_norm(wrong, bound))
    for largest in (1e160, 1e300):
        g = largest * np.random.default_rng(0).uniform(-1, 1, 999)
        for bound in (2.0, 1e-9, 1e305):
            found, expected = device.host(flat.clip_norm(device.array(g), bound)), reference.clip_norm(g, bound)
            assert error_of(found, expected) < GATES["float64"]


def finite(device):
    flat = Flat(device)
    for size in SIZES:
        x = np.random.default_rng(0).standard_normal(size)
        assert flat.finite(device.array(x))
        for bad in (np.nan, np.inf, -np.inf):
            for at in (0, size // 2, size - 1):
                y = x.copy()
                y[at] = bad
                assert not flat.finite(device.array(y))


def copy(device):
    flat = Flat(device)
    for size in SIZES:
        x = np.random.default_rng(0).standard_normal(size).astype(np.float32)
        y = flat.zero_vector(size, np.float32)
        assert device.host(y).tolist() == [0] * size
        flat.copy(y, device.array(x))
        np.testing.assert_array_equal(device.host(y), x)
