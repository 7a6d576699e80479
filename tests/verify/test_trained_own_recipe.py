"""`verify trained` certifies runs of own recipes that state the density of their data."""

from dataclasses import replace

import pytest

from minigan._names import ConfigError
from minigan.layers import Dense, LeakyReLU
from minigan.recipes import Architecture, get_recipe
from minigan.runs import train_recipe
from minigan.training import RunError
from verify.cli import main
from verify.trained import certify_run

GAUSSIAN = get_recipe("gaussian")


def architecture(config):
    D = [Dense(1, config.hidden), LeakyReLU(0.25), Dense(config.hidden, 1)]
    return Architecture(G=[Dense(1, 1)], D=D, noise_shape=(1,), data_shape=(1,))


RECIPE = replace(GAUSSIAN, name="leaky", architecture=architecture, ensembles={})
UNSTATED = replace(RECIPE, normal_data=None)
SMALL = {"iterations": 3, "batch_size": 16, "hidden": 2, "mu": 3.0, "frames": 1}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaky") / "run"
    train_recipe("test_trained_own_recipe:RECIPE", overrides=SMALL, dtype="float64", out=folder)
    return folder


def test_its_density_is_used(run):
    found = certify_run(run, digits=10, recipe=RECIPE)
    assert (found.p.mu, found.p.sigma) == (3, 2)
    assert found.certificate.passed
    assert found.suboptimality > 0


def test_the_command(run, capsys):
    arguments = ["trained", str(run), "--digits", "10"]
    assert main([*arguments, "--recipe", "test_trained_own_recipe:RECIPE"]) == 0
    assert "p_data" in capsys.readouterr().out
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert "a run of 'leaky'; expected a run of 'gaussian'" in err
    assert "--recipe MODULE:OBJECT" in err
    with pytest.raises(SystemExit):
        main([*arguments, "--recipe", "test_trained_own_recipe:RECIP"])
    assert "has no 'RECIP' (did you mean 'RECIPE'?)" in capsys.readouterr().err


def test_refused(run):
    with pytest.raises(RunError, match="a run of 'leaky'; expected a run of 'gaussian', or of a registered recipe"):
        certify_run(run)
    with pytest.raises(RunError, match="a run of 'leaky'; expected a run of 'gaussian', or of a registered recipe"):
        certify_run(run, recipe=UNSTATED)
    with pytest.raises(ConfigError, match="a run of 'leaky', but recipe=gaussian is named 'gaussian'"):
        certify_run(run, recipe="gaussian")
