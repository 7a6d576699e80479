"""The three correlations of the CPU backend: directly or by Winograd's family, as the plan says."""

from minigan.ops import reference
from minigan.ops.cpu import direct, winograd, winograd_weights
from minigan.ops.cpu.blas import one_thread
from minigan.ops.cpu.plan import choose
from minigan.ops.cpu.team import Team, are_floats, plain
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array


def correlate(x: Array, W: Array, geometry: Geometry, b: Array | None, team: Team) -> Array:
    """y_npqo = sum_ijc x~_n,(sp+di),(sq+dj),c W_ijco + b_o."""
    if not are_floats(x, W, *([] if b is None else [b])):
        return reference.correlate(x, W, geometry, b)
    x, W, b = plain(x), plain(W), None if b is None else plain(b)
    plan = choose(geometry, len(x), *W.shape[2:], team.accuracy, compiled=team.compiled)
    with one_thread:
        if plan is None:
            return direct.correlate(x, W, geometry, b, team)
        return winograd.correlate(x, W, geometry, b, plan, team)


def correlate_adjoint(y: Array, W: Array, geometry: Geometry, b: Array | None, team: Team) -> Array:
    """x = the sum of y W^T over the pairs of pixels of the correlation, + b_c.

    At stride 1 Winograd's tiles are those of the correlation with the turned kernel, which do not overlap where they
    are written.
    """
    if not are_floats(y, W, *([] if b is None else [b])):
        return reference.correlate_adjoint(y, W, geometry, b)
    y, W, b = plain(y), plain(W), None if b is None else plain(b)
    C, O = W.shape[2:]
    turned = direct.turned_geometry(geometry)
    with one_thread:
        if turned is not None:
            plan = choose(turned, len(y), O, C, team.accuracy, compiled=team.compiled)
            if plan is not None:
                return winograd.correlate(y, direct.turned_weights(W), turned, b, plan, team)
            return direct.correlate_adjoint(y, W, geometry, b, team)
        plan = choose(geometry, len(y), C, O, team.accuracy, compiled=team.compiled)
        if plan is not None:
            return winograd.correlate_adjoint(y, W, geometry, b, plan, team)
        return direct.correlate_adjoint(y, W, geometry, b, team)


def correlate_weights(x: Array, y: Array, geometry: Geometry, team: Team) -> Array:
    """dW_ijco = sum_npq x~_n,(sp+di),(sq+dj),c y_npqo."""
    if not are_floats(x, y):
        return reference.correlate_weights(x, y, geometry)
    x, y = plain(x), plain(y)
    plan = choose(geometry, len(x), x.shape[3], y.shape[3], team.accuracy, compiled=team.compiled)
    with one_thread:
        if plan is None:
            return direct.correlate_weights(x, y, geometry, team)
        return winograd_weights.correlate_weights(x, y, geometry, plan, team)
