"""What a thread computed before does not decide whether its memory is reused."""

import pytest

from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.memory.scratch import MAX_KEPT_BYTES, scratch


@pytest.fixture(autouse=True)
def nothing_kept():
    scratch.clear()
    arrays.blocks.clear()
    yield
    scratch.clear()
    arrays.blocks.clear()


@pytest.fixture
def made(monkeypatch):
    """The sizes of all new blocks."""
    sizes, aligned = [], arrays.aligned
    monkeypatch.setattr(arrays, "aligned", lambda size: sizes.append(size) or aligned(size))
    return sizes


def test_a_second_large_network_reuses_its_workspaces_too(made):
    scratch.array("first network", (MAX_KEPT_BYTES - 1000,), "uint8")
    for _ in range(3):
        scratch.array("second network", (MAX_KEPT_BYTES // 2,), "uint8")
    assert made == [MAX_KEPT_BYTES - 1000, MAX_KEPT_BYTES // 2]


@pytest.mark.parametrize("size", [MAX_KEPT_BYTES // 3 + 1000, MAX_KEPT_BYTES + 1000], ids=["together", "alone"])
def test_workspaces_beyond_the_limit_are_reused(made, size):
    """In turn, they are the worst case for a limit that drops what was used longest ago."""
    for _ in range(3):
        for name in ("a", "b", "c"):
            scratch.array(name, (size,), "uint8")
    assert made in ([size] * 3, [size])


def test_workspaces_that_are_in_use_at_the_same_time_never_overlap(made):
    kept = []
    for k in range(6):
        for name in ("a", "b", "c"):
            kept.append(scratch.array(name, (MAX_KEPT_BYTES // 3 + 64 * k,), "uint8"))
            kept[-1][::4096] = len(kept)
    assert all((x[::4096] == k + 1).all() for k, x in enumerate(kept))
    del kept
    assert sum(block.nbytes for block in scratch._kept.values()) <= MAX_KEPT_BYTES
    assert sum(block.nbytes for block in arrays.blocks._kept.values()) <= arrays.MAX_KEPT_BYTES


def test_the_workspace_that_was_used_longest_ago_is_passed_on(made):
    size = MAX_KEPT_BYTES // 2 - 1000
    for name in ("a", "b", "a", "c"):
        scratch.array(name, (size,), "uint8")
    assert list(scratch._kept) == ["a", "c"]
    assert [block.nbytes for block in arrays.blocks._kept.values()] == [size]
