"""The pullback that a function of `d_batching` returns may declare that it can write the gradient."""

import functools

import numpy as np
import pytest

import minigan as mg
from minigan.gan import discriminator_gradient
from minigan.layers import Dense, Dropout, ReLU

X_REAL, X_FAKE = np.random.default_rng(1).standard_normal((2, 6, 20))


def network(ops="cpu"):
    layers = [Dense(20, 64), ReLU(), Dropout(0.5), Dense(64, 1)]
    return mg.Network(layers, rng=np.random.default_rng(0), dtype="float64", ops=ops)


def gradient(D, d_batching):
    rng = np.random.default_rng(2)
    return discriminator_gradient(D, mg.NonSaturating(), X_REAL, X_FAKE, rng=rng, d_batching=d_batching)[0]


class Plain:
    """A callable that takes no `overwrite`, with a copy of another pullback's attributes."""

    def __init__(self, backward):
        functools.update_wrapper(self, backward)
        self.backward, self.writes_gradient = backward, True

    def __call__(self, ds_real, ds_fake, g):
        self.backward(ds_real, ds_fake, g)


class Writer:
    """A callable that can write, and says so; None where `overwrite` was not given."""

    writes_gradient, given = True, None

    def __init__(self, backward):
        self.backward = backward

    def __call__(self, ds_real, ds_fake, g, *, overwrite=None):
        Writer.given = overwrite
        self.backward(ds_real, ds_fake, g, overwrite=bool(overwrite))


def function(backward):
    @functools.wraps(backward)
    def wrapped(ds_real, ds_fake, g):
        backward(ds_real, ds_fake, g)

    wrapped.writes_gradient = True
    return wrapped


@pytest.mark.parametrize("library", [mg.separate, mg.combined])
@pytest.mark.parametrize("wrap", [function, Plain, Writer, lambda backward: functools.partial(function(backward))])
def test_any_callable_is_a_pullback_of_a_batching_function(library, wrap):
    """It gets `overwrite` only if its class declares it; the gradient is the same."""
    D, Writer.given = network(), None

    def d_batching(D, x_real, x_fake, *, rng=None):
        s_real, s_fake, backward = library(D, x_real, x_fake, rng=rng)
        return s_real, s_fake, wrap(backward)

    np.testing.assert_allclose(gradient(D, d_batching), gradient(D, library), rtol=0, atol=1e-15)
    assert Writer.given is (D.new_gradient()[1] if wrap is Writer else None)


@pytest.mark.parametrize("library", [mg.separate, mg.combined])
@pytest.mark.parametrize("ops", ["reference", "cpu"])
@pytest.mark.parametrize("n_fakes", [6, 4], ids=["equal sizes", "different sizes"])
def test_the_librarys_pullbacks_write_and_add(library, ops, n_fakes):
    D = network(ops)
    s_real, s_fake, backward = library(D, X_REAL, X_FAKE[:n_fakes], rng=np.random.default_rng(2))
    assert type(backward).writes_gradient
    g, written = np.ones_like(D.theta), np.full_like(D.theta, np.nan)
    ds_real, ds_fake = np.ones_like(s_real), -np.ones_like(s_fake)
    backward(ds_real, ds_fake, g)
    backward(ds_real, ds_fake, written, overwrite=True)
    assert np.abs(written).max() > 0.1
    np.testing.assert_allclose(g, written + 1, rtol=0, atol=1e-13)
