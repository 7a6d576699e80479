"""Image data sets: uint8 images (N, H, W, C) with labels (N,)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minigan._names import ConfigError, unknown
from minigan.data.cifar import read_cifar10
from minigan.data.files import DataError, DataFile, PathLike, read_files
from minigan.data.idx import parse_idx


@dataclass(frozen=True)
class Images:
    """Images with labels.

    Parameters
    ----------
    name : str
        The name of the data set.
    images : array of uint8, shape (N, H, W, C)
        The images.
    labels : array of uint8, shape (N,)
        The class of each image.
    note : str
        The part of the published data set that these are; empty, the default, if they are all.

    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    note: str = ""

    def __len__(self) -> int:
        return len(self.images)


# SHA-256 of the published files (gzipped) and of the unpacked files.
IDX_FILES = {
    "mnist": {
        "train": (
            DataFile("train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
            DataFile("train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        ),
        "test": (
            DataFile("t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
            DataFile("t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
        ),
    },
    "fashion-mnist": {
        "train": (
            DataFile("train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
            DataFile("train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        ),
        "test": (
            DataFile("t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
            DataFile("t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
        ),
    },
}  # fmt: skip

DATASETS = (*IDX_FILES, "cifar10", "digits")


def load(name: str, split: str = "train", *, data_dir: PathLike | None = None) -> Images:
    """Load a data set from files, which are checked against their published checksums.

    Parameters
    ----------
    name : {"mnist", "fashion-mnist", "cifar10", "digits"}
        The data set: 28x28x1 with 60,000 + 10,000 images (the first two), 32x32x3 with 50,000 + 10,000, or 28x28x1 with
        1,797 in one split.
    split : {"train", "test"}
        The split.
    data_dir : path, optional
        The folder with the files; by default $MINIGAN_DATA, then the cache folder.

    Returns
    -------
    Images
        Images and labels.  If only some of CIFAR-10's training batches are available, `note` names them.

    Raises
    ------
    ConfigError
        If `name` or `split` is unknown.
    DataError
        If files are missing (the message names each, its checksum and its folder) or damaged.

    """
    if name == "digits":
        return load_digits()
    if name == "cifar10":
        return Images(name, *read_cifar10(split, data_dir))
    if name not in IDX_FILES:
        raise ConfigError(unknown("data", name, DATASETS))
    if split not in IDX_FILES[name]:
        raise ConfigError(unknown("split", split, IDX_FILES[name]))
    images_file, labels_file = read_files(name, IDX_FILES[name][split], data_dir)
    images = parse_idx(*images_file, ndim=3)
    labels = parse_idx(*labels_file, ndim=1)
    if len(images) != len(labels):
        raise DataError(f"{name} {split}: {len(images):,} images but {len(labels):,} labels")
    return Images(name, images[..., None], labels)


def load_digits() -> Images:
    """Return the 1,797 digits of scikit-learn, 8x8 in 17 grey levels, enlarged to 28x28x1 in 256 levels.

    They are the UCI data set "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998).

    Raises
    ------
    DataError
        If scikit-learn is not installed.

    """
    try:
        from sklearn.datasets import load_digits as sklearn_digits
    except ImportError:
        raise DataError("--data digits needs scikit-learn: pip install 'minigan[digits]'") from None
    from scipy.ndimage import zoom

    bunch = sklearn_digits()
    levels = np.clip(zoom(bunch.images, (1, 28 / 8, 28 / 8), order=1), 0, 16)
    images = np.round(levels * (255 / 16)).astype(np.uint8)
    return Images("digits", images[..., None], bunch.target.astype(np.uint8))


def unit_interval(images: NDArray[np.uint8], dtype: str) -> NDArray[np.floating]:
    """Return images as vectors with numbers in [0, 1].

    Parameters
    ----------
    images : array of uint8, shape (N, H, W, C)
        The images x.
    dtype : str
        The dtype of the result.

    Returns
    -------
    array, shape (N, H W C)
        x / 255.

    """
    return (images.reshape(len(images), -1) / 255).astype(dtype)
