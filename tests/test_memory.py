"""Memory of large arrays is reused when nothing refers to it, never before, and its amount is bounded."""

import gc
import itertools
import multiprocessing
import threading

import numpy as np
import pytest

from minigan.ops import get_ops
from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.memory.arrays import MIN_POOLED_BYTES, empty

SHAPE = (4, MIN_POOLED_BYTES // 16)


@pytest.fixture(autouse=True)
def nothing_kept():
    arrays.blocks.reset()
    yield
    arrays.blocks.reset()


def place(x):
    return x.__array_interface__["data"][0]


def test_memory_is_used_again_when_the_array_is_gone():
    x = empty(SHAPE, "float32")
    at = place(x)
    del x
    y = empty(SHAPE[::-1], "int32")
    assert place(y) == at
    assert (y.shape, y.dtype) == (SHAPE[::-1], np.dtype("int32"))


@pytest.mark.parametrize(
    "kept",
    [
        lambda x: x[1:, ::3], lambda x: x.T, lambda x: x.reshape(-1)[5:], lambda x: x.view("int32"), memoryview,
        lambda x: [x], lambda x: x[2].reshape(2, -1).T, lambda x: np.asarray(memoryview(x)), lambda x: x.base,
        lambda x: np.lib.stride_tricks.as_strided(x[1:], (3,), (4,)), lambda x: iter(x),
    ],
)  # fmt: skip
def test_and_not_before(kept):
    x = empty(SHAPE, "float32")
    at, view = place(x), kept(x)
    del x
    gc.collect()
    y = empty(SHAPE, "float32")
    assert place(y) != at
    del view
    assert place(empty(SHAPE, "float32")) == at


def test_it_is_an_array_as_any_other():
    x = empty(SHAPE, "float32")
    assert type(x) is np.ndarray
    assert x.flags.carray
    assert type(x[1:]) is type(x.base[1:]) is np.ndarray
    x[...] = 1
    assert x.sum(dtype=float) == x.size
    assert type(x.copy()) is np.ndarray


def test_arrays_begin_at_lines_of_the_cache_and_at_different_ones():
    arrays = [empty(SHAPE, "float32") for _ in range(20)]
    places = [place(x) for x in arrays]
    assert all(at % 64 == 0 for at in places)
    assert len({at % 4096 for at in places}) > 10
    for x, y in itertools.combinations(arrays, 2):
        assert not np.may_share_memory(x, y)


def test_small_and_empty_arrays_are_numpys():
    for shape in ((3,), (0, MIN_POOLED_BYTES), (MIN_POOLED_BYTES - 1,)):
        assert empty(shape, "uint8").flags.owndata


def test_what_is_kept_is_bounded_and_the_oldest_goes_first(monkeypatch):
    monkeypatch.setattr(arrays, "MAX_KEPT_BYTES", 3 * MIN_POOLED_BYTES)
    filled = [empty((MIN_POOLED_BYTES + 64 * k,), "uint8") for k in range(5)]
    places = [place(x) for x in filled]
    while filled:
        del filled[0]
    assert sum(block.nbytes for block in arrays.blocks._kept.values()) <= 3 * MIN_POOLED_BYTES
    assert place(empty((MIN_POOLED_BYTES + 64 * 4,), "uint8")) == places[4]
    assert all(block.nbytes > MIN_POOLED_BYTES + 64 for block in arrays.blocks._kept.values())
    del filled, places
    empty((4 * MIN_POOLED_BYTES,), "uint8")
    assert sum(block.nbytes for block in arrays.blocks._kept.values()) <= 3 * MIN_POOLED_BYTES


def test_from_many_threads_at_once():
    """Each thread writes its own number and reads it back."""
    wrong = []

    def work(number):
        for _ in range(200):
            x, y = empty(SHAPE, "float32"), empty(SHAPE, "float32")
            x.fill(number)
            y.fill(-number)
            if not ((x[:, ::997] == number).all() and (y[:, ::997] == -number).all()):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def in_child(queue, arrays):
    queue.put(float(empty(SHAPE, "float32").size))
    for x in arrays:
        x[...] = 7


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_begins_anew():
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    ours = [
        empty(SHAPE, "float32"),
        get_ops("cpu").zero_vector(MIN_POOLED_BYTES, "float64"),
    ]
    for x in ours:
        x[...] = 1
    child = context.Process(target=in_child, args=(queue, ours))
    child.start()
    assert queue.get() == SHAPE[0] * SHAPE[1]
    child.join()
    assert all((x == 1).all() for x in ours)  # the child writes only to its own copy


def test_what_is_kept_can_be_freed():
    empty(SHAPE, "float32")
    assert arrays.blocks._kept
    get_ops("cpu").release()
    assert not arrays.blocks._kept


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "object"])
@pytest.mark.parametrize("size", [0, 3, MIN_POOLED_BYTES])
def test_zero_vectors(dtype, size):
    dirty = empty((size,), "float32") if dtype == "float32" else None
    if dirty is not None:
        dirty.fill(7)
    del dirty
    zeros = get_ops("cpu").zero_vector(size, dtype)
    assert zeros.shape == (size,)
    assert zeros.dtype == np.dtype(dtype)
    assert not zeros.any()


def test_a_larger_block_is_left_for_its_own_size():
    large = empty((2 * MIN_POOLED_BYTES,), "uint8")
    at = place(large)
    del large
    small = empty((MIN_POOLED_BYTES,), "uint8")
    assert place(small) != at
    assert sum(block.nbytes for block in arrays.blocks._kept.values()) == 2 * MIN_POOLED_BYTES
