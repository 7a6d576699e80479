"""Tables: what they contain, and what a second call does."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tables import COLUMNS, SMALL, After, files, in_turn_fixture, make, no_figures_fixture, stored, tiny  # noqa: F401

import minigan
from minigan import runs
from minigan._names import ConfigError
from minigan.data import DataError
from minigan.tables import Column, Control, Ours, make_table, making, measures, task
from minigan.training import RunError, workers
from minigan.training.checkpoint import Checkpoints
from minigan.training.locks import locked

ALL = [("ours", 0), ("fast", 0), ("ours", 1), ("fast", 1)]


@pytest.mark.usefixtures("in_turn")
class TestContent:
    def test_every_figure_is_that_of_the_runs(self):
        table = make()
        data = stored()
        assert (table.status, table.failures, data["status"], data["deviations"]) == ("completed", 0, "completed", [])
        for row in data["rows"]:
            overrides = {**SMALL, **({"lr": 0.01} if row["label"] == "fast" else {})}
            alone = [runs.train_recipe("gaussian", seed=s, overrides=overrides, folder=False) for s in (0, 1)]
            jsd = row["figures"]["jsd"]
            assert jsd["values"] == {str(s): one["jsd"] for s, one in enumerate(alone)}
            values = [one["jsd"] for one in alone]
            assert jsd["mean"] == pytest.approx(np.mean(values))
            assert jsd["standard deviation"] == pytest.approx(np.std(values, ddof=1))
            assert jsd["standard error"] == pytest.approx(np.std(values, ddof=1) / np.sqrt(2))
            assert (row["runs"], row["missing"], row["failures"]) == (2, 0, [])
        assert data["controls"] == [{"title": "the data", "figures": {"mean": 4}}]
        assert data["settings"]["fast"]["lr"] == 0.01
        assert data["versions"]["minigan"] == minigan.__version__
        assert data["cpu_seconds"] > 0

    def test_the_page_shows_ours_first_then_controls_then_published_rows(self):
        text = str(make(seeds=2))
        figures = stored()["rows"][0]["figures"]["accuracy"]
        rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
        assert rows == ["", "-" * len("**a larger step**"), "**ours**", "**a larger step**", "the data", "exact"]
        assert f"{100 * figures['mean']:.1f} ± {100 * figures['standard error']:.1f}" in text
        assert "±" not in text.splitlines()[-1]
        assert "    minigan table tiny\n" in text
        assert "`gaussian` with iterations=6, batch_size=20" in text
        assert "not the protocol" not in text

    def test_one_seed_has_no_spread(self):
        text = str(make(seeds=1))
        ours = next(line for line in text.splitlines() if "**ours**" in line)
        assert "±" not in ours
        assert "**This is not the protocol: 1 seed in place of 2.**" in text

    def test_a_quick_try_says_that_it_is_not_the_protocol_and_has_its_own_folder(self):
        table = make_table(tiny(), iterations=2, rows=["ours"])
        assert str(table.path) == "runs/tables/tiny-2-iterations/table.md"
        assert "**This is not the protocol: 2 iterations in place of 6 (ours).**" in str(table)
        assert table.data["command"] == "minigan table tiny --rows ours --iterations 2"
        assert table.data["not_trained"] == ["a larger step"]
        assert not Path("runs/tables/tiny").exists()

    def test_a_number_that_a_run_lacks_is_its_failure(self):
        table = make(tiny(columns=(*COLUMNS, Column("modes", "modes", "summary.modes"))), rows=["ours"])
        assert table.failures == 2
        assert "RunError: the run has no summary.modes" in str(table)
        assert table.data["rows"][0]["figures"] == {}

    def test_a_control_of_one_row(self):
        control = Control("b of the larger step", {"mean": "summary.generator.b"}, label="fast")
        data = make(tiny(controls=(control,))).data
        first = json.loads(Path("t/fast/seed-000/001/summary.json").read_text())
        assert data["controls"][0]["figures"] == {"mean": first["generator"]["b"]}


class TestASecondCall:
    def test_finished_runs_are_not_repeated(self, in_turn):
        make()
        assert in_turn == ALL
        before, told = files(), []
        again = make(log=told.append)
        assert in_turn == ALL
        assert told == ["t: 4 of 4 runs are finished"]
        assert (files(), again.status) == (before, "completed")

    def test_more_seeds_and_other_rows_extend_it(self, in_turn):
        make(rows=["fast"], seeds=1)
        data = make(rows=["ours"], seeds=2).data
        assert in_turn == [("fast", 0), ("ours", 0), ("ours", 1)]
        assert [(row["label"], row["runs"], row["missing"]) for row in data["rows"]] == [
            ("ours", 2, 0), ("fast", 1, 1)
        ]  # fmt: skip
        assert data["status"] == "completed"
        assert make().status == "completed"
        assert in_turn[3:] == [("fast", 1)]

    @pytest.mark.parametrize("questions", [0, 1, 4])
    def test_an_interrupted_run_continues_where_it_was(self, in_turn, monkeypatch, questions):
        whole = make(out="whole").data["rows"][0]["figures"]
        monkeypatch.setattr(workers, "_stop", After(questions))
        table = make(rows=["ours"], seeds=1, checkpoint_every=2)
        assert (table.status, stored()["rows"][0]["missing"]) == ("interrupted", 1)
        assert "**Not complete (runs missing: 1). The same command continues.**" in str(table)
        monkeypatch.setattr(workers, "_stop", After(100))
        row = make(rows=["ours"], seeds=1).data["rows"][0]
        assert row["history"] == {"0": [f"001 was continued from iteration {questions + 1}"]}
        assert row["figures"]["jsd"]["values"]["0"] == whole["jsd"]["values"]["0"]
        assert not Path("t/ours/seed-000/002").exists()

    def test_an_interruption_before_the_measurement_repeats_no_training(self, in_turn, monkeypatch):
        monkeypatch.setattr(workers, "_stop", After(6))
        assert make(rows=["ours"], seeds=1).status == "interrupted"
        monkeypatch.setattr(workers, "_stop", After(0))  # a training would stop at once
        assert make(rows=["ours"], seeds=1).status == "interrupted"
        monkeypatch.setattr(workers, "_stop", After(1))
        monkeypatch.setattr(task, "train_recipe", None)
        data = make(rows=["ours"], seeds=1).data
        assert data["rows"][0]["history"] == {"0": ["001 was finished"]}

    @pytest.mark.parametrize(("kept", "history"), [
        ([4], "001 was continued from iteration 4"),
        ([4, 6], "001 was continued from iteration 4"),  # killed between the last checkpoint and the summary
        ([6], "001 was started again: it had no checkpoint"),
        ([], "001 was started again: it had no checkpoint"),
    ])  # fmt: skip
    def test_a_killed_run(self, in_turn, kept, history):
        """The files that are left by a process that was killed."""
        options = {"rows": ["ours"], "seeds": 1, "checkpoint_every": 2}
        whole = make(**options).data["rows"][0]["figures"]
        folder = Path("t/ours/seed-000")
        (folder / "result.json").unlink()
        for name in ("summary.json", "generator.npz"):
            (folder / "001" / name).unlink()
        checkpoints = Checkpoints(folder / "001")
        for number in checkpoints.numbers():
            if number not in kept:
                checkpoints.path(number).unlink()
        before = {path: data for path, data in files().items() if not kept or kept == [6]}
        row = make(**options).data["rows"][0]
        assert row["history"] == {"0": [history]}
        assert row["figures"] == whole
        assert (folder / "002").exists() == ("again" in history)
        assert {path: files()[path] for path in before} == before  # nothing of the first attempt is changed

    def test_a_damaged_checkpoint_starts_the_run_again(self, in_turn):
        make(rows=["ours"], seeds=1, checkpoint_every=2)
        (folder := Path("t/ours/seed-000/001")).joinpath("summary.json").unlink()
        (folder.parent / "result.json").unlink()
        path = Checkpoints(folder).path(4)
        path.write_bytes(path.read_bytes()[:-5])
        row = make(rows=["ours"], seeds=1).data["rows"][0]
        assert row["history"]["0"][0].startswith("001 was started again: t/ours/seed-000/001/checkpoints/000004")
        assert "truncated" in row["history"]["0"][0]
        assert row["folders"]["0"] == "t/ours/seed-000/002"

    def test_a_run_that_another_process_still_trains_is_left_alone(self, in_turn):
        make(rows=["ours"], seeds=1, checkpoint_every=2)
        (Path("t/ours/seed-000/001/summary.json")).unlink()
        Path("t/ours/seed-000/result.json").unlink()
        before = files()
        with Checkpoints("t/ours/seed-000/001").locked():
            table = make(rows=["ours"], seeds=1)
        assert "another process is training this run" in table.data["rows"][0]["failures"][0]["error"]
        assert files() == before

    def test_a_failed_seed_is_told_and_tried_again(self, in_turn, monkeypatch):
        ended, train = [], task.train_recipe

        def fail(name, *, seed, **options):
            if seed == 0:
                raise OSError(28, "No space left on device")
            return train(name, seed=seed, **options)

        monkeypatch.setattr(task, "train_recipe", fail)
        table = make(on_run_end=ended.append)
        assert [(one["label"], one["seed"], one["status"]) for one in ended] == [
            ("ours", 0, "failed"), ("fast", 0, "failed"), ("ours", 1, "completed"), ("fast", 1, "completed")
        ]  # fmt: skip
        assert (table.failures, table.status) == (2, "completed")
        assert "- ours, seed 0: failed: OSError: [Errno 28] No space left on device" in str(table)
        assert "| 1 (1 failed) |" in " ".join(str(table).split())
        assert stored()["rows"][0]["figures"]["jsd"]["values"].keys() == {"1"}
        monkeypatch.setattr(task, "train_recipe", train)
        assert make().failures == 0
        assert in_turn[4:] == ALL[:2]

    def test_a_diverged_run_is_not_repeated(self, in_turn):
        table = make(tiny(rows=(Ours("ours", "ours", "gaussian", {**SMALL, "iterations": 50, "lr": 1e30}),)))
        assert table.failures == 2
        assert "seed 1: diverged: diverged: " in str(table)
        make(tiny(rows=(Ours("ours", "ours", "gaussian", {**SMALL, "iterations": 50, "lr": 1e30}),)))
        assert len(in_turn) == 2


class TestWhatHasChanged:
    def test_hyper_parameters(self, in_turn):
        make()
        before = files()
        other = tiny(rows=(Ours("ours", "ours", "gaussian", {**SMALL, "lr": 0.5}),))
        message = r"t/table.json: the protocol has changed since: row ours: lr was 0.001, is 0.5; expected a new folder"
        with pytest.raises(RunError, match=message):
            make(other)
        with pytest.raises(RunError, match="iterations was 6, is 3"):
            make(iterations=3)
        with pytest.raises(RunError, match="row ours: recipe was 'gaussian', is 'mnist-dense'"):
            make(tiny(rows=(Ours("ours", "ours", "mnist-dense"),)))
        assert (files(), len(in_turn)) == (before, 4)

    def test_a_hyper_parameter_that_is_new_has_its_default(self, in_turn):
        make()
        for path in (Path("t/table.json"), *Path("t").glob("*/*/result.json")):
            data = json.loads(path.read_text())
            for settings in data["settings"].values() if "table" in data else (data["settings"],):
                del settings["ema"]
            path.write_text(json.dumps(data))
        make()
        assert len(in_turn) == 4

    def test_the_columns_are_measured_again_without_training(self, in_turn, monkeypatch):
        make()
        monkeypatch.setattr(task, "train_recipe", None)
        told = []
        table = make(tiny(columns=(*COLUMNS, Column("b", "b", "summary.generator.b"))), log=told.append)
        assert told[1] == "the protocol's figures have changed since: 4 finished runs are measured again"
        assert table.data["rows"][0]["figures"]["b"]["values"].keys() == {"0", "1"}

    def test_versions(self, in_turn):
        make(seeds=1)
        for path in (Path("t/ours/seed-000/result.json"), Path("t/table.json")):
            text = path.read_text()
            path.write_text(text.replace(f'"minigan": "{minigan.__version__}"', '"minigan": "0.0.9"'))
            assert text != path.read_text()
        told = []
        table = make(log=told.append)
        assert told[1].startswith("the last command here had minigan 0.0.9, numpy")
        assert f"this is minigan {minigan.__version__}" in told[1]
        assert "- 1 run with minigan 0.0.9, numpy" in str(table)
        assert f"- 3 runs with minigan {minigan.__version__}, numpy" in str(table)

    def test_results_of_other_hyper_parameters_are_not_used(self, in_turn):
        make(out="other", protocol=tiny(rows=(Ours("ours", "ours", "gaussian", {**SMALL, "lr": 0.5}),)))
        make(rows=["fast"])
        shutil.copytree("other/ours", "t/ours")
        with pytest.raises(RunError, match=r"ours/seed-000/result.json: of a run with other .*lr was 0.5, is 0.001"):
            make()
        for path in Path("t/ours").glob("*/result.json"):
            path.unlink()
        table = make()
        assert "config.json: of a run with other hyper-parameters" in table.data["rows"][0]["failures"][0]["error"]


@pytest.mark.usefixtures("in_turn")
class TestTheFolder:
    def test_another_folder_is_refused(self):
        Path("t").mkdir()
        Path("t/mine.txt").write_text("mine")
        with pytest.raises(RunError, match="t exists and is not the folder of a table; expected a new or an empty"):
            make()
        with pytest.raises(RunError, match="t/mine.txt exists and is not the folder of a table"):
            make(out="t/mine.txt")
        assert [p.name for p in Path("t").iterdir()] == ["mine.txt"]
        with pytest.raises(RunError, match="out='' given"):
            make(out="")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("{", "table.json"),
            ("[]", "not a table of minigan"),
            ('{"settings": 3}', "not a table of minigan"),
            ('{"table": "ring8", "settings": {}}', "a table of 'ring8'; expected one of 'tiny'"),
        ],
    )
    def test_a_damaged_table(self, content, message):
        Path("t").mkdir()
        Path("t/table.json").write_text(content)
        with pytest.raises(RunError, match=message):
            make()
        assert Path("t/table.json").read_text() == content

    @pytest.mark.parametrize("content", ["[]", "{}", '{"settings": {}}'])
    def test_a_damaged_result(self, content):
        make(seeds=1)
        Path("t/ours/seed-000/result.json").write_text(content)
        with pytest.raises(RunError, match=r"seed-000/result.json: not the result of a run"):
            make(seeds=1)

    def test_two_processes(self):
        make(seeds=1)
        with locked(Path("t"), "unused"), pytest.raises(RunError, match="t: another process is making this table"):
            make()

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"seeds": 0}, ValueError, "seeds must be an int >= 1, got 0"),
            ({"workers": 1.5}, ValueError, "workers must be an int >= 1, got 1.5"),
            ({"iterations": True}, ValueError, "iterations must be an int >= 1, got True"),
            ({"checkpoint_every": -1}, ValueError, "checkpoint_every must be an int >= 1, got -1"),
            ({"rows": ["our"]}, ConfigError, "unknown row of tiny 'our' .did you mean 'ours'"),
            ({"protocol": "gausian"}, ConfigError, "unknown table 'gausian' .did you mean 'gaussian'"),
        ],
    )
    def test_arguments_are_checked_before_anything_is_written(self, options, error, message):
        with pytest.raises(error, match=message):
            make(**options)
        assert not Path("t").exists()

    def test_missing_data_is_told_once(self, monkeypatch):
        monkeypatch.delenv("MINIGAN_DATA", raising=False)
        with pytest.raises(DataError, match="train-images-idx3-ubyte.gz"):
            make(tiny(rows=(Ours("ours", "ours", "mnist-dense"),)), data_dir="nowhere")
        assert not Path("t").exists()


class TestMeasures:
    def test_the_evaluation_is_that_of_the_run(self, in_turn, monkeypatch):
        asked, written = [], []

        class Found:
            def as_dict(self):
                return {"rows": [{"precision": 0.9}, {"precision": 0.5}], "parzen": {}, "n": 10}

        monkeypatch.setattr(
            "minigan.evaluation.evaluate", lambda run, *, data_dir: asked.append((run, data_dir)) or Found()
        )
        monkeypatch.setattr("minigan.evaluation.write_evaluation", lambda run, found: written.append(run))
        protocol = tiny(
            columns=(Column("precision", "precision", "evaluation.samples.precision"),),
            controls=(Control("real", {"precision": "evaluation.control.precision"}),),
            published=(),
        )
        data = make(protocol, rows=["ours"], seeds=1, data_dir="there").data
        run = Path("t/ours/seed-000/001")
        assert (asked, written) == ([(run, "there")], [run])
        assert data["rows"][0]["figures"]["precision"]["values"] == {"0": 0.5}
        assert data["controls"] == [{"title": "real", "figures": {"precision": 0.9}}]

    def test_the_classifier_is_trained_once_before_the_runs(self, in_turn, monkeypatch):
        trained, stored_already = [], [None, None, "a classifier"]
        monkeypatch.setattr("minigan.evaluation.splits", lambda data, data_dir: (data, data_dir))
        monkeypatch.setattr("minigan.classifier.stored_classifier", lambda data: stored_already.pop())
        monkeypatch.setattr("minigan.classifier.classifier_of", lambda *a, **k: trained.append((a, len(in_turn))))
        protocol = tiny(classifier="mnist")
        make(protocol, seeds=1, data_dir="there")
        assert trained == []
        make(protocol, seeds=2, data_dir="there")
        assert trained == [(("mnist", "there"), 2)]
        make(protocol, seeds=2)
        assert len(trained) == 1

    @pytest.mark.parametrize("value", ["nan", float("nan"), float("inf"), True, {"a": 1}])
    def test_what_is_no_number(self, value):
        with pytest.raises(RunError, match=r"summary.x is .*; expected a finite number"):
            measures.number_at({"summary": {"x": value}}, "summary.x")


def test_an_interrupt_keeps_what_is_finished(in_turn, monkeypatch):
    def interrupted(result):
        if len(in_turn) == 3:
            raise KeyboardInterrupt

    table = make(on_run_end=interrupted)
    assert (table.status, len(in_turn)) == ("interrupted", 3)
    assert [row["missing"] for row in stored()["rows"]] == [0, 1]
    assert make().status == "completed"
    assert in_turn[3:] == ALL[3:]


def test_the_folder_is_reserved_before_the_work(in_turn, monkeypatch):
    train = making.train_in_workers
    seen = []

    def look(*args, **options):
        seen.append(stored()["status"])
        with pytest.raises(RunError, match="another process is making this table"):
            make()
        train(*args, **options)

    monkeypatch.setattr(making, "train_in_workers", look)
    make(seeds=1)
    assert seen == ["interrupted"]
