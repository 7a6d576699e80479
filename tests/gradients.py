"""Gradient checks: complex step per tensor and along a direction, for one layer, an objective and both GAN steps.

The derivatives are those of `minigan.gradient_check`, on which `minigan.gradcheck` is built; the tolerances are this
library's own.  `test_mutations` runs these functions on backward passes with a planted error.
"""

from itertools import pairwise

import numpy as np
from cases import fitting, forward, mask

import minigan as mg
from minigan.gan import discriminator_gradient, generator_gradient
from minigan.gradient_check import complex_step, direction_error, network_pairs, objective_pairs, tensor_error
from minigan.gradient_check.numeric import MAX_DIRECTION_ERROR, MAX_TENSOR_ERROR, H
from minigan.losses import generator_cost, needs_real

TENSOR_GATE, DIRECTION_GATE = MAX_TENSOR_ERROR, MAX_DIRECTION_ERROR


def cotangent(rng, shape):
    """A random dy: with all ones, batch norm and softmax have gradient zero, and errors go unnoticed."""
    return rng.standard_normal(shape)


def assert_tensor(got, want, scale=None, gate=TENSOR_GATE):
    """|got - want| <= gate max |want|; `scale` replaces the maximum where the gradient is structurally zero."""
    error = tensor_error(np.asarray(got), np.asarray(want), scale)
    assert error <= gate, f"relative error {error:.3g}, gate {gate:g}"


def assert_direction(g, v, derivative):
    """|<g, v> - derivative| <= gate ||g|| ||v||; if the gradient is zero, the derivative must be zero."""
    error = direction_error(g, v, derivative)
    assert error <= DIRECTION_GATE, f"relative error {error:.3g}, gate {DIRECTION_GATE:g}"


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
    assert_tensors(net, [(key, tensor, net.views(want)[key]) for key, tensor in net.views(got).items()], zeros=zeros)


def assert_tensors(net, tensors, *, zeros=()):
    """`assert_gradient` of (name, got, want) for all parameters of a network."""
    zeros, top = {*zeros, *zero_tensors(net)}, max((np.abs(want).max() for _, _, want in tensors), default=0)
    for key, got, want in tensors:
        assert_tensor(got, *((np.zeros_like(got), top) if key in zeros else (want,)))


# --- one layer ------------------------------------------------------------------------------------


def check_layer(net, x, dy, *, train):
    """Check every entry of dx and of every parameter gradient of the loss <dy, y>."""
    dx, *parameters = network_pairs(net, x, dy, train=train, stream=lambda: mask(1))
    assert_tensor(dx.got, dx.want)
    assert_tensors(net, [(pair.name, pair.got, pair.want) for pair in parameters])


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
    for pair in objective_pairs(objective, s_real, s_fake):
        assert_tensor(pair.got, pair.want)


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
