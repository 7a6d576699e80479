"""Train a recipe with many seeds: in worker processes, or together where the recipe has an ensemble."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

from minigan._deprecated import renamed_arguments
from minigan._names import ConfigError
from minigan.recipes import Recipe, RunOptions, get_recipe
from minigan.runs.single import train_recipe
from minigan.runs.table import Sweep
from minigan.training import create_run, new_folder, write_json
from minigan.training.files import PathLike
from minigan.training.workers import StopOnEvent, terminable, train_in_workers


def _one_seed(seed: int, *, name: str, ops: str, options: Mapping[str, Any], **rest: Any) -> dict[str, Any]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):  # one run per core: more threads would compete for the cores
        if ops == "cpu":
            options = {"threads": 1, **options}
        return train_recipe(
            name, seed=seed, ops=ops, options=options, folder=False, callbacks=[StopOnEvent()], **rest
        )  # fmt: skip


@renamed_arguments(settings="overrides", done="on_seed_end")
def sweep(
    name: str,
    *,
    seeds: int,
    workers: int | None = None,
    on_seed_end: Callable[[dict[str, Any]], None] | None = None,
    overrides: Mapping[str, Any] | None = None,
    dtype: str = "float32",
    ops: str = "cpu",
    options: Mapping[str, Any] | None = None,
    data_dir: PathLike | None = None,
    out: PathLike | None = None,
    folder: bool = False,
) -> Sweep:
    """Train a recipe with the seeds 0 ... seeds-1 and return their summaries.

    A script must call it below ``if __name__ == "__main__":``, because the worker processes import the script again.
    If the recipe has an ensemble for the backend (`Recipe.ensembles`), all seeds are trained together, without workers:
    gaussian with ``ops="cuda"`` trains up to tens of thousands of seeds in one kernel.  Ctrl-C and SIGTERM end the
    sweep; the result then has the completed seeds.

    Parameters
    ----------
    name : str
        The name of a recipe, as for `minigan.recipes.get_recipe`.
    seeds : int
        The number of seeds, at least 1.
    workers : int, optional
        The number of parallel runs; by default one per core.  Each has one thread, unless `options` has "threads".
    on_seed_end : callable, optional
        ``on_seed_end(summary)`` is called whenever a run ends.
    overrides, dtype, ops, options, data_dir
        As for `train_recipe`.
    out : path, optional
        The folder for sweep.json, new or empty; by default the next free runs/NAME-sweep/NUMBER.
    folder : bool
        Whether to write sweep.json; False by default.  If no seed was completed, the file is removed again.

    Returns
    -------
    Sweep
        The summaries; ``print(sweep)`` shows the table.  A run that raised an exception is one of the failures.

    Raises
    ------
    ValueError
        If the recipe is unknown, or (`ConfigError`) an argument or a hyper-parameter is invalid.
    RunError
        If the folder cannot be written, or all workers died.
    DataError
        If data files are missing or damaged.

    """
    for what, count in (("seeds", seeds), ("workers", 1 if workers is None else workers)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ConfigError(f"{what} must be an int >= 1, got {count!r}")
    recipe = get_recipe(name)
    # Build one experiment here, so that a wrong hyper-parameter or missing data is reported once, before any process
    # starts.
    run_options = RunOptions(dtype=dtype, ops=ops, options=options or {}, data_dir=data_dir)
    chosen = recipe.configure(overrides)
    built = recipe.build(chosen, run_options)
    config = {key: value for key, value in built.config.items() if key != "seed"}
    train_ensemble = _ensemble_trainer(recipe, ops, chosen, dtype)
    if train_ensemble:
        config["together"] = "all seeds in one kernel, data and noise drawn on the device"
    creates_folder = out is None or not Path(out).exists()
    path = new_folder(f"{recipe.name}-sweep", out=out) / "sweep.json" if folder else None
    result = Sweep(recipe.name, [], seeds, config, path)

    def collect(summary: dict[str, Any]) -> None:
        result.summaries.append(summary)
        result.summaries.sort(key=itemgetter("seed"))
        if on_seed_end is not None:
            on_seed_end(summary)

    with terminable(), suppress(KeyboardInterrupt), _written(result, creates_folder=creates_folder):
        if train_ensemble:
            device = cast(Any, built.game.ops).device
            train_ensemble(chosen, seeds, device=device, dtype=dtype, on_seed_end=collect)
        else:
            one = partial(
                _one_seed,
                name=name,
                overrides=config["settings"],
                dtype=dtype,
                ops=ops,
                options=config["options"],
                data_dir=data_dir,
            )
            from minigan.ops.cpu.threads.pool import cores  # here, because the import loads the CPU backend

            train_in_workers(one, seeds, workers=min(workers or cores(), seeds), on_seed_end=collect)
    return result


@contextmanager
def _written(result: Sweep, *, creates_folder: bool) -> Iterator[None]:
    """Write sweep.json, if it has a path, before and after this block; remove it if no seed was completed.

    Writing it first reserves the folder.  With `creates_folder` the folder is removed too.
    """
    path = result.path
    if path is None:
        yield
        return
    create_run(path.parent, path.name, result.as_dict())
    try:
        yield
    finally:
        if result.summaries:
            write_json(path, result.as_dict())
        else:
            path.unlink()
            if creates_folder:
                path.parent.rmdir()


def _ensemble_trainer(recipe: Recipe, ops: str, config: Any, dtype: str) -> Callable[..., None] | None:
    """Return the function that trains all seeds together, or None if each seed has to be a separate run."""
    if ops not in recipe.ensembles:
        return None
    ensemble: Any = import_module(recipe.ensembles[ops])
    return None if ensemble.ensemble_obstacle(config, dtype) else ensemble.train_ensemble
