"""Texts of the command line, and the public names of the package."""

import pytest

import minigan
from minigan.cli import main


def test_version_behind_a_command(capsys):
    with pytest.raises(SystemExit) as left:
        main(["recipes", "--version"])
    assert left.value.code == 2
    assert "--version belongs before the command: minigan --version" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["interop", "ensembles", "split_batch", "Objective", "Parameter"])
def test_names_of_the_package(name):
    assert getattr(minigan, name) is not None
    assert name in dir(minigan)


def test_wording_of_help(capsys):
    texts = {"train": "save a checkpoint every N", "resume": "total iterations", "sweep": "one per core"}
    for command, text in texts.items():
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert text in " ".join(capsys.readouterr().out.split())
