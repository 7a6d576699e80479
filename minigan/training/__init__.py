"""Training: the loop, callbacks, checkpoints, and run folders, which are never overwritten."""

from typing import TYPE_CHECKING

from minigan._deprecated import renamed
from minigan.training.average import AveragedNetwork, half_life_decay
from minigan.training.callbacks import EarlyStop, Evaluate, MetricsFile, ProgressBar
from minigan.training.diagnosis import Diagnosis
from minigan.training.experiment import Callback, Divergence, Experiment, Run, random_streams
from minigan.training.files import RunError, read_arrays, read_json, write_arrays, write_json
from minigan.training.folders import create_run, new_folder
from minigan.training.loop import train
from minigan.training.resuming import resume

__all__ = [
    "AveragedNetwork",
    "Callback",
    "Diagnosis",
    "Divergence",
    "EarlyStop",
    "Evaluate",
    "Experiment",
    "MetricsFile",
    "ProgressBar",
    "Run",
    "RunError",
    "create_run",
    "half_life_decay",
    "new_folder",
    "random_streams",
    "read_arrays",
    "read_json",
    "resume",
    "train",
    "write_arrays",
    "write_json",
]

_RENAMED = {
    "claim": "create_run",
}
"""Old name -> new name.  The old names work for one more release."""

if not TYPE_CHECKING:  # so that type checkers know every name

    def __getattr__(name):
        return renamed("minigan.training", _RENAMED, globals(), name)
