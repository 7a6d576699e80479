"""Runs by name: train a recipe, continue a run, sweep over seeds, load a run, sample from it.

The functions behind `minigan train`, `resume`, `sweep` and `sample`, for notebooks:

    summary = train_recipe("gaussian", seed=1, overrides={"iterations": 200})
    summary = resume_run("runs/gaussian/001", iterations=400)  # trained with checkpoint_every=...
    table = sweep("gaussian", seeds=20)
    x = sample("runs/gaussian/001", n=1000)
    G, recipe, config = load_generator("runs/gaussian/001")
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

import numpy as np

from minigan._deprecated import renamed_arguments
from minigan._names import ConfigError
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.recipes import Recipe, RunOptions, get_recipe, memory
from minigan.training import (
    Callback,
    RunError,
    create_run,
    new_folder,
    read_arrays,
    read_json,
    resume,
    train,
    write_json,
)
from minigan.training.environment import versions
from minigan.training.files import PathLike, atomic_write
from minigan.training.workers import StopOnEvent, train_in_workers

Numbers = dict[str, float]
SAMPLES_PER_BLOCK = 256  # of a forward pass: convolutions at full size need megabytes per sample


@renamed_arguments(settings="overrides")
def train_recipe(
    name: str,
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
    name : str
        The name of a recipe (`minigan.recipes.RECIPES`).
    seed : int
        The seed of every random stream, at least 0.
    overrides : mapping, optional
        Hyper-parameters in place of the recipe's defaults, by name: values, or strings as for ``--set``.
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
        The run folder, new or empty; by default the next free runs/NAME/NUMBER.
    folder : bool
        Whether to write a run folder at all.
    callbacks : sequence of Callback, optional
        Called after the recipe's own.
    checkpoint_every : int, optional
        Iterations between two checkpoints, for `resume_run`; by default there are none.

    Returns
    -------
    dict
        The summary, as of `minigan.training.train`, with the run folder under "folder".

    Raises
    ------
    ValueError
        Where the recipe is unknown, or (ConfigError) an argument or a hyper-parameter is refused.
    RunError
        Where the run folder cannot be written.
    DataError
        Where data files are missing or damaged.

    """
    if checkpoint_every is not None and not folder:
        raise ConfigError(f"checkpoint_every={checkpoint_every!r} needs a run folder, got folder=False")
    recipe = get_recipe(name)
    config = recipe.configure(overrides)
    run_options = RunOptions(seed=seed, dtype=dtype, ops=ops, options=options or {}, data_dir=data_dir)
    experiment = recipe.build(config, run_options)
    path = new_folder(name, out=out) if folder else None
    summary = train(experiment, folder=path, callbacks=callbacks, checkpoint_every=checkpoint_every)
    return {**summary, "folder": str(path)} if path is not None else summary


def resume_run(
    run: PathLike,
    *,
    iterations: int | None = None,
    checkpoint: PathLike | None = None,
    data_dir: PathLike | None = None,
    callbacks: Sequence[Callback] = (),
) -> dict[str, Any]:
    """Continue a run of `train_recipe` that was killed or interrupted, and return its summary.

    Parameters
    ----------
    run : path
        The run folder, of a training with `checkpoint_every`.
    iterations : int, optional
        The total number of iterations; by default that of the original run.
    checkpoint : path, optional
        The checkpoint to continue from; by default the newest.
    data_dir : path, optional
        The folder with the data files, as for `train_recipe`.
    callbacks : sequence of Callback, optional
        The same ones as in the original run.

    Returns
    -------
    dict
        The summary, as of `train_recipe`.

    Raises
    ------
    RunError
        As of `minigan.training.resume`; also where config.json is damaged, or the run was trained on your own images.

    """
    stored, recipe, config = _read_config(run)
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


def _one_seed(seed: int, *, name: str, ops: str, options: Mapping[str, Any], **rest: Any) -> dict[str, Any]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):  # one run per core: more threads would compete for the cores
        if ops == "cpu":
            options = {"threads": 1, **options}
        return train_recipe(
            name, seed=seed, ops=ops, options=options, folder=False, callbacks=[StopOnEvent()], **rest
        )  # fmt: skip


@dataclass(frozen=True)
class Sweep:
    """The summaries of the seeds that were trained, and the statistics of their results.

    Parameters
    ----------
    recipe : str
        The name of the recipe.
    summaries : list of dict
        One for each seed that was done, in the order of the seeds; a run that raised has the status "failed" and its
        "error".
    seeds : int
        The number of seeds that were requested.
    config : dict
        JSON-able: dtype, backend and every hyper-parameter.
    path : Path, optional
        The file sweep.json, where there is a folder.

    """

    recipe: str
    summaries: list[dict[str, Any]]
    seeds: int
    config: dict[str, Any]
    path: Path | None = None

    @property
    def status(self) -> str:
        """The status of the sweep: "completed", or "interrupted" where seeds are missing."""
        return "completed" if len(self.summaries) == self.seeds else "interrupted"

    @property
    def failures(self) -> list[dict[str, Any]]:
        """The summaries of the runs that failed or diverged."""
        return [s for s in self.summaries if s["status"] not in ("completed", "stopped early")]

    def table(self) -> dict[str, Numbers]:
        """Return mean, standard deviation (n - 1), minimum and maximum of each result, failed runs left out."""
        failed = {s["seed"] for s in self.failures}
        rows = [_numbers(s) for s in self.summaries if s["seed"] not in failed]
        names = [name for name in rows[0] if all(name in row for row in rows)] if rows else []
        result = {}
        for name in names:
            values = np.array([row[name] for row in rows])
            spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
            result[name] = {
                "mean": float(values.mean()), "std": spread, "min": float(values.min()), "max": float(values.max())
            }  # fmt: skip
        return result

    def as_dict(self) -> dict[str, Any]:
        """Return the sweep as JSON-able data."""
        return {
            "recipe": self.recipe,
            **self.config,
            "versions": versions(),
            "status": self.status,
            "seeds": self.seeds,
            "runs": len(self.summaries),
            "failures": len(self.failures),
            "table": self.table(),
            "summaries": self.summaries,
        }

    def __str__(self) -> str:
        lines = [f"{'':<20}{'mean':>12}{'std':>12}{'min':>12}{'max':>12}"]
        lines += [
            f"{name:<20}" + "".join(f"{row[k]:>12.6g}" for k in ("mean", "std", "min", "max"))
            for name, row in self.table().items()
        ]
        lines.append(f"{len(self.summaries)} runs of {self.recipe}, {len(self.failures)} failed")
        if self.status == "interrupted":
            lines.append(f"interrupted: {self.seeds - len(self.summaries)} of {self.seeds} seeds are missing")
        lines += [f"  seed {s['seed']}: {s['status']}: {s.get('error', s.get('reason', ''))}" for s in self.failures]
        return "\n".join(lines)


TABULATED = ("generator.mean", "generator.std", "jsd", "value", "losses.d_loss", "losses.g_loss", "metrics.d_real",
         "metrics.d_fake", "metrics.accuracy", "seconds")  # fmt: skip


def _numbers(summary: Mapping[str, Any]) -> Numbers:
    """Return the results in a summary that a sweep tabulates, by dotted name."""
    found = {}
    for name in TABULATED:
        value: Any = summary
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, (int, float)):
            found[name] = float(value)
    return found


@renamed_arguments(settings="overrides")
def sweep(
    name: str,
    *,
    seeds: int,
    workers: int | None = None,
    done: Callable[[dict[str, Any]], None] | None = None,
    overrides: Mapping[str, Any] | None = None,
    dtype: str = "float32",
    ops: str = "cpu",
    options: Mapping[str, Any] | None = None,
    data_dir: PathLike | None = None,
    out: PathLike | None = None,
    folder: bool = False,
) -> Sweep:
    """Train a recipe with the seeds 0 ... seeds-1 and return all summaries.

    A script must call it below ``if __name__ == "__main__":``, because the worker processes import the script again.
    With ``ops="cuda"`` the seeds of the recipe gaussian are trained together in one kernel (`minigan.ensembles`), up to
    tens of thousands, without workers.  Ctrl-C and SIGTERM end the sweep; the result then has the seeds that were done.

    Parameters
    ----------
    name : str
        The name of a recipe.
    seeds : int
        The number of seeds, at least 1.
    workers : int, optional
        The number of parallel runs; by default one per core.  Each has one thread, unless `options` has "threads".
    done : callable, optional
        ``done(summary)`` is called when a run ends.
    overrides, dtype, ops, options, data_dir
        As for `train_recipe`.
    out : path, optional
        The folder for sweep.json, new or empty; by default the next free runs/NAME-sweep/NUMBER.
    folder : bool
        Whether to write sweep.json.  Where no seed was done nothing is left.

    Returns
    -------
    Sweep
        The summaries; ``print(sweep)`` shows the table.  A run that raised is one of its failures.

    Raises
    ------
    ValueError
        Where the recipe is unknown, or (ConfigError) an argument or a hyper-parameter is refused.
    RunError
        Where the folder cannot be written, or all workers died.
    DataError
        Where data files are missing or damaged.

    """
    for what, count in (("seeds", seeds), ("workers", 1 if workers is None else workers)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ConfigError(f"{what} must be an int >= 1, got {count!r}")
    recipe = get_recipe(name)
    # One is built here, so that a wrong hyper-parameter or missing data is reported once, before any process starts.
    run_options = RunOptions(dtype=dtype, ops=ops, options=options or {}, data_dir=data_dir)
    chosen = recipe.configure(overrides)
    built = recipe.build(chosen, run_options)
    config = {key: value for key, value in built.config.items() if key != "seed"}
    train_together = _ensemble_trainer(name, ops, chosen, dtype)
    if train_together:
        config["together"] = "all seeds in one kernel, data and noise drawn on the device"
    made = out is None or not Path(out).exists()
    path = new_folder(f"{name}-sweep", out=out) / "sweep.json" if folder else None
    result = Sweep(name, [], seeds, config, path)
    if path is not None:
        create_run(path.parent, path.name, result.as_dict())

    def finished(summary: dict[str, Any]) -> None:
        result.summaries.append(summary)
        result.summaries.sort(key=itemgetter("seed"))
        if done is not None:
            done(summary)

    one = partial(
        _one_seed,
        name=name,
        overrides=config["settings"],
        dtype=dtype,
        ops=ops,
        options=config["options"],
        data_dir=data_dir,
    )
    try:
        if train_together:
            device = cast(Any, built.game.ops).device
            with suppress(KeyboardInterrupt):
                train_together(chosen, seeds, device=device, dtype=dtype, finished=finished)
        else:
            from minigan.ops.cpu.threads.pool import cores  # here, because the import loads the CPU backend

            train_in_workers(one, seeds, workers=min(workers or cores(), seeds), finished=finished)
    finally:
        if path is not None and result.summaries:
            write_json(path, result.as_dict())
        elif path is not None:
            path.unlink()
            if made:
                path.parent.rmdir()
    return result


def _ensemble_trainer(name: str, ops: str, config: Any, dtype: str) -> Callable[..., None] | None:
    """Return the function that trains all seeds in one kernel, or None where each seed is a separate run."""
    if name != "gaussian" or ops != "cuda":
        return None
    from minigan.ensembles import batching_obstacle, train_ensemble

    return None if batching_obstacle(config, dtype) else train_ensemble


def load_config(run: PathLike) -> tuple[Recipe, Any, str]:
    """Return the recipe, the configuration and the dtype of a run; RunError names the fault of its config.json."""
    stored, recipe, config = _read_config(run)
    return recipe, config, stored["dtype"]


def _read_config(run: PathLike) -> tuple[dict[str, Any], Recipe, Any]:
    if Path(run).is_file():
        raise RunError(f"{run}: a file; expected its run folder, {Path(run).parent}")
    path = Path(run) / "config.json"
    stored = read_json(path)
    if not isinstance(stored, dict):
        raise RunError(f"{path}: not the configuration of a run (expected a JSON object, got {type(stored).__name__})")
    try:
        recipe = get_recipe(stored["recipe"])
        RunOptions(dtype=stored["dtype"])
        return stored, recipe, recipe.configure_stored(stored["settings"])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise RunError(f"{path}: not the configuration of a run ({error})") from None


def load_generator(run: PathLike) -> tuple[Network, Recipe, Any]:
    """Load the generator of a run.

    Parameters
    ----------
    run : path
        The run folder.

    Returns
    -------
    G : Network
        The generator with the parameters and running statistics of the run, on the backend "cpu".
    recipe : Recipe
        The recipe of the run.
    config
        The hyper-parameters of the run, a `recipe.Config`.

    Raises
    ------
    RunError
        Where a file is missing or damaged; the message names it.

    """
    recipe, config, dtype = load_config(run)
    try:
        G, _ = recipe.networks(config, RunOptions(dtype=dtype))
    except ConfigError as error:
        raise RunError(f"{Path(run) / 'config.json'}: {error}") from None
    path = Path(run) / "generator.npz"
    if not path.is_file():
        raise RunError(f"{path}: No such file or directory: no weights yet; finish the run with `minigan resume`")
    arrays = read_arrays(path)
    state = {key: arrays.pop(key) for key in G.state if key in arrays}
    try:
        G.load_parameters(arrays)
        G.load_state(state)
    except ValueError as error:
        raise RunError(f"{path}: {error}") from None
    return G, recipe, config


def sample(run: PathLike, *, n: int = 40, seed: int = 0) -> Array:
    """Draw samples from the generator of a run.

    Parameters
    ----------
    run : path
        The run folder.
    n : int
        The number of samples, at least 1; 40 by default, as on a sheet of samples.
    seed : int
        The seed of the noise.

    Returns
    -------
    array, shape (n, ...)
        G(z) in the dtype of the run: ``recipe.to_images`` makes images (n, H, W, C) in [0, 1] of it.

    Raises
    ------
    ConfigError
        Where n < 1, or n samples need more memory than the machine has.
    RunError
        Where a file is missing or damaged, or parameters or samples are not finite.

    """
    if n < 1:
        raise ConfigError(f"n must be >= 1, got {n!r}")
    G, recipe, config = load_generator(run)
    refused = RunError(f"{run}: its generator gives values that are not finite")
    if not all(np.isfinite(array).all() for array in (G.theta, *G.state.values())):
        raise refused  # before the forward pass, which would print warnings of NumPy
    memory.require_samples(recipe, config, n, G.dtype)
    z = recipe.prior(config, n, np.random.default_rng(seed)).astype(G.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.concatenate([G(z[start : start + SAMPLES_PER_BLOCK]) for start in range(0, n, SAMPLES_PER_BLOCK)])
    if not np.isfinite(x).all():
        raise refused
    return x


def write_samples(path: PathLike, recipe: Recipe, x: Array) -> Path:
    """Write samples of a recipe's generator to a new file: .npy, or a .png sheet with ten images per row."""
    path = Path(path)
    if path.exists():
        raise RunError(f"{path} exists; expected a new file")
    if path.suffix == ".npy":
        return atomic_write(path, lambda stream: np.save(stream, x, allow_pickle=False), new=True)
    if recipe.to_images is None:
        raise RunError(f"{path}: {recipe.name} does not make images; expected a name ending in .npy")
    from minigan.plots.images import image_grid

    images = recipe.to_images(x)
    columns = min(10, len(images))
    rows = -(-len(images) // columns)
    white = 255 if images.dtype == np.uint8 else 1
    blank = np.full((rows * columns - len(images), *images.shape[1:]), white, dtype=images.dtype)
    title = f"{recipe.name}: {len(images)} samples"
    picture = image_grid(np.concatenate([images, blank]), rows=rows, columns=columns, title=title)
    return atomic_write(path, lambda stream: picture.save(stream, format="PNG"), new=True)
