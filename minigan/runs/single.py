"""Train a recipe into a run folder, and continue such a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minigan._deprecated import renamed_arguments
from minigan._names import ConfigError
from minigan.recipes import Recipe, RunOptions, get_recipe
from minigan.runs.stored import read_config
from minigan.training import Callback, RunError, new_folder, resume, train
from minigan.training.files import PathLike


@renamed_arguments(settings="overrides")
def train_recipe(
    name: str | Recipe,
    *,
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
    dtype: str = "float32",
    ops: str = "cpu",
    options: Mapping[str, Any] | None = None,
    data_dir: PathLike | None = None,
    out: PathLike | None = None,
    folder: bool = True,
    callbacks: Sequence[Callback] = (),
    checkpoint_every: int | None = None,
) -> dict[str, Any]:
    """Train a recipe and return its summary.

    Parameters
    ----------
    name : str or Recipe
        The recipe, or its name as for `minigan.recipes.get_recipe`: a built-in or registered one, or ``module:object``.
    seed : int
        The seed of every random stream, at least 0.
    overrides : mapping, optional
        Hyper-parameters that replace the recipe's defaults, by name: values, or strings as for ``--set``.
    dtype : {"float32", "float64"}
        The dtype of parameters and activations; float32 by default, as in the original experiments.
    ops : {"cpu", "cuda", "reference"}
        The backend.
    options : mapping, optional
        Options of the backend: threads, accuracy and compiled of "cpu" (`minigan.ops.cpu.CPU`); device, precision and
        graphs of "cuda" (`minigan.ops.cuda.CUDA`).
    data_dir : path, optional
        The folder with the data files; by default $MINIGAN_DATA, then the cache folder.
    out : path, optional
        The run folder, new or empty; by default the next free runs/NAME/NUMBER, with the recipe's name.
    folder : bool
        Whether to write a run folder; True by default.
    callbacks : sequence of Callback, optional
        Callbacks that run after those of the recipe.
    checkpoint_every : int, optional
        Iterations between two checkpoints, which `resume_run` needs; by default no checkpoints are written.

    Returns
    -------
    dict
        The summary that `minigan.training.train` returns, and the run folder under "folder".

    Raises
    ------
    ValueError
        If the recipe is unknown, or (`ConfigError`) an argument or a hyper-parameter is invalid.
    RunError
        If the run folder cannot be written.
    DataError
        If data files are missing or damaged.

    """
    if checkpoint_every is not None and not folder:
        raise ConfigError(f"checkpoint_every={checkpoint_every!r} needs a run folder, got folder=False")
    recipe = name if isinstance(name, Recipe) else get_recipe(name)
    config = recipe.configure(overrides)
    run_options = RunOptions(seed=seed, dtype=dtype, ops=ops, options=options or {}, data_dir=data_dir)
    experiment = recipe.build(config, run_options)
    path = new_folder(recipe.name, out=out) if folder else None
    summary = train(experiment, folder=path, callbacks=callbacks, checkpoint_every=checkpoint_every)
    return {**summary, "folder": str(path)} if path is not None else summary


def resume_run(
    run: PathLike,
    *,
    iterations: int | None = None,
    checkpoint: PathLike | None = None,
    data_dir: PathLike | None = None,
    callbacks: Sequence[Callback] = (),
    recipe: Recipe | str | None = None,
) -> dict[str, Any]:
    """Continue a run of `train_recipe` that was killed or interrupted, and return its summary.

    Parameters
    ----------
    run : path
        The run folder of a training with `checkpoint_every`.
    iterations : int, optional
        The total number of iterations; by default that of the original run.
    checkpoint : path, optional
        The checkpoint to continue from; by default the newest.
    data_dir : path, optional
        The folder with the data files, as for `train_recipe`.
    callbacks : sequence of Callback, optional
        The callbacks of the original run.
    recipe : Recipe or str, optional
        The recipe of the run, if it is neither built in nor registered, as for `load_config`.

    Returns
    -------
    dict
        The summary, as `train_recipe` returns it.

    Raises
    ------
    RunError
        As `minigan.training.resume` raises it; also if config.json is damaged, or the run was trained on images that
        were passed as an array.
    ConfigError
        As `load_config` raises it, or if `iterations` is not greater than the checkpoint's.

    """
    stored, recipe, config = read_config(run, recipe=recipe)
    if "images" in stored:
        raise RunError(
            f"{run}: trained on your own images; expected a call of minigan.training.resume with the experiment"
        )
    try:
        run_options = RunOptions(
            seed=stored["seed"],
            dtype=stored["dtype"],
            ops=stored["ops"],
            options=stored.get("options", {}),
            data_dir=data_dir,
        )
        experiment = recipe.build(config, run_options)
    except (KeyError, TypeError, ConfigError) as error:
        raise RunError(f"{Path(run) / 'config.json'}: not the configuration of a run ({error})") from None
    summary = resume(experiment, run, iterations=iterations, checkpoint=checkpoint, callbacks=callbacks)
    return {**summary, "folder": str(run)}
