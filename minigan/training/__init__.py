"""Training: one loop, callbacks, and a run folder that is never overwritten."""

from minigan.training.callbacks import Callback, EarlyStop, Evaluate, MetricsFile, ProgressBar
from minigan.training.experiment import Divergence, Experiment, Run, random_streams
from minigan.training.files import RunError, claim, new_folder, read_arrays, read_json, write_arrays, write_json
from minigan.training.loop import train
from minigan.training.resuming import resume

__all__ = [
    "Callback",
    "Divergence",
    "EarlyStop",
    "Evaluate",
    "Experiment",
    "MetricsFile",
    "ProgressBar",
    "Run",
    "RunError",
    "claim",
    "new_folder",
    "random_streams",
    "read_arrays",
    "read_json",
    "resume",
    "train",
    "write_arrays",
    "write_json",
]
