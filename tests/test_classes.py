"""Metrics of a classifier's probabilities: definitions, bounds, extremes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from minigan.metrics import class_histogram, classifier_score, mean_confidence, total_variation

seeds = st.integers(0, 2**32 - 1)


def drawn(seed, n, k, spread=3.0):
    return softmax(spread * np.random.default_rng(seed).standard_normal((n, k)), axis=1)


@given(seeds, st.integers(1, 30), st.integers(1, 12))
def test_they_are_their_definitions(seed, n, k):
    p = drawn(seed, n, k)
    best = [max(range(k), key=row.__getitem__) for row in p.tolist()]
    counts = [best.count(c) for c in range(k)]
    assert class_histogram(p).tolist() == counts
    assert total_variation(counts) == pytest.approx(sum(abs(c / n - 1 / k) for c in counts) / 2, abs=1e-15)
    assert mean_confidence(p) == pytest.approx(math.fsum(max(row) for row in p.tolist()) / n, rel=1e-14)
    q = p.mean(axis=0)
    divergence = math.fsum(a * math.log(a / b) for row in p for a, b in zip(row, q, strict=True)) / n
    assert classifier_score(p) == pytest.approx(math.exp(divergence), rel=1e-12)


@given(seeds, st.integers(1, 30), st.integers(1, 12))
def test_bounds_and_symmetries(seed, n, k):
    p = drawn(seed, n, k)
    score = classifier_score(p)
    assert 1 - 1e-12 <= score <= k * (1 + 1e-12)
    assert 1 / k - 1e-12 <= mean_confidence(p) <= 1
    assert 0 <= total_variation(class_histogram(p)) <= 1 - 1 / k + 1e-12
    rng = np.random.default_rng(seed)
    other = p[rng.permutation(n)][:, rng.permutation(k)]
    assert classifier_score(other) == pytest.approx(score, rel=1e-12)
    assert mean_confidence(other) == pytest.approx(mean_confidence(p), rel=1e-14)
    assert classifier_score(np.concatenate([p, p])) == pytest.approx(score, rel=1e-12)


@pytest.mark.parametrize("k", [1, 2, 10])
def test_extremes(k):
    sure = np.eye(k).repeat(3, axis=0)  # with zeros: 0 log 0 = 0
    assert classifier_score(sure) == pytest.approx(k, rel=1e-14)
    assert total_variation(class_histogram(sure)) == pytest.approx(0, abs=1e-15)
    assert mean_confidence(sure) == 1
    collapsed = np.eye(k)[[0] * 7]
    assert classifier_score(collapsed) == 1
    assert total_variation(class_histogram(collapsed)) == pytest.approx(1 - 1 / k)
    blind = np.full((5, k), 1 / k)
    assert classifier_score(blind) == pytest.approx(1, rel=1e-14)
    assert mean_confidence(blind) == pytest.approx(1 / k)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: class_histogram([0.5, 0.5]), r"p has shape \(2,\); expected \(N, K\)"),
        (lambda: classifier_score(np.zeros((0, 3))), r"p has shape \(0, 3\)"),
        (lambda: mean_confidence([[0.5, 0.6]]), "not probabilities; expected >= 0, with sum 1"),
        (lambda: classifier_score([[1.5, -0.5]]), "not probabilities"),
        (lambda: classifier_score([[math.nan, 1.0]]), "not probabilities"),
        (lambda: total_variation([0, 0]), "expected (K,), >= 0 and not all 0"),
        (lambda: total_variation([3, -1]), "counts are [3.0, -1.0]"),
        (lambda: total_variation([]), "counts are []"),
    ],
)
def test_errors(call, message):
    import re

    with pytest.raises(ValueError, match=message if message.startswith("p has") else re.escape(message)):
        call()
