"""The page on extending the library is correct: its snippets and commands run, in their order."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
from command import run

from minigan.layers import config
from minigan.recipes import find, get_recipe

PAGE = (Path(__file__).parent.parent / "docs/extending.md").read_text()


@pytest.fixture
def layers(monkeypatch):
    """Forget the layers that a test registers, and those of the page that another test has registered."""
    page = set(re.findall(r"class (\w+)\(.*Layer\)", PAGE))
    monkeypatch.setattr(config, "_LAYERS", {name: kind for name, kind in config._LAYERS.items() if name not in page})


def test_the_page_runs(in_tmp, capsys, monkeypatch, layers):
    monkeypatch.setattr(sys, "path", [str(in_tmp), *sys.path])
    names = {"__name__": "page"}
    commands = 0
    for kind, block in re.findall(r"```(python|sh|toml)\n(.*?)```", PAGE, re.S):
        if kind == "python":
            if "RECIPE = Recipe(" in block:
                Path("circle_gan.py").write_text(block)
            exec(block, names)  # noqa: S102
        elif kind == "sh":
            for line in block.splitlines():
                status, _, err = run(capsys, *line.split()[1:])
                assert status == 0, err
                commands += 1
        else:
            assert tomllib.loads(block)["project"]["entry-points"] == {find.GROUP: {"circle": "circle_gan:RECIPE"}}
    assert commands == 5
    assert names["report"].notes
    assert Path("samples.npy").exists()
    assert get_recipe("circle_gan:RECIPE").name == names["RECIPE"].name == "circle"
    sys.modules.pop("circle_gan", None)


def test_the_report_that_is_shown_has_the_present_form(layers):
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.S)[:3]:
        exec(block, names)  # noqa: S102
    present = [re.sub(r"[\d.]+e-\d+", "#", line) for line in str(names["report"]).splitlines()]
    shown = re.search(r"\n    (gradcheck of .*?)\n\n", PAGE, re.S)[1]
    for line in shown.splitlines():
        text = re.sub(r"[\d.]+e-\d+", "#", line.removeprefix("    "))
        assert text == "  ..." or text in present


def test_the_layer_passes_with_several_seeds(layers):
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.S)[:2]:
        exec(block, names)  # noqa: S102
    from minigan import gradcheck

    for seed in range(5):
        gradcheck(names["Swish"](4), shape=4, seed=seed, tolerance=1e-13, check=True)
