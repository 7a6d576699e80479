"""Data: toy densities with closed forms, and image files that are checked before they are used."""

from minigan.data.batches import EpochBatches, Prepared, RandomBatches
from minigan.data.cifar import parse_cifar10
from minigan.data.files import DataError, cache_folder, search_folders
from minigan.data.idx import parse_idx, read_idx
from minigan.data.images import DATASETS, Images, load, load_digits, unit_interval
from minigan.data.resize import resize, shrink
from minigan.data.toy import Gaussian, Laplace, Mixture, Modes, grid, ring

__all__ = [
    "DATASETS",
    "DataError",
    "EpochBatches",
    "Gaussian",
    "Images",
    "Laplace",
    "Mixture",
    "Modes",
    "Prepared",
    "RandomBatches",
    "cache_folder",
    "grid",
    "load",
    "load_digits",
    "parse_cifar10",
    "parse_idx",
    "read_idx",
    "resize",
    "ring",
    "search_folders",
    "shrink",
    "unit_interval",
]
