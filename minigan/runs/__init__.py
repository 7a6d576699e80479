"""Runs by name: train a recipe, continue a run, train many seeds, load a run, draw samples from it.

These functions do the work of `minigan train`, `resume`, `sweep`, `sample` and `warmup`, for notebooks and scripts:

    summary = train_recipe("gaussian", seed=1, overrides={"iterations": 200})
    summary = resume_run("runs/gaussian/001", iterations=400)  # trained with checkpoint_every=...
    table = sweep("gaussian", seeds=20)
    x = sample("runs/gaussian/001", n=1000)
    G, recipe, config = load_generator("runs/gaussian/001")

`minigan.runs.single`   train a recipe and continue a run
`minigan.runs.seeds`    train a recipe with many seeds
`minigan.runs.table`    the summaries of many seeds and their statistics
`minigan.runs.stored`   the configuration and the networks of a run folder
`minigan.runs.samples`  samples of a generator, as arrays and as files
`minigan.runs.warmup`   compile the kernels of recipes before they are needed
"""

from minigan.runs.samples import sample, write_samples
from minigan.runs.seeds import sweep
from minigan.runs.single import resume_run, train_recipe
from minigan.runs.stored import generator_file, load_config, load_generator, load_players
from minigan.runs.table import Sweep
from minigan.runs.warmup import Warmup, warm_up
from minigan.training.files import RunError

__all__ = [
    "RunError",
    "Sweep",
    "Warmup",
    "generator_file",
    "load_config",
    "load_generator",
    "load_players",
    "resume_run",
    "sample",
    "sweep",
    "train_recipe",
    "warm_up",
    "write_samples",
]
