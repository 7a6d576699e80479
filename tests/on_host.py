"""The CUDA backend, emulated (or on a GPU: MINIGAN_CUDA_DEVICE=gpu), for tests that pass NumPy arrays to a backend."""

import functools
import os

import numpy as np

from minigan.ops import get_ops, reference, to_host

CHANGED = {"adam": (0, 2, 3), "rmsprop": (0, 2), "momentum": (0, 2), "add_product": (2,), "copy": (0,)}
"""Functions that change arguments in place, and the positions of these arguments."""


class OnHost:
    """Each function copies its arrays to the device, calls the CUDA backend's function, and copies the results back.

    Arrays of other dtypes than float32 and float64 go to the reference, because the CUDA backend does not support them.
    """

    name = "cuda on the host"
    one_pass = False
    dtypes = None
    rules = ()
    xp = np

    def __init__(self):
        self.cuda = get_ops("cuda", device=os.environ.get("MINIGAN_CUDA_DEVICE", "emulated"))

    def __repr__(self):
        return "OnHost()"

    def __getattr__(self, name):
        method = getattr(self.cuda, name)

        @functools.wraps(method)
        def moved(*args, **kwargs):
            arrays = [a for a in args if isinstance(a, np.ndarray)]
            if not all(a.dtype in (np.float32, np.float64) for a in arrays):
                return getattr(reference, name)(*args, **kwargs)
            there = [self.cuda.device.array(a) if isinstance(a, np.ndarray) else a for a in args]
            named = {k: self.cuda.device.array(a) if isinstance(a, np.ndarray) else a for k, a in kwargs.items()}
            found = method(*there, **named)
            for i in CHANGED.get(name, ()):
                args[i][...] = to_host(there[i])
            return tuple(map(to_host, found)) if isinstance(found, tuple) else to_host(found)

        return moved
