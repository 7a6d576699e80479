"""Spies: an array that counts matrix products; a random stream and an optimizer that keep a log."""

import numpy as np

import minigan as mg


class Counted(np.ndarray):
    """An array that counts the matrix products of all arrays computed from it."""

    products = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        Counted.products += ufunc is np.matmul
        if out is not None:
            kwargs["out"] = tuple(plain(a) for a in out)
        return counted(getattr(ufunc, method)(*plain(inputs), **kwargs))

    def __array_function__(self, function, types, args, kwargs):
        Counted.products += function in (np.dot, np.einsum, np.inner, np.tensordot)
        return counted(function(*plain(args), **plain(kwargs)))


def plain(a):
    """Return the same arguments without the spy, also inside lists and dicts."""
    if isinstance(a, Counted):
        return a.view(np.ndarray)
    if isinstance(a, (list, tuple)):
        return type(a)(plain(v) for v in a)
    return {k: plain(v) for k, v in a.items()} if isinstance(a, dict) else a


def counted(a):
    return a.view(Counted) if isinstance(a, np.ndarray) else a


def products(call, *args, **kwargs):
    """Count the matrix products in a call of the reference backend on Counted arrays."""
    Counted.products = 0
    call(*args, **kwargs)
    return Counted.products


class LoggedStream(np.random.Generator):
    """A stream that records the shape of every draw (None: one number) and the random keys that it returned."""

    def __init__(self, seed=7):
        super().__init__(np.random.PCG64(seed))
        self.log, self.keys = [], []

    def random(self, size=None, **kwargs):
        self.log.append(size)
        return super().random(size, **kwargs)

    def integers(self, low, high=None, size=None, **kwargs):
        self.log.append(size)
        drawn = super().integers(low, high, size, **kwargs)
        self.keys += np.ravel(drawn).tolist()
        return drawn

    def permutation(self, x, axis=0):
        self.log.append(("permutation", x))
        return super().permutation(x, axis)


class LoggedSGD(mg.SGD):
    """SGD that appends its player's name to a common log."""

    def __init__(self, net, *, name, log, lr=0.01):
        super().__init__(net, lr=lr)
        self.name, self.log = name, log

    def step(self, g):
        self.log.append(self.name)
        super().step(g)
