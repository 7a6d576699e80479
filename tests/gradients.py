"""Gradient checks: complex step per tensor and along a direction, for one layer, an objective and both GAN steps.

For analytic f, Im f(x + i h v) / h = <grad f, v> + O(h^2), with no subtraction: at h = 1e-30 it is exact to rounding.
The derivative uses only the forward pass; the gradient comes from the hand-written pullback.  `test_mutations` runs
these functions on backward passes with a planted error.
"""

from itertools import pairwise

import numpy as np
from cases import fitting, forward, mask

import minigan as mg
from minigan.gan import discriminator_gradient, generator_gradient
from minigan.losses import generator_cost, needs_real

H = 1e-30
TENSOR_GATE = 1e-13  # |d| / max |g|, per tensor
DIRECTION_GATE = 2e-15  # |d| / (||g|| ||v||)


def cotangent(rng, shape):
    """A random dy: with all ones, batch norm and softmax have gradient zero, and errors go unnoticed."""
    return rng.standard_normal(shape)


def complex_step(f, x):
    """The gradient of the real function f at x, one entry at a time."""
    g = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        z = x.astype(complex)
        z[index] += 1j * H
        g[index] = np.imag(f(z)) / H
    return g


def assert_tensor(got, want, scale=None, gate=TENSOR_GATE):
    """|got - want| <= gate max |want|; `scale` replaces the maximum where the gradient is structurally zero."""
    scale = np.abs(want).max() if scale is None else scale
    error = np.abs(got - want).max()
    assert error <= gate * scale, f"relative error {error / max(scale, 1e-300):.3g}, gate {gate:g}"


def assert_direction(g, v, derivative):
    """|<g, v> - derivative| <= gate ||g|| ||v||; if the gradient is zero, the derivative must be zero."""
    norms, error = np.linalg.norm(g) * np.linalg.norm(v), abs((g * v).sum() - derivative)
    assert error <= DIRECTION_GATE * norms, f"relative error {error / max(norms, 1e-300):.3g}, gate {DIRECTION_GATE:g}"


def zero_tensors(net):
    """Names of the tensors whose gradient is zero for all data: the bias of a Dense layer before batch norm.

    Batch norm subtracts the mean of the batch, which contains the bias.
    """
    return {
        f"{i}.b"
        for i, (layer, above) in enumerate(pairwise(net.layers))
        if isinstance(layer, mg.Dense) and isinstance(above, mg.BatchNorm)
    }


def assert_gradient(net, got, want, *, zeros=()):
    """Compare each tensor relative to its maximum; `zeros` and `zero_tensors` are zero relative to the whole vector."""
    zeros = {*zeros, *zero_tensors(net)}
    for key, tensor in net.views(got).items():
        if key in zeros:
            assert_tensor(tensor, np.zeros_like(tensor), scale=np.abs(want).max())
        else:
            assert_tensor(tensor, net.views(want)[key])


# --- one layer ------------------------------------------------------------------------------------


def check_layer(net, x, dy, *, train):
    """Check every entry of dx and of every parameter gradient of the loss <dy, y>."""
    twin = net.astype(complex)

    def loss(z, theta):
        twin.theta = theta
        return (dy * forward(twin, z.astype(complex), train=train)[0]).sum()

    _, backward = forward(net, x, train=train)
    g = net.zeros_like_theta()
    assert_tensor(backward(dy, g), complex_step(lambda z: loss(z, net.theta), x))
    assert_gradient(net, g, complex_step(lambda theta: loss(x, theta), net.theta))


def check_layer_direction(net, x, dy, v, w, *, train):
    """Compare <dx, v> + <g, w> with the derivative along (v, w); dy may be complex, because the pullback is linear."""
    of_its_kind = net.astype(dy.dtype)  # a real network refuses a complex dy
    _, backward = forward(of_its_kind, x.astype(dy.dtype, copy=False), train=train)
    g = of_its_kind.zeros_like_theta()
    dx = backward(dy, g)
    twin = net.astype(complex)
    twin.theta = net.theta + 1j * H * w
    dy_along = forward(twin, x + 1j * H * v, train=train)[0].imag / H  # J (v, w)
    both, along = np.concatenate([dx.ravel(), g]), np.concatenate([v.ravel(), w])
    assert_direction(both, along, (dy * dy_along).sum())


# --- an objective ---------------------------------------------------------------------------------


def check_objective(objective, s_real, s_fake):
    """Check ds_real and ds_fake of D's cost and ds of G's cost."""
    s_real, s_fake = fitting(objective, s_real, s_fake)
    _, ds_real, ds_fake = objective.discriminator(s_real, s_fake)
    real, fake = s_real.astype(complex), s_fake.astype(complex)
    assert_tensor(ds_real, complex_step(lambda s: objective.discriminator(s, fake)[0], s_real))
    assert_tensor(ds_fake, complex_step(lambda s: objective.discriminator(real, s)[0], s_fake))
    ds = generator_cost(objective, s_fake, s_real)[1]
    assert_tensor(ds, complex_step(lambda s: generator_cost(objective, s, real)[0], s_fake))


# --- both steps of Algorithm 1 --------------------------------------------------------------------


def cost_of_D(D, objective, x_real, x_fake, d_batching):
    """The function theta -> J_D, through both passes of D, in complex numbers."""
    start, x_real, x_fake = D.astype(complex), x_real.astype(complex), x_fake.astype(complex)

    def cost(theta):
        twin = start.astype(complex)  # passes change the running statistics, which spectral normalisation depends on
        twin.theta = theta
        s_real, s_fake, _ = d_batching(twin, x_real, x_fake, rng=mask())
        return objective.discriminator(s_real, s_fake)[0]

    return cost


def cost_of_G(G, D, objective, z, frozen_d_mode, x_real=None):
    """The function theta -> J_G, through G and the frozen D, in complex numbers."""
    start, start_D, z = G.astype(complex), D.astype(complex), z.astype(complex)

    def cost(theta):
        twin, frozen = start.astype(complex), start_D.astype(complex)  # with the running statistics of the start
        twin.theta = theta
        rng = mask()
        s_real = frozen_d_mode(frozen, x_real.astype(complex), rng=rng)[0] if needs_real(objective) else None
        x_fake = twin.forward(z, train=True, rng=rng)[0]
        return generator_cost(objective, frozen_d_mode(frozen, x_fake, rng=rng)[0], s_real)[0]

    return cost


def check_discriminator(D, objective, x_real, x_fake, *, d_batching):
    """Check every entry of dJ_D / dtheta_D, and that the reported cost is J_D."""
    x_real, x_fake = fitting(objective, x_real, x_fake)
    cost = cost_of_D(D, objective, x_real, x_fake, d_batching)
    g, outcome = discriminator_gradient(D, objective, x_real, x_fake, rng=mask(), d_batching=d_batching)
    invariant = isinstance(objective, (mg.Wasserstein, mg.RelativisticPairing, mg.RelativisticAverage))
    last = len(D.layers) - 1  # what adds a constant to all logits does not change J_D
    zeros = {f"{last}.b", *([f"{last - 1}.beta"] if isinstance(D.layers[last - 1], mg.BatchNorm) else [])}
    assert_gradient(D, g, complex_step(cost, D.theta), zeros=zeros if invariant else ())
    assert_tensor(outcome.loss, cost(D.theta).real)


def check_generator(G, D, objective, z, *, frozen_d_mode, x_real):
    """Check every entry of dJ_G / dtheta_G, through the frozen D, and that the reported cost is J_G."""
    z, x_real = fitting(objective, z, x_real)
    cost = cost_of_G(G, D, objective, z, frozen_d_mode, x_real)
    g, outcome = generator_gradient(G, D, objective, z, x_real=x_real, rng=mask(), frozen_d_mode=frozen_d_mode)
    want = complex_step(cost, G.theta)
    assert np.abs(want).max() > 1e-6  # dJ_G / dtheta_G is not zero
    assert_gradient(G, g, want)
    assert_tensor(outcome.loss, cost(G.theta).real)


def check_steps_along(G, D, objective, x_real, x_fake, z, v, w, *, d_batching, frozen_d_mode):
    """Check the derivative of J_D along v and of J_G along w."""
    x_real, x_fake, z = fitting(objective, x_real, x_fake, z)
    cost = cost_of_D(D, objective, x_real, x_fake, d_batching)
    g, _ = discriminator_gradient(D, objective, x_real, x_fake, rng=mask(), d_batching=d_batching)
    assert_direction(g, v, np.imag(cost(D.theta + 1j * H * v)) / H)
    cost = cost_of_G(G, D, objective, z, frozen_d_mode, x_real)
    g, _ = generator_gradient(G, D, objective, z, x_real=x_real, rng=mask(), frozen_d_mode=frozen_d_mode)
    assert_direction(g, w, np.imag(cost(G.theta + 1j * H * w)) / H)
