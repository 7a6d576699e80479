"""`minigan warmup`, and the line with which a run says that it compiles."""

import pytest

from minigan.cli import main
from minigan.ops import compiling
from minigan.runs import Warmup


@pytest.fixture
def warmed(monkeypatch, tmp_path):
    """What the command passes to `warm_up`, which compiles nothing here."""
    calls = []

    def warm_up(names, *, dtype, on_kernel):
        calls.append((names, dtype))
        on_kernel(1, 2, "adam")
        on_kernel(2, 2, "apply")
        return Warmup(2, 1, (tmp_path / "a", tmp_path / "b"), {"dcgan64": "it needs 1 TB"})

    monkeypatch.setattr("minigan.runs.warm_up", warm_up)
    return calls


def test_all_recipes_by_default(warmed, capsys, tmp_path):
    assert main(["warmup"]) == 0
    assert warmed == [([], "float32")]
    out, err = capsys.readouterr()
    first, *folders = out.splitlines()
    assert first.startswith("2 kernels, 1 of them compiled now; ")
    assert folders == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert err == "minigan warmup: dcgan64 is left out: it needs 1 TB\n"


def test_some_recipes_in_float64(warmed):
    assert main(["warmup", "gaussian", "mnist-dense", "--dtype", "float64"]) == 0
    assert warmed == [(["gaussian", "mnist-dense"], "float64")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gausian"], "unknown recipe 'gausian' (did you mean 'gaussian'?)"),
        (["gaussian", "--dtype", "float16"], "unknown dtype 'float16'"),
        (["--dtpe=float32"], "unknown argument '--dtpe' (did you mean '--dtype'?)"),
    ],
)
def test_typos(warmed, capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        main(["warmup", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not warmed


def test_without_numba(monkeypatch, capsys):
    monkeypatch.setattr("minigan.runs.warmup.importlib.util.find_spec", lambda name: None)
    assert main(["warmup"]) == 1
    assert capsys.readouterr() == (
        "",
        "minigan warmup: there are no kernels to compile without numba: pip install numba\n",
    )


def test_a_run_says_once_that_it_compiles(monkeypatch, capsys, tmp_path):
    def train(*_, **__):
        compiling.announce("adam")
        compiling.announce("apply")
        return {"status": "completed", "recipe": "gaussian", "iterations": 1, "seconds": 1.0, "seed": 0, "metrics": {},
                "folder": str(tmp_path)}  # fmt: skip

    monkeypatch.setattr("minigan.runs.train_recipe", train)
    assert main(["train", "gaussian"]) == 0
    assert capsys.readouterr().err == (
        "minigan train: compiling kernels, once for this machine (`minigan warmup` compiles all of them)\n"
    )
    compiling.announce("adam")
    assert capsys.readouterr().err == ""
