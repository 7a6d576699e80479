"""Hyper-parameters and data of a recipe from the command line: conversion, errors, notes, `--width`."""

import dataclasses

import numpy as np
import pytest

from minigan import data
from minigan.cli import main
from minigan.recipes import get_recipe
from minigan.training import read_json


def test_settings_are_parsed_by_the_kind_of_their_field():
    recipe = get_recipe("gaussian")
    config = recipe.configure({"lr": "1e-4", "batch_size": "32"})
    assert (config.lr, config.batch_size) == (1e-4, 32)
    assert dataclasses.replace(config, lr=1e-3, batch_size=1000) == recipe.Config()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batchsize": "3"}, "unknown setting of gaussian 'batchsize' .did you mean 'batch_size'"),
        ({"batch_size": "3.5"}, "batch_size='3.5'; expected a whole number"),
        ({"lr": "fast"}, "lr='fast'; expected a number"),
        ({"iterations": "0"}, "iterations must be >= 1, got 0"),
        ({"hidden": "-1"}, "hidden must be >= 1, got -1"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        get_recipe("gaussian").configure(settings)


def test_unknown_recipe():
    with pytest.raises(ValueError, match="unknown recipe 'gausian' .did you mean 'gaussian'"):
        get_recipe("gausian")


@pytest.fixture
def colour(monkeypatch):
    """Six images that image recipes load as a part of CIFAR-10."""
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
    found = data.Images("cifar10", images, np.zeros(6, dtype=np.uint8), "6 of 50,000 images: data_batch_1.bin")
    monkeypatch.setattr("minigan.recipes.images.load", lambda name, split, data_dir=None: found)
    return found


@pytest.mark.parametrize("name", ["mnist-dense", "mnist-maxout", "mnist-dcgan", "mnist-softmax"])
def test_images_of_another_size_are_refused_before_a_folder_is_made(name, colour, in_tmp, capsys):
    assert main(["train", name, "--data", "cifar10"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    want = "data='cifar10' has images (32, 32, 3); expected (28, 28, 1), such as mnist"
    assert err == f"minigan train: {want}\n"
    assert not list(in_tmp.iterdir())


def _messages(capsys):
    """Return the lines of standard error, without the one about kernels that nobody has compiled before."""
    return [line for line in capsys.readouterr().err.splitlines() if "compiling kernels" not in line]


def test_a_part_of_a_data_set_is_said_first_and_kept(colour, in_tmp, capsys):
    """The note appears when a run starts, when it is resumed, and in config.json; complete data sets have no note."""
    note = "cifar10: 6 of 50,000 images: data_batch_1.bin"
    small = ["--data", "cifar10", "--width", "128", "--set", "batch_size=2", "--iterations", "1"]
    assert main(["train", "dcgan64", *small, "--out", "run", "--checkpoint-every", "1"]) == 0
    assert "\n".join(_messages(capsys)).startswith(f"{note}\n1 [D loss")
    assert read_json("run/config.json")["note"] == note
    assert main(["resume", "run", "--iterations", "2"]) == 0
    assert "\n".join(_messages(capsys)).startswith(f"{note}\n2 [D loss")
    assert read_json("run/config.json")["note"] == note
    assert (
        main(
            ["train", "gaussian", "--iterations", "1", "--set", "frames=1", "--out", "other", "--checkpoint-every", "1"]
        )
        == 0
    )
    assert capsys.readouterr().err.startswith("1 [D loss")
    assert "note" not in read_json("other/config.json")


def test_width_is_an_option(colour, in_tmp, capsys):
    for option in (["--width", "64"], ["--set", "width=64"]):
        small = ["--data", "cifar10", "--set", "batch_size=2", "--iterations", "1", "--out", option[0][2:]]
        assert main(["train", "dcgan64", *option, *small]) == 0
    stored, same = (read_json(f"{name}/config.json") for name in ("width", "set"))
    assert stored == same
    assert stored["settings"]["width"] == 64
