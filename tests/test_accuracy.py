"""The measurement of rounding errors gives the right size and detects a planted error."""

import pytest

from benchmarks.cpu import accuracy
from minigan.ops.geometry import Geometry

GEOMETRY = Geometry((12, 12), (12, 12), (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))


def test_errors_grow_with_the_number_of_points():
    found = accuracy.errors(GEOMETRY, 32, 24, 2)
    assert list(found) == ["direct", "F(2,3)", "F(3,3)", "F(4,3)"]
    for name in accuracy.PASSES:
        rms = [found[way][name]["rms"] for way in found]
        assert 5e-8 < rms[0] < 5e-7
        assert rms[1] < 1e-6 < rms[3] < 1e-5
        assert rms[1] < rms[2] < rms[3]


def test_the_layers_are_those_of_the_recipes():
    found = [(name, C, O) for recipe in accuracy.RECIPES for name, _, C, O in accuracy.layers(recipe)]
    assert ("G: 28x28x128 to 28x28x64", 64, 128) in found  # a transposed convolution: C and O of the correlation in it
    assert ("D: 8x8x512 to 4x4x1024", 512, 1024) in found
    assert all(min(C, O) > 16 for _, C, O in found)


def test_the_check_can_fail(monkeypatch):
    assert accuracy.check() <= 1e-13
    correlate = accuracy.reference.correlate
    monkeypatch.setattr(accuracy.reference, "correlate", lambda *args: correlate(*args) * (1 + 1e-9))
    with pytest.raises(SystemExit, match="nothing to compare float32 with"):
        accuracy.check()


def test_the_section_marks_what_the_cost_model_chooses():
    result = {
        "images": 2,
        "check": {"greatest_difference": 1e-15},
        "layers": [
            {
                "recipe": "r", "layer": "G: a", "kernel": "3x3 s1", "r": 3, "balanced": "F(2,3)", "fast": "F(4,3)",
                "errors": {
                    way: {name: {"rms": 3e-7} for name in accuracy.PASSES} for way in ("direct", "F(2,3)", "F(4,3)")
                },
            }
        ],
    }  # fmt: skip
    row = accuracy.section(result).splitlines()[-1]
    cell = "3.0 / 3.0 / 3.0"
    assert row == f"| `r` G: a | 3x3 s1 | {cell} | *{cell}* |  | **{cell}** |"
