"""`minigan table`: its output and exit status, and its worker processes, which are stopped in the middle."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import run
from tables import SMALL, in_turn_fixture, no_figures_fixture, stored, tiny  # noqa: F401  (fixtures)

from minigan.runs import train_recipe
from minigan.tables import PROTOCOLS, Ours, task
from minigan.training import read_json
from minigan.training.checkpoint import Checkpoints


@pytest.fixture
def tiny_table(monkeypatch, in_turn):
    """The protocol `tiny` by its name, made in this process; return the list of the tasks that were run."""
    monkeypatch.setitem(PROTOCOLS, "tiny", tiny())
    return in_turn


@pytest.mark.parametrize("arguments", [[], ["--list"], ["gaussian", "--list"]])
def test_the_list(in_tmp, capsys, arguments):
    status, out, err = run(capsys, "table", *arguments)
    assert (status, err) == (0, "")
    for protocol in PROTOCOLS.values():
        line = next(line for line in out.splitlines() if line.split()[0] == protocol.name)
        assert line.split()[1] == str(protocol.seeds)
        assert all(row.label in line for row in protocol.rows)
    assert not Path("runs").exists()


def test_a_table(tiny_table, capsys):
    status, out, err = run(capsys, "table", "tiny", "--workers", "2")
    data = stored("runs/tables/tiny")
    assert status == 0
    assert out == Path("runs/tables/tiny/table.md").read_text() + "\nruns/tables/tiny/table.md\n"
    values = data["rows"][1]["figures"]["jsd"]["values"]
    assert f"fast, seed 1: completed: mean {data['rows'][1]['figures']['mean']['values']['1']:.6g}" in err
    assert f"jsd {values['1']:.6g}" in err
    status, _, err = run(capsys, "table", "tiny")
    assert (status, err) == (0, "runs/tables/tiny: 4 of 4 runs are finished\n")


def test_options(tiny_table, capsys):
    line = "table tiny --rows fast --seeds 3 --iterations 4 --checkpoint-every 2 --out t"
    assert run(capsys, *line.split())[0] == 0
    assert tiny_table == [("fast", 0), ("fast", 1), ("fast", 2)]
    assert Checkpoints("t/fast/seed-002/001").numbers() == [4, 2]
    assert stored()["command"] == "minigan table tiny --seeds 3 --rows fast --iterations 4"


def test_failures_have_the_status_1(tiny_table, capsys, monkeypatch):
    train = task.train_recipe

    def fail(name, *, seed, **options):
        if seed == 1:
            raise RuntimeError("planted")
        return train(name, seed=seed, **options)

    monkeypatch.setattr(task, "train_recipe", fail)
    status, out, err = run(capsys, "table", "tiny")
    assert status == 1
    assert "ours, seed 1: failed: RuntimeError: planted" in err
    assert "- a larger step, seed 1: failed: RuntimeError: planted" in out
    assert len(stored("runs/tables/tiny")["rows"][0]["figures"]["jsd"]["values"]) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["gausian"], 2, "unknown table 'gausian' (did you mean 'gaussian'?)"),
        (["gaussian", "--rows", "our"], 2, "unknown row of gaussian 'our' (did you mean 'ours'?)"),
        (["gaussian", "--sedes", "3"], 2, "unknown argument '--sedes' (did you mean '--seeds'?)"),
        (["gaussian", "--seeds", "0"], 2, "'0' given; expected a whole number >= 1"),
        (["gaussian", "--iterations", "x"], 2, "'x' given; expected a whole number >= 1"),
        (["gaussian", "--out", "mine"], 1, "mine exists and is not the folder of a table"),
        (["gaussian", "--out", ""], 1, "--out '' given; expected the name of a new folder"),
    ],
)
def test_mistakes_are_one_line(in_tmp, capsys, arguments, status, message):
    Path("mine").mkdir()
    Path("mine/file").write_text("mine")
    found, out, err = run(capsys, "table", *arguments)
    assert (found, out, err.count("\n")) == (status, "", 1)
    assert message in err
    assert not Path("runs").exists()
    assert [p.name for p in Path("mine").iterdir()] == ["file"]


def test_a_changed_protocol_names_the_option(tiny_table, capsys, monkeypatch):
    run(capsys, "table", "tiny", "--seeds", "1")
    monkeypatch.setitem(PROTOCOLS, "tiny", tiny(rows=(Ours("ours", "ours", "gaussian", {**SMALL, "lr": 0.5}),)))
    status, _, err = run(capsys, "table", "tiny")
    assert status == 1
    assert "lr was 0.001, is 0.5; expected a new folder (--out DIR)" in err


# --- in worker processes ----------------------------------------------------------------------------

LONG = {**SMALL, "iterations": 300}
COMMAND = """
import sys
sys.path.insert(0, {tests!r})
from minigan.cli import main
from minigan.tables import PROTOCOLS, Ours, making
from tables import CallWithoutFigures, tiny

making.Call = CallWithoutFigures
PROTOCOLS["long"] = tiny(name="long", rows=(Ours("ours", "ours", "gaussian", {settings!r}),))
sys.exit(main(["table", "long", "--workers", "2", "--checkpoint-every", "10", "--out", "t"]))
"""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """A folder for compiled kernels, so that the processes of all these tests compile them once."""
    return tmp_path_factory.mktemp("kernels")


def start(kernels):
    command = COMMAND.format(tests=str(Path(__file__).parent), settings=LONG)
    return subprocess.Popen(
        [sys.executable, "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "NUMBA_CACHE_DIR": str(kernels)},
    )  # fmt: skip


def when_both_have_checkpoints(process):
    end = time.monotonic() + 120
    while not all(Checkpoints(f"t/ours/seed-00{seed}/001").numbers() > [20] for seed in (0, 1)):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no groups of processes on this system")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (getattr(signal, "SIGKILL", 9), -9)])
def test_a_table_that_is_stopped_in_the_middle_continues(in_tmp, kernels, number, status):
    process = start(kernels)
    when_both_have_checkpoints(process)
    os.killpg(process.pid, number)  # to the workers too, as a terminal sends Ctrl-C
    out, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    assert "Traceback" not in err
    data = stored()
    assert (data["status"], data["rows"][0]["missing"]) == ("interrupted", 2)
    assert ("**Not complete (runs missing: 2)" in out) == (status == 130)

    process = start(kernels)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "t: 0 of 2 runs are finished\n" in err
    row = stored()["rows"][0]
    for seed in (0, 1):
        alone = train_recipe("gaussian", seed=seed, overrides=LONG, folder=False)
        assert row["figures"]["jsd"]["values"][str(seed)] == alone["jsd"]
        assert row["history"][str(seed)][0].startswith("001 was continued from iteration ")
        summary = read_json(f"t/ours/seed-00{seed}/001/summary.json")
        assert 20 <= summary["resumed"][0]["iteration"] < 300
