"""The cases that are timed: recipes on random images, built for minigan, PyTorch and JAX.

The cost of an iteration does not depend on the content of the images, so no data set is needed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.data import EpochBatches, RandomBatches, resize, unit_interval
from minigan.ops import Array
from minigan.recipes import Recipe, RunOptions, get_recipe
from minigan.recipes.images import signed, unit
from minigan.training import Experiment

N_IMAGES = 256
"""The number of random images that batches are drawn from."""


@dataclass(frozen=True)
class Case:
    """A recipe with the settings that are timed, and smaller settings for checks and smoke runs.

    Attributes
    ----------
    recipe
        The name of the recipe.
    about
        A description for the page.
    settings
        Hyper-parameters of the timed iterations, by name.
    small
        Hyper-parameters of checks and smoke runs, instead of `settings`.
    convolutional
        Whether the networks have convolutions.
    shape
        (H, W, C) of the random images.

    """

    recipe: str
    about: str
    settings: dict[str, Any] = field(default_factory=dict)
    small: dict[str, Any] = field(default_factory=dict)
    convolutional: bool = True
    shape: tuple[int, int, int] = (28, 28, 1)


CASES = {
    "mnist-dcgan": Case(
        "mnist-dcgan",
        "batch 32; two updates of D, one on real and one on fake examples",
        {"batch_size": 32},
        {"batch_size": 2, "latent": 4},
    ),
    "mnist-dcgan-without-dropout": Case(
        "mnist-dcgan",
        "the same with dropout=0",
        {"batch_size": 32, "dropout": 0.0},
        {"batch_size": 2, "latent": 4, "dropout": 0.0},
    ),
    "dcgan64": Case(
        "dcgan64",
        "batch 16, full width",
        {"batch_size": 16},
        {"batch_size": 2, "width": 16, "latent": 4},
        shape=(32, 32, 3),
    ),
    **{
        f"dcgan64-width-{width}": Case(
            "dcgan64",
            f"batch 16, channels divided by {width}",
            {"batch_size": 16, "width": width},
            {"batch_size": 2, "width": width, "latent": 4},
            shape=(32, 32, 3),
        )
        for width in (8, 4)
    },
    "mnist-softmax": Case(
        "mnist-softmax",
        "batch 32: D on 16 + 16, without pretraining",
        {"batch_size": 32, "pretrain": 0},
        {"batch_size": 4, "depth": 16, "d_depth": 8, "latent": 4, "pretrain": 0},
    ),
    "mnist-dense": Case(
        "mnist-dense",
        "batch 32; 10 + 10 updates",
        {"batch_size": 32},
        {"batch_size": 4, "d_updates": 2, "g_updates": 2},
        convolutional=False,
    ),
    "mnist-maxout": Case(
        "mnist-maxout", "batch 100; one simultaneous update", {}, {"batch_size": 4, "latent": 4}, False
    ),
    "gaussian": Case("gaussian", "batch 1000; 10 + 10 updates", {}, {"batch_size": 20}, convolutional=False),
}  # fmt: skip


def images(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return `N_IMAGES` random images (N, H, W, C), from a fixed seed, for `shape` = (H, W, C)."""
    return np.random.default_rng(0).integers(0, 256, (N_IMAGES, *shape)).astype(np.uint8)


def build(
    case: Case,
    *,
    small: bool = False,
    dtype: str = "float32",
    options: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    ops: str = "cpu",
) -> tuple[Recipe, Any, Experiment]:
    """Build the experiment of a case.

    Parameters
    ----------
    case
        The recipe and its settings.
    small
        Whether to use the small settings.
    dtype
        "float32" or "float64".
    options
        Options of the backend, such as ``{"threads": 2}``.
    settings
        Hyper-parameters that replace the case's.
    ops
        The backend: "cpu", "reference" or "cuda".

    Returns
    -------
    recipe, config, experiment
        The experiment has seed 3 and, for image recipes, random images.

    """
    recipe = get_recipe(case.recipe)
    chosen = case.small if small else case.settings
    config = recipe.configure({**chosen, **(settings or {})})
    pixels = None if recipe.to_images is None else images(case.shape)  # the recipe has no images
    run_options = RunOptions(seed=3, dtype=dtype, ops=ops, options=options or {}, images=pixels)
    return recipe, config, recipe.build(config, run_options)


def real_batches(
    case: Case, config: Any, streams: dict[str, np.random.Generator], dtype: np.dtype[Any]
) -> Callable[[], Array]:
    """Return a function that draws a batch of real examples for PyTorch or JAX, as minigan's recipe does.

    Parameters
    ----------
    case
        The recipe.
    config
        The recipe's hyper-parameters.
    streams
        The experiment's random streams; the batches are drawn from "data".
    dtype
        The dtype of the batches.

    Returns
    -------
    Callable
        Each call returns the next batch, (N, H, W, C) or (N, I).

    """
    if case.recipe == "gaussian":

        def sampled() -> Array:
            x = config.mu + config.sigma * streams["data"].standard_normal(config.batch_size)
            return x.astype(dtype)[:, None]

        return sampled
    pixels = images(case.shape)
    if case.recipe in ("mnist-dense", "mnist-maxout"):
        kind = EpochBatches if case.recipe == "mnist-maxout" else RandomBatches
        return kind(unit_interval(pixels, str(dtype)), config.batch_size, streams["data"])
    if case.recipe == "dcgan64":
        epoch = EpochBatches(pixels, config.batch_size, streams["data"])
        return lambda: signed(resize(epoch().astype(dtype), 64), dtype)
    half = config.batch_size // 2 if case.recipe == "mnist-softmax" else config.batch_size
    prepare = unit if case.recipe in ("mnist-softmax", "mnist-fast") else signed
    batches = RandomBatches(pixels, half, streams["data"], replace=True)
    return lambda: prepare(batches(), dtype)
