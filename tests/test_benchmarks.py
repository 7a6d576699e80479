"""Benchmarks check before they time, and their table is the one in the docs."""

import json

import numpy as np
import pytest

from benchmarks import gaussian, measure, table


def test_the_page_is_generated_from_the_results():
    assert table.PAGE.read_text() == table.page(), "run python -m benchmarks.table"


def test_every_result_names_machine_versions_and_check():
    results = sorted(measure.RESULTS.glob("*.json"))
    assert results
    for path in results:
        result = json.loads(path.read_text())
        assert {"cpu", "cores", "memory_gib", "system", "python", "versions", "blas"} <= set(result["machine"])
        assert "check" in result


def test_spread():
    assert measure.spread([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0, "all": [3.0, 1.0, 2.0]}


@pytest.mark.torch
def test_the_check_passes_and_can_fail(monkeypatch):
    pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")
    assert gaussian.check(3) <= 1e-12
    theta = gaussian.Torch.theta
    monkeypatch.setattr(gaussian.Torch, "theta", lambda self: theta(self) * (1 + np.float64(1e-6)))
    with pytest.raises(SystemExit, match="nothing to time"):
        gaussian.check(3)
