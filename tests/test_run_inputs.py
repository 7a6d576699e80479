"""Invalid settings, files and paths give one clear line before anything is computed."""

import json

import numpy as np
import pytest
from command import run

from minigan._names import ConfigError
from minigan.recipes import RECIPES, RunOptions, get_recipe, memory
from minigan.runs import train_recipe
from minigan.training import RunError
from minigan.training.checkpoint import Checkpoints, read_checkpoint, write_checkpoint
from minigan.training.files import atomic_write

HUGE = 10**9
LEAKS = ("Traceback", "subscriptable", "indices must be", "has no attribute", "unsupported operand", "not supported")


@pytest.fixture
def sixteen(monkeypatch):
    """A machine with 16 GiB on which neither parameters nor batches are drawn, because they would take gigabytes."""
    monkeypatch.setattr(memory, "machine_bytes", lambda: 16 * 2**30)
    monkeypatch.setattr("minigan.recipes.base.Network", lambda *_, **__: pytest.fail("a network was built"))


class TestMemory:
    @pytest.mark.parametrize(
        ("command", "setting"),
        [("train", "batch_size"), ("train", "hidden"), ("sweep", "batch_size"), ("summary", "hidden")],
    )
    def test_settings(self, in_tmp, capsys, sixteen, command, setting):
        status, out, err = run(capsys, command, "gaussian", "--set", f"{setting}={HUGE}")
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert f"{setting}={HUGE}" in err
        assert "GiB" in err
        assert "16.0 GiB" in err
        assert not (in_tmp / "runs").exists()

    @pytest.mark.parametrize("name", RECIPES)
    def test_every_recipe(self, name, sixteen):
        recipe = get_recipe(name)
        for setting in {"batch_size", "latent", "hidden"} & set(vars(recipe.Config())):
            with pytest.raises(ConfigError, match=rf"^{setting}=1000000000: needs about [0-9,.]+ GiB"):
                recipe.build(recipe.configure({setting: HUGE}))

    @pytest.mark.parametrize("command", ["sample", "resume"])
    def test_a_configuration_that_was_edited(self, in_tmp, capsys, monkeypatch, command):
        assert run(capsys, "train", "gaussian", "--iterations", "1", "--out", "run", "--checkpoint-every", "1")[0] == 0
        config = json.loads((in_tmp / "run/config.json").read_text())
        config["settings"]["hidden"] = HUGE
        (in_tmp / "run/config.json").write_text(json.dumps(config))
        monkeypatch.setattr(memory, "machine_bytes", lambda: 8 * 2**30)
        status, out, err = run(capsys, command, "run")
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert "config.json" in err
        assert f"hidden={HUGE}: needs about" in err

    def test_how_many_samples(self, in_tmp, capsys, monkeypatch):
        assert run(capsys, "train", "gaussian", "--iterations", "1", "--out", "run")[0] == 0
        monkeypatch.setattr(memory, "machine_bytes", lambda: 2**30)
        status, out, err = run(capsys, "sample", "run", "--n", str(HUGE))
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert f"n={HUGE}: needs about" in err

    def test_the_largest_of_several_is_named(self, monkeypatch):
        monkeypatch.setattr(memory, "machine_bytes", lambda: 2**30)
        recipe = get_recipe("gaussian")
        with pytest.raises(ConfigError, match=r"^hidden=10000000: needs"):
            recipe.build(recipe.configure({"hidden": 10**7, "batch_size": 1001}))

    def test_what_fits_is_built(self, monkeypatch):
        recipe = get_recipe("gaussian")
        config = recipe.configure({"hidden": 50})
        needs = memory.training_bytes(recipe, config, np.dtype("float32"))
        monkeypatch.setattr(memory, "machine_bytes", lambda: needs)
        recipe.build(config)
        monkeypatch.setattr(memory, "machine_bytes", lambda: needs - 1)
        with pytest.raises(ConfigError, match="hidden=50"):
            recipe.build(config)

    def test_the_sum_by_hand(self):
        """D 1-3-1 and G 1-1 in float64 with Adam: 5 vectors of 12 numbers; the batch size is 7."""
        recipe = get_recipe("gaussian")
        config = recipe.configure({"hidden": 3, "batch_size": 7})
        vectors = 5 * (2 + 10)
        batch = 7 * (1 + 1 + 3)  # the inputs of G's layer and of D's two
        assert memory.training_bytes(recipe, config, np.dtype("float64")) == 8 * (vectors + batch)

    def test_a_machine_that_does_not_say(self, monkeypatch):
        def none(*_):
            raise ValueError("unrecognized configuration name")

        monkeypatch.setattr("os.sysconf", none, raising=False)
        monkeypatch.setattr(memory, "LIMIT_FILES", ())
        assert memory.machine_bytes() is None
        recipe = get_recipe("gaussian")
        recipe.build(recipe.configure({"hidden": 50}), RunOptions())

    def test_a_limit_of_the_container(self, tmp_path, monkeypatch):
        limit = tmp_path / "memory.max"
        monkeypatch.setattr(memory, "LIMIT_FILES", (limit,))
        whole = memory.machine_bytes()
        for text, expected in (("1048576\n", 2**20), ("max\n", whole), (f"{2**63}\n", whole)):
            limit.write_text(text)
            assert memory.machine_bytes() == expected


class TestFiles:
    def test_a_completed_run_without_checkpoints(self, in_tmp, capsys):
        assert run(capsys, "train", "gaussian", "--iterations", "1", "--out", "run")[0] == 0
        message = "run: completed after 1 iterations, without checkpoints to continue from; start a new run with "
        assert run(capsys, "resume", "run") == (1, "", f"minigan resume: {message}--checkpoint-every N\n")

    @pytest.mark.parametrize("value", [None, "six", [], {}, True])
    @pytest.mark.parametrize(("file", "key"), [("config", "iterations"), ("summary", "status"), ("config", "versions")])
    def test_values_of_another_type(self, in_tmp, capsys, file, key, value):
        if (key, type(value)) in (("status", str), ("versions", dict)):
            return
        train_recipe("gaussian", overrides={"iterations": 1, "frames": 1}, out="run", checkpoint_every=1)
        path = in_tmp / f"run/{file}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
        status, out, err = run(capsys, "resume", "run")
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert f"{key!r} is of type {type(value).__name__}; expected" in err

    @pytest.mark.parametrize("change", [{"iteration": "one"}, {"identity": None}, {"G": None}, {"streams": []}])
    def test_a_checkpoint_with_values_of_another_type(self, in_tmp, capsys, change):
        train_recipe("gaussian", overrides={"iterations": 2, "frames": 1}, out="run", checkpoint_every=1)
        path, tree = Checkpoints("run").read()
        write_checkpoint(path, {**tree, **change})
        status, out, err = run(capsys, "resume", "run", "--iterations", "3")
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert str(path) in err
        assert not [leaked for leaked in LEAKS if leaked in err]

    @pytest.mark.parametrize("tree", [[1], "text", {"a": {"__array__": 7}}])
    def test_a_checkpoint_that_holds_no_tree(self, tmp_path, tree):
        write_checkpoint(tmp_path / "a.checkpoint", tree)
        with pytest.raises(RunError, match="not a checkpoint: its content"):
            read_checkpoint(tmp_path / "a.checkpoint")

    def test_a_full_disk_names_the_file(self, tmp_path):
        def full(_stream):
            raise OSError(28, "No space left on device")

        with pytest.raises(OSError, match=r"No space left on device: '.*generator.npz'"):
            atomic_write(tmp_path / "generator.npz", full)
        assert [*tmp_path.iterdir()] == []

    def test_a_file_of_a_run_in_place_of_its_folder(self, in_tmp, capsys):
        (in_tmp / "run").mkdir()
        (in_tmp / "run/config.json").write_text("{}")
        message = "run/config.json: a file; expected its run folder, run"
        assert run(capsys, "sample", "run/config.json") == (1, "", f"minigan sample: {message}\n")

    def test_an_empty_name(self, in_tmp, capsys):
        status, out, err = run(capsys, "train", "gaussian", "--out", "")
        assert (status, out) == (1, "")
        assert err == "minigan train: --out '' given; expected the name of a new or an empty folder\n"
