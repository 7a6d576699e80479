"""Recipes from outside the package: named as module:object, and registered by entry points."""

import json
import sys
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import own_gan
import pytest
from command import run

from minigan import recipes, runs
from minigan._names import ConfigError
from minigan.recipes import Architecture, PlayerLayers, Players, Recipe, RunOptions, find, get_recipe
from minigan.training import RunError, read_arrays, read_json

NAME = "own_gan:RECIPE"
LEAKS = ("Traceback", "object has no attribute", "subscriptable")


@pytest.fixture
def entries(monkeypatch):
    """Register entry points, given as name -> value, in place of those of installed packages."""
    known = {}
    monkeypatch.setattr(
        find, "entry_points", lambda group: [EntryPoint(n, v, group) for n, v in known.items() if group == find.GROUP]
    )
    return known


def trained(*more, folder="run"):
    runs.train_recipe(NAME, out=folder, checkpoint_every=2, overrides={"iterations": 4, **dict(more)})


def fails(capsys, *arguments, status=2):
    """The one line that a command prints when it fails."""
    got, out, err = run(capsys, *arguments)
    assert (got, out, err.count("\n")) == (status, "", 1), err
    assert not any(leak in err for leak in LEAKS), err
    return err


# --- by module:object -----------------------------------------------------------------------------


def test_every_command(in_tmp, capsys):
    status, out, _ = run(capsys, "train", NAME, "--iterations", "4", "--checkpoint-every", "2")
    assert status == 0
    assert out.startswith("circle: completed after 4 iterations")
    folder = str(Path("runs/circle/001"))
    stored = read_json(Path(folder) / "config.json")
    assert (stored["recipe"], stored["recipe_object"]) == ("circle", NAME)
    status, out, _ = run(capsys, "sample", folder, "--recipe", NAME, "--n", "7")
    assert (status, out) == (0, "runs/circle/001/samples-001.npy\n")
    assert np.load("runs/circle/001/samples-001.npy").shape == (7, 2)
    assert run(capsys, "resume", folder, "--recipe", NAME, "--iterations", "6")[0] == 0
    status, out, _ = run(capsys, "summary", NAME, "--set", "hidden=8")
    assert status == 0
    assert "circle: points on a circle" in out
    assert "total 33" in out
    assert run(capsys, "warmup", NAME)[0] in (0, 1)  # 1 without numba


def test_a_sweep(in_tmp):
    swept = runs.sweep(NAME, seeds=2, workers=2, folder=True)
    assert (swept.recipe, swept.status, swept.failures) == ("circle", "completed", [])
    assert swept.path == Path("runs/circle-sweep/001/sweep.json")


def test_a_resumed_run_has_the_same_bits(in_tmp):
    runs.train_recipe(NAME, out="whole", overrides={"iterations": 6})
    trained()
    runs.resume_run("run", iterations=6, recipe=NAME)
    for file in ("generator.npz", "discriminator.npz"):
        for name, array in read_arrays(f"whole/{file}").items():
            np.testing.assert_array_equal(read_arrays(f"run/{file}")[name], array)


def test_a_module_that_moved_still_resumes(in_tmp, monkeypatch):
    """The place of the module is no part of what identifies a run."""
    trained()
    (in_tmp / "moved_gan.py").write_text("from own_gan import RECIPE\n")
    monkeypatch.syspath_prepend(in_tmp)
    assert runs.resume_run("run", iterations=5, recipe="moved_gan:RECIPE")["iterations"] == 5


def test_a_recipe_object_takes_the_place_of_its_name(in_tmp):
    runs.train_recipe(own_gan.RECIPE, out="run")
    assert runs.sample("run", n=3, recipe=own_gan.RECIPE).shape == (3, 2)
    assert runs.load_generator("run", recipe=own_gan.RECIPE)[1] is own_gan.RECIPE
    with pytest.raises(RunError, match="unknown recipe 'circle'"):
        runs.sample("run")


def test_the_current_folder_is_importable_as_with_python_m(in_tmp, capsys, monkeypatch):
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(in_tmp))])
    (in_tmp / "here_gan.py").write_text("from own_gan import RECIPE\n")
    assert run(capsys, "summary", "here_gan:RECIPE")[0] == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_gam:RECIPE", "no module named 'own_gam' (did you mean 'own_gan'?) in the current folder or installed"),
        ("own_gan.sub:RECIPE", "no module named 'own_gan.sub'"),
        ("own_gan:RECIP", "module own_gan has no 'RECIP' (did you mean 'RECIPE'?); its recipes: RECIPE"),
        ("own_gan:prior", "own_gan:prior is of type function; expected a minigan.recipes.Recipe"),
        ("own_gan:Config", "own_gan:Config is Config; expected a minigan.recipes.Recipe"),
        ("own_gan:", "'own_gan:' given; expected MODULE:OBJECT, such as my_gan:RECIPE"),
        ("own-gan:RECIPE", "expected MODULE:OBJECT"),
        ("a:b:c", "expected MODULE:OBJECT"),
        ("own_gan.py:RECIPE", "names a file; expected its module in the current folder, own_gan:RECIPE"),
        ("some/own_gan.py:RECIPE", "expected its module in the current folder, own_gan:RECIPE"),
        ("os:system", "os:system is of type builtin_function_or_method"),
        ("gausian", "unknown recipe 'gausian' (did you mean 'gaussian'?)"),
    ],
)
def test_typos(in_tmp, capsys, name, message):
    assert message in fails(capsys, "train", name)
    assert not (in_tmp / "runs").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "importing broken_gan failed: ZeroDivisionError: division by zero ("),
        ("import nonexistent_package", "importing broken_gan failed: ModuleNotFoundError: No module named 'nonexis"),
        ("def f(:", "importing broken_gan failed: SyntaxError: invalid syntax (broken_gan.py, line 1)"),
        ("import sys; sys.exit(3)", "importing broken_gan failed: SystemExit: 3"),
        ("from own_gan import *\nRECIPE = Recipe('a b', '', '', Config, architecture, prior, assemble)",
         "ValueError: a recipe is named 'a b'; expected letters"),
    ],
)  # fmt: skip
def test_a_module_that_cannot_be_imported(in_tmp, capsys, monkeypatch, source, message):
    (in_tmp / "broken_gan.py").write_text(source)
    monkeypatch.syspath_prepend(in_tmp)
    err = fails(capsys, "train", "broken_gan:RECIPE")
    assert message in err
    if "division" in message:
        assert "broken_gan.py, line 1)" in err
    sys.modules.pop("broken_gan", None)


def test_ctrl_c_during_an_import_is_no_error_of_the_module(in_tmp, monkeypatch):
    (in_tmp / "slow_gan.py").write_text("raise KeyboardInterrupt")
    monkeypatch.syspath_prepend(in_tmp)
    with pytest.raises(KeyboardInterrupt):
        get_recipe("slow_gan:RECIPE")


def test_a_name_of_the_library_is_refused(monkeypatch):
    monkeypatch.setattr(own_gan, "RECIPE", replace(own_gan.RECIPE, name="gaussian"))
    with pytest.raises(ConfigError, match="own_gan:RECIPE is named 'gaussian', as a recipe of minigan is"):
        get_recipe(NAME)
    assert get_recipe("minigan.recipes.gaussian:RECIPE") is recipes.RECIPES["gaussian"]


# --- nothing is imported that only a run folder names ----------------------------------------------


@pytest.mark.parametrize("command", ["sample", "resume", "evaluate"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"recipe": "evil_gan:RECIPE"},
        {"recipe_object": "evil_gan:RECIPE"},
        {"recipe": "os:system", "recipe_object": "os:system"},
        {"recipe": "gaussian", "recipe_object": "evil_gan:RECIPE"},
        {"recipe": "../evil_gan", "recipe_object": ["evil_gan:RECIPE"]},
        {"recipe": 3},
    ],
)
def test_a_foreign_run_imports_nothing(in_tmp, capsys, monkeypatch, command, changes):
    (in_tmp / "evil_gan.py").write_text("open('executed', 'w').close()\nfrom own_gan import RECIPE\n")
    monkeypatch.syspath_prepend(in_tmp)
    trained()
    stored = read_json("run/config.json")
    Path("run/config.json").write_text(json.dumps({**stored, **changes}))
    err = fails(capsys, command, "run", status=1)
    assert "config.json" in err
    if not changes:
        assert "a run of 'circle', a recipe of a module, which is imported only if you name it" in err
        assert f"expected --recipe {NAME}" in err
    assert "evil_gan" not in sys.modules
    assert not Path("executed").exists()


def test_the_recipe_must_be_that_of_the_run(in_tmp, capsys):
    trained()
    err = fails(capsys, "sample", "run", "--recipe", "gaussian")
    assert "config.json: a run of 'circle', but --recipe gaussian is named 'gaussian'" in err
    err = fails(capsys, "sample", "run", "--recipe", "own_gan:RECIP")
    assert "argument --recipe: module own_gan has no 'RECIP'" in err


# --- by entry points ------------------------------------------------------------------------------


def test_a_registered_recipe_is_known_by_its_name(in_tmp, capsys, entries):
    entries["circle"] = NAME
    assert run(capsys, "train", "circle", "--out", "run")[0] == 0
    assert "recipe_object" not in read_json("run/config.json")
    assert run(capsys, "sample", "run")[0] == 0
    assert "circle" in run(capsys, "recipes")[1]


def test_a_run_of_a_module_that_is_registered_too(in_tmp, capsys, entries):
    trained()
    entries["circle"] = NAME
    assert run(capsys, "sample", "run")[0] == 0
    entries["circle"] = "other_gan:RECIPE"
    assert "own_gan:RECIPE is named 'circle', as a recipe of other_gan:RECIPE is" in fails(capsys, "train", NAME)


def test_plug_ins_are_loaded_only_if_they_are_needed(in_tmp, capsys, entries):
    entries["broken"] = "nowhere_at_all:RECIPE"
    assert run(capsys, "summary", "gaussian")[0] == 0
    assert get_recipe("gaussian").name == "gaussian"
    err = fails(capsys, "train", "brokn")
    assert "unknown recipe 'brokn' (did you mean 'broken'?)" in err
    assert "nowhere_at_all" not in err


def test_a_broken_plug_in_is_one_line(in_tmp, capsys, entries):
    (in_tmp / "faulty_gan.py").write_text(
        "from dataclasses import replace\nfrom own_gan import RECIPE as R\n"
        "FAULTY = replace(R, name='faulty', architecture=lambda c: None)\n"
        "RAISES = replace(R, name='raises', architecture=lambda c: 1 / 0)\n"
    )
    sys.path.insert(0, str(in_tmp))
    try:
        entries |= {
            "broken": "nowhere_at_all:RECIPE", "circle": NAME, "gaussian": NAME, "round": NAME,
            "faulty": "faulty_gan:FAULTY", "raises": "faulty_gan:RAISES",
        }  # fmt: skip
        status, out, err = run(capsys, "recipes")
    finally:
        sys.path.remove(str(in_tmp))
    assert status == 0
    assert [line.split()[0] for line in out.partition("\n\n")[0].splitlines()[1:]] == [*recipes.RECIPES, "circle"]
    lines = err.splitlines()
    assert len(lines) == 5
    for line, message in zip(lines, (
        "recipe 'broken' of an installed package: no module named 'nowhere_at_all'",
        "faulty: architecture(config) returned None; expected an object of class Architecture or Players",
        "recipe 'gaussian' of own_gan:RECIPE is ignored: minigan has a recipe of that name",
        "recipe 'raises': ZeroDivisionError: division by zero",
        "recipe 'round' of an installed package: own_gan:RECIPE is named 'circle'; expected the entry point's name",
    ), strict=True):  # fmt: skip
        assert message in line
    assert "no module named 'nowhere_at_all'" in fails(capsys, "train", "broken")


def test_the_group_of_installed_packages_is_read(tmp_path, monkeypatch):
    """With a distribution's real metadata, as pip writes it."""
    info = tmp_path / "circles-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: circles\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[minigan.recipes]\ncircle = {NAME}\nlost = nowhere_at_all:RECIPE\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert get_recipe("circle").reference == "circle"
    with pytest.raises(ConfigError, match=r"recipe 'lost' of circles 1.5: no module named 'nowhere_at_all'"):
        get_recipe("lost")


# --- the checks of a recipe -----------------------------------------------------------------------


@dataclass
class Thawed:
    iterations: int = 3


@dataclass(frozen=True)
class Required:
    iterations: int


@dataclass(frozen=True)
class Lists:
    sizes: tuple = (1, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "a recipe is named ''"),
        ({"name": "a/b"}, "a recipe is named 'a/b'; expected letters, digits"),
        ({"name": "a:b"}, "a recipe is named 'a:b'"),
        ({"name": ".."}, "a recipe is named '..'"),
        ({"name": 3}, "a recipe is named 3"),
        ({"about": None}, "recipe 'circle': about must be a string, got None"),
        ({"source": 1}, "source must be a string"),
        ({"architecture": None}, "architecture must be callable, got None"),
        ({"assemble": "f"}, "assemble must be callable, got 'f'"),
        ({"prior": 5}, "prior must be callable or None, got 5"),
        ({"normal_data": (0, 1)}, "normal_data must be callable or None, got (0, 1)"),
        ({"to_images": 5}, "to_images must be callable or None, got 5"),
        ({"makes_images": None}, "makes_images must be callable"),
        ({"optimizer_vectors": 2.0}, "optimizer_vectors must be an int >= 0, got 2.0"),
        ({"optimizer_vectors": True}, "optimizer_vectors must be an int >= 0"),
        ({"optimizer_vectors": -1}, "optimizer_vectors must be an int >= 0, got -1"),
        ({"streams": "labels"}, "streams must be a sequence of names, got 'labels'"),
        ({"stored_defaults": [1]}, "stored_defaults must be a mapping"),
        ({"ensembles": ()}, "ensembles must be a mapping"),
        ({"Config": dict}, "Config must be a frozen dataclass, the class itself"),
        ({"Config": own_gan.Config()}, "Config must be a frozen dataclass, the class itself"),
        ({"Config": Thawed}, "Thawed is not frozen; expected @dataclass(frozen=True)"),
        ({"Config": Required}, "Required.iterations has no default value"),
        ({"Config": Lists}, "Lists.sizes is (1, 2); expected one of bool, int, float, str"),
    ],
)
def test_fields_are_checked(changes, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        replace(own_gan.RECIPE, **changes)
    assert message in str(caught.value)


def with_layers(**changes):
    return lambda config: replace(own_gan.architecture(config), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": lambda config: None}, "architecture(config) returned None; expected an object of class Arch"),
        ({"architecture": with_layers(G=[])}, "circle: player G: layers"),
        ({"architecture": with_layers(D=[3])}, "circle: player D: layers[0]"),
        ({"architecture": with_layers(noise_shape=(3,))}, "circle: player G: layer 0 (Dense)"),
        ({"architecture": with_layers(data_shape="x")}, "circle: player D: input_shape"),
        ({"prior": None}, "circle: prior is None; expected a function, as the architecture has a generator G"),
        ({"prior": lambda config, n, rng: rng.random((n, 3))},
         "circle: prior(config, 2, rng) returned an array of shape (2, 3); expected one of shape (2, 2)"),
        ({"prior": lambda config, n, rng: None}, "circle: prior(config, 2, rng) returned None"),
        ({"assemble": lambda *_: None}, "circle: assemble(...) returned None; expected an object of class Experiment"),
    ],
)  # fmt: skip
def test_what_its_functions_return_is_checked(changes, message):
    with pytest.raises(ConfigError) as caught:
        replace(own_gan.RECIPE, **changes).build()
    assert message in str(caught.value)


def test_an_experiment_has_the_recipes_name():
    assert own_gan.RECIPE.build().name == "circle"


def test_players_other_than_a_generator_need_no_prior():
    def architecture(config):
        return Players({"a": PlayerLayers(own_gan.architecture(config).G, (2,))})

    recipe = replace(own_gan.RECIPE, architecture=architecture, prior=None)
    assert list(recipe.players(recipe.Config())) == ["a"]
    assert len(recipe.networks(recipe.Config(), RunOptions())) == 1


def test_a_recipe_without_a_batch_size():
    @dataclass(frozen=True)
    class Config:
        hidden: int = 3

    recipe = Recipe("small", "", "", Config, own_gan.architecture, own_gan.prior, lambda *_: own_gan.RECIPE.build())
    assert recipe.build().name == "small"
    assert isinstance(recipe.architecture(Config()), Architecture)
