"""Dense networks in one compiled call forward and one backward (`minigan.ops.cpu.kernels.numba.dense`).

    a = x W + b    u = f(max_p a_p)    v = (u - mu) / std gamma + beta    y = mask h(v)

for each layer in turn; all but a = x W + b may be absent.  The layers of `minigan.layers` define the result.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.ops.cpu.executor import contiguous
from minigan.ops.cpu.memory import arrays
from minigan.ops.norm_act import ActivationMask, mask_constants
from minigan.ops.protocol import Array

CACHE_LINE_BYTES = 64


@functools.cache
def _kernels() -> Any:
    """Import numba when it is first needed."""
    from minigan.ops.cpu.kernels.numba import dense as numba_dense

    return numba_dense


@functools.cache
def _address(unit: str, dtype: str) -> int:
    """Return the address of a pass, or of a function of `kernels.numba.dense_units`."""
    from minigan.ops.cpu.kernels.numba import dense_units
    from minigan.ops.cpu.threads.team import address_of

    if unit in ("forward", "backward"):
        return int(address_of(getattr(_kernels(), unit)))
    function, arguments = getattr(dense_units, unit), dense_units.SIGNATURES[unit]
    return int(address_of(function, arguments, dtype))


@dataclass(frozen=True)
class DenseLayer:
    """A layer of `DenseNetwork`.

    Parameters
    ----------
    n_in, n_out, pieces : int
        The features of x, the units, and how many affine maps each unit is the maximum of; 1 without a maximum.
    bias : bool
        Whether there is b.
    activation, slope : str, float
        The name of f's layer class, "" for none, and its slope.
    norm : minigan.layers.BatchNorm or None
        Batch norm.
    relu, norm_slope : bool, float
        The activation h after batch norm: whether it is a ReLU, or the slope of a leaky one; slope 1 for none.
    rate : float
        The rate of dropout; 0 for none.

    """

    n_in: int
    n_out: int
    pieces: int = 1
    bias: bool = True
    activation: str = ""
    slope: float = 0.0
    norm: Any = None
    relu: bool = False
    norm_slope: float = 1.0
    rate: float = 0.0


@dataclass(frozen=True)
class _Pass:
    """What a forward pass leaves to the pullback."""

    x: Array
    layers: Array
    numbers: Array
    masks: Array
    saved: Array
    winners: Array
    coefficients: Array
    sub_batches: int
    train: bool


class DenseNetwork:
    """y = f_L(... f_1(x) ...), each f_l a `DenseLayer`.    x (N, I)   y (N, O)

    Parameters
    ----------
    layers : sequence of DenseLayer
        The layers.
    input_rate : float
        The rate of dropout of x; 0 for none.

    """

    def __init__(self, layers: Sequence[DenseLayer], input_rate: float = 0.0) -> None:
        k = _kernels()
        codes = k.ACTIVATION_CODES
        self._specs, self._input_rate = tuple(layers), input_rate
        table = np.full((len(layers), k.N_FIELDS), -1, np.int64)
        numbers = np.zeros((len(layers), k.N_NUMBERS))
        theta = state = 0
        rates = [input_rate] if input_rate else []
        for row, real, layer in zip(table, numbers, layers, strict=True):
            columns = layer.n_out * layer.pieces
            row[[k.N_IN, k.UNITS, k.PIECES, k.W]] = layer.n_in, layer.n_out, layer.pieces, theta
            row[k.CODE], row[k.RELU] = codes[layer.activation], layer.relu
            theta += layer.n_in * columns
            if layer.bias:
                row[k.BIAS] = theta
                theta += columns
            if layer.norm is not None:
                row[[k.GAMMA, k.BETA, k.MEAN, k.VAR]] = theta, theta + layer.n_out, state, state + layer.n_out
                theta, state = theta + 2 * layer.n_out, state + 2 * layer.n_out
                real[k.EPS] = layer.norm.eps
            if layer.rate:
                row[k.MASK] = len(rates)
                rates.append(layer.rate)
            real[k.SLOPE], real[k.NORM_SLOPE] = layer.slope, layer.norm_slope
        self._table, self._numbers, self._rates = table, numbers, tuple(rates)
        self._keep_scales = {
            dtype: np.array([1 / dtype.type(1 - rate) for rate in rates], float)
            for dtype in map(np.dtype, ("float32", "float64"))
        }
        self.n_in, self.n_out = layers[0].n_in, layers[-1].n_out
        self._columns = max(layer.n_out * layer.pieces for layer in layers)
        self._pieces = max(layer.pieces for layer in layers)
        self._plan = functools.lru_cache(maxsize=8)(self._make_plan)
        self._template = functools.lru_cache(maxsize=4)(self._make_template)

    def _make_plan(
        self, N: int, sub_batches: int, train: bool, update: bool, keep: bool
    ) -> tuple[Array, Array, int, int, int]:
        """Return the layers and numbers of a pass over N samples, and how much it saves."""
        k, table, numbers = _kernels(), self._table.copy(), self._numbers.copy()
        if not train:
            table[:, k.MASK] = -1
        saved = N * self.n_in if train and self._input_rate else 0
        winners = coefficients = 0
        for i, layer in enumerate(self._specs):
            size, is_last = N * layer.n_out, i == len(self._specs) - 1
            row = table[i]
            if layer.pieces > 1:
                row[k.U], winners = winners, winners + size
            elif layer.norm is not None or (layer.activation and (is_last or row[k.MASK] >= 0)):
                row[k.U], saved = saved, saved + size
            if not is_last:
                row[k.Y], saved = saved, saved + size
            if layer.norm is not None:
                row[k.COEFFICIENTS] = coefficients
                coefficients += sub_batches * k.N_COEFFICIENTS * layer.n_out
                if train and update:
                    numbers[i, [k.STEP, k.VARIANCE_SCALE]] = layer.norm.steps(N // sub_batches)
        if not keep:
            saved, winners = self._share_memory(table, N, N * self.n_in if train and self._input_rate else 0)
        return table.reshape(-1), numbers.reshape(-1), saved, winners, coefficients

    def _share_memory(self, table: Array, N: int, start: int) -> tuple[int, int]:
        """Let a layer write its y where the last but one has written its own, and save no more than y.

        Return how many numbers, of which the first `start` are taken, and how many winners have to be saved.
        """
        k, sizes = _kernels(), [N * layer.n_out for layer in self._specs]
        even, odd = (max(sizes[first:-1:2], default=0) for first in (0, 1))
        for i, (row, layer) in enumerate(zip(table, self._specs, strict=True)):
            row[k.U] = 0 if layer.pieces > 1 else -1  # all winners go to the same place
            if i < len(sizes) - 1:
                row[k.Y] = start + even * (i % 2)
        of_pieces = [size for size, layer in zip(sizes, self._specs, strict=True) if layer.pieces > 1]
        return start + even + odd, max(of_pieces, default=0)

    def _make_template(self, dtype: np.dtype[Any], *, backward: bool) -> Array:
        """Return a program with the addresses of the functions that a pass needs; the others are not compiled."""
        k, specs, name = _kernels(), self._specs, dtype.name
        suffix = "_backward" if backward else ""
        conditions = {
            "load": backward or self._input_rate,
            "load_transposed": backward,
            "store_transposed": backward,
            "sum_of_rows": backward and any(layer.bias for layer in specs),
            "add_bias": not backward and any(layer.bias for layer in specs),
            f"maximum{suffix}": self._pieces > 1,
            f"normalise{suffix}": any(layer.norm is not None for layer in specs),
            "drop": self._rates,
            "store": True,
        }
        program = np.zeros(k.PROGRAM_SIZE, np.int64)
        program[k.PRODUCT] = k.product_address(name)
        for unit, needed in conditions.items():
            if needed:
                program[k.UNIT_PLACES[unit]] = _address(unit, name)
        for layer in specs:
            if layer.activation:
                place = k.ACTIVATE_BACKWARD if backward else k.ACTIVATE
                unit = k.ACTIVATIONS[layer.activation] + suffix
                program[place + k.ACTIVATION_CODES[layer.activation]] = _address(unit, name)
        program[k.N_LAYERS], program[k.ITEM_BYTES] = len(specs), dtype.itemsize
        program[k.WIDTH] = k.part_width(8 * dtype.itemsize)
        return program

    def forward(
        self,
        theta: Array,
        state: Array,
        x: Array,
        executor: Any,
        *,
        train: bool,
        update_state: bool,
        sub_batches: int,
        keys: Sequence[Sequence[int]],
        keep: bool = True,
    ) -> tuple[Array, _Pass]:
        """Return y (N, O) and what `backward` needs.

        Parameters
        ----------
        theta : (P,) array
            The parameters of each layer in turn: W, b, gamma, beta, each in C order.
        state : (Q,) array
            Each batch norm's running mean and variance, updated if `train` and `update_state`.
        x : (N, I) array
            The batch, float32 or float64.
        executor : minigan.ops.cpu.CPU
            Gives the team of threads.
        train : bool
            Whether batch norm uses the statistics of the batch.
        update_state : bool
            Whether training updates the running statistics.
        sub_batches : int
            The number of batches that x consists of.
        keys : sequence of sequence of int
            For each mask of dropout (that of x first) a key for each sub-batch; ignored unless `train`.
        keep : bool
            Whether `backward` may be called.  If not, the layers share the memory of two.

        """
        k, N, dtype = _kernels(), len(x), x.dtype
        if N % sub_batches or (train and any(len(of_batches) != sub_batches for of_batches in keys)):
            raise ValueError(f"{N} examples and {[len(k) for k in keys]} keys; expected them for {sub_batches} batches")
        layers, numbers, saved, winners, coefficients = self._plan(N, sub_batches, train, update_state, keep)
        x = contiguous(x).reshape(-1)
        done = _Pass(
            x, layers, numbers, self._masks(keys, dtype), arrays.empty((saved,), dtype), np.empty(winners, np.uint8),
            np.empty(coefficients), sub_batches, train,
        )  # fmt: skip
        y = arrays.empty((N * self.n_out,), dtype)
        flags, per_thread = k.TRAIN * train + k.UPDATE * (train and update_state), N * self._part(dtype)
        if self._pieces > 1:
            per_thread *= 1 + self._pieces
        self._run(done, theta, state, y, None, None, None, N, flags, per_thread, executor, backward=False)
        return y.reshape(N, self.n_out), done

    def backward(
        self, theta: Array, done: _Pass, dy: Array, g: Array | None, executor: Any, *, need_dx: bool, overwrite: bool
    ) -> Array | None:
        """Add dL/dtheta to g (P,), or write it there, and return dL/dx (N, I), or None if it is not needed.

        Parameters
        ----------
        theta : (P,) array
            The parameters.
        done : _Pass
            What `forward` returned.
        dy : (N, O) array
            dL/dy.
        g : (P,) array or None
            Where dL/dtheta goes; None: it is not computed.
        executor : minigan.ops.cpu.CPU
            Gives the team of threads.
        need_dx : bool
            Whether dL/dx is returned.
        overwrite : bool
            Whether dL/dtheta replaces what g holds, rather than being added.

        """
        if g is not None and not g.flags.carray:  # the kernels take a vector to be contiguous
            written = np.empty(g.shape, g.dtype)
            dx = self.backward(theta, done, dy, written, executor, need_dx=need_dx, overwrite=True)
            g[...] = written if overwrite else g + written
            return dx
        k, N, dtype = _kernels(), len(dy), dy.dtype
        dx = arrays.empty((N * self.n_in,), dtype) if need_dx else None
        row = k.padded_length(N)
        gradients = _aligned(2 * row * self._columns, dtype)
        flags = k.TRAIN * done.train + (0 if g is None else k.WRITE_GRADIENT if overwrite else k.ADD_GRADIENT)
        per_thread = self._part(dtype) * (2 * N + row + (N * self._pieces if self._pieces > 1 else 0))
        dy = contiguous(dy).reshape(-1)
        self._run(done, theta, None, dy, g, dx, gradients, N, flags, per_thread, executor, backward=True)
        return None if dx is None else dx.reshape(N, self.n_in)

    def _part(self, dtype: np.dtype[Any]) -> int:
        """Return how many units a part has."""
        return int(_kernels().part_width(8 * dtype.itemsize))

    def _masks(self, keys: Sequence[Sequence[int]], dtype: np.dtype[Any]) -> Array:
        words: list[Any] = []
        for rate, of_batches in zip(self._rates, keys, strict=False):
            for key in of_batches:
                words.extend(mask_constants(ActivationMask(rate=rate, key=key), dtype)[1:4])
        return np.array(words, np.uint32)

    def _run(
        self, done: _Pass, theta: Array, state: Array | None, out: Array, g: Array | None, dx: Array | None,
        gradients: Array | None, N: int, flags: int, per_thread: int, executor: Any, *, backward: bool,
    ) -> None:  # fmt: skip
        """Run a pass.  All memory that it needs is allocated here, where an error can be raised."""
        from minigan.ops.cpu.threads.team import run_together

        k, team, dtype = _kernels(), executor.team(), done.x.dtype
        counters = np.zeros(k.counters_size(len(self._specs) + 1, len(team) + 1), np.int64)
        workspace = _aligned((len(team) + 1) * per_thread, dtype)
        memory = (
            done.layers, done.numbers, done.masks, self._keep_scales[dtype], theta, state, done.x, done.saved,
            done.winners, done.coefficients, out, g, dx, counters, gradients, workspace,
        )  # fmt: skip
        program = self._template(dtype, backward=backward).copy()
        program[: k.N_ADDRESSES] = [0 if one is None else one.ctypes.data for one in memory]
        program[k.FLAGS], program[k.WORKSPACE_BYTES], program[k.SAMPLES] = flags, per_thread * dtype.itemsize, N
        program[k.SUB_BATCHES], program[k.INPUT_MASK] = done.sub_batches, 0 if done.train and self._input_rate else -1
        function = _address("backward" if backward else "forward", "")
        run_together(team, function, program)


def _aligned(n: int, dtype: np.dtype[Any]) -> Array:
    """Return an uninitialised vector (n,) that begins a cache line."""
    memory = arrays.empty((n + CACHE_LINE_BYTES // dtype.itemsize,), dtype)
    first = -memory.__array_interface__["data"][0] % CACHE_LINE_BYTES // dtype.itemsize
    return memory[first : first + n]
