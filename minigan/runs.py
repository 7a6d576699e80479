"""Runs by name: train a recipe, sweep its seeds, read a run back, sample from it.

The functions behind the commands, for notebooks:

    summary = train_recipe("gaussian", seed=1, settings={"iterations": "200"})
    table = sweep("gaussian", seeds=20)
    G, recipe, config = load_generator("runs/gaussian/001")
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from minigan.network import Network
from minigan.ops import Array
from minigan.recipes import Recipe, Setting, get_recipe
from minigan.training import Callback, RunError, new_folder, read_arrays, read_json, train
from minigan.training.files import PathLike, write_whole

Numbers = dict[str, float]


def train_recipe(
    name: str,
    *,
    seed: int = 0,
    settings: Mapping[str, str] | None = None,
    dtype: str = "float32",
    ops: str = "cpu",
    data_dir: str | None = None,
    out: PathLike | None = None,
    folder: bool = True,
    callbacks: Sequence[Callback] = (),
) -> dict[str, Any]:
    """Train a recipe and return its summary, with the run folder under "folder".

    `settings` are texts as for ``--set``; with ``folder=False`` nothing is written.
    """
    recipe = get_recipe(name)
    config = recipe.configure(settings)
    experiment = recipe.build(config, Setting(seed=seed, dtype=dtype, ops=ops, data_dir=data_dir))
    path = new_folder(name, out=out) if folder else None
    summary = train(experiment, folder=path, callbacks=callbacks)
    return {**summary, "folder": str(path)} if path is not None else summary


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _one_seed(name: str, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):  # one run a core: BLAS threads would fight for them
        return train_recipe(name, seed=seed, folder=False, **options)


@dataclass(frozen=True)
class Sweep:
    """The summaries of all seeds, and the spread of every number in them."""

    recipe: str
    summaries: list[dict[str, Any]]  # in the order of the seeds; a run that raised has "status": "failed", "error"

    @property
    def failures(self) -> list[dict[str, Any]]:
        """The runs that did not complete."""
        return [s for s in self.summaries if s["status"] not in ("completed", "stopped early")]

    def table(self) -> dict[str, Numbers]:
        """Return mean, standard deviation (n - 1), least and greatest of each number over the runs without failure."""
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
        lines += [f"  seed {s['seed']}: {s['status']}: {s.get('error', s.get('reason', ''))}" for s in self.failures]
        return "\n".join(lines)


SWEPT = ("generator.mean", "generator.std", "jsd", "value", "losses.d_loss", "losses.g_loss", "metrics.d_real",
         "metrics.d_fake", "metrics.accuracy", "seconds")  # fmt: skip


def _numbers(summary: Mapping[str, Any]) -> Numbers:
    """Return the numbers of a summary that a sweep tabulates, by dotted name."""
    found = {}
    for name in SWEPT:
        value: Any = summary
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, (int, float)):
            found[name] = float(value)
    return found


def sweep(
    name: str,
    *,
    seeds: int,
    workers: int | None = None,
    done: Callable[[dict[str, Any]], None] | None = None,
    **options: Any,
) -> Sweep:
    """Train seeds 0 ... seeds-1 of a recipe, `workers` at a time (default: one a core), each on one BLAS thread.

    `options` are those of `train_recipe`; `done(summary)` is called as each run ends.  A run that raises is a
    failure in the table, not an exception.
    """
    get_recipe(name).configure(options.get("settings"))  # a wrong name or setting is an error here, once
    summaries: dict[int, dict[str, Any]] = {}
    with ProcessPoolExecutor(min(workers or cores(), seeds), mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(_one_seed, name, seed, options): seed for seed in range(seeds)}
        for future in as_completed(futures):
            seed = futures[future]
            try:
                summaries[seed] = future.result()
            except Exception as error:  # whatever a run raises is that run's failure
                summaries[seed] = {
                    "seed": seed,
                    "status": "failed",
                    "error": f"{type(error).__name__}: {error}",
                }
            if done is not None:
                done(summaries[seed])
    return Sweep(name, [summaries[seed] for seed in sorted(summaries)])


def load_generator(run: PathLike) -> tuple[Network, Recipe, Any]:
    """Return G with the parameters and running statistics of a run, its recipe and its configuration.

    RunError says what is wrong with which file.
    """
    folder = Path(run)
    stored = read_json(folder / "config.json")
    try:
        recipe = get_recipe(stored["recipe"])
        config = recipe.configure({key: str(value) for key, value in stored["settings"].items()})
        dtype = stored["dtype"]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise RunError(f"{folder / 'config.json'}: not the configuration of a run ({error})") from None
    G, _ = recipe.networks(config, Setting(dtype=dtype))
    arrays = read_arrays(folder / "generator.npz")
    state = {key: arrays.pop(key) for key in G.state if key in arrays}
    try:
        G.load_parameters(arrays)
        G.load_state(state)
    except ValueError as error:
        raise RunError(f"{folder / 'generator.npz'}: {error}") from None
    return G, recipe, config


def write_samples(path: PathLike, recipe: Recipe, x: Array) -> Path:
    """Write samples of a recipe's generator as .npy, or as a .png sheet of images (ten in a row)."""
    path = Path(path)
    if path.suffix == ".npy":
        return write_whole(path, lambda stream: np.save(stream, x, allow_pickle=False))
    if recipe.to_images is None:
        raise RunError(f"{path}: {recipe.name} does not make images; accepted: a name ending in .npy")
    from minigan.plots.images import image_grid

    images = recipe.to_images(x)
    columns = min(10, len(images))
    rows = -(-len(images) // columns)
    blank = np.ones((rows * columns - len(images), *images.shape[1:]))
    picture = image_grid(np.concatenate([images, blank]), rows=rows, columns=columns)
    return write_whole(path, lambda stream: picture.save(stream, format="PNG"))
