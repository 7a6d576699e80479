"""The examples of docs/layers.md run, and its table has the layers that it should."""

import re
from pathlib import Path

import minigan as mg

PAGE = (Path(__file__).parent.parent / "docs/layers.md").read_text()


def test_the_code_runs():
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.S):
        exec(block, names)  # noqa: S102
    assert names["s"].shape == (8, 1)
    assert names["x"].shape == (12, 2)
    assert "0.body.0.u" in names["D"].state


def test_the_table_names_layers_and_their_arguments():
    table = re.findall(r"^\| (.*?) \|", PAGE, re.M)[1:]  # without the head
    calls = re.findall(r"`(\w+)\(", " ".join(table))
    assert len(calls) == 10
    assert all(issubclass(getattr(mg, name), mg.Layer) for name in calls)
