"""`minigan.ensembles` refuses what its kernel cannot train, by a reason or an error that names the argument."""

import pytest

from minigan import ensembles
from minigan.recipes.gaussian import Config


@pytest.mark.parametrize("dtype", ["float16", "longdouble", "complex64"])
def test_other_dtypes_are_an_obstacle(dtype):
    expected = f"dtype={dtype}: the kernel computes in float32 or float64"
    assert ensembles.ensemble_obstacle(Config(), dtype) == expected


def test_there_must_be_a_seed():
    with pytest.raises(ValueError, match=r"seeds must contain at least one seed, got \[\]"):
        ensembles.gaussian_ensemble(Config(), [], device=None)
    with pytest.raises(ValueError, match="seeds must be an int >= 1, got 0"):
        ensembles.train_ensemble(Config(), 0, device=None, dtype="float32", on_seed_end=print)
