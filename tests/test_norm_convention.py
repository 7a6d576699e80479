"""BatchNorm.convention was called momentum_on: files keep that key, and runs from before still load and resume."""

import json

import pytest

import minigan as mg
from minigan.layers import from_config
from minigan.training import Experiment, random_streams, resume, train
from minigan.training.checkpoint import Checkpoints

WRITTEN = {  # as version 0.2 wrote it
    "layer": "BatchNorm", "channels": 4, "eps": 1e-3, "momentum": 0.99, "momentum_on": "old", "unbiased": False,
    "gamma_init": {"initializer": "Constant", "value": 1.0}, "beta_init": {"initializer": "Zeros"},
}  # fmt: skip


def test_a_description_keeps_the_key_of_files():
    assert mg.BatchNorm.keras(4).to_config() == WRITTEN
    assert list(mg.BatchNorm.keras(4).to_config()) == list(WRITTEN)


def test_both_keys_are_read_without_a_warning(recwarn):
    new = {"convention" if key == "momentum_on" else key: value for key, value in WRITTEN.items()}
    assert from_config(WRITTEN) == from_config(new) == mg.BatchNorm.keras(4)
    assert from_config(json.loads(json.dumps([WRITTEN]))) == [mg.BatchNorm.keras(4)]
    assert not recwarn.list
    with pytest.raises(ValueError, match="BatchNorm has 'convention' and 'momentum_on', which are one field"):
        from_config({**WRITTEN, "convention": "old"})


def experiment(iterations):
    streams = random_streams(0)
    G = mg.Network([mg.Dense(2, 4), mg.BatchNorm.keras(4), mg.Dense(4, 1)], rng=streams["weights_G"])
    D = mg.Network([mg.Dense(1, 4), mg.BatchNorm(4), mg.Dense(4, 1)], rng=streams["weights_D"])
    real, noise = (lambda: streams["data"].normal(4, 1, (8, 1)), lambda: streams["noise"].normal(size=(8, 2)))
    gan = mg.GAN(
        G, D, mg.Adam(G), mg.Adam(D), mg.NonSaturating(d_scale=0.5),
        draws={"real": real, "noise": noise}, schedule=mg.alternating,
    )  # fmt: skip
    return Experiment(name="own", game=gan, play=gan.play, iterations=iterations, streams=streams)


def bytes_of(run_of):
    return [player.network.theta.tobytes() for player in run_of.game.players.values()]


def test_a_checkpoint_of_the_version_before_resumes(in_tmp):
    """The identity in a checkpoint is compared with that of the experiment: both have the key of files."""
    train(experiment(2), folder="run", checkpoint_every=1)
    _, tree = Checkpoints(in_tmp / "run").read()
    assert tree["identity"]["networks"]["G"][1] == WRITTEN
    assert "convention" not in json.dumps(tree["identity"])
    assert "convention" not in (in_tmp / "run" / "config.json").read_text()
    resumed, unbroken = experiment(4), experiment(4)
    resume(resumed, "run", iterations=4)
    train(unbroken, folder=None)
    assert bytes_of(resumed) == bytes_of(unbroken)
