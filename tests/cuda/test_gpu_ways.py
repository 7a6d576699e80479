"""The comparison of a correlation's algorithms, on the emulated device with a fake clock."""

import re

import pytest
from emulated import EMULATOR_ONLY, NEEDS_HOST_COMPILER

from benchmarks.gpu import algorithms
from benchmarks.gpu import bench as tools
from minigan.ops import BackendUnavailable

pytestmark = [NEEDS_HOST_COMPILER, EMULATOR_ONLY]


class FakeClock:
    """Runs each job once; the k-th job takes k ms."""

    def __init__(self):
        self.jobs = 0

    def device(self, job, *, repeats):
        job()
        self.jobs += 1
        return [1e-3 * self.jobs] * repeats


def made(*, quick, seconds):
    return tools.Bench("emulated", FakeClock(), quick, seconds)


def test_each_algorithm_of_each_layer_is_checked_and_timed(capsys):
    assert algorithms.main(["--quick"], made) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 2 + 3 * 2 * 3  # precisions, layers, kinds
    assert lines[2].startswith("| fp32 | 2, 64, 3, 4 | correlate | 1 | 2 | 3 | ")


def test_choices_slower_than_the_best_are_reported():
    bench = made(quick=True, seconds=10)
    rows = algorithms.run(bench)
    for row in rows:
        medians = {tile: row["times"][tile]["median"] for tile in (0, 64, 128)}
        assert row["best"] == 0 == min(medians, key=medians.get)
        assert row["slower"] == pytest.approx(medians[row["plan"]] / medians[0], rel=1e-3)
    assert bench.clock.jobs == 3 * len(rows)


def test_a_wrong_algorithm_is_not_timed(monkeypatch):
    monkeypatch.setitem(algorithms.TOLERANCES, "bf16", 1e-9)
    bench = made(quick=True, seconds=10)
    assert {row["precision"] for row in algorithms.run(bench)} == {"fp32", "tf32"}
    assert len(bench.failed) == 2 * 3  # layers, kinds
    for why in bench.failed.values():
        assert re.search("in bf16 has a relative error of .*Not timed", why)


def test_finished_rows_survive_the_time_limit():
    assert algorithms.run(made(quick=False, seconds=0)) == []


def test_without_a_gpu_nothing_is_measured(capsys):
    def none(**_):
        raise BackendUnavailable("no driver")

    assert algorithms.main([], none) == 2
    assert "nothing was measured: no driver" in "".join(capsys.readouterr())
