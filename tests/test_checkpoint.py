"""Checkpoint files: round trips, damaged files, and the arguments of the command line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.cli import main
from minigan.training import RunError
from minigan.training.checkpoint import read_checkpoint, write_checkpoint

TREE = {"a": [1, 2.5, float("inf"), None], "b": {"x": np.arange(3.0), "big": 2**127 - 1}, "c": [np.float32(0.5)]}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("file") / "000004.checkpoint", TREE)


class TestFile:
    def test_a_tree_comes_back(self, file):
        tree = read_checkpoint(file)
        x = tree["b"].pop("x")
        assert tree == {"a": [1, 2.5, float("inf"), None], "b": {"big": 2**127 - 1}, "c": [0.5]}
        assert (x.dtype, x.tolist()) == ("float64", [0, 1, 2])

    def test_nothing_is_pickled(self, tmp_path):
        with pytest.raises(ValueError, match="Object arrays cannot be saved"):
            write_checkpoint(tmp_path / "x", {"a": np.array([{}], dtype=object)})
        assert list(tmp_path.iterdir()) == []

    @given(position=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
    def test_a_changed_byte_is_refused(self, file, position, flip):
        content = bytearray(file.read_bytes())
        content[int(position * len(content))] ^= flip
        self.assert_refused(file, content, "altered|mismatch|truncated|format")

    @given(position=st.integers(0, 100), flip=st.integers(1, 255))
    def test_a_changed_byte_of_the_first_line_is_refused(self, file, position, flip):
        content = bytearray(file.read_bytes())
        content[position] ^= flip
        self.assert_refused(file, content, "altered|mismatch|truncated|format")

    @given(share=st.floats(0, 1, exclude_max=True))
    def test_a_truncated_file_is_refused(self, file, share):
        content = file.read_bytes()
        self.assert_refused(file, content[: int(share * len(content))], "not a checkpoint|truncated")

    @given(more=st.binary(min_size=1, max_size=9))
    def test_a_longer_file_is_refused(self, file, more):
        self.assert_refused(file, file.read_bytes() + more, "checksum mismatch")

    def assert_refused(self, file, content, why):
        changed = file.with_name("changed")
        changed.write_bytes(content)
        with pytest.raises(RunError, match=f"changed: .*({why})"):
            read_checkpoint(changed)

    def test_another_format(self, file, tmp_path):
        other = tmp_path / "x.checkpoint"
        other.write_bytes(file.read_bytes().replace(b"checkpoint 1", b"checkpoint 2", 1))
        with pytest.raises(RunError, match="a checkpoint of format 2; this version of minigan reads format 1"):
            read_checkpoint(other)
        with pytest.raises(RunError, match="none: No such file"):
            read_checkpoint(tmp_path / "none")


class TestCommand:
    def run(self, capsys, *arguments):
        try:
            status = main(list(arguments))
        except SystemExit as left:
            status = left.code
        return status, capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ("train gaussian --checkpoint-every 0", "argument --checkpoint-every: '0' given; expected a whole number"),
            ("train gaussian --checkpoint-evry 5", "'--checkpoint-evry' (did you mean '--checkpoint-every'?)"),
            ("resum run", "unknown command 'resum' (did you mean 'resume'?)"),
            ("resume", "the following arguments are required: RUN"),
            ("resume run --iterations -3", "argument --iterations: '-3' given; expected a whole number >= 1"),
            ("resume run --seed 3", "unknown argument '--seed'"),
        ],
    )
    def test_typos(self, in_tmp, capsys, arguments, message):
        status, err = self.run(capsys, *arguments.split())
        assert status == 2
        assert message in err
        assert list(in_tmp.iterdir()) == []

    def test_what_cannot_be_gone_on_with_is_one_line(self, in_tmp, capsys):
        (in_tmp / "empty").mkdir()
        for folder in ("none", "empty"):
            status, err = self.run(capsys, "resume", folder)
            assert (status, err) == (1, f"minigan resume: {folder}: not a run folder: it has no config.json\n")
        tiny = ["--set", "batch_size=20", "--set", "frames=1", "--iterations", "2"]
        assert self.run(capsys, "train", "gaussian", *tiny, "--out", "run", "--checkpoint-every", "1")[0] == 0
        status, err = self.run(capsys, "resume", "run")
        assert status == 1
        assert err == "minigan resume: run: completed after 2 iterations; to continue, expected --iterations N, N > 2\n"
        (in_tmp / "run/summary.json").unlink()
        status, err = self.run(capsys, "resume", "run", "--iterations", "1")
        assert status == 2
        assert err == "minigan resume: iterations must be > 2, those of run/checkpoints/000002.checkpoint, got 1\n"
        (in_tmp / "run/checkpoints/000002.checkpoint").write_bytes(b"minigan")
        status, err = self.run(capsys, "resume", "run")
        assert status == 1
        assert err.endswith("; expected another one, --checkpoint run/checkpoints/000001.checkpoint\n")
        status, err = self.run(capsys, "resume", "run", "--checkpoint", "run/checkpoints/000001.checkpoint")
        assert (status, len(err.splitlines())) == (0, 1)
