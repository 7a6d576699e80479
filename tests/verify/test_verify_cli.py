"""The command line, in a new process where that matters."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("flint", reason="python-flint is not installed: pip install 'minigan[verify]'")

from verify import REGISTRY, Enclosure, load_claims
from verify.cli import main
from verify.engine.registry import Source

SOME = "T1.identity.*exponential*"


@pytest.fixture
def false_claim():
    """Register a false claim for the duration of a test."""
    load_claims()
    fields = {"latex": "x", "source": Source("p"), "rigor": "exact-rational", "idea": "i"}
    wrong = {"wrong": lambda proof: proof.holds("w", False)}
    REGISTRY.claim("X1.false", "1 = 2", controls=wrong, **fields)(lambda proof: proof.holds("1 = 2", False))
    yield "X1.false"
    del REGISTRY._claims["X1.false"]


def test_run_writes_what_it_prints(tmp_path, capsys):
    json_file, html_file = tmp_path / "c.json", tmp_path / "c.html"
    assert main(["run", "--only", SOME, "--workers", "1", "--json", str(json_file), "--html", str(html_file)]) == 0
    out = capsys.readouterr().out
    assert "2 claims (2 ball): 2 proved, 0 refuted, 0 undecided; 6 of 6 wrong statements refuted" in out
    assert str(json_file) in out
    data = json.loads(json_file.read_text())
    assert data["passed"] is True
    assert [one["id"] for one in data["certificates"]] == [
        f"T1.identity.exponential-{n}" for n in ("exponential", "normal")
    ]
    one = data["certificates"][0]
    fields = "id statement latex assumptions source rigor verdict enclosures digits radius tolerance tail_bound lemmas"
    assert {*fields.split(), "negative_controls", "seed", "versions", "seconds"} <= set(one)
    assert 0 < Enclosure.from_json(one["tail_bound"]).arb() < 1e-30
    assert one["verdict"] == "proved"
    assert {control["verdict"] for control in one["negative_controls"]} == {"refuted"}
    stored = next(iter(one["enclosures"].values()))
    assert all(isinstance(n, int) for pair in stored.values() for n in pair)
    assert float(Enclosure.from_json(stored).arb()) < 0
    page = html_file.read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "http://" not in page
    assert "https://" not in page
    assert "T1.identity.exponential-normal" in page
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.html", "c.json"]


def test_a_false_claim_fails_the_run_and_is_explained(capsys, false_claim):
    assert main(["run", "--only", false_claim, "--workers", "1"]) == 1
    out = capsys.readouterr().out
    assert "FAILED" in out
    assert "X1.false: 1 = 2 holds: refuted" in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["run", "--only", "T1.identty.normal-normal"], "did you mean 'T1.identity.normal-normal'?"),
        (["run", "--only", "Q*"], "expected an id that `verify list` shows, or a pattern such as"),
        (["explain", "T1.strict.pair"], "did you mean 'T1.strict.pairs'?"),
        (["list", "Z9*"], "unknown claim 'Z9*'"),
        (["run", "--only", SOME, "--json", "/no/such/folder/x.json"], "expected a file in a folder that exists"),
        (["run", "--only", SOME, "--html", "/"], "expected a file in a folder that exists"),
        (["run", "--only", SOME, "--json", "x" * 300], "name too long; expected a file that can be written"),
        (["run", "--only", SOME, "--json", "a", "--html", "./a"], "--json a, --html a; expected different files"),
    ],
)
def test_wrong_usage_is_explained(argv, message, capsys):
    assert main(argv) == 2
    found = capsys.readouterr()
    assert message in found.err
    assert not found.out  # no claim was checked first


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused_first(tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert main(["run", "--only", SOME, "--json", str(tmp_path / "x.json")]) == 2
    found = capsys.readouterr()
    assert "Permission denied; expected a file that can be written" in found.err
    assert not found.out


def test_files_that_exist_are_replaced_at_the_end(tmp_path):
    files = {name: tmp_path / f"c.{name}" for name in ("json", "html", "markdown")}
    for file in files.values():
        file.write_text("old")
    options = [text for name, file in files.items() for text in (f"--{name}", str(file))]
    assert main(["run", "--only", "T1.identity.u*", "--workers", "1", *options]) == 0
    assert all("T1.identity.uniform-uniform" in file.read_text() for file in files.values())
    assert len(list(tmp_path.iterdir())) == 3


def test_an_interrupted_run(tmp_path, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("verify.cli.run", interrupt)
    assert main(["run", "--only", SOME, "--json", str(tmp_path / "c.json")]) == 130
    assert capsys.readouterr().err == "python -m verify run: interrupted; nothing was written\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["rnu"], "did you mean 'run'?"),
        (["run", "--profile", "ful"], "unknown profile 'ful' (did you mean 'full'?); expected quick, full, deep"),
        (["run", "--workers", "0"], "expected a whole number >= 1"),
        (["run", "--jsn", "x"], "did you mean '--json'?"),
        ([], "COMMAND"),
    ],
)
def test_wrong_options_are_explained(argv, message, capsys):
    with pytest.raises(SystemExit) as left:
        main(argv)
    assert left.value.code == 2
    assert message in capsys.readouterr().err


def test_list_and_explain(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert "T1.identity.normal-normal" in out
    assert f"{len(load_claims())} claims:" in out
    assert main(["explain", "T1.identity.normal-normal"]) == 0
    out = capsys.readouterr().out
    for part in (
        "C(G) = -log 4 + 2 JSD(p, q)",
        "Goodfellow et al. 2014",
        "log 2 in place of log 4",
        "proof.zero",
    ):
        assert part in out
    assert "\\mathrm" not in out


def test_explain_says_nothing_twice(capsys):
    assert main(["explain", "Dirac.r1.linear"]) == 0
    out = capsys.readouterr().out
    for part in ("the simultaneous step contracts", "Jury's criterion: |det| < 1", "gamma > h/2", "def r1_linear"):
        assert out.count(part) == 1
    assert "@claim" not in out


def test_every_claim_can_be_explained(capsys):
    for claim in load_claims():
        assert main(["explain", claim.id]) == 0
        assert claim.statement in capsys.readouterr().out


def test_as_a_module_with_two_processes(tmp_path):
    command = [sys.executable, "-W", "error", "-m", "verify", "run", "--only", "T1.identity.u*", "--workers", "2"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=dict(os.environ), check=False)
    assert found.returncode == 0, found.stderr
    assert "1 proved" in found.stdout


def test_an_interrupted_file_is_not_written(tmp_path, monkeypatch):
    target = tmp_path / "c.json"
    target.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    assert main(["run", "--only", "T1.identity.u*", "--workers", "1", "--json", str(target)]) == 2
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["c.json"]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to see the workers")
def test_ctrl_c_while_the_workers_start():
    """The whole process group gets the signal, as from a terminal: one line is printed, and no worker remains."""
    command = [sys.executable, "-m", "verify", "run", "--workers", "2"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None and len(children.read_text().split()) < 3:  # the resource tracker and two workers
        time.sleep(0.01)
    time.sleep(0.3)  # they import
    started = [Path(f"/proc/{child}/cmdline") for child in children.read_text().split()]
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert err == "python -m verify run: interrupted; nothing was written\n"
    assert process.returncode == 130
    left = [one.read_bytes() for one in started if one.exists()]  # empty: it ended, and nobody has asked how
    assert not any(b"spawn_main" in one for one in left)
