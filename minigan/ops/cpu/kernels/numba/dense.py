# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""The passes of a dense network in one compiled call each; `minigan.ops.cpu.dense` defines what they compute.

The threads of a team (`minigan.ops.cpu.threads.team`) run a pass together.  Each layer's units are cut into parts by
their number alone, and a thread computes every step of a part while its numbers are in the L1 cache:

    forward    the product x W of the part's columns; bias, activation, batch norm and dropout of its rows
    backward   the product of dL/dy with the weights above; dropout, batch norm and activation backwards; dL/dW, dL/db

The parts of a layer are a phase: the next begins when all of them are done.  The gradient of a layer's products is kept
transposed, (columns, samples), because then W is read in the order in which it lies in memory.
"""

from typing import Any, NamedTuple

import numpy as np

from minigan.ops.cpu.kernels.numba import dense_units as units
from minigan.ops.cpu.kernels.numba.jit import inlined, kernel
from minigan.ops.cpu.kernels.numba.matmul import multiply_at
from minigan.ops.cpu.kernels.numba.matmul import product_address as product_address
from minigan.ops.cpu.kernels.numba.mlp import ACTIVATION_CODES as ACTIVATION_CODES
from minigan.ops.cpu.kernels.numba.mlp import _activate, _activate_backward
from minigan.ops.cpu.threads.team import counters_size as counters_size
from minigan.ops.cpu.threads.team import finish_part, next_part, run_together, vector_at, wait_for

N_FIELDS = 15
N_IN, UNITS, PIECES, W, BIAS, CODE, GAMMA, BETA, MEAN, VAR, RELU, MASK, U, Y, COEFFICIENTS = range(N_FIELDS)
"""The fields of a layer in `Vectors.layers`: its sizes; where its parameters begin in theta, -1 for none; its
activation's code; where its running statistics begin; whether the activation after batch norm is a ReLU; the index of
its mask of dropout, or -1; where its u (or, with several pieces, its winners), its y and its coefficients begin."""
N_NUMBERS = 5
SLOPE, EPS, STEP, VARIANCE_SCALE, NORM_SLOPE = range(N_NUMBERS)
"""The fields of a layer in `Vectors.numbers`: the slope of its activation; batch norm's eps, its step of the running
statistics and the scale of the biased variance; the slope of the activation after batch norm."""
N_COEFFICIENTS = 5
MU, SCALE, SHIFT, INVERSE_STD, REMAINDER = range(N_COEFFICIENTS)
"""The rows of batch norm's coefficients (N_COEFFICIENTS, units): the mean, in the dtype of x; gamma / std; beta, with
what rounding the mean has lost; 1 / std; the mean minus mu."""

ADDRESSES, N_LAYERS, SAMPLES, SUB_BATCHES, TRAIN, UPDATE, GRADIENT, INPUT_MASK, PRODUCT = (
    0,
    15,
    16,
    17,
    18,
    19,
    20,
    21,
    22,
)
"""Where the program, a vector of int64, has the addresses of the `Vectors`, and the arguments that are numbers; the
last is the address of a product, see `multiply_at`."""
PROGRAM_SIZE = 23
FROZEN, ADD, WRITE = range(3)
"""What GRADIENT says: dL/dtheta is not computed, is added to g, or is written to g."""


class Vectors(NamedTuple):
    """The memory of a pass."""

    layers: Any
    """(L N_FIELDS,), int64."""
    numbers: Any
    """(L N_NUMBERS,), float64."""
    masks: Any
    """Of each mask and sub-batch dropout's threshold and the two words of its key, uint32."""
    keep_scales: Any
    """Of each mask dropout's factor, float64."""
    theta: Any
    state: Any
    x: Any
    """(N I,)."""
    saved: Any
    """The masked input, if it is masked; of each layer u, if `_backward` needs it and it is not y, and y, if another
    layer follows; each (samples, units)."""
    winners: Any
    """The winning pieces of each layer with several, (samples, units), uint8."""
    coefficients: Any
    """Of each layer with batch norm and each sub-batch the coefficients, float64."""
    y: Any
    """Forward, the last layer's y (N O,).  Backward, dL/dy."""
    g: Any
    """dL/dtheta."""
    dx: Any
    """dL/dx (N I,); empty if it is not needed."""
    counters: Any
    """Those of `next_part`, for a phase for each layer and one more, int64."""
    gradients: Any
    """Two matrices (columns, padded_length(samples)) of the widest layer's size, which begin a cache line."""


@kernel
def start(
    mailboxes, function, program, layers, numbers, masks, keep_scales, theta, state, x, saved, winners, coefficients,
    y, g, dx, counters, gradients,
):  # fmt: skip
    """Run a pass, `function`, on a team; the vectors after `program` are the `Vectors`."""
    at = ADDRESSES
    program[at], program[at + 1], program[at + 2] = layers.ctypes.data, numbers.ctypes.data, masks.ctypes.data
    program[at + 3], program[at + 4], program[at + 5] = keep_scales.ctypes.data, theta.ctypes.data, state.ctypes.data
    program[at + 6], program[at + 7], program[at + 8] = x.ctypes.data, saved.ctypes.data, winners.ctypes.data
    program[at + 9], program[at + 10], program[at + 11] = coefficients.ctypes.data, y.ctypes.data, g.ctypes.data
    program[at + 12], program[at + 13] = dx.ctypes.data if dx.size else 0, counters.ctypes.data
    program[at + 14] = gradients.ctypes.data
    run_together(mailboxes, function, program)


@inlined
def _vectors(program, zero):
    at, integer, number = ADDRESSES, np.int64(0), 0.0
    return Vectors(
        vector_at(program[at], integer, program[N_LAYERS] * N_FIELDS),
        vector_at(program[at + 1], number, program[N_LAYERS] * N_NUMBERS), vector_at(program[at + 2], np.uint32(0)),
        vector_at(program[at + 3], number), vector_at(program[at + 4], zero), vector_at(program[at + 5], zero),
        vector_at(program[at + 6], zero), vector_at(program[at + 7], zero), vector_at(program[at + 8], np.uint8(0)),
        vector_at(program[at + 9], number), vector_at(program[at + 10], zero), vector_at(program[at + 11], zero),
        vector_at(program[at + 12], zero), vector_at(program[at + 13], integer), vector_at(program[at + 14], zero),
    )  # fmt: skip


@kernel
def forward_float32(program, rank, size):
    """Run a thread's share of a forward pass in float32."""
    return _forward(vector_at(program, np.int64(0)), rank, size, np.float32(0))


@kernel
def forward_float64(program, rank, size):
    """Run a thread's share of a forward pass in float64."""
    return _forward(vector_at(program, np.int64(0)), rank, size, np.float64(0))


@kernel
def backward_float32(program, rank, size):
    """Run a thread's share of a backward pass in float32."""
    return _backward(vector_at(program, np.int64(0)), rank, size, np.float32(0))


@kernel
def backward_float64(program, rank, size):
    """Run a thread's share of a backward pass in float64."""
    return _backward(vector_at(program, np.int64(0)), rank, size, np.float64(0))


def padded_length(N):
    """Return how many numbers a row of N samples takes in memory, so that each row begins a cache line."""
    return -(-N // 16) * 16


_padded_length = inlined(padded_length)


@inlined
def _drop(program, v, part, mask, unit, stride):
    """Multiply the part by its mask, each sub-batch by its own."""
    S, M = program[SUB_BATCHES], program[SAMPLES] // program[SUB_BATCHES]
    keep_scale = part.dtype.type(v.keep_scales[mask])
    for s in range(S):
        k = 3 * (mask * S + s)
        words = v.masks[k], v.masks[k + 1], v.masks[k + 2]
        units.drop(part, s * M, (s + 1) * M, unit, stride, words, keep_scale)


@inlined
def _drop_input(program, v, rank, size):
    """Write mask x to the beginning of `saved`."""
    N, I, width = program[SAMPLES], v.layers[N_IN], units.width_of(v.x)
    part, parts, phase = np.empty((N, width), v.x.dtype), -(-I // width), program[N_LAYERS]
    j = next_part(v.counters, phase, parts, rank, size)
    while j >= 0:
        c, w = j * width, min(width, I - j * width)
        units.load(v.x, c, I, part, w)
        _drop(program, v, part, program[INPUT_MASK], c, I)
        units.store(part, w, v.saved, c, I)
        finish_part(v.counters, phase, size)
        j = next_part(v.counters, phase, parts, rank, size)
    wait_for(v.counters, phase, parts, size)


# --- forward --------------------------------------------------------------------------------------


@inlined
def _forward(program, rank, size, zero):
    """Compute y, and save what `_backward` needs."""
    v, N, L = _vectors(program, zero), program[SAMPLES], program[N_LAYERS]
    width, x, x_start, function = units.width_of(v.x), v.x, 0, program[PRODUCT]
    part = np.empty((N, width), v.x.dtype)
    if program[INPUT_MASK] >= 0:
        _drop_input(program, v, rank, size)
        x = v.saved
    for k in range(L):
        layer = v.layers[k * N_FIELDS : (k + 1) * N_FIELDS]
        n_in, O, pieces = layer[N_IN], layer[UNITS], layer[PIECES]
        products = part if pieces == 1 else np.empty((N, width * pieces), v.x.dtype)
        into, parts = (0, products.shape[1]), -(-O // width)
        j = next_part(v.counters, k, parts, rank, size)
        while j >= 0:
            unit, w = j * width, min(width, O - j * width)
            column, n = unit * pieces, w * pieces
            if w < width:
                part[:] = zero
            b_layout = (layer[W] + column, O * pieces)
            multiply_at(
                function, x, (x_start, n_in, 1), v.theta, b_layout, products.reshape(-1), into, (N, n, n_in), False
            )
            if layer[BIAS] >= 0:
                units.add_bias(products, v.theta, layer[BIAS] + column, n)
            if pieces > 1:
                units.maximum(products, pieces, w, part, v.winners, layer[U] + unit, O)
            _finish(program, v, layer, k, part, unit, w)
            if k == L - 1:
                units.store(part, w, v.y, unit, O)
            else:
                units.store(part, w, v.saved, layer[Y] + unit, O)
            finish_part(v.counters, k, size)
            j = next_part(v.counters, k, parts, rank, size)
        wait_for(v.counters, k, parts, size)
        x, x_start = v.saved, layer[Y]
    return np.int64(0)


@inlined
def _finish(program, v, layer, k, part, unit, w):
    """Compute the part of y from that of x W + b or, with several pieces, from its maximum, in place."""
    slope = part.dtype.type(v.numbers[k * N_NUMBERS + SLOPE])
    _activate(part.reshape(1, -1), 0, layer[CODE], slope, part.size)
    if layer[U] >= 0 and layer[PIECES] == 1:
        units.store(part, w, v.saved, layer[U] + unit, layer[UNITS])
    if layer[GAMMA] >= 0:
        _normalise(program, v, layer, k, part, unit, w)
    if layer[MASK] >= 0:
        _drop(program, v, part, layer[MASK], unit, layer[UNITS])


@inlined
def _normalise(program, v, layer, k, u, unit, w):
    """Apply batch norm and the activation after it, and save the coefficients; training updates the statistics."""
    real, M, O = u.dtype.type, program[SAMPLES] // program[SUB_BATCHES], layer[UNITS]
    numbers = v.numbers[k * N_NUMBERS : (k + 1) * N_NUMBERS]
    width = u.shape[1]
    pivot, distance, var = np.zeros(width, u.dtype), np.zeros(width), np.zeros(width)
    mu, scale, shift = np.zeros(width, u.dtype), np.zeros(width, u.dtype), np.zeros(width, u.dtype)
    for s in range(program[SUB_BATCHES]):
        if program[TRAIN]:
            units.moments(u, s * M, (s + 1) * M, pivot, distance, var)
        for c in range(w):
            if not program[TRAIN]:
                pivot[c], var[c] = v.state[layer[MEAN] + unit + c], v.state[layer[VAR] + unit + c]
            mu[c] = pivot[c] + distance[c]
            if program[TRAIN] and program[UPDATE]:
                _move(v.state, layer[MEAN] + unit + c, mu[c], real(numbers[STEP]))
                batch_var = real(real(var[c]) * numbers[VARIANCE_SCALE])
                _move(v.state, layer[VAR] + unit + c, batch_var, real(numbers[STEP]))
            inverse_std = real(1) / np.sqrt(real(var[c]) + real(numbers[EPS]))
            scale[c] = v.theta[layer[GAMMA] + unit + c] * inverse_std
            remainder = (np.float64(pivot[c]) - mu[c]) + distance[c]
            shift[c] = v.theta[layer[BETA] + unit + c] - remainder * scale[c]
            at = layer[COEFFICIENTS] + s * N_COEFFICIENTS * O + unit + c
            v.coefficients[at + MU * O], v.coefficients[at + SCALE * O] = mu[c], scale[c]
            v.coefficients[at + SHIFT * O], v.coefficients[at + INVERSE_STD * O] = shift[c], inverse_std
            v.coefficients[at + REMAINDER * O] = remainder
        units.normalise(u, s * M, (s + 1) * M, mu, scale, shift, layer[RELU] > 0, real(numbers[NORM_SLOPE]))


@inlined
def _move(state, i, batch, step):
    """Move a running statistic towards the batch's, as `BatchNorm.update` does."""
    stay = state.dtype.type(1) - step
    if step > 0.5:
        state[i] = batch + stay * (state[i] - batch)
    else:
        state[i] += step * (batch - state[i])


# --- backward -------------------------------------------------------------------------------------


@inlined
def _backward(program, rank, size, zero):
    """Compute dL/dtheta, unless it is frozen, and dL/dx, if it is needed."""
    v, N, L = _vectors(program, zero), program[SAMPLES], program[N_LAYERS]
    width, half, row, function = units.width_of(v.x), 0, _padded_length(N), program[PRODUCT]
    need_dx = program[ADDRESSES + 12] != 0
    for k in range(L):
        half = max(half, row * v.layers[k * N_FIELDS + UNITS] * v.layers[k * N_FIELDS + PIECES])
    part, u = np.empty((N, width), v.x.dtype), np.empty((N, width), v.x.dtype)
    transposed = np.empty((width, row), v.x.dtype)
    for k in range(L - 1, -1, -1):
        layer = v.layers[k * N_FIELDS : (k + 1) * N_FIELDS]
        n_in, O, pieces = layer[N_IN], layer[UNITS], layer[PIECES]
        products = part if pieces == 1 else np.empty((N, width * pieces), v.x.dtype)
        x, x_start = _input_of(program, v, k)
        parts = -(-O // width)
        j = next_part(v.counters, k, parts, rank, size)
        while j >= 0:
            unit, w = j * width, min(width, O - j * width)
            column, n = unit * pieces, w * pieces
            if k == L - 1:
                units.load(v.y, unit, O, part, w)
            else:
                _load_gradient(function, v, k + 1, unit, w, N, (k + 1) % 2 * half, transposed, part)
            _finish_backward(program, v, layer, k, part, u, unit, w)
            if pieces > 1:
                units.maximum_backward(part, pieces, w, v.winners, layer[U] + unit, O, products)
            if program[GRADIENT] != FROZEN:
                add, shape = program[GRADIENT] == ADD, (n_in, n, N)
                b_layout, c_layout = (0, products.shape[1]), (layer[W] + column, O * pieces)
                multiply_at(function, x, (x_start, 1, n_in), products.reshape(-1), b_layout, v.g, c_layout, shape, add)
                if layer[BIAS] >= 0:
                    units.sum_of_rows(products, n, v.g, layer[BIAS] + column, add)
            if k > 0 or need_dx:
                units.store_transposed(products, n, v.gradients, k % 2 * half + column * row, row)
            finish_part(v.counters, k, size)
            j = next_part(v.counters, k, parts, rank, size)
        wait_for(v.counters, k, parts, size)
    if need_dx:
        I, phase = v.layers[N_IN], L
        parts = -(-I // width)
        j = next_part(v.counters, phase, parts, rank, size)
        while j >= 0:
            unit, w = j * width, min(width, I - j * width)
            _load_gradient(function, v, 0, unit, w, N, 0, transposed, part)
            if program[INPUT_MASK] >= 0:
                _drop(program, v, part, program[INPUT_MASK], unit, I)
            units.store(part, w, v.dx, unit, I)
            finish_part(v.counters, phase, size)
            j = next_part(v.counters, phase, parts, rank, size)
        wait_for(v.counters, phase, parts, size)
    return np.int64(0)


@inlined
def _input_of(program, v, k):
    """Return the vector that holds the input of layer k, and where it begins."""
    if k > 0:
        return v.saved, v.layers[(k - 1) * N_FIELDS + Y]
    return (v.saved, 0) if program[INPUT_MASK] >= 0 else (v.x, 0)


@inlined
def _load_gradient(function, v, k, unit, w, N, start, transposed, part):
    """Load dL/dx of layer k for the features unit ... unit + w - 1: (W da^T)^T, with da^T (columns, N) at `start`."""
    layer = v.layers[k * N_FIELDS : (k + 1) * N_FIELDS]
    columns = layer[UNITS] * layer[PIECES]
    a_layout, sizes, row = (layer[W] + unit * columns, columns, 1), (w, N, columns), transposed.shape[1]
    multiply_at(function, v.theta, a_layout, v.gradients, (start, row), transposed.reshape(-1), (0, row), sizes, False)
    units.load_transposed(transposed, part, w)


@inlined
def _finish_backward(program, v, layer, k, part, u, unit, w):
    """Replace the part of dL/dy by that of dL/da, a = x W + b or, with several pieces, its maximum."""
    numbers = v.numbers[k * N_NUMBERS : (k + 1) * N_NUMBERS]
    if layer[MASK] >= 0:
        _drop(program, v, part, layer[MASK], unit, layer[UNITS])
    if layer[PIECES] == 1 and (layer[GAMMA] >= 0 or layer[CODE] > 0):
        if layer[U] >= 0:
            units.load(v.saved, layer[U] + unit, layer[UNITS], u, w)
        else:
            units.load(v.saved, layer[Y] + unit, layer[UNITS], u, w)
    if layer[GAMMA] >= 0:
        _normalise_backward(program, v, layer, numbers, part, u, unit, w)
    slope = part.dtype.type(numbers[SLOPE])
    _activate_backward(part.reshape(1, -1), u.reshape(1, -1), 0, layer[CODE], slope, part.size)


@inlined
def _normalise_backward(program, v, layer, numbers, d, u, unit, w):
    """Apply the pullback of batch norm and of the activation after it, and compute dL/dgamma and dL/dbeta."""
    real, M, O, width = u.dtype.type, program[SAMPLES] // program[SUB_BATCHES], layer[UNITS], u.shape[1]
    mu, scale, shift = np.zeros(width, u.dtype), np.zeros(width, u.dtype), np.zeros(width, u.dtype)
    linear, constant = np.zeros(width, u.dtype), np.zeros(width, u.dtype)
    sum_d, sum_dx, dgamma, dbeta = np.empty(width), np.empty(width), np.zeros(width), np.zeros(width)
    for s in range(program[SUB_BATCHES]):
        at = layer[COEFFICIENTS] + s * N_COEFFICIENTS * O + unit
        for c in range(w):
            mu[c], scale[c] = v.coefficients[at + MU * O + c], v.coefficients[at + SCALE * O + c]
            shift[c] = v.coefficients[at + SHIFT * O + c]
        first, last, relu, slope = s * M, (s + 1) * M, layer[RELU] > 0, real(numbers[NORM_SLOPE])
        units.normalise_backward(d, u, first, last, mu, scale, shift, relu, slope, sum_d, sum_dx)
        for c in range(w):
            inverse_std, remainder = v.coefficients[at + INVERSE_STD * O + c], v.coefficients[at + REMAINDER * O + c]
            d_gamma = (sum_dx[c] - remainder * sum_d[c]) * inverse_std
            dgamma[c] += d_gamma
            dbeta[c] += sum_d[c]
            if program[TRAIN]:
                factor = -scale[c] * d_gamma * inverse_std / M
                linear[c], constant[c] = factor, -scale[c] * sum_d[c] / M - factor * remainder
        if program[TRAIN]:
            units.combine(d, u, first, last, mu, scale, linear, constant)
        else:
            units.multiply_columns(d, first, last, scale)
    if program[GRADIENT] != FROZEN:
        for c in range(w):
            gamma, beta = layer[GAMMA] + unit + c, layer[BETA] + unit + c
            if program[GRADIENT] == ADD:
                v.g[gamma] += dgamma[c]
                v.g[beta] += dbeta[c]
            else:
                v.g[gamma], v.g[beta] = dgamma[c], dbeta[c]
