"""The errors of the toy densities name the argument that is wrong, what was given and what is expected."""

import numpy as np
import pytest

from minigan.data.toy import Gaussian, GaussianMixture2D, Mixture, grid, ring

NAN, INF = float("nan"), float("inf")
CENTRES = "centres must contain at least one point, all distinct and finite, got "
TICKS = "ticks must contain at least one number, all distinct and finite, got "


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mixture([], []), "components must contain at least one density, got none"),
        (lambda: Mixture([], [1.0]), "components must contain at least one density, got none"),
        (
            lambda: Mixture([Gaussian()] * 3, [0.5, 0.5]),
            "weights must have one entry per component, got 2 weights for 3 components",
        ),
        (lambda: Mixture([Gaussian()], [NAN]), r"weights must be >= 0 and sum to 1, got \[nan\]"),
        (lambda: GaussianMixture2D((), 1.0), CENTRES + r"\(\)"),
        (lambda: GaussianMixture2D(((0, 1), (0.0, 1.0)), 1.0), CENTRES),
        (lambda: GaussianMixture2D(((NAN, 0.0),), 1.0), CENTRES + r"\(\(nan, 0.0\),\)"),
        (lambda: GaussianMixture2D(((INF, 0.0), (0.0, 0.0)), 1.0), CENTRES),
        (lambda: GaussianMixture2D(((1.0, 2.0, 3.0),), 1.0), r"centres must be pairs of numbers, got \(\(1.0, 2.0"),
        (lambda: GaussianMixture2D((1.0, 2.0), 1.0), r"centres must be pairs of numbers, got \(1.0, 2.0\)"),
        (lambda: grid([]), TICKS + r"\[\]"),
        (lambda: grid([1, 1]), TICKS + r"\[1, 1\]"),
        (lambda: grid([0, NAN]), TICKS + r"\[0, nan\]"),
        (lambda: ring(0), "modes must be an int >= 1, got 0"),
        (lambda: ring(2.5), "modes must be an int >= 1, got 2.5"),
        (lambda: ring(radius=INF), "radius must be > 0 and finite, got inf"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("given", [[[0, 1], [2, 3]], np.array([[0, 1], [2, 3]]), [(0.0, 1.0), (2.0, 3.0)]])
def test_centres_may_be_lists_or_an_array(given):
    p = GaussianMixture2D(given, 0.5)
    assert p == GaussianMixture2D(((0.0, 1.0), (2.0, 3.0)), 0.5)
    assert hash(p) == hash(GaussianMixture2D(((0.0, 1.0), (2.0, 3.0)), 0.5))
    assert p.pdf(np.array([[0.0, 1.0]])).shape == (1,)


def test_ticks_may_be_an_array():
    assert grid(np.array([-1, 1])) == grid([-1.0, 1.0])
