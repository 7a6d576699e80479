"""The hash behind dropout masks: random by statistical tests; equal for all backends, dtypes and numbers of threads.

The seeds are fixed, so the p-values are constants of the hash.
"""

import numpy as np
import pytest
from scipy import stats

from minigan.ops import get_ops, reference

N = 1 << 18
KEY = 0x0123456789ABCDEF
COUNTERS = np.arange(N, dtype=np.uint32)
KEYS = [0, 1, 2**32, 2**63, 2**64 - 1, KEY]
LEAST = 1e-3  # the smallest p-value accepted; ten to a hundred are tested


def hashed(key, counters=COUNTERS):
    return reference.dropout_hash(counters, key)


def p_of_correlation(a, b):
    """The p-value of the chi-square test that two masks are independent (2 x 2 table)."""
    table = np.array([[np.sum(a & b), np.sum(a & ~b)], [np.sum(~a & b), np.sum(~a & ~b)]])
    return stats.chi2_contingency(table, correction=False).pvalue


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.25, 0.5, 0.9])
def test_as_many_are_dropped_as_the_rate_says(rate, key):
    dropped = int((hashed(key) < reference.dropout_threshold(rate)).sum())
    assert stats.binomtest(dropped, N, rate).pvalue > LEAST


@pytest.mark.parametrize("key", KEYS)
def test_every_byte_and_bit_is_uniform(key):
    h = hashed(key)
    for shift in (0, 8, 16, 24):
        counts = np.bincount(h >> np.uint32(shift) & np.uint32(255), minlength=256)
        assert stats.chisquare(counts).pvalue > LEAST
    pairs = np.bincount((h[:-1] >> np.uint32(28) << np.uint32(4) | h[1:] >> np.uint32(28)).astype(int), minlength=256)
    assert stats.chisquare(pairs).pvalue > LEAST


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_neighbouring_counters_are_independent(rate, key):
    """Counters at several distances, among them the widths of common layers."""
    keep = hashed(key) >= reference.dropout_threshold(rate)
    for lag in (1, 2, 3, 64, 100, 128, 1024, 1 << 16):
        assert p_of_correlation(keep[:-lag], keep[lag:]) > LEAST, lag


@pytest.mark.parametrize("bit", range(64))
def test_keys_that_differ_in_one_bit_give_independent_masks(bit):
    one, other = (hashed(key) >= reference.dropout_threshold(0.5) for key in (KEY, KEY ^ 1 << bit))
    assert p_of_correlation(one, other) > LEAST / 10  # 64 of them


def test_many_keys_at_one_counter_are_uniform_and_neighbouring_keys_independent():
    keys = [np.random.default_rng(0).integers(2**64, size=20000, dtype=np.uint64).tolist(), range(20000)]
    for kind in keys:
        first = np.array([int(reference.dropout_hash(np.zeros(1, np.uint32), key)[0]) for key in kind])
        assert stats.kstest(first / 2**32, "uniform").pvalue > LEAST
        assert p_of_correlation(first[:-1] >= 2**31, first[1:] >= 2**31) > LEAST


@pytest.mark.parametrize("channels", [3, 64, 100, 128, 1000])
def test_no_channel_is_dropped_more_often(channels):
    keep = hashed(KEY)[: N - N % channels].reshape(-1, channels) >= reference.dropout_threshold(0.3)
    kept, rows = keep.sum(axis=0), len(keep)
    assert stats.chi2.sf((((kept - 0.7 * rows) ** 2) / (0.21 * rows)).sum(), channels) > LEAST
    by_row = keep.sum(axis=1)
    assert stats.chi2.sf((((by_row - 0.7 * channels) ** 2) / (0.21 * channels)).sum(), rows) > LEAST


def test_changing_a_counter_or_key_bit_changes_half_of_the_hashs_bits():
    base = hashed(KEY, COUNTERS[: 1 << 14])
    flips = [hashed(KEY, COUNTERS[: 1 << 14] ^ np.uint32(1 << bit)) for bit in range(32)]
    flips += [hashed(KEY ^ 1 << bit, COUNTERS[: 1 << 14]) for bit in range(64)]
    shares = [float(np.unpackbits((base ^ other).view(np.uint8)).mean()) for other in flips]
    assert min(shares) > 0.49
    assert max(shares) < 0.51


@pytest.mark.parametrize("compiled", [False, True], ids=["numpy", "numba"])
@pytest.mark.parametrize("shape", [(5,), (1, 1), (3, 1000), (40, 50, 257)])
def test_one_key_is_one_mask_everywhere(shape, compiled):
    if compiled:
        pytest.importorskip("numba")
    for rate, key in ((0.3, KEY), (0.9, 2**64 - 1), (1e-12, 5), (0.0, 7)):
        want = reference.dropout(np.ones(shape), rate, key)
        for threads in (1, 2, 3):
            ops = get_ops("cpu", compiled=compiled, threads=threads)
            for dtype in ("float32", "float64", "complex128"):
                got = ops.dropout(np.ones(shape, dtype), rate, key)
                np.testing.assert_array_equal(got, reference.dropout(np.ones(shape, dtype), rate, key))
                np.testing.assert_array_equal(got != 0, want != 0)
                assert got.dtype == np.dtype(dtype)
            flipped = np.ones(shape[::-1]).T  # counters follow C order, not the order in memory
            np.testing.assert_array_equal(ops.dropout(flipped, rate, key), want)


@pytest.mark.parametrize("compiled", [False, True], ids=["numpy", "numba"])
def test_dropout_multiplies(compiled):
    if compiled:
        pytest.importorskip("numba")
    x = np.repeat([np.nan, np.inf, -np.inf, -1.0], 50)
    with np.errstate(invalid="ignore"):
        want = reference.dropout(x, 0.5, KEY)
        np.testing.assert_array_equal(get_ops("cpu", compiled=compiled).dropout(x, 0.5, KEY), want)
    assert np.isnan(want[:50]).all()
