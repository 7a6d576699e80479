"""Draw samples from the generator of a run, and write samples to a file."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from minigan._names import ConfigError
from minigan.ops.protocol import Array
from minigan.recipes import Recipe, RunOptions, memory
from minigan.recipes.labels import generate, sample_labels
from minigan.recipes.translations import translations
from minigan.runs.stored import load_config, load_generator, load_players, read_config
from minigan.training import RunError
from minigan.training.files import PathLike, atomic_write


def sample(
    run: PathLike,
    *,
    n: int = 40,
    seed: int = 0,
    label: int | None = None,
    raw: bool = False,
    recipe: Recipe | str | None = None,
) -> Array:
    """Draw samples from the generator of a run.

    Parameters
    ----------
    run : path
        The run folder.
    n : int
        The number of samples, at least 1; 40 by default, which fill a sheet of 4 rows and 10 columns.
    seed : int
        The seed of the noise.
    raw : bool
        Whether to use the parameters of the last iteration also if the run has averaged them, as in `load_generator`.
    label : int, optional
        The class of all samples of a conditional generator; by default sample i has class i modulo the number of
        classes.  The noise does not depend on it.
    recipe : Recipe or str, optional
        The recipe of the run, if it is neither built in nor registered, as for `load_config`.

    Returns
    -------
    array, shape (n, ...)
        G(z) in the dtype of the run; ``recipe.to_images`` converts it to images (n, H, W, C) in [0, 1].  For a run
        with two generators, translations of n test examples of each domain, an array (6, n, ...):
        `minigan.recipes.translations.ROWS`.

    Raises
    ------
    ConfigError
        If n < 1, or n samples need more memory than the machine has; or if `label` is not one of the classes, or is
        given for a generator that reads no labels; or as `load_config` raises it.
    RunError
        If a file is missing or damaged, or parameters or samples are not finite.
    DataError
        If the data files of a run with two generators are missing or damaged.

    """
    if n < 1:
        raise ConfigError(f"n must be >= 1, got {n!r}")
    recipe = load_config(run, recipe=recipe)[0]
    if recipe.translator is not None:
        sample_labels(recipe.name, 0, n, label)  # refuses a label
        return _translations(run, n, seed, recipe)
    G, recipe, config = load_generator(run, raw=raw, recipe=recipe)
    labels = sample_labels(recipe.name, G.n_classes, n, label)
    refused = RunError(f"{run}: its generator gives values that are not finite")
    if not all(np.isfinite(array).all() for array in (G.theta, *G.state.values())):
        raise refused  # before the forward pass, in which NumPy would print warnings
    assert recipe.prior is not None  # noqa: S101  (a recipe with G has a prior)
    memory.require_samples(recipe, config, n, G.dtype)
    z = recipe.prior(config, n, np.random.default_rng(seed)).astype(G.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        x = generate(G, z, labels)
    if not np.isfinite(x).all():
        raise refused
    return x


def _translations(run: PathLike, n: int, seed: int, recipe: Recipe) -> Array:
    """Return translations (6, n, ...) of n test examples of each domain."""
    players, recipe, config = load_players(run, recipe=recipe)
    assert recipe.translator is not None  # noqa: S101  (mypy)
    if "images" in read_config(run, recipe=recipe)[0]:
        raise RunError(f"{run}: trained on your own images, which a run folder lacks; expected a run on a data set")
    if not all(np.isfinite(net.theta).all() for net in players.values()):
        raise RunError(f"{run}: its generators give values that are not finite")
    dtype = next(iter(players.values())).dtype
    shapes = [player.input_shape for player in recipe.players(config).values()]
    memory.require(f"n={n}", 12 * n * dtype.itemsize * max(map(math.prod, shapes)))  # the rows, and these stacked
    a, b = recipe.translator.draw(config, RunOptions(dtype=str(dtype)), n, np.random.default_rng(seed))
    with np.errstate(over="ignore", invalid="ignore"):
        x = translations(players, a, b)
    if not np.isfinite(x).all():
        raise RunError(f"{run}: its generators give values that are not finite")
    return x


def write_samples(path: PathLike, recipe: Recipe, x: Array, *, config: Any = None) -> Path:
    """Write samples of a recipe's generator to a new file.

    Parameters
    ----------
    path : path
        The file: a name ending in .npy; for a recipe of images any other name is written as a PNG, a sheet with ten
        images per row.
    recipe : Recipe
        The recipe of the generator.
    x : array, shape (n, ...)
        The samples, as `sample` returns them.
    config : Config, optional
        The hyper-parameters of the run, which a picture of translations depends on; by default those of the recipe.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    RunError
        If the file exists or cannot be written, or the recipe makes no images and the name does not end in .npy.

    """
    path = Path(path)
    if path.exists():
        raise RunError(f"{path} exists; expected a new file")
    if path.suffix == ".npy":
        return atomic_write(path, lambda stream: np.save(stream, x, allow_pickle=False), new=True)
    if recipe.translator is not None:
        title = f"{recipe.name}: {x.shape[1]} examples of each domain"
        translated = recipe.translator.picture(recipe.Config() if config is None else config, x, title)
        return atomic_write(path, lambda stream: translated.save(stream, format="PNG"), new=True)
    if recipe.to_images is None:
        raise RunError(f"{path}: {recipe.name} does not make images; expected a name ending in .npy")
    from minigan.plots.images import image_grid

    images = recipe.to_images(x)
    columns = min(10, len(images))
    rows = -(-len(images) // columns)
    white = 255 if images.dtype == np.uint8 else 1  # fills the last row
    blank = np.full((rows * columns - len(images), *images.shape[1:]), white, dtype=images.dtype)
    title = f"{recipe.name}: {len(images)} samples"
    picture = image_grid(np.concatenate([images, blank]), rows=rows, columns=columns, title=title)
    return atomic_write(path, lambda stream: picture.save(stream, format="PNG"), new=True)
