"""Run folders and their files: who may write where, and what damage is reported."""

import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from small_runs import FILES, SMALL, normalised, small

from minigan.runs import load_generator, train_recipe
from minigan.training import RunError, create_run, new_folder, read_json, train, write_arrays, write_json


class TestFolders:
    def test_numbers_go_on_and_nothing_is_overwritten(self, in_tmp):
        assert [new_folder("x").name for _ in range(3)] == ["001", "002", "003"]
        (in_tmp / "runs/x/007").mkdir()
        for name in ("notes", "²", "٩"):  # Python calls ² a digit and ٩ (9) a decimal; run folders use neither
            (in_tmp / "runs/x" / name).mkdir()
        assert new_folder("x").name == "008"

    def test_a_number_that_another_process_took_is_passed_over(self, in_tmp, monkeypatch):
        (in_tmp / "runs/x/001").mkdir(parents=True)
        monkeypatch.setattr(Path, "iterdir", lambda self: iter(()))  # the state before the other process wrote
        assert [new_folder("x").name for _ in range(2)] == ["002", "003"]

    def test_many_at_once_get_a_folder_each(self, in_tmp):
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda _: new_folder("x").name, range(40)))
        assert sorted(made) == [f"{n:03d}" for n in range(1, 41)]

    def test_out_must_be_new_or_empty(self, in_tmp):
        (in_tmp / "empty").mkdir()
        assert new_folder("x", out="empty").name == "empty"
        (in_tmp / "full").mkdir()
        (in_tmp / "full/mine.txt").write_text("mine")
        with pytest.raises(RunError, match="out=full exists; expected a new or an empty folder"):
            new_folder("x", out="full")
        (in_tmp / "file").write_text("")
        with pytest.raises(RunError, match="out=file exists"):
            new_folder("x", out="file")
        with pytest.raises(RunError, match="out=file/below: Not a directory"):
            new_folder("x", out="file/below")
        assert new_folder("x", out="deep/er").is_dir()

    def test_a_run_folder_may_be_any_path(self, in_tmp):
        class Named(os.PathLike):
            def __fspath__(self):
                return "named"

        for folder in ("text", Path("path"), Named()):
            experiment = small()
            experiment.figures.clear()
            assert train(experiment, folder=folder)["status"] == "completed"
        for name in ("text", "path", "named"):
            assert {p.name for p in (in_tmp / name).iterdir()} == {n for n in FILES if not n.endswith(("png", "gif"))}

    def test_a_run_is_not_trained_over(self, in_tmp):
        train(normalised(), folder="run")
        before = {p.name: p.read_bytes() for p in (in_tmp / "run").iterdir()}
        with pytest.raises(RunError, match="run exists and is not empty; expected a new or an empty folder"):
            train(small(iterations="2"), folder="run")
        assert {p.name: p.read_bytes() for p in (in_tmp / "run").iterdir()} == before
        (in_tmp / "file").write_text("mine")
        with pytest.raises(RunError, match="file exists and is not empty"):
            train(small(), folder="file")
        with pytest.raises(RunError, match="file/below: Not a directory"):
            train(small(), folder="file/below")

    @pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
    def test_of_those_who_claim_one_folder_one_gets_it(self, in_tmp, monkeypatch, links):
        def no_link(*_):
            raise PermissionError(1, "Operation not permitted")

        if not links:
            monkeypatch.setattr(os, "link", no_link)
        monkeypatch.setattr(Path, "iterdir", lambda self: iter(()))  # all looked before any had written

        def take(number):
            try:
                return create_run("run", "config.json", {"number": number}) and number
            except RunError:
                return None

        with ThreadPoolExecutor(8) as pool:
            (winner,) = [number for number in pool.map(take, range(40)) if number is not None]
        assert read_json("run/config.json") == {"number": winner}
        assert os.listdir("run") == ["config.json"]

    def test_files_are_as_readable_as_any_other(self, in_tmp):
        for mask, mode in ((0o022, 0o644), (0o027, 0o640)):
            before = os.umask(mask)
            try:
                path = write_json("a.json", {})
                assert os.umask(mask) == mask
            finally:
                os.umask(before)
            assert path.stat().st_mode & 0o777 == mode

    def test_a_folder_that_is_not_there_is_named(self, in_tmp):
        with pytest.raises(FileNotFoundError) as caught:
            write_json("nowhere/a.json", {})
        assert caught.value.filename == "nowhere/a.json"

    def test_a_failed_write_leaves_the_old_file_and_no_litter(self, in_tmp):
        write_json("a.json", {"x": 1})
        with pytest.raises(TypeError):
            write_json("a.json", {"x": object()})
        with pytest.raises(ValueError, match="allow_pickle=False"):
            write_arrays("b.npz", {"x": np.array([object()])})
        assert read_json("a.json") == {"x": 1}
        assert [p.name for p in in_tmp.iterdir()] == ["a.json"]

    def test_json_has_no_nan(self, in_tmp):
        write_json("a.json", {"x": math.nan, "y": np.float32(1.5), "z": [np.int64(2), math.inf]})
        assert json.loads((in_tmp / "a.json").read_text(), parse_constant=pytest.fail) == {
            "x": "nan", "y": 1.5, "z": [2, "inf"]
        }  # fmt: skip

    def test_a_damaged_run_says_which_file(self, in_tmp):
        with pytest.raises(RunError, match="nowhere: not a run folder: it has no config.json"):
            load_generator("nowhere")
        train_recipe("gaussian", overrides=SMALL, out="run")
        weights = in_tmp / "run/generator.npz"
        whole = weights.read_bytes()
        weights.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(RunError, match=r"generator.npz: not a whole .npz file"):
            load_generator("run")
        weights.write_text("no archive")
        with pytest.raises(RunError, match=r"generator.npz: not a whole .npz file \(it does not begin as one\)"):
            load_generator("run")
        write_arrays(weights, {"0.W": np.zeros((1, 1)), "1.W": np.zeros(2)})
        with pytest.raises(RunError, match=r"generator.npz: parameters do not fit.*missing '0.b'.*unexpected '1.W'"):
            load_generator("run")
        (in_tmp / "run/config.json").write_text('{"recipe": "gaussian"}')
        with pytest.raises(RunError, match=r"config.json: not the configuration of a run"):
            load_generator("run")
        (in_tmp / "run/config.json").write_text("{")
        with pytest.raises(RunError, match=r"config.json: Expecting"):
            load_generator("run")
