"""Data: toy densities in closed form, and image files, which are checked against their checksums."""

from typing import TYPE_CHECKING

from minigan._deprecated import renamed
from minigan.data.batches import EpochBatches, RandomBatches, Transformed
from minigan.data.cifar import parse_cifar10
from minigan.data.files import DataError, cache_folder, search_folders
from minigan.data.idx import parse_idx, read_idx
from minigan.data.images import DATASETS, Images, load, load_digits, unit_interval
from minigan.data.resize import downsample, resize
from minigan.data.stacked import Stacked, stack_digits
from minigan.data.toy import Gaussian, Laplace, Mixture
from minigan.data.toy_plane import GaussianMixture2D, grid, grid25, ring, ring8

__all__ = [
    "DATASETS",
    "DataError",
    "EpochBatches",
    "Gaussian",
    "GaussianMixture2D",
    "Images",
    "Laplace",
    "Mixture",
    "RandomBatches",
    "Stacked",
    "Transformed",
    "cache_folder",
    "downsample",
    "grid",
    "grid25",
    "load",
    "load_digits",
    "parse_cifar10",
    "parse_idx",
    "read_idx",
    "resize",
    "ring",
    "ring8",
    "search_folders",
    "stack_digits",
    "unit_interval",
]


_RENAMED = {
    "Modes": "GaussianMixture2D",
    "Prepared": "Transformed",
    "shrink": "downsample",
}
"""Old name -> new name.  The old names work for one more release."""

if not TYPE_CHECKING:  # so that type checkers know every name

    def __getattr__(name):
        return renamed("minigan.data", _RENAMED, globals(), name)
