"""Everything works without numba, for which some machines have no wheels; it is slower there."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from minigan.ops import compiling
from minigan.recipes import RECIPES

WITHOUT_NUMBA = "sys.modules.update(numba=None, llvmlite=None); "  # as if they were not installed


def python(program, *arguments, cwd):
    """Run a program without numba; return the process."""
    return subprocess.run(
        compiling.python(WITHOUT_NUMBA + program, *arguments),
        cwd=cwd, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


def run(*arguments, cwd):
    """Run a command of the command line without numba."""
    return python("from minigan.cli import main; sys.exit(main())", *arguments, cwd=cwd)


@pytest.mark.parametrize("name", sorted(set(RECIPES) - {"cyclegan-toy"}))
def test_every_recipe_can_be_trained(name, tmp_path):
    program = f"""
import numpy as np
from benchmarks.cases.games import CASES, build, images
from minigan.recipes import RunOptions, get_recipe
if {name!r} in CASES:
    _, _, experiment = build(CASES[{name!r}], small=True, options={{"threads": 2}})
else:  # there is no benchmark of it
    recipe, x = get_recipe({name!r}), images((28, 28, 1))
    data = {{"images": x, "labels": np.arange(len(x)) % 10}} if recipe.to_images else {{}}
    own = RunOptions(**data, options={{"threads": 2}})
    experiment = recipe.build(recipe.configure({{"batch_size": 4}}), own)
for _ in range(2):
    metrics = experiment.game.metrics(experiment.play())
assert all(map(np.isfinite, metrics.values())), metrics
assert not experiment.game.ops.compiled
assert experiment.game.ops.finite(experiment.gan.G.theta)
print("done")
"""
    done = python(program, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_a_game_of_four_players(tmp_path):
    done = run("train", "cyclegan-toy", "--iterations", "2", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert run("sample", "run", cwd=tmp_path).returncode == 0


def test_the_command_line_trains_resumes_and_samples(tmp_path):
    done = run("train", "gaussian", "--iterations", "4", "--checkpoint-every", "2", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "compiling" not in done.stderr
    assert '"compiled": false' in (tmp_path / "run" / "config.json").read_text()
    assert run("resume", "run", "--iterations", "6", cwd=tmp_path).returncode == 0
    assert run("sample", "run", cwd=tmp_path).returncode == 0


def test_what_needs_numba_says_so(tmp_path):
    done = run("warmup", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "minigan warmup: there are no kernels to compile without numba: pip install numba\n"
    done = python("from minigan.ops import get_ops; get_ops('cpu', compiled=True)", cwd=tmp_path)
    assert done.stderr.endswith("ValueError: compiled=True needs numba, which is not installed: pip install numba\n")


def test_every_installation_has_numba_where_there_are_wheels():
    """The dependency has a marker, because pip would try to build numba elsewhere; the extra `fast` still exists."""
    path = Path(__file__).parents[1] / "pyproject.toml"
    if not path.is_file():
        pytest.skip("the library is installed without its sources")
    requirements = pytest.importorskip("packaging.requirements")
    project = tomllib.loads(path.read_text())["project"]
    (numba,) = (one for one in map(requirements.Requirement, project["dependencies"]) if one.name == "numba")
    machines = {
        ("linux", "x86_64", "3.11"): True, ("linux", "aarch64", "3.14"): True, ("darwin", "arm64", "3.12"): True,
        ("win32", "AMD64", "3.11"): True, ("win32", "ARM64", "3.12"): True, ("win32", "ARM64", "3.11"): False,
        ("darwin", "x86_64", "3.12"): False, ("linux", "riscv64", "3.13"): False, ("linux", "x86_64", "3.15"): False,
    }  # fmt: skip
    names = "sys_platform", "platform_machine", "python_version"
    cpython = {"implementation_name": "cpython"}
    found = {one: numba.marker.evaluate(dict(zip(names, one, strict=True)) | cpython) for one in machines}
    assert found == machines
    assert project["optional-dependencies"]["fast"] == []


def test_these_programs_run_without_numba(tmp_path):
    done = python("import importlib.util; print(importlib.util.find_spec('numba')); import numba", cwd=tmp_path)
    assert done.stdout == "None\n"
    assert "ModuleNotFoundError" in done.stderr
    assert sys.executable in compiling.python("")
