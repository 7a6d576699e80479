"""Nearest neighbours against scipy's tree."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import KDTree

from minigan.metrics import nearest


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 40), st.integers(1, 5), st.integers(1, 12))
def test_they_are_the_trees(seed, n, m, features, block):
    rng = np.random.default_rng(seed)
    x, examples = rng.standard_normal((n, features)), rng.standard_normal((m, features))
    index, distance = nearest(x, examples, block=block)
    expected, at = KDTree(examples).query(x)
    np.testing.assert_array_equal(index, at)
    np.testing.assert_allclose(distance, expected, rtol=1e-14)


def test_a_copy_is_at_distance_zero_and_ties_go_to_the_first():
    examples = np.random.default_rng(0).random((50, 4, 3)).astype("float32")
    index, distance = nearest(examples[[7, 31]], np.concatenate([examples, examples]), block=8)
    np.testing.assert_array_equal(index, [7, 31])
    np.testing.assert_array_equal(distance, 0)


@pytest.mark.parametrize(("x", "examples"), [((2, 3), (4, 2)), ((3,), (3,)), ((0, 3), (4, 3)), ((2, 3), (0, 3))])
def test_shapes_must_agree(x, examples):
    with pytest.raises(ValueError, match=r"x has shape .*; expected \(N, \.\.\.\) and \(M, \.\.\.\)"):
        nearest(np.zeros(x), np.zeros(examples))
