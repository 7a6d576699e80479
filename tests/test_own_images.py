"""The user's own images: which are refused, and with which error."""

import numpy as np
import pytest

from minigan import runs
from minigan._names import ConfigError
from minigan.evaluation import evaluate
from minigan.recipes import RunOptions, get_recipe
from minigan.training import RunError, train


def pictures(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("a string", "got str"),
        ([[0]], "got list"),
        (np.ma.masked_array(pictures(2, 28, 28, 1)), "got MaskedArray"),
        (pictures(2, 28, 28), r"got shape \(2, 28, 28\)"),
        (pictures(0, 28, 28, 1), r"got shape \(0, 28, 28, 1\)"),
        (pictures(2, 28, 28, 1, dtype=np.int64), "got dtype int64"),
        (np.full((2, 28, 28, 1), np.nan), r"floats in \[nan, nan\]"),
        (np.full((2, 28, 28, 1), -1.0), r"floats in \[-1, -1\]"),
        (pictures(2, 28, 28, 1, dtype=np.float32), r"floats in \[0, 255\]"),
    ],
)
def test_what_is_no_array_of_images_is_refused(images, message):
    with pytest.raises(ConfigError, match=message + r".*; expected an array \(N, H, W, C\) of uint8, or of floats in"):
        RunOptions(images=images)


def test_floats_become_the_bytes_they_stand_for():
    images = pictures(3, 28, 28, 1)
    for dtype in (np.float32, np.float64):
        found = RunOptions(images=(images / 255).astype(dtype)).images
        assert found.dtype == np.uint8
        assert np.array_equal(found, images)
    assert RunOptions(images=images).images is images


def test_a_recipe_without_images_takes_none():
    with pytest.raises(
        ConfigError, match="images must be None because gaussian is not trained on images, got an array of shape"
    ):
        get_recipe("gaussian").build(None, RunOptions(images=pictures(2, 28, 28, 1)))


@pytest.mark.parametrize("shape", [(8, 8, 4), (8, 8, 2), (3, 8, 8), (128, 128, 3), (48, 32, 3)])
def test_shapes_that_dcgan64_cannot_use_are_refused_when_it_is_built(shape):
    with pytest.raises(ConfigError, match=r"images: got shape .*; expected \(N, H, H, C\) with H <= 64"):
        get_recipe("dcgan64").build(None, RunOptions(images=pictures(200, *shape)))


def test_shapes_that_other_recipes_cannot_use_are_refused_when_they_are_built():
    for name in ("mnist-dense", "mnist-maxout", "mnist-dcgan", "mnist-softmax"):
        with pytest.raises(ConfigError, match=r"images: got shape \(9, 32, 32, 1\); expected \(N, 28, 28, 1\)"):
            get_recipe(name).build(None, RunOptions(images=pictures(9, 32, 32, 1)))


def own_run(folder):
    recipe = get_recipe("mnist-dense")
    experiment = recipe.build(recipe.configure({"batch_size": 4}), RunOptions(images=pictures(40, 28, 28, 1)))
    train(experiment, iterations=1, folder=folder)
    return folder


def test_a_run_on_own_images_is_not_compared_with_a_data_set(tmp_path):
    with pytest.raises(RunError, match="trained on your own images"):
        evaluate(own_run(tmp_path / "r"), classifier=tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_give_no_samples(tmp_path, value):
    folder = own_run(tmp_path / "r")
    with np.load(folder / "generator.npz") as stored:
        arrays = dict(stored)
    arrays[next(iter(arrays))].flat[0] = value
    np.savez(folder / "generator.npz", **arrays)
    with pytest.raises(RunError, match="its generator gives values that are not finite"):
        runs.sample(folder, n=3)
