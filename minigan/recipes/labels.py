"""The labels of a conditional recipe's samples, and how many of them a classifier reads."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan._names import ConfigError
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.training.files import RunError

SAMPLES_PER_BLOCK = 256  # of a forward pass: convolutions at full size need megabytes per sample


def sample_labels(name: str, classes: int, n: int, label: int | None = None) -> NDArray[np.int64] | None:
    """Return the labels of n samples: `label`, or without it the classes in turn, so that sample i has i mod K.

    Parameters
    ----------
    name : str
        The recipe's name, for errors.
    classes : int
        K, the number of classes that the generator reads; 0 for an unconditional one.
    n : int
        The number of samples.
    label : int, optional
        The class of all samples.

    Returns
    -------
    array of int64, shape (n,), or None
        The labels; None for an unconditional generator.

    Raises
    ------
    ConfigError
        If `label` is given for an unconditional generator, or is not an int in 0 ... K - 1.

    Examples
    --------
    >>> sample_labels("mnist-conditional", 10, 12).tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    >>> sample_labels("mnist-conditional", 10, 3, label=7).tolist()
    [7, 7, 7]

    """
    if label is None:
        return np.arange(n) % classes if classes else None
    if not classes:
        raise ConfigError(f"label={label!r}: the generator of {name} reads no labels; expected a conditional recipe")
    if isinstance(label, bool) or not isinstance(label, (int, np.integer)) or not 0 <= label < classes:
        raise ConfigError(f"label must be an int in 0 ... {classes - 1} (the classes of {name}), got {label!r}")
    return np.full(n, label)


def generate(G: Network, z: Array, labels: NDArray[Any] | None) -> Array:
    """Return G(z) or, with labels, G(z, k) at inference, in blocks that limit the memory.    z (n, ...)   k (n,)"""
    blocks = [slice(start, start + SAMPLES_PER_BLOCK) for start in range(0, len(z), SAMPLES_PER_BLOCK)]
    return np.concatenate([G(z[block] if labels is None else (z[block], labels[block])) for block in blocks])


def label_accuracy(
    G: Network, z: Array, to_images: Callable[[Array], NDArray[Any]], *, classes: int, data: str
) -> dict[str, Any]:
    """Return the share of samples of G in which the evaluation classifier reads the class that G was given.

    Parameters
    ----------
    G : Network
        The conditional generator.
    z : array, shape (n, ...)
        The noise; the classes are those of `sample_labels`, in turn.
    to_images : callable
        ``to_images(G(z, k))`` returns images (n, H, W, C) in [0, 1].
    classes : int
        The number of classes.
    data : str
        The data set of the classifier, which is read from the cache folder (`minigan evaluate` trains it).

    Returns
    -------
    dict
        "label_accuracy", in [0, 1], and "label_samples", n; empty if the folder has no classifier of the data set.

    """
    from minigan.classifier import stored_classifier

    try:
        net = stored_classifier(data)
    except RunError as error:
        warnings.warn(f"label_accuracy is left out: {error}", RuntimeWarning, stacklevel=2)
        return {}
    if net is None or len(z) == 0:
        return {}
    labels = np.arange(len(z)) % classes
    accuracy = net.accuracy_on(to_images(generate(G, z, labels)), labels)
    return {"label_accuracy": accuracy, "label_samples": len(z)}
