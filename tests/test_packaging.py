"""What an import loads, and in which direction modules import each other."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from imports import circles, graph

import minigan

ROOT = Path(minigan.__file__).parent
HEAVY = (
    "cupy",
    "keras",
    "matplotlib",
    "numba",
    "PIL",
    "safetensors",
    "scipy",
    "sklearn",
    "threadpoolctl",
    "torch",
    "tqdm",
)


def fresh(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("module", ["minigan", "minigan.interop"])
def test_import_loads_nothing_heavy(module):
    loaded = json.loads(fresh(f"import {module}, sys, json; print(json.dumps(sorted(sys.modules)))"))
    assert not [name for name in loaded if name.split(".")[0] in HEAVY]


@pytest.mark.parametrize(
    "code",
    [
        "minigan.data.Gaussian(4, 2)",
        "minigan.training.train",
        "minigan.recipes.RECIPES",
        "minigan.evaluation.evaluate",
        "minigan.classifier.read_classifier",
    ],
)
def test_subpackages_are_loaded_when_they_are_used(code):
    fresh(f"import minigan; {code}")


def test_subpackages_are_listed_and_other_names_are_errors():
    assert {"classifier", "data", "evaluation", "metrics", "plots", "recipes", "runs", "training", "Network"} <= set(
        dir(minigan)
    )
    assert minigan.plots.save.__module__ == "minigan.plots.write"
    with pytest.raises(AttributeError, match="module 'minigan' has no attribute 'datas'"):
        minigan.datas  # noqa: B018


# --- which module imports which -------------------------------------------------------------------

PROJECT = ROOT.parent
# Each package or module may import those before it.  A backend comes after the layers, because it has rules for them;
# layers know backends only through `ops.protocol`.
ORDER = {
    "minigan": [
        "_version", "_cached", "_deprecated", "_arguments", "_batch", "_files", "_names", "_terms", "_matplotlib",
        "initializers", "ops.errors", "ops.geometry", "ops.protocol", "ops.registry", "ops.base", "ops.objects",
        "ops.reference", "ops.compiling", "ops.norm_act", "_views", "_checks", "_labels", "layers", "fusion",
        "summary", "ops.cpu", "ops.cuda", "ops", "network", "cross_entropy", "losses", "optimizers",
        "gradient_check", "game", "gan", "data", "metrics", "diagnosis", "training", "interop", "classifier", "plots",
        "recipes", "ensembles", "runs", "evaluation", "tables", "cli", "__main__", "",
    ],
    "verify": [
        "arithmetic", "densities", "analysis", "models", "engine", "library", "report", "trained", "claims",
        "engine.runner", "engine.replay", "cli", "__main__", "",
    ],
    "benchmarks": [
        "core.ynnpack", "core.instructions", "core.measure", "core.worker", "cases", "other_libraries", "core", "cpu",
        "gpu", "report", "gpu.__main__", "__main__", "",
    ],
}  # fmt: skip


def rank(package, name):
    """The index in ORDER of the longest entry that is the module or contains it."""
    own = name.removeprefix(package).removeprefix(".")
    parts = own.split(".") if own else []
    for length in range(len(parts), -1, -1):
        prefix = ".".join(parts[:length])
        if prefix in ORDER[package] and (prefix or not own):
            return ORDER[package].index(prefix)
    raise AssertionError(f"{name} is not in ORDER")


@pytest.mark.parametrize("package", ORDER)
def test_no_modules_import_each_other(package):
    """Neither indirectly nor inside functions."""
    assert circles(graph(PROJECT / package)) == []


@pytest.mark.parametrize("package", ORDER)
def test_imports_go_one_way(package):
    wrong = [
        f"{name} imports {other}"
        for name, others in graph(PROJECT / package).items()
        for other in others
        if rank(package, other) > rank(package, name)
    ]
    assert sorted(wrong) == []


def test_minigan_imports_neither_verify_nor_benchmarks():
    found = {
        (package, name)
        for package, others in (("minigan", ("verify", "benchmarks")), ("verify", ("benchmarks",)))
        for other in others
        for path in sorted((PROJECT / package).rglob("*.py"))
        for name in re.findall(rf"^\s*(?:from|import) ({other}[\w.]*)", path.read_text(), flags=re.MULTILINE)
    }
    assert found == set()


def test_the_graph_sees_lazy_imports(tmp_path):
    """It sees imports inside functions, import_module with a name or an f-string, and imports for type checkers."""
    (tmp_path / "p").mkdir()
    text = {
        "__init__": "", "a": "def f():\n    from p import b", "b": "import importlib\nimportlib.import_module('p.c')",
        "c": "import importlib\nx = 'a'\nimportlib.import_module(f'p.{x}')",
        "d": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p import a",
    }  # fmt: skip
    for name, source in text.items():
        (tmp_path / "p" / f"{name}.py").write_text(source)
    edges = graph(tmp_path / "p")
    assert edges["p.a"] == {"p.b"}
    assert edges["p.c"] == {"p.a", "p.b", "p.d"}
    assert edges["p.d"] == {"p.a"}
    assert circles(edges) == [["p.a", "p.b", "p.c", "p.d"]]


def test_no_module_imports_one_that_imports_it():
    """This includes imports between packages: `minigan verify` calls `verify`."""
    packages = [ROOT, *(folder for name in ("verify", "benchmarks") if (folder := ROOT.parent / name).is_dir())]
    edges = graph(*packages)
    assert "verify.cli" in edges["minigan.cli"]
    edges["minigan"] -= {"minigan.cli", "minigan.__main__"} - {f"minigan.{name}" for name in minigan._LAZY}
    assert circles(edges) == []
    edges["minigan.cli.support"].add("minigan.cli.commands")
    assert circles(edges) == [["minigan.cli.commands", "minigan.cli.support"]]


def test_no_pickle_anywhere():
    for path in ROOT.rglob("*.py"):
        tree = ast.parse(path.read_text())
        names = [a.name for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names]
        assert "pickle" not in names
        for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
            for keyword in call.keywords:
                if keyword.arg == "allow_pickle":
                    assert ast.literal_eval(keyword.value) is False


def test_public_names_exist_and_have_docstrings():
    for name in minigan.__all__:
        thing = getattr(minigan, name)
        assert thing.__doc__, name
        assert not thing.__doc__.startswith(f"{name}("), name  # the text that a dataclass generates


def test_an_archive_of_the_sources_has_all_that_the_tests_need():
    """All modules and packages beside the library, the tests, and the documents that they read."""
    project = ROOT.parent / "pyproject.toml"
    if not project.is_file():
        pytest.skip("the library is installed without its sources")
    included = set(tomllib.loads(project.read_text())["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])
    modules = {f"/{path.name}" for path in project.parent.glob("*.py")}
    packages = {f"/{path.parent.name}" for path in project.parent.glob("*/__init__.py")}
    assert modules | packages | {"/tests", "/docs", "/Makefile"} <= included
