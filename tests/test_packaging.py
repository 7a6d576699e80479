"""What an import costs and touches, and which way the arrows between modules point."""

import ast
import json
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


# Each module may import from those before it only.
ORDER = [
    "_version", "_deprecated", "_arguments", "_batch", "_names", "_terms", "_matplotlib", "initializers", "ops",
    "_views", "_checks", "layers",
    "summary", "fusion", "network", "losses", "optimizers", "game", "gan", "data", "metrics", "training", "interop",
    "classifier", "plots", "recipes", "ensembles", "runs", "evaluation", "cli", "__main__",
]  # fmt: skip


def imports(path):
    """The minigan modules that a file imports, at the top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("minigan."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.ImportFrom) and node.module == "minigan":
            yield from (alias.name for alias in node.names if alias.name in ORDER)


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_point_one_way(path):
    part = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if part == "__init__":
        return
    last = "fusion" if path.name == "rules.py" else part  # a backend's rules are loaded when it fuses layers
    allowed = ORDER[: ORDER.index(last) + 1]
    assert [name for name in imports(path) if name not in allowed] == []


def test_no_module_imports_one_that_imports_it():
    """Within functions neither, and not from one package to the other: `minigan verify` hands over to `verify`."""
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
        assert not thing.__doc__.startswith(f"{name}("), name  # what a dataclass writes where there is none


def test_an_archive_of_the_sources_has_all_that_the_tests_need():
    """Every module and package beside the library, the tests and the documents that they read."""
    project = ROOT.parent / "pyproject.toml"
    if not project.is_file():
        pytest.skip("the library is installed without its sources")
    included = set(tomllib.loads(project.read_text())["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])
    modules = {f"/{path.name}" for path in project.parent.glob("*.py")}
    packages = {f"/{path.parent.name}" for path in project.parent.glob("*/__init__.py")}
    assert modules | packages | {"/tests", "/docs", "/Makefile"} <= included
