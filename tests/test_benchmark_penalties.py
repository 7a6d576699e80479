"""The benchmark of gradient penalties checks against PyTorch before it times, and its table is on the page."""

import json

import numpy as np
import pytest

import minigan as mg
from benchmarks import __main__ as command
from benchmarks.core import measure
from benchmarks.cpu import penalties


def test_without_pytorch_nothing_is_measured(monkeypatch):
    monkeypatch.setattr(measure, "installed", lambda package: False)
    with pytest.raises(measure.Unavailable, match="torch is not installed"):
        penalties.run(measure.Options(quick=True))


def test_the_check_passes_and_can_fail(monkeypatch):
    pytest.importorskip("torch")
    assert penalties.check(quick=True) <= penalties.TOLERANCE
    of_gradient = mg.R1.of_gradient
    monkeypatch.setattr(mg.R1, "of_gradient", lambda self, D, v: (of_gradient(self, D, v)[0], np.zeros_like(v)))
    with pytest.raises(SystemExit, match=r"dense, R1: 0.weight differs from PyTorch's by .*: not timed"):
        penalties.check(quick=True)


def test_a_quick_run_has_all_updates_on_its_page(tmp_path):
    pytest.importorskip("torch")
    assert command.main(["penalties", "--quick", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "penalties.json").read_text())
    assert len(result["updates"]) == 6
    assert all(row["ratio"]["torch"] > 0 for row in result["updates"].values())
    text = (tmp_path / "benchmarks.md").read_text()
    assert "## Gradient penalties" in text
    assert "| convolutions, WassersteinPenalty |" in text
