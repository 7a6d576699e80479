"""Frechet distance, precision and recall against closed forms, scipy and loops; invariances."""

import math

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import KDTree

from minigan.metrics import _balls, features, frechet_distance, precision_recall

seeds = st.integers(0, 2**32 - 1)


def two_sets(seed, n, m, f, scale=2.0):
    """Two sets of correlated points, the second wider and shifted."""
    rng = np.random.default_rng(seed)
    A, B = rng.standard_normal((f, f)), rng.standard_normal((f, f))
    return rng.standard_normal((n, f)) @ A, scale * rng.standard_normal((m, f)) @ B + rng.standard_normal(f)


def orthogonal(rng, f):
    return np.linalg.qr(rng.standard_normal((f, f)))[0]


@given(seeds, st.integers(1, 8), st.integers(0, 30), st.integers(0, 30))
def test_frechet_agrees_with_the_formula_by_scipy_sqrtm(seed, f, more_n, more_m):
    x, y = two_sets(seed, f + 2 + more_n, f + 2 + more_m, f)
    C_x, C_y = (np.cov(a, rowvar=False).reshape(f, f) for a in (x, y))
    root = scipy.linalg.sqrtm(C_x @ C_y).real
    want = np.square(x.mean(axis=0) - y.mean(axis=0)).sum() + np.trace(C_x + C_y - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(want, rel=1e-6, abs=1e-7 * np.trace(C_x + C_y))


@given(seeds, st.integers(2, 40), st.integers(2, 40), st.floats(0.01, 100))
def test_frechet_in_one_dimension_has_a_closed_form(seed, n, m, scale):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal(n), 3 + scale * rng.standard_normal(m)
    want = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert frechet_distance(x[:, None], y[:, None]) == pytest.approx(want, rel=1e-9, abs=1e-12)


def test_frechet_of_two_gaussians_tends_to_theirs():
    """N(0, 1) and N(4, 2^2): (4 - 0)^2 + (2 - 1)^2 = 17."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((200_000, 1)), 4 + 2 * rng.standard_normal((200_000, 1))
    assert frechet_distance(x, y) == pytest.approx(17, abs=0.1)


@given(seeds, st.integers(2, 20), st.integers(2, 20), st.integers(1, 8))
def test_frechet_keeps_its_value(seed, n, m, f):
    """Symmetric; 0 for equal sets; invariant under a rotation and shift of both; multiplied by c^2 after scaling by c.

    This also holds with fewer points than features, where the covariances are singular.
    """
    x, y = two_sets(seed, n, m, f)
    rng = np.random.default_rng(seed)
    Q, shift = orthogonal(rng, f), 10 * rng.standard_normal(f)
    d = frechet_distance(x, y)
    size = np.square(x).sum() + np.square(y).sum()
    near = {"rel": 1e-9, "abs": 1e-11 * size}
    assert frechet_distance(y, x) == pytest.approx(d, **near)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-12 * size)
    assert frechet_distance(x @ Q + shift, y @ Q + shift) == pytest.approx(d, rel=1e-8, abs=1e-10 * size)
    assert frechet_distance(3 * x, 3 * y) == pytest.approx(9 * d, **near)
    assert frechet_distance(x, x + shift) == pytest.approx(np.square(shift).sum(), rel=1e-8, abs=1e-10 * size)


def precision_recall_by_loops(real, fake, k):
    """Precision and recall, directly from their definitions."""

    def inside(points, centres):
        radius = []
        for i, centre in enumerate(centres):
            others = centres[:i] + centres[i + 1 :]
            radius.append(sorted(math.dist(centre, other) for other in others)[k - 1])
        hit = [any(math.dist(p, c) <= r for c, r in zip(centres, radius, strict=True)) for p in points]
        return sum(hit) / len(points)

    return inside(fake, real), inside(real, fake)


def precision_recall_by_kd_tree(real, fake, k):
    def inside(points, centres):
        radius = KDTree(centres).query(centres, k=[k + 1])[0][:, 0]
        near = KDTree(centres).query_ball_point
        return np.mean([any(math.dist(p, centres[i]) <= radius[i] for i in near(p, radius.max())) for p in points])

    return inside(fake, real), inside(real, fake)


@given(seeds, st.integers(1, 4), st.integers(0, 20), st.integers(0, 20), st.integers(1, 5))
def test_precision_and_recall_agree_with_loops_and_a_kd_tree(seed, k, more_n, more_m, f):
    real, fake = two_sets(seed, k + 1 + more_n, k + 1 + more_m, f, scale=1.0)
    got = precision_recall(real, fake, k=k)
    assert got == precision_recall_by_loops(real.tolist(), fake.tolist(), k)
    assert got == precision_recall_by_kd_tree(real, fake, k)


@given(seeds, st.integers(1, 3), st.integers(4, 15), st.integers(4, 15))
def test_balls_are_closed_and_repeated_points_count(seed, k, n, m):
    """With small whole numbers, many points lie exactly on the boundary of a ball, and many coincide."""
    rng = np.random.default_rng(seed)
    real, fake = rng.integers(0, 4, (n, 2)) + 0.0, rng.integers(0, 4, (m, 2)) + 0.0
    real, fake = real - real.mean(axis=0).round(), fake - real.mean(axis=0).round()
    squares = [[int(((a - b) ** 2).sum()) for b in real] for a in np.concatenate([real, fake])]
    radius = [sorted(row[:i] + row[i + 1 :])[k - 1] for i, row in enumerate(squares[:n])]
    want = sum(any(d <= r for d, r in zip(row, radius, strict=True)) for row in squares[n:]) / m
    assert features._inside(fake, real, k) == want


@given(seeds, st.integers(4, 20), st.integers(4, 20), st.integers(1, 5))
def test_precision_and_recall_keep_their_values(seed, n, m, f):
    real, fake = two_sets(seed, n, m, f, scale=1.0)
    rng = np.random.default_rng(seed)
    precision, recall = precision_recall(real, fake)
    assert precision_recall(fake, real) == (recall, precision)
    assert precision_recall(real, real) == (1, 1)
    assert precision_recall(rng.permutation(real), rng.permutation(fake)) == (precision, recall)
    assert precision_recall(5 * real @ orthogonal(rng, f) + 7, 0 * fake + 1e6) == (0, 0)
    wider = precision_recall(real, fake, k=min(n, m) - 1)  # larger balls
    assert wider.precision >= precision
    assert wider.recall >= recall


def test_blocks_change_nothing(monkeypatch):
    real, fake = two_sets(5, 23, 31, 4, scale=1.0)
    want = precision_recall(real, fake)
    monkeypatch.setattr(_balls, "POINTS_PER_BLOCK", 7)
    assert precision_recall(real, fake) == want


def test_a_collapsed_generator_is_precise_and_recalls_nothing():
    rng = np.random.default_rng(0)
    real = rng.standard_normal((500, 2))
    narrow = 1e-3 * rng.standard_normal((500, 2))
    precision, recall = precision_recall(real, narrow)
    assert precision == 1
    assert recall < 0.01


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frechet_distance(np.zeros((1, 2)), np.zeros((3, 2))), r"x has shape \(1, 2\).*N >= 2"),
        (lambda: frechet_distance(np.zeros((3, 2)), np.zeros(3)), r"y has shape \(3,\); expected \(N, F\)"),
        (
            lambda: frechet_distance(np.zeros((3, 2)), np.zeros((3, 1))),
            "x has 2 features, y 1; expected the same number",
        ),
        (lambda: frechet_distance(np.full((3, 2), math.nan), np.zeros((3, 2))), "x has values that are not finite"),
        (lambda: precision_recall(np.zeros((3, 2)), np.zeros((9, 2))), r"real has shape \(3, 2\); .*N >= 4"),
        (lambda: precision_recall(np.zeros((9, 2)), np.zeros((2, 2)), k=2), r"fake has shape \(2, 2\); .*N >= 3"),
        (lambda: precision_recall(np.zeros((9, 2)), np.zeros((9, 2)), k=0), "k must be an int >= 1, got 0"),
        (lambda: precision_recall(np.zeros((9, 2)), np.zeros((9, 2)), k=1.0), "k must be an int >= 1, got 1.0"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
