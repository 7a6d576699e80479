"""Read, write and find the classifiers of data sets."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minigan._deprecated import renamed_arguments
from minigan.classifier.network import CLASSIFIERS, Classifier, Config, Log, untrained
from minigan.classifier.training import train_classifier
from minigan.data import Images, cache_folder
from minigan.training import RunError, read_arrays, write_arrays
from minigan.training.files import PathLike

ABOUT = "about"  # the name of the JSON string among the arrays of the file


def write_classifier(path: PathLike, net: Classifier) -> Path:
    """Write parameters, configuration and accuracy to an .npz file, without pickle.

    Parameters
    ----------
    path : path
        The file; an existing one is replaced.
    net : Classifier
        The classifier.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        If the file cannot be written.

    """
    return write_arrays(path, {**dict(_parameters(net)), ABOUT: np.array(json.dumps(net.about()))})


def read_classifier(path: PathLike) -> Classifier:
    """Read a classifier that `write_classifier` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Classifier
        The classifier.

    Raises
    ------
    RunError
        If the file is missing or damaged, or its layers are not those of this version; the message describes the fault.

    """
    arrays = read_arrays(path)
    try:
        about = json.loads(str(arrays.pop(ABOUT)))
        if not isinstance(about, dict) or not isinstance(about.get("config"), dict):
            raise ValueError("its description is not a JSON object with a configuration")
        net = untrained(Config(**about["config"]), np.random.default_rng(0))
        if net.about()["layers"] != about["layers"]:
            raise ValueError("its layers are not those of this version")
        for part in ("body", "head"):
            parameters = {k.removeprefix(f"{part}."): v for k, v in arrays.items() if k.startswith(f"{part}.")}
            getattr(net, part).load_parameters(parameters)
        return replace(net, data=str(about["data"]), accuracy=float(about["accuracy"]), seconds=float(about["seconds"]))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: not a classifier of minigan ({error})") from None


@renamed_arguments(say="log")
def classifier_of(train: Images, test: Images, *, folder: PathLike | None = None, log: Log | None = None) -> Classifier:
    """Read the classifier of a data set from a folder or, if there is none, train it and write it there.

    Parameters
    ----------
    train, test : Images
        The training and the test images of the data set.
    folder : path, optional
        The folder with the files DATA.npz; by default "classifiers" in the cache folder.
    log : callable, optional
        ``log(message)`` is called with the progress of the training.

    Returns
    -------
    Classifier
        The classifier, with its accuracy on the test images.

    Raises
    ------
    RunError
        If the file is damaged or belongs to other data, or the folder cannot be written.

    """
    folder = cache_folder() / "classifiers" if folder is None else Path(folder)
    path = folder / f"{train.name}.npz"
    if path.exists():
        return _read_for(path, train)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # fail before the training, not after it
            pass
    except OSError as error:
        raise RunError(f"{folder}: {error.strerror}; expected a folder for the classifier") from None
    if log is not None:
        log(f"{path} does not exist: training the classifier, once")
    net = train_classifier(train, test, config=CLASSIFIERS[train.name], log=log)
    write_classifier(path, net)
    if log is not None:
        log(f"classifier of {net.data}: {net.accuracy:.2%} of {len(test):,} test images right, written to {path}")
    return net


def stored_classifier(data: str, *, folder: PathLike | None = None) -> Classifier | None:
    """Return the classifier of a data set if a folder has it.

    Parameters
    ----------
    data : str
        The name of the data set.
    folder : path, optional
        The folder with the files DATA.npz, as for `classifier_of`.

    Returns
    -------
    Classifier or None
        The classifier; None if the folder has none of this data set.

    Raises
    ------
    RunError
        If the file is damaged or belongs to other data.

    """
    path = (cache_folder() / "classifiers" if folder is None else Path(folder)) / f"{data}.npz"
    if not path.exists():
        return None
    net = read_classifier(path)
    if net.data != data:
        raise RunError(f"{path}: a classifier of {net.data!r}; expected one of {data}")
    return net


def _read_for(path: Path, train: Images) -> Classifier:
    """Read a classifier; raise RunError if it was trained on another data set."""
    try:
        net = read_classifier(path)
        if net.data != train.name:
            raise RunError(f"{path}: a classifier of {net.data!r}; expected one of {train.name}")
        if net.config.shape != train.images.shape[1:]:
            raise RunError(f"{path}: a classifier of images {net.config.shape}; expected {train.images.shape[1:]}")
    except RunError as error:
        raise RunError(f"{error}; without the file it is trained again") from None
    return net


def _parameters(net: Classifier) -> Iterator[tuple[str, Any]]:
    for part, network in (("body", net.body), ("head", net.head)):
        for name, value in network.parameters().items():
            yield f"{part}.{name}", value
