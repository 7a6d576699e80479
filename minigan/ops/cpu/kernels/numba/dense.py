# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"
"""The passes of a dense network in one compiled call each; `minigan.ops.cpu.dense` defines what they compute.

The threads of a team (`minigan.ops.cpu.threads.team`) run a pass together.  Each layer's units are cut into parts by
their number alone, and a thread computes every step of a part while its numbers are in the L1 cache:

    forward    the product x W of the part's columns; bias, activation, batch norm and dropout of its rows
    backward   the product of dL/dy with the weights above; dropout, batch norm and activation backwards; dL/dW, dL/db

The parts of a layer are a phase: the next begins when all of them are done.  The gradient of a layer's products is kept
transposed, (columns, samples), because then W is read in the order in which it lies in memory.

The passes compute with addresses alone, so they are compiled once for all dtypes; the steps of a part are functions of
`dense_units`, which they call by address.
"""

from minigan.ops.cpu.kernels.numba.dense_units import (
    ADD_GRADIENT,
    N_NUMBERS,
    RELU_AFTER,
    SIGNATURES,
    WRITE_GRADIENT,
)
from minigan.ops.cpu.kernels.numba.dense_units import EPS as EPS
from minigan.ops.cpu.kernels.numba.dense_units import N_COEFFICIENTS as N_COEFFICIENTS
from minigan.ops.cpu.kernels.numba.dense_units import NORM_SLOPE as NORM_SLOPE
from minigan.ops.cpu.kernels.numba.dense_units import SLOPE as SLOPE
from minigan.ops.cpu.kernels.numba.dense_units import STEP as STEP
from minigan.ops.cpu.kernels.numba.dense_units import TRAIN as TRAIN
from minigan.ops.cpu.kernels.numba.dense_units import UPDATE as UPDATE
from minigan.ops.cpu.kernels.numba.dense_units import VARIANCE_SCALE as VARIANCE_SCALE
from minigan.ops.cpu.kernels.numba.jit import inner, kernel_by_address
from minigan.ops.cpu.kernels.numba.matmul import multiply_at
from minigan.ops.cpu.kernels.numba.matmul import product_address as product_address
from minigan.ops.cpu.kernels.numba.mlp import ACTIVATION_CODES as ACTIVATION_CODES
from minigan.ops.cpu.kernels.numba.mlp import RELU as RELU_CODE
from minigan.ops.cpu.kernels.numba.pointers import integers
from minigan.ops.cpu.kernels.numba.pointers import part_width as part_width
from minigan.ops.cpu.threads.team import call, finish_part, next_part, wait_for
from minigan.ops.cpu.threads.team import counters_size as counters_size

N_FIELDS = 15
N_IN, UNITS, PIECES, W, BIAS, CODE, GAMMA, BETA, MEAN, VAR, RELU, MASK, U, Y, COEFFICIENTS = range(N_FIELDS)
"""The fields of a layer, int64: its sizes; where its parameters begin in theta, -1 for none; its activation's code;
where its running statistics begin; whether the activation after batch norm is a ReLU; the index of its mask of dropout,
or -1; where its u (or, with several pieces, its winners), its y and its coefficients begin."""

N_ADDRESSES = 16
(
    LAYERS,  # (L, N_FIELDS), int64
    NUMBERS,  # (L, N_NUMBERS), float64
    MASKS,  # of each mask and sub-batch dropout's threshold and the two words of its key, uint32
    KEEP_SCALES,  # of each mask dropout's factor, float64
    THETA,
    STATE,
    X,  # (N, I)
    SAVED,  # mask x, if x is masked; of each layer u, if `backward` needs it and it is not y; y if it is not the last
    WINNERS,  # the winning pieces of each layer with several, (N, units), uint8
    COEFFICIENTS_OF_ALL,  # of each layer with batch norm and each sub-batch, float64
    OUT,  # forward, the last layer's y (N, O); backward, dL/dy
    G,  # dL/dtheta
    DX,  # dL/dx (N, I); 0 if it is not needed
    COUNTERS,  # those of `next_part`, for a phase for each layer and one more
    GRADIENTS,  # two matrices (columns, padded_length(N)) of the widest layer's size
    WORKSPACE,  # WORKSPACE_BYTES for each thread
) = range(N_ADDRESSES)
"""Where the program, a vector of int64, has the addresses of a pass."""
FLAGS, WORKSPACE_BYTES, N_LAYERS, SAMPLES, SUB_BATCHES, INPUT_MASK, ITEM_BYTES, WIDTH = range(
    N_ADDRESSES, N_ADDRESSES + 8
)
"""Where it has numbers: the bits of `dense_units`; the mask of x, or -1; the size of a number; the units of a part."""
PRODUCT = WIDTH + 1
LOAD, STORE, LOAD_TRANSPOSED, STORE_TRANSPOSED, ADD_BIAS, SUM_OF_ROWS, MAXIMUM, MAXIMUM_BACKWARD, DROP = range(
    PRODUCT + 1, PRODUCT + 10
)
NORMALISE, NORMALISE_BACKWARD = DROP + 1, DROP + 2
ACTIVATE, ACTIVATE_BACKWARD = NORMALISE_BACKWARD + 1, NORMALISE_BACKWARD + 1 + len(ACTIVATION_CODES)
"""Where it has the addresses of functions: `multiply_at`'s, those of `dense_units`, and of each activation's code."""
PROGRAM_SIZE = ACTIVATE_BACKWARD + len(ACTIVATION_CODES)
UNIT_PLACES = {
    **{name: PRODUCT + 1 + i for i, name in enumerate(list(SIGNATURES)[:9])},
    "normalise": NORMALISE,
    "normalise_backward": NORMALISE_BACKWARD,
}
ACTIVATIONS = {
    "ReLU": "rectify",
    "LeakyReLU": "rectify",
    "Tanh": "hyperbolic_tangent",
    "Sigmoid": "logistic",
}
"""The function of `dense_units` of each activation's layer class."""
LINE_BYTES = 64


def padded_length(N):
    """Return how many numbers a row of N samples takes in memory, so that each row begins a cache line."""
    return -(-N // 16) * 16


@inner
def _layer(program, k):
    """Return a pointer to the fields of a layer."""
    return integers(integers(program)[LAYERS] + k * (8 * N_FIELDS))


@inner
def _drop(program, part, mask, unit, stride):
    """Multiply the part by its mask, each sub-batch by its own."""
    p = integers(program)
    S = p[SUB_BATCHES]
    words, keep_scale = p[MASKS] + 12 * mask * S, p[KEEP_SCALES] + 8 * mask
    call(p[DROP], (part, S, p[SAMPLES] // S, unit, stride, words, keep_scale))


# --- forward --------------------------------------------------------------------------------------


@kernel_by_address
def forward(program, rank, size):
    """Compute y, and save what `backward` needs."""
    p = integers(program)
    N, L, width, item, counters, x = p[SAMPLES], p[N_LAYERS], p[WIDTH], p[ITEM_BYTES], p[COUNTERS], p[X]
    part = p[WORKSPACE] + rank * p[WORKSPACE_BYTES]
    if p[INPUT_MASK] >= 0:
        _drop_input(program, part, rank, size)
        x = p[SAVED]
    for k in range(L):
        layer = _layer(program, k)
        n_in, O, pieces, numbers = layer[N_IN], layer[UNITS], layer[PIECES], p[NUMBERS] + k * (8 * N_NUMBERS)
        products = part if pieces == 1 else part + N * width * item
        parts = -(-O // width)
        j = next_part(counters, k, parts, rank, size)
        while j >= 0:
            unit, w = j * width, min(width, O - j * width)
            column, n = unit * pieces, w * pieces
            if w < width:
                zeros = integers(part)
                for i in range(N * width * item // 8):
                    zeros[i] = 0
            b_layout, c_layout = (layer[W] + column, O * pieces), (0, width * pieces)
            multiply_at(p[PRODUCT], x, (0, n_in, 1), p[THETA], b_layout, products, c_layout, (N, n, n_in), 0)
            if layer[BIAS] >= 0:
                call(p[ADD_BIAS], (products, width * pieces, N, p[THETA] + (layer[BIAS] + column) * item, n))
            if pieces > 1:
                call(p[MAXIMUM], (products, N, pieces, w, part, p[WINNERS] + layer[U] + unit, O))
            if layer[CODE] > 0:
                call(p[ACTIVATE + layer[CODE]], (part, N * width, layer[CODE] == RELU_CODE, numbers))
            if layer[U] >= 0 and pieces == 1:
                call(p[STORE], (part, N, w, p[SAVED] + (layer[U] + unit) * item, O))
            if layer[GAMMA] >= 0:
                _normalise(program, layer, part, unit, w, numbers)
            if layer[MASK] >= 0:
                _drop(program, part, layer[MASK], unit, O)
            y = p[OUT] + unit * item if k == L - 1 else p[SAVED] + (layer[Y] + unit) * item
            call(p[STORE], (part, N, w, y, O))
            finish_part(counters, k, size)
            j = next_part(counters, k, parts, rank, size)
        wait_for(counters, k, parts, size)
        x = p[SAVED] + layer[Y] * item
    return 0


@inner
def _drop_input(program, part, rank, size):
    """Write mask x to the beginning of SAVED."""
    p = integers(program)
    I, width, counters, phase = _layer(program, 0)[N_IN], p[WIDTH], p[COUNTERS], p[N_LAYERS]
    parts = -(-I // width)
    j = next_part(counters, phase, parts, rank, size)
    while j >= 0:
        unit, w = j * width, min(width, I - j * width)
        call(p[LOAD], (p[X] + unit * p[ITEM_BYTES], I, part, p[SAMPLES], w))
        _drop(program, part, p[INPUT_MASK], unit, I)
        call(p[STORE], (part, p[SAMPLES], w, p[SAVED] + unit * p[ITEM_BYTES], I))
        finish_part(counters, phase, size)
        j = next_part(counters, phase, parts, rank, size)
    wait_for(counters, phase, parts, size)


@inner
def _normalise(program, layer, part, unit, w, numbers):
    p = integers(program)
    S, item, flags = p[SUB_BATCHES], p[ITEM_BYTES], p[FLAGS] | RELU_AFTER * (layer[RELU] > 0)
    gamma, beta = p[THETA] + (layer[GAMMA] + unit) * item, p[THETA] + (layer[BETA] + unit) * item
    mean, var = p[STATE] + (layer[MEAN] + unit) * item, p[STATE] + (layer[VAR] + unit) * item
    coefficients = p[COEFFICIENTS_OF_ALL] + 8 * (layer[COEFFICIENTS] + unit)
    sizes = S, p[SAMPLES] // S, w
    call(
        p[NORMALISE],
        (part, *sizes, gamma, beta, mean, var, coefficients, layer[UNITS], numbers, flags),
    )


# --- backward -------------------------------------------------------------------------------------


@kernel_by_address
def backward(program, rank, size):
    """Compute dL/dtheta, unless it is frozen, and dL/dx, if it is needed."""
    p = integers(program)
    N, L, width, item, counters = p[SAMPLES], p[N_LAYERS], p[WIDTH], p[ITEM_BYTES], p[COUNTERS]
    need_dx, add, frozen = p[DX] != 0, p[FLAGS] & ADD_GRADIENT, p[FLAGS] & (ADD_GRADIENT | WRITE_GRADIENT) == 0
    row, half = -(-N // 16) * 16, 0
    for k in range(L):
        half = max(half, row * _layer(program, k)[UNITS] * _layer(program, k)[PIECES])
    part = p[WORKSPACE] + rank * p[WORKSPACE_BYTES]
    u = part + N * width * item
    transposed = u + N * width * item
    for k in range(L - 1, -1, -1):
        layer = _layer(program, k)
        n_in, O, pieces, numbers = layer[N_IN], layer[UNITS], layer[PIECES], p[NUMBERS] + k * (8 * N_NUMBERS)
        products = part if pieces == 1 else transposed + width * row * item
        x = p[X] if p[INPUT_MASK] < 0 else p[SAVED]
        if k > 0:
            x = p[SAVED] + _layer(program, k - 1)[Y] * item
        gradients = p[GRADIENTS] + k % 2 * half * item
        parts = -(-O // width)
        j = next_part(counters, k, parts, rank, size)
        while j >= 0:
            unit, w = j * width, min(width, O - j * width)
            column, n = unit * pieces, w * pieces
            if k == L - 1:
                call(p[LOAD], (p[OUT] + unit * item, O, part, N, w))
            else:
                _load_gradient(program, k + 1, unit, w, (k + 1) % 2 * half, transposed, part)
            _finish_backward(program, layer, part, u, unit, w, numbers)
            if pieces > 1:
                call(p[MAXIMUM_BACKWARD], (part, N, pieces, w, p[WINNERS] + layer[U] + unit, O, products))
            if not frozen:
                b_layout, c_layout = (0, width * pieces), (layer[W] + column, O * pieces)
                multiply_at(p[PRODUCT], x, (0, 1, n_in), products, b_layout, p[G], c_layout, (n_in, n, N), add)
                if layer[BIAS] >= 0:
                    call(p[SUM_OF_ROWS], (products, width * pieces, N, n, p[G] + (layer[BIAS] + column) * item, add))
            if k > 0 or need_dx:
                call(p[STORE_TRANSPOSED], (products, width * pieces, N, n, gradients + column * row * item, row))
            finish_part(counters, k, size)
            j = next_part(counters, k, parts, rank, size)
        wait_for(counters, k, parts, size)
    if need_dx:
        _input_gradient(program, transposed, part, rank, size)
    return 0


@inner
def _input_gradient(program, transposed, part, rank, size):
    """Write dL/dx."""
    p = integers(program)
    I, width, counters, phase = _layer(program, 0)[N_IN], p[WIDTH], p[COUNTERS], p[N_LAYERS]
    parts = -(-I // width)
    j = next_part(counters, phase, parts, rank, size)
    while j >= 0:
        unit, w = j * width, min(width, I - j * width)
        _load_gradient(program, 0, unit, w, 0, transposed, part)
        if p[INPUT_MASK] >= 0:
            _drop(program, part, p[INPUT_MASK], unit, I)
        call(p[STORE], (part, p[SAMPLES], w, p[DX] + unit * p[ITEM_BYTES], I))
        finish_part(counters, phase, size)
        j = next_part(counters, phase, parts, rank, size)
    wait_for(counters, phase, parts, size)


@inner
def _load_gradient(program, k, unit, w, start, transposed, part):
    """Load dL/dx of layer k for the features unit ... unit + w - 1: (W da^T)^T, with da^T (columns, N) at `start`."""
    p, layer = integers(program), _layer(program, k)
    N, columns = p[SAMPLES], layer[UNITS] * layer[PIECES]
    row, a_layout = -(-N // 16) * 16, (layer[W] + unit * columns, columns, 1)
    multiply_at(p[PRODUCT], p[THETA], a_layout, p[GRADIENTS], (start, row), transposed, (0, row), (w, N, columns), 0)
    call(p[LOAD_TRANSPOSED], (transposed, row, part, N, w))


@inner
def _finish_backward(program, layer, part, u, unit, w, numbers):
    """Replace the part of dL/dy by that of dL/da, a = x W + b or, with several pieces, its maximum."""
    p = integers(program)
    N, S, O, item = p[SAMPLES], p[SUB_BATCHES], layer[UNITS], p[ITEM_BYTES]
    if layer[MASK] >= 0:
        _drop(program, part, layer[MASK], unit, O)
    if layer[PIECES] == 1 and (layer[GAMMA] >= 0 or layer[CODE] > 0):
        start = layer[U] if layer[U] >= 0 else layer[Y]
        call(p[LOAD], (p[SAVED] + (start + unit) * item, O, u, N, w))
    if layer[GAMMA] >= 0:
        coefficients = p[COEFFICIENTS_OF_ALL] + 8 * (layer[COEFFICIENTS] + unit)
        gamma, beta = p[G] + (layer[GAMMA] + unit) * item, p[G] + (layer[BETA] + unit) * item
        flags, sizes = p[FLAGS] | RELU_AFTER * (layer[RELU] > 0), (S, N // S, w)
        call(
            p[NORMALISE_BACKWARD],
            (part, u, *sizes, coefficients, O, numbers, flags, gamma, beta),
        )
    if layer[CODE] > 0:
        call(p[ACTIVATE_BACKWARD + layer[CODE]], (part, u, N * p[WIDTH], layer[CODE] == RELU_CODE, numbers))
